"""Arb as a second judge: the definitions once more, in ball arithmetic, without a line of the oracle's."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from flint import arb, ctx, fmpq

from references.formats import BINARY64, FORMATS, Floats, Format
from references.oracle import Certified, Enclosure, accurate, correctly_rounded
from references.problem import OPERATIONS, QUANTITIES, Problem, needs_cotangent, needs_tangent

Generator = np.random.Generator

PRECISIONS = (400, 3000)

every_format = pytest.mark.parametrize("format", list(FORMATS.values()), ids=list(FORMATS))
every_function = pytest.mark.parametrize(
    ("operation", "quantity"), [(operation, quantity) for operation in OPERATIONS for quantity in QUANTITIES]
)


# -- the judge ---------------------------------------------------------------------------------------------------------


def balls(problem: Problem, bits: int) -> list[arb]:
    """Every element as a ball that holds it, or minus infinity; the row is an ordinary one."""
    ctx.prec = bits
    masked = [x == -math.inf for x in problem.logits]
    top = max(problem.logits)
    d = [arb(0) if hidden else arb(x) - arb(top) for x, hidden in zip(problem.logits, masked, strict=True)]
    e = [arb(0) if hidden else v.exp() for v, hidden in zip(d, masked, strict=True)]
    total = sum(e, arb(0))
    s = [v / total for v in e]
    g = [arb(v) for v in problem.cotangent or ()]
    t = [arb(v) for v in problem.tangent or ()]

    def mean(v: list[arb]) -> arb:
        return sum((a * b for a, b in zip(v, s, strict=True)), arb(0))

    def vjp_softmax(v: list[arb]) -> list[arb]:
        middle = mean(v)
        return [p * (a - middle) for p, a in zip(s, v, strict=True)]

    def forward() -> list[arb]:
        if problem.operation == "softmax":
            return s
        log_total = total.log()
        return [arb.neg_inf() if hidden else v - log_total for v, hidden in zip(d, masked, strict=True)]

    def vjp() -> list[arb]:
        if problem.operation == "softmax":
            return vjp_softmax(g)
        return [a - p * sum(g, arb(0)) for a, p in zip(g, s, strict=True)]

    def jvp() -> list[arb]:
        if problem.operation == "softmax":
            return vjp_softmax(t)
        middle = mean(t)
        return [a - middle for a in t]

    def hvp() -> list[arb]:
        if problem.operation == "log_softmax":
            return [-sum(g, arb(0)) * v for v in vjp_softmax(t)]
        g_mean, t_mean = mean(g), mean(t)
        return vjp_softmax([(a - t_mean) * (c - g_mean) for a, c in zip(t, g, strict=True)])

    quantities: dict[str, Callable[[], list[arb]]] = {"forward": forward, "vjp": vjp, "jvp": jvp, "hvp": hvp}
    return quantities[problem.quantity]()


def ends(ball: arb) -> tuple[tuple[int, int], tuple[int, int]]:
    """The lower and the upper end, each as an integer and the power of two that it counts."""
    low, high = (end.man_exp() for end in (ball.lower(), ball.upper()))
    return (int(low[0]), int(low[1])), (int(high[0]), int(high[1]))


def rounding(ball: arb, format: Format) -> int | None:
    """The bits on which both ends of the ball agree; None where they don't.  A zero of either sign is 0."""
    if not ball.is_finite():
        return format.sign_bit | format.infinity_bits
    low, high = (format.round_dyadic(*end) for end in ends(ball))
    if {low, high} <= {0, format.sign_bit}:
        return 0
    return low if low == high else None


def verdicts(problem: Problem, format: Format) -> list[int | None]:
    """The correctly rounded elements, each at the first of PRECISIONS that decides it."""
    found: list[int | None] = [None] * len(problem.logits)
    for bits in PRECISIONS:
        if None in found:
            judged = [rounding(ball, format) for ball in balls(problem, bits)]
            found = [old if old is not None else new for old, new in zip(found, judged, strict=True)]
    return found


# -- the rows ----------------------------------------------------------------------------------------------------------


def _gauss(r: Generator, n: int) -> Floats:
    return np.asarray(r.choice([0.1, 1.0, 10.0]) * r.standard_normal(n))


def _wide(r: Generator, n: int) -> Floats:
    return np.asarray(r.choice([100.0, 400.0]) * r.standard_normal(n))


def _dominant(r: Generator, n: int) -> Floats:
    row = -(10 ** r.uniform(0, 2.5, n))
    row[r.integers(n)] = 0.0
    return np.asarray(row)


def _near_tie(r: Generator, n: int) -> Floats:
    return 1.5 * (1 + r.integers(0, 5, n) * 2.0 ** -r.integers(3, 53))


def _offset(r: Generator, n: int) -> Floats:
    return 2.0 ** r.integers(5, 52) + r.integers(-20, 20, n)


def _masked(r: Generator, n: int) -> Floats:
    row = r.standard_normal(n)
    row[1:][r.random(n - 1) < 0.5] = -np.inf
    return row


def _equal(r: Generator, n: int) -> Floats:
    return np.full(n, r.standard_normal())


def _groups(r: Generator, n: int) -> Floats:
    return r.integers(-2, 2, n).astype(np.float64)


def _far(r: Generator, n: int) -> Floats:
    return np.asarray(r.choice([1.0, 1.0, -1.0, -1500.0, -1e5, -1e308], n))


FAMILIES = (_gauss, _wide, _dominant, _near_tie, _offset, _masked, _equal, _groups, _far)


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
                stored(family(r, n)),
                g if needs_cotangent(quantity) else None,
                t if needs_tangent(quantity) else None,
            )


# -- the verdict -------------------------------------------------------------------------------------------------------


@every_format
@every_function
def test_the_oracle_rounds_as_arb_does_wherever_arb_decides(operation: str, quantity: str, format: Format) -> None:
    decided = elements = 0
    for problem in rows(operation, quantity, format, 10):
        for found, judged in zip(correctly_rounded(problem, format), verdicts(problem, format), strict=True):
            elements += 1
            if judged is not None:
                decided += 1
                assert judged == (0 if found == format.sign_bit else found), problem
    # Only ties stay open: gradients of rows with one level in reach.
    assert decided >= 0.99 * elements


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


def unrounded(mantissa: int, exponent: int) -> mpmath.mpf:
    """mantissa * 2**exponent whatever the working precision is."""
    return mpmath.mp.make_mpf(mpmath.libmp.from_man_exp(mantissa, exponent))


def test_the_judge_notices_a_change_in_the_last_place() -> None:
    problem = Problem("log_softmax", "vjp", [0.5, 0.25, -1.0], [1.0, 2.0, -0.5])
    judged = verdicts(problem, BINARY64)
    wrong = [bits + 1 for bits in correctly_rounded(problem, BINARY64)]
    assert all(a is not None and a != b for a, b in zip(judged, wrong, strict=True))


# -- the oracle's one assumption ---------------------------------------------------------------------------------------


def error_in_ulps(found: mpmath.mpf, truth: arb, bits: int) -> float:
    """|found - truth| in units in the last place of a ``bits``-bit number near it (an upper bound)."""
    sign, mantissa, exponent, _ = found._mpf_
    ulp = arb((1, mpmath.mag(found) - bits))
    return float((abs(arb((-int(mantissa) if sign else int(mantissa), int(exponent))) - truth) / ulp).upper())


def number(r: Generator, bits: int, low: float, high: float) -> tuple[int, int]:
    """mantissa and exponent of a positive number between 2**low and 2**high, of ``bits`` bits, now and then of few."""
    mantissa = int.from_bytes(r.bytes(bits // 8 + 1), "big") % (1 << bits) | 1
    if r.random() < 0.2:
        mantissa = int(r.integers(1, 9))
    return mantissa, int(math.floor(r.uniform(low, high))) - mantissa.bit_length()


@pytest.mark.parametrize("bits", [53, 64, 96, 128, 200, 400])
def test_the_exp_of_mpmath_is_within_an_ulp(bits: int) -> None:
    """Arguments as the oracle forms them: differences of two binary64 numbers, so up to 2098 bits long."""
    r = np.random.default_rng(bits)
    with mpmath.workprec(bits):
        for _ in range(400):
            mantissa, exponent = number(r, int(r.choice([24, 53, 500])), -1100, 14)
            ctx.prec = 2 * bits + 1300
            truth = arb((-mantissa, exponent)).exp()
            assert error_in_ulps(mpmath.exp(unrounded(-mantissa, exponent)), truth, bits) <= 1


@pytest.mark.parametrize("bits", [53, 64, 96, 128, 200, 400])
def test_the_exp_of_mpmath_is_within_an_ulp_where_its_reduction_cancels(bits: int) -> None:
    """The binary64 numbers next to multiples of ln 2, up to 2**60 of them."""
    r = np.random.default_rng(bits)
    with mpmath.workprec(bits):
        for _ in range(200):
            x = -float(math.floor(2 ** r.uniform(0, 60))) * math.log(2)
            ctx.prec = 2 * bits + 200
            assert error_in_ulps(mpmath.exp(mpmath.mpf(x)), arb(x).exp(), bits) <= 1


@pytest.mark.parametrize("bits", [53, 64, 96, 128, 200, 400])
def test_the_log_of_mpmath_is_within_an_ulp(bits: int) -> None:
    """1 + t formed exactly, for t from where log1p(t) = t to rows of 2**20 logits."""
    r = np.random.default_rng(bits)
    with mpmath.workprec(bits):
        for _ in range(400):
            mantissa, exponent = number(r, bits, -bits - 2, 20)
            argument = mpmath.fadd(1, unrounded(mantissa, exponent), exact=True)
            ctx.prec = 3 * bits + 100
            truth = arb((mantissa, exponent)).log1p()
            assert error_in_ulps(mpmath.log(argument), truth, bits) <= 1
