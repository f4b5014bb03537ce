"""Arb as a second judge: the definitions once more, in ball arithmetic, without a line of the oracle's."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from flint import arb, ctx, fmpq

from references.bulk.batches import reference
from references.formats import BINARY64, FORMATS, Floats, Format
from references.functions import Function, Problem, needs_cotangent, needs_tangent
from references.oracle.certified import Certified, Enclosure, accurate, correctly_rounded
from references.tests.balls import unrounded
from references.vocabulary import OPERATIONS, QUANTITIES

Generator = np.random.Generator

PRECISIONS = (400, 3000)

every_format = pytest.mark.parametrize("format", list(FORMATS.values()), ids=list(FORMATS))
every_function = pytest.mark.parametrize(
    ("operation", "quantity"), [(operation, quantity) for operation in OPERATIONS for quantity in QUANTITIES]
)


# -- the judge ---------------------------------------------------------------------------------------------------------


def elements(problem: Problem, number: Callable[[float], Any], exp: Callable[[Any], Any]) -> list[Any]:
    """Every element by its definition, in numbers of one kind, or minus infinity; the row is an ordinary one."""
    zero = number(0.0)
    masked = [x == -math.inf for x in problem.logits]
    top = number(max(problem.logits))
    d = [zero if hidden else number(x) - top for x, hidden in zip(problem.logits, masked, strict=True)]
    e = [zero if hidden else exp(v) for v, hidden in zip(d, masked, strict=True)]
    total = sum(e, zero)
    s = [v / total for v in e]
    g = [number(v) for v in problem.cotangent or ()]
    t = [number(v) for v in problem.tangent or ()]

    def mean(v: list[Any]) -> Any:
        return sum((a * b for a, b in zip(v, s, strict=True)), zero)

    def vjp_softmax(v: list[Any]) -> list[Any]:
        middle = mean(v)
        return [p * (a - middle) for p, a in zip(s, v, strict=True)]

    def forward() -> list[Any]:
        if problem.operation == "softmax":
            return s
        log_total = total.log()
        return [arb.neg_inf() if hidden else v - log_total for v, hidden in zip(d, masked, strict=True)]

    def vjp() -> list[Any]:
        if problem.operation == "softmax":
            return vjp_softmax(g)
        return [a - p * sum(g, zero) for a, p in zip(g, s, strict=True)]

    def jvp() -> list[Any]:
        if problem.operation == "softmax":
            return vjp_softmax(t)
        middle = mean(t)
        return [a - middle for a in t]

    def hvp() -> list[Any]:
        if problem.operation == "log_softmax":
            return [-sum(g, zero) * v for v in vjp_softmax(t)]
        g_mean, t_mean = mean(g), mean(t)
        return vjp_softmax([(a - t_mean) * (c - g_mean) for a, c in zip(t, g, strict=True)])

    quantities: dict[str, Callable[[], list[Any]]] = {"forward": forward, "vjp": vjp, "jvp": jvp, "hvp": hvp}
    return quantities[problem.quantity]()


def balls(problem: Problem, bits: int) -> list[arb]:
    """Every element as a ball that holds it, or minus infinity."""
    ctx.prec = bits
    return elements(problem, arb, lambda v: v.exp())


def rationals(problem: Problem) -> list[fmpq] | None:
    """Every element of a row whose finite logits are all equal; None for other rows, and for logarithms."""
    logarithm = problem.operation == "log_softmax" and problem.quantity == "forward"
    if logarithm or len({x for x in problem.logits if x != -math.inf}) > 1:
        return None
    return elements(problem, lambda x: fmpq(*x.as_integer_ratio()), lambda v: v + 1)


def ends(ball: arb) -> tuple[tuple[int, int], tuple[int, int]]:
    """The lower and the upper end, each as an integer and the power of two that it counts."""
    low, high = (end.man_exp() for end in (ball.lower(), ball.upper()))
    return (int(low[0]), int(low[1])), (int(high[0]), int(high[1]))


def nearest(exact: tuple[int, int] | Fraction, format: Format) -> int:
    """The bits of the number of a format that is nearest to mantissa * 2**exponent, or to a rational; a zero is 0.

    Python's own ``round`` counts how many last places the number has; rounding is no code of ``references`` here.
    """
    if isinstance(exact, tuple):
        # Beyond all formats only the sign counts, and powers of two have no limit here.
        mantissa, exponent = exact
        size = abs(mantissa).bit_length() + exponent
        clipped = min(max(size, -1200), 1200) - size
        exact = Fraction(mantissa) * Fraction(2) ** (exponent + clipped)
    if not exact:
        return 0
    magnitude, lowest = abs(exact), format.emin - format.precision + 1
    binade = magnitude.numerator.bit_length() - magnitude.denominator.bit_length()
    binade -= magnitude < Fraction(2) ** binade
    last = max(binade - format.precision + 1, lowest)
    count = round(magnitude / Fraction(2) ** last)
    overflow = ((format.emax - format.emin + 2) << (format.precision - 1)) - (0 if format.infinities else 1)
    bits = min(((last - lowest) << (format.precision - 1)) + count, overflow)
    return bits | 1 << (format.width - 1) if bits and exact < 0 else bits


def rounding(ball: arb, format: Format) -> int | None:
    """The bits on which both ends of the ball agree; None where they don't."""
    if not ball.is_finite():
        return nearest((-1, 2000), format)
    low, high = (nearest(end, format) for end in ends(ball))
    return low if low == high else None


def verdicts(problem: Problem, format: Format) -> list[int | None]:
    """The correctly rounded elements, in rationals or else at the first of PRECISIONS that decides them."""
    exact = rationals(problem)
    if exact is not None:
        return [nearest(Fraction(int(v.p), int(v.q)), format) for v in exact]
    found: list[int | None] = [None] * len(problem.logits)
    for bits in PRECISIONS:
        if None in found:
            judged = [rounding(ball, format) for ball in balls(problem, bits)]
            found = [old if old is not None else new for old, new in zip(found, judged, strict=True)]
    return found


# -- the rows ----------------------------------------------------------------------------------------------------------


def _gauss(r: Generator, n: int, format: Format) -> Floats:
    return np.asarray(r.choice([0.1, 1.0, 10.0]) * r.standard_normal(n))


def _wide(r: Generator, n: int, format: Format) -> Floats:
    return np.asarray(r.choice([100.0, 400.0]) * r.standard_normal(n))


def _dominant(r: Generator, n: int, format: Format) -> Floats:
    row = -(10 ** r.uniform(0, 2.5, n))
    row[r.integers(n)] = 0.0
    return np.asarray(row)


def _near_tie(r: Generator, n: int, format: Format) -> Floats:
    return 1.5 * (1 + r.integers(0, 5, n) * 2.0 ** -r.integers(3, 53))


def _offset(r: Generator, n: int, format: Format) -> Floats:
    return 2.0 ** r.integers(5, 52) + r.integers(-20, 20, n)


def _masked(r: Generator, n: int, format: Format) -> Floats:
    row = r.standard_normal(n)
    row[1:][r.random(n - 1) < 0.5] = -np.inf
    return row


def _equal(r: Generator, n: int, format: Format) -> Floats:
    return np.full(n, r.standard_normal())


def _groups(r: Generator, n: int, format: Format) -> Floats:
    return r.integers(-2, 2, n).astype(np.float64)


def _far(r: Generator, n: int, format: Format) -> Floats:
    return np.asarray(r.choice([1.0, 1.0, -1.0, -1500.0, -1e5, -1e308], n))


def _extreme(r: Generator, n: int, format: Format) -> Floats:
    """The largest and the smallest numbers of the format, and a mask."""
    ends = [format.largest, -format.largest, format.smallest_subnormal, -format.smallest_subnormal, 0.0, -np.inf]
    row = r.choice(ends, n)
    row[0] = r.choice(ends[:-1])
    return np.asarray(row)


FAMILIES = (_gauss, _wide, _dominant, _near_tie, _offset, _masked, _equal, _groups, _far, _extreme)


def rows(operation: str, quantity: str, format: Format, count: int) -> Iterator[Problem]:
    """Rows of every family, 1 to 40 long; all numbers are the format's, gradients with and without a common offset."""
    r = np.random.default_rng([OPERATIONS.index(operation), QUANTITIES.index(quantity), format.width, format.precision])

    def stored(v: Floats) -> list[float]:
        decoded = format.decode(format.round_floats(np.clip(v, -format.largest, format.largest)))
        return [-math.inf if x == -math.inf else float(y) for x, y in zip(v, decoded, strict=True)]

    for family in FAMILIES:
        for _ in range(count):
            n = int(r.integers(1, 41))
            g, t = (stored(r.standard_normal(n) + r.choice([0.0, 0.0, 100.0])) for _ in range(2))
            yield Problem(
                operation,
                quantity,
                stored(family(r, n, format)),
                g if needs_cotangent(quantity) else None,
                t if needs_tangent(quantity) else None,
            )


# -- the verdict -------------------------------------------------------------------------------------------------------


@every_format
@every_function
def test_the_oracle_rounds_as_arb_does_wherever_arb_decides(operation: str, quantity: str, format: Format) -> None:
    decided = elements = 0
    for problem in rows(operation, quantity, format, 6):
        for found, judged in zip(correctly_rounded(problem, format), verdicts(problem, format), strict=True):
            elements += 1
            if judged is not None:
                decided += 1
                assert judged == found or judged == 0 == found - format.sign_bit, problem
    # Only ties stay open that the far logits of a row break.
    assert decided >= 0.985 * elements


@every_function
def test_the_enclosures_of_the_oracle_meet_the_balls(operation: str, quantity: str) -> None:
    for problem in rows(operation, quantity, BINARY64, 5):
        for found, ball in zip(accurate(problem, 90), balls(problem, 1000), strict=True):
            if ball.is_finite():
                assert meet(found, ball), problem
            else:
                assert found.value == -math.inf


def meet(found: Certified, ball: arb) -> bool:
    """Whether what the oracle found has a number in common with the ball."""
    lowest, highest = (unrounded(*end) for end in ends(ball))
    if isinstance(found.value, Enclosure):
        return bool(found.value.lower <= highest and lowest <= found.value.upper)
    assert isinstance(found.value, Fraction)
    return bool(ball.overlaps(arb(fmpq(found.value.numerator, found.value.denominator))))


@every_format
@every_function
def test_the_bulk_reference_is_as_near_to_the_balls_as_it_states(operation: str, quantity: str, format: Format) -> None:
    for problem in rows(operation, quantity, format, 1):
        vectors = {"cotangent": problem.cotangent, "tangent": problem.tangent}
        given = {role: np.array([v]) for role, v in vectors.items() if v is not None}
        found = reference(Function(operation, quantity), np.array([problem.logits]), format, **given)
        for i, ball in enumerate(balls(problem, 3000)):
            hi, lo, error = (float(part[0, i]) for part in (found.hi, found.lo, found.error))
            if ball.is_finite():
                stated = arb(arb(hi) + arb(lo), error) * arb((1, int(found.exponent[0, i])))
                assert stated.overlaps(ball), (problem, i)
            else:
                assert hi == -math.inf


def test_the_judge_notices_a_change_in_the_last_place() -> None:
    problem = Problem("log_softmax", "vjp", [0.5, 0.25, -1.0], [1.0, 2.0, -0.5])
    judged = verdicts(problem, BINARY64)
    wrong = [bits + 1 for bits in correctly_rounded(problem, BINARY64)]
    assert all(a is not None and a != b for a, b in zip(judged, wrong, strict=True))


@every_format
def test_the_rounding_of_the_judge_is_to_nearest_and_to_even(format: Format) -> None:
    """Midpoints among the subnormal numbers, at the first normal one and at the largest, and what lies beside them."""
    normal = 1 << (format.precision - 1)
    for low in (*range(9), normal - 2, normal - 1, normal, 2 * normal - 1, format.largest_bits - 1):
        below, above = Fraction(format.value(low)), Fraction(format.value(low + 1))
        middle, step = (below + above) / 2, (above - below) / 1000
        assert nearest(middle, format) == low + low % 2
        assert (nearest(middle - step, format), nearest(middle + step, format)) == (low, low + 1)
        assert nearest(-middle - step, format) == format.sign_bit | (low + 1)
