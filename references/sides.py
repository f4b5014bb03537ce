"""An element as a quotient of sums of exponentials: exact comparisons, and values, where no working precision decides.

The exponents of the sums are distinct rationals, and exp(r) for distinct rationals r are linearly independent over the
rationals (Lindemann and Weierstrass), so a sum of them is zero only where every coefficient is.  What cancels exactly
is gone before anything is evaluated, however far below it the rest lies.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import mpmath

from references.problem import Problem

# {x: c} stands for the sum of c exp(x).
Sum = dict[Fraction, Fraction]

# Differences of sums of up to four binary64 numbers are exact.
_EXACT = 10_000


def side(problem: Problem, i: int, boundary: Fraction) -> int:
    """The sign of element i minus a rational number, exactly: -1, 0 or 1.

    Times S**k the difference is a sum of exponentials of distinct rationals.  With k up to 3 that takes (groups of
    logits)**k steps; (groups)**2 for the boundary zero.  For the forward log_softmax, d_i - log S against b is
    exp(x_i - b) against the sum of exp(x).
    """
    if (problem.operation, problem.quantity) == ("log_softmax", "forward"):
        return _sign(_plus((Fraction(1), {Fraction(problem.logits[i]) - boundary: Fraction(1)}), (-1, _ones(problem))))
    bracket, factor, power = _quotient(problem, i)
    if boundary:
        total = _ones(problem)
        for _ in range(power - 1):
            total = _times(total, _ones(problem))
        bracket = _plus((1, _times(bracket, factor)), (-boundary, total))
    return _sign(bracket)


def around(problem: Problem, i: int, precision: int) -> tuple[mpmath.mpf, mpmath.mpf]:
    """Element i and a bound on its error, relative to the terms that are left; both zero where the element is.

    For quotients (not for the forward log_softmax), in (groups of logits)**2 steps.  Each term is off by 4 units of
    2**-precision: 2 for exp, and one each for its coefficient's numerator and denominator.
    """
    bracket, factor, power = _quotient(problem, i)
    numerator, total = _times(bracket, factor), _ones(problem)
    if not numerator:
        return mpmath.mpf(0), mpmath.mpf(0)
    top, highest = max(numerator), max(total)
    with mpmath.workprec(_EXACT):
        shift = _number(top - power * highest)
    with mpmath.workprec(precision):
        unit = mpmath.ldexp(1, -precision)
        terms = _terms(numerator, top)
        scale = mpmath.exp(shift) / mpmath.fsum(_terms(total, highest)) ** power
        size = mpmath.fsum(terms, absolute=True)
        # 6 for the sum; 2 for exp(shift), 4 for S and so 14 for its third power, 3 for what joins them: below 64.
        return scale * mpmath.fsum(terms), 64 * unit * scale * size


def _quotient(problem: Problem, i: int) -> tuple[Sum, Sum, int]:
    """Element i as bracket * factor / S**power; the factor is one positive exponential."""
    one = {Fraction(0): Fraction(1)}
    own: Sum = {Fraction(problem.logits[i]): Fraction(1)} if problem.logits[i] != -math.inf else {}
    if problem.quantity == "forward":
        return one, own, 1
    ones, g, t = _ones(problem), _rationals(problem.cotangent), _rationals(problem.tangent)
    if problem.quantity == "hvp" and problem.operation == "softmax":
        u, v = _weighted(problem, g), _weighted(problem, t)
        p = _weighted(problem, [a * b for a, b in zip(g, t, strict=True)])
        first = _plus((t[i] * g[i], ones), (-t[i], u), (-g[i], v), (-1, p))
        return _plus((1, _times(ones, first)), (2, _times(u, v))), own, 3
    if problem.quantity == "vjp" and problem.operation == "log_softmax":
        return _plus((g[i], ones), (-sum(g, Fraction(0)), own)), one, 1
    vector = g if problem.quantity == "vjp" else t
    centred = _plus((vector[i], ones), (-1, _weighted(problem, vector)))
    if problem.operation == "softmax":
        return centred, own, 2
    if problem.quantity == "jvp":
        return centred, one, 1
    return _plus((-sum(g, Fraction(0)), centred)), own, 2


def _ones(problem: Problem) -> Sum:
    return _weighted(problem, [Fraction(1)] * len(problem.logits))


def _rationals(values: Sequence[float] | None) -> list[Fraction]:
    return [Fraction(v) for v in values or ()]


def _weighted(problem: Problem, weights: list[Fraction]) -> Sum:
    result: Sum = {}
    for j in problem.finite():
        x = Fraction(problem.logits[j])
        result[x] = result.get(x, Fraction(0)) + weights[j]
    return result


def _plus(*parts: tuple[Fraction | int, Sum]) -> Sum:
    result: Sum = {}
    for factor, part in parts:
        for x, c in part.items():
            result[x] = result.get(x, Fraction(0)) + factor * c
    return {x: c for x, c in result.items() if c}


def _times(a: Sum, b: Sum) -> Sum:
    result: Sum = {}
    for x, c in a.items():
        for y, d in b.items():
            result[x + y] = result.get(x + y, Fraction(0)) + c * d
    return {x: c for x, c in result.items() if c}


def _number(exact: Fraction) -> mpmath.mpf:
    return mpmath.mpf(exact.numerator) / exact.denominator


def _terms(terms: Sum, top: Fraction) -> list[mpmath.mpf]:
    """c exp(x - top) at the working precision, largest exponent first."""
    precision = mpmath.mp.prec
    with mpmath.workprec(_EXACT):
        below = [_number(x - top) for x in terms]
    with mpmath.workprec(precision):
        return [mpmath.exp(x) * c.numerator / c.denominator for x, c in zip(below, terms.values(), strict=True)]


def _sign(terms: Sum) -> int:
    """The sign of a sum of exponentials; the precision is raised until it shows, relative to the largest exponent."""
    if not terms:
        return 0
    top, precision = max(terms), 100
    while True:
        with mpmath.workprec(precision):
            values = _terms(terms, top)
            total, size = mpmath.fsum(values), mpmath.fsum(values, absolute=True)
            if abs(total) > mpmath.ldexp(size, 4 - precision):
                return 1 if total > 0 else -1
        precision *= 2
