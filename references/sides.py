"""On which side of a rational number an element lies, exactly: for the elements that no working precision decides.

An element is a quotient of sums of exponentials, and exp(r) for distinct rationals r are linearly independent over the
rationals (Lindemann and Weierstrass), so a sum of them is zero only where every coefficient is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import mpmath

from references.problem import Problem

# {x: c} stands for the sum of c exp(x).
Sum = dict[Fraction, Fraction]


def side(problem: Problem, i: int, boundary: Fraction) -> int:
    """The sign of element i minus a rational number, exactly: -1, 0 or 1.  (Not for the forward log_softmax.)

    Times S**k the difference is a sum of exponentials of distinct rationals, which are linearly independent: it is zero
    only where every coefficient is.  With k up to 3 that takes (groups of logits)**k steps.
    """
    own: Sum = {Fraction(problem.logits[i]): Fraction(1)} if problem.logits[i] != -math.inf else {}
    ones = _weighted(problem, [Fraction(1)] * len(problem.logits))
    g = _rationals(problem.cotangent)
    t = _rationals(problem.tangent)
    if problem.quantity == "forward":
        bracket, factor, power = {Fraction(0): Fraction(1)}, own, 1
    elif problem.quantity == "hvp" and problem.operation == "softmax":
        u, v = _weighted(problem, g), _weighted(problem, t)
        p = _weighted(problem, [a * b for a, b in zip(g, t, strict=True)])
        first = _plus((t[i] * g[i], ones), (-t[i], u), (-g[i], v), (Fraction(-1), p))
        bracket, factor, power = _plus((Fraction(1), _times(ones, first)), (Fraction(2), _times(u, v))), own, 3
    elif problem.quantity == "vjp" and problem.operation == "log_softmax":
        bracket, factor, power = _plus((g[i], ones), (-sum(g, Fraction(0)), own)), {}, 1
    else:
        vector = g if problem.quantity == "vjp" else t
        bracket, factor, power = _plus((vector[i], ones), (Fraction(-1), _weighted(problem, vector))), own, 2
        if problem.operation == "log_softmax":
            if problem.quantity == "jvp":
                factor, power = {}, 1
            else:
                bracket = _plus((-sum(g, Fraction(0)), bracket))
    if boundary:
        bracket = _times(bracket, factor) if factor else bracket
        total = ones
        for _ in range(power - 1):
            total = _times(total, ones)
        bracket = _plus((Fraction(1), bracket), (-boundary, total))
    return _sign(bracket)


def _rationals(values: Sequence[float] | None) -> list[Fraction]:
    return [Fraction(v) for v in values or ()]


def _weighted(problem: Problem, weights: list[Fraction]) -> Sum:
    result: Sum = {}
    for j in problem.finite():
        x = Fraction(problem.logits[j])
        result[x] = result.get(x, Fraction(0)) + weights[j]
    return result


def _plus(*parts: tuple[Fraction, Sum]) -> Sum:
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


def _sign(terms: Sum) -> int:
    """The sign of a sum of exponentials; the precision is raised until it shows, relative to the largest exponent."""
    if not terms:
        return 0
    largest = max(terms)
    with mpmath.workprec(10_000):  # sums of up to four binary64 numbers are exact
        below = [mpmath.mpf((x - largest).numerator) / (x - largest).denominator for x in terms]
    precision = 100
    while True:
        with mpmath.workprec(precision):
            values = [mpmath.exp(x) * c.numerator / c.denominator for x, c in zip(below, terms.values(), strict=True)]
            total, size = mpmath.fsum(values), mpmath.fsum(values, absolute=True)
            if abs(total) > mpmath.ldexp(size, 4 - precision):
                return 1 if total > 0 else -1
        precision *= 2
