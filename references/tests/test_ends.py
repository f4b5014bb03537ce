"""What the bulk reference states of rows at the ends of a format's range, held to the letter.

The value lies within the stated error, an error of zero means that the value is exact, and a rounding that is decided
is the right one.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import mpmath
import numpy as np
import pytest

from references.bulk.batches import reference
from references.bulk.exact_pairs import Reference
from references.formats import BFLOAT16, BINARY16, BINARY32, BINARY64, FORMATS, Floats, Format
from references.functions import Function, problem_of, roles_of
from references.oracle.certified import Enclosure, certified, correctly_rounded
from references.tests import ends
from references.vocabulary import OPERATIONS, QUANTITIES

every_format = pytest.mark.parametrize("format", list(FORMATS.values()), ids=list(FORMATS))
every_function = pytest.mark.parametrize(
    ("operation", "quantity"), [(operation, quantity) for operation in OPERATIONS for quantity in QUANTITIES]
)


class Stated:
    """The intervals [centre - error, centre + error] of one row, without rounding."""

    def __init__(self, found: Reference, row: int) -> None:
        self.found, self.row = found, row
        self.intervals = [self._interval(i) for i in range(found.hi.shape[1])]

    def _interval(self, i: int) -> tuple[mpmath.mpf, mpmath.mpf] | float:
        hi, lo, error = (float(part[self.row, i]) for part in (self.found.hi, self.found.lo, self.found.error))
        if not np.isfinite(hi):
            return hi
        centre, exponent = mpmath.fadd(hi, lo, exact=True), int(self.found.exponent[self.row, i])
        radius = mpmath.mpf(error)
        low, high = mpmath.fsub(centre, radius, exact=True), mpmath.fadd(centre, radius, exact=True)
        return mpmath.ldexp(low, exponent), mpmath.ldexp(high, exponent)

    def tells(self, i: int, enclosure: Enclosure) -> bool:
        """Whether an enclosure lies inside the interval or outside of it."""
        interval = self.intervals[i]
        if isinstance(interval, float):
            return True
        return self.holds(i, enclosure) or bool(enclosure.upper < interval[0] or interval[1] < enclosure.lower)

    def holds(self, i: int, value: Enclosure | Fraction | float) -> bool:
        interval = self.intervals[i]
        if isinstance(interval, float) or isinstance(value, float):
            return repr(interval) == repr(value)
        if isinstance(value, Enclosure):
            return bool(interval[0] <= value.lower and value.upper <= interval[1])
        low, high = (Fraction(*map(int, mpmath.libmp.to_rational(end._mpf_))) for end in interval)
        return low <= value <= high


def assert_to_the_letter(operation: str, quantity: str, format: Format, rows: Sequence[tuple[Floats, ...]]) -> None:
    """Rows of one length, each with a cotangent and a tangent of which the quantity takes what it needs."""
    logits, cotangent, tangent = (np.array([row[k] for row in rows]) for k in range(3))
    given = {role: {"cotangent": cotangent, "tangent": tangent}[role] for role in roles_of(quantity)}
    found = reference(Function(operation, quantity), logits, format, **given)
    bits, undecided = format.round_pairs(found.hi, found.lo, found.exponent, found.error)
    for row in range(len(rows)):
        problem, stated = (
            problem_of(Function(operation, quantity), logits[row], [v[row] for v in given.values()]),
            Stated(found, row),
        )
        for i, exact in enumerate(certified(problem, stated.tells, 130)):
            assert stated.holds(i, exact.value), (problem, i)
        for i, right in enumerate(correctly_rounded(problem, format)):
            same = right == bits[row, i] or {right, int(bits[row, i])} <= {0, format.sign_bit}
            assert undecided[row, i] or same, (problem, i)


def row_of(logits: list[float], cotangent: list[float], tangent: list[float] | None = None) -> tuple[Floats, ...]:
    return np.array(logits), np.array(cotangent), np.array(tangent or cotangent)


@every_format
@every_function
def test_rows_at_the_ends_of_the_range_are_stated_to_the_letter(operation: str, quantity: str, format: Format) -> None:
    r = np.random.default_rng([format.width, format.precision, OPERATIONS.index(operation), QUANTITIES.index(quantity)])
    for n in (1, 2, 3, 4, 5, 9, 40):
        rows = [ends.row(r, format, n) for _ in range(6 if n < 40 else 2)]
        assert_to_the_letter(operation, quantity, format, rows)


# -- what was once stated wrongly --------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", [BFLOAT16, BINARY16, BINARY32, BINARY64], ids=lambda format: format.name)
@every_function
def test_terms_that_all_underflow_are_no_exact_zero(operation: str, quantity: str, format: Format) -> None:
    """Subnormal vectors that differ only where exp does not reach any number: the result is tiny, and not zero."""
    q = format.smallest_subnormal
    rows = [
        row_of([0.0, 0.0, -gap], g, t)
        for gap in (700.0, 720.0, 740.0, 1390.0, 1410.0)
        for g, t in (([q, q, 2 * q], [q, q, 3 * q]), ([0.0, 0.0, q], [1.0, 2.0, 1.0]), ([q, q, 0.0], [q, 0.0, 0.0]))
    ]
    rows = [tuple(format.decode(format.round_floats(v)) for v in row) for row in rows]
    assert_to_the_letter(operation, quantity, format, rows)


def test_an_exponential_that_underflows_beside_a_subnormal_cotangent_leaves_an_error() -> None:
    q = 2.0**-133
    found = reference(
        Function("softmax", "vjp"), np.array([[0.0, 0.0, -700.0]]), BFLOAT16, cotangent=np.array([[q, q, 2 * q]])
    )
    assert (found.error > 0).all()


def test_one_vector_throughout_still_has_exact_zeros_for_derivatives() -> None:
    """Only what may have been lost costs an error: where all numbers are equal, masked ones aside, nothing was."""
    logits, q = np.array([[0.0, -700.0, -1500.0, -np.inf]]), 2.0**-133
    for given in ({"cotangent": np.array([[q, q, q, 5 * q]])}, {"tangent": np.array([[q, q, q, 5 * q]])}):
        found = reference(Function("softmax", "vjp" if "cotangent" in given else "jvp"), logits, BFLOAT16, **given)
        assert not found.hi.any()
        assert not found.error.any()


@pytest.mark.parametrize("n", [3, 300, 8193])
@pytest.mark.parametrize("gap", [640.5, 700.0, 706.5, 707.5, 745.0])
def test_a_softmax_that_is_subnormal_in_binary64_is_not_stated_without_error(n: int, gap: float) -> None:
    """exp(-gap) is a normal number, and exp(-gap) / n has lost bits that its relative error can't express."""
    logits = np.zeros((1, n))
    logits[0, 1] = -gap
    found = reference(Function("softmax", "forward"), logits, BINARY32)
    stated, problem = Stated(found, 0), problem_of(Function("softmax", "forward"), logits[0], [])
    (exact,) = certified(problem, lambda _, enclosure: stated.tells(1, enclosure), 130, [1])
    assert stated.holds(1, exact.value)


def test_a_quantum_that_is_shared_out_to_less_than_half_of_itself_is_no_exact_zero() -> None:
    q = BINARY64.smallest_subnormal
    rows = [row_of([0.0, 0.0, 0.0, -gap], [0.0, 0.0, q, 0.0]) for gap in (0.0, 1.0, 720.0)]
    assert_to_the_letter("log_softmax", "vjp", BINARY64, rows)


def test_a_midpoint_is_left_open_where_what_breaks_the_tie_is_below_every_number() -> None:
    """t_1 - t_0 is half way between two binary32 numbers, and the mean of it 2**-2100."""
    rows = [
        row_of([0.0, -gap], [0.0, 0.0], [-64.0, 2.0**30 + odd * 64.0 - 64.0])
        for gap in (700.0, 745.0, 760.0, 1500.0)
        for odd in (1, 3)
    ]
    assert_to_the_letter("log_softmax", "jvp", BINARY32, rows)
