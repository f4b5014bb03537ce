"""Enclosures of the oracle at gaps from 10**3 to 10**300, where what distinguishes a value is far below its last bit.

The rows' logits are whole multiples of one gap, so that every element is a quotient of polynomials in exp(-gap).  Their
rational coefficients give the element's limit exactly and, as a ball of Arb's, how far the element is from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from flint import arb, ctx, fmpq, fmpq_poly

from references.formats import BINARY64
from references.functions import Problem, roles_of
from references.oracle.certified import Enclosure, accurate, correctly_rounded
from references.tests.balls import ball
from references.vocabulary import OPERATIONS, QUANTITIES

GAPS = [2.0**k for k in (10, 12, 16, 17, 20, 60, 200, 500, 996)]

every_function = pytest.mark.parametrize(
    ("operation", "quantity"), [(operation, quantity) for operation in OPERATIONS for quantity in QUANTITIES]
)


def polynomial(weights: Sequence[Fraction | int], powers: Sequence[int]) -> fmpq_poly:
    """sum w_j epsilon**k_j."""
    total = fmpq_poly([0])
    for w, k in zip(weights, powers, strict=True):
        exact = Fraction(w)
        total += fmpq_poly([0] * k + [fmpq(exact.numerator, exact.denominator)])
    return total


def quotient(problem: Problem, powers: Sequence[int], i: int) -> tuple[fmpq_poly, fmpq_poly]:
    """Element i by its definition, as two polynomials in exp(-gap); not for the forward log_softmax."""
    g, t = ([Fraction(v) for v in vector or ()] for vector in (problem.cotangent, problem.tangent))
    own, s = polynomial([1], [powers[i]]), polynomial([1] * len(powers), powers)
    if problem.quantity == "forward":
        return own, s
    if problem.quantity == "hvp" and problem.operation == "softmax":
        u, v = polynomial(g, powers), polynomial(t, powers)
        p = polynomial([a * b for a, b in zip(g, t, strict=True)], powers)
        gi, ti = polynomial(g[i : i + 1], [0]), polynomial(t[i : i + 1], [0])
        return own * (gi * ti * s * s - ti * s * u - gi * s * v - s * p + 2 * u * v), s * s * s
    if problem.quantity == "vjp" and problem.operation == "log_softmax":
        return polynomial(g[i : i + 1], [0]) * s - polynomial([sum(g, Fraction(0))], [0]) * own, s
    vector = g if problem.quantity == "vjp" else t
    centred = polynomial(vector[i : i + 1], [0]) * s - polynomial(vector, powers)
    if problem.operation == "softmax":
        return own * centred, s * s
    if problem.quantity == "jvp":
        return centred, s
    return polynomial([-sum(g, Fraction(0))], [0]) * own * centred, s * s


def evaluated(polynomial: fmpq_poly, x: arb) -> arb:
    """By Horner's rule: terms of very different size don't hide each other where the largest is the first."""
    total = arb(0)
    for coefficient in reversed(polynomial.coeffs()):
        total = total * x + arb(coefficient)
    return total


@dataclass(frozen=True)
class Element:
    """limit + rest: the value at an infinite gap, which is dyadic, and what the gap adds."""

    limit: Fraction
    rest: arb

    def exact(self) -> bool:
        return bool(self.rest == 0)


def element(problem: Problem, powers: Sequence[int], i: int, gap: float) -> Element:
    """Element i: the polynomial of the rest has no constant term, so its ball is as narrow as its value is small."""
    ctx.prec = 3000
    epsilon = arb(-gap).exp()
    if (problem.operation, problem.quantity) == ("log_softmax", "forward"):
        count = powers.count(0)
        others = sum((epsilon**k for k in powers if k), arb(0))
        return Element(Fraction(problem.logits[i]), -((others / count).log1p() + arb(count).log()))
    top, bottom = quotient(problem, powers, i)
    limit = top[0] / bottom[0]
    rest = evaluated(top - fmpq_poly([limit]) * bottom, epsilon) / evaluated(bottom, epsilon)
    return Element(Fraction(int(limit.p), int(limit.q)), rest)


def holds(found: Enclosure | Fraction | float, truth: Element) -> bool:
    """Whether the value lies between the ends, both of them compared with limit + rest without rounding."""
    if isinstance(found, Fraction):
        return found == truth.limit and truth.exact()
    assert isinstance(found, Enclosure)
    limit = mpmath.mpf(truth.limit.numerator) / truth.limit.denominator
    below, above = (mpmath.fsub(end, limit, exact=True) for end in (found.lower, found.upper))
    return bool(ball(below) < truth.rest) and bool(truth.rest < ball(above))


def rows(operation: str, quantity: str, gap: float, count: int) -> list[tuple[Problem, list[int]]]:
    """One, two or four logits at the top, so that limits are dyadic; vectors that cancel."""
    r = np.random.default_rng([OPERATIONS.index(operation), QUANTITIES.index(quantity), int(np.log2(gap))])
    made = []
    for _ in range(count):
        powers = [0] * int(r.choice([1, 2, 4])) + r.integers(1, 4, int(r.integers(1, 4))).tolist()
        kinds = [r.integers(-2, 3, len(powers)), r.choice([1.0, 2.0**-53], len(powers)), r.standard_normal(len(powers))]
        vectors = {role: kinds[int(r.integers(3))].astype(float).tolist() for role in roles_of(quantity)}
        made.append((Problem(operation, quantity, [-gap * k for k in powers], **vectors), powers))
    return made


@pytest.mark.parametrize("gap", GAPS)
@every_function
def test_every_enclosure_holds_its_value_whatever_the_gap(operation: str, quantity: str, gap: float) -> None:
    with mpmath.workprec(10_000):
        for problem, powers in rows(operation, quantity, gap, 12):
            for bits in (20, 100):
                for i, found in enumerate(accurate(problem, bits)):
                    assert holds(found.value, element(problem, powers, i, gap)), (problem, i)


@pytest.mark.parametrize("gap", [1e3, 1e4, 1e5, 1e20, 1e300])
def test_a_logarithm_far_below_every_number_is_still_above_zero(gap: float) -> None:
    """log_softmax of [0, -gap] is -gap - log1p(e), e = exp(-gap), and log1p(e) lies between e - e**2 and e."""
    (found,) = accurate(Problem("log_softmax", "forward", [0.0, -gap]), 100, [1])
    assert isinstance(found.value, Enclosure)
    with mpmath.workprec(200):
        e = mpmath.exp(-gap)
        assert mpmath.fsub(-gap, found.value.upper, exact=True) < e / (1 + e)
        assert mpmath.fsub(-gap, found.value.lower, exact=True) > e


@pytest.mark.parametrize("power", [15, 17, 996])
def test_an_end_that_is_a_midpoint_breaks_the_tie_inwards(power: int) -> None:
    """d is half way between two numbers, an end of the enclosure, and the value on its other side."""
    half, low = 2.0 ** (power - 53), -(2.0**power)
    (found,) = correctly_rounded(Problem("log_softmax", "forward", [half, low]), BINARY64, [1])
    assert BINARY64.value(found) == low - 2 * half
