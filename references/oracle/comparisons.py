"""An element beside a rational number: exact comparisons, and values, where no working precision decides.

An element is a quotient of sums of exponentials, whose exponents are taken relative to the row's maximum.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import mpmath

from references.functions import Problem
from references.oracle.exponential_sums import ERROR, Expression, Product, Sum, plus

_ONE = Fraction(1)


def side(problem: Problem, i: int, boundary: Fraction) -> int:
    """The sign of element i minus a rational number, exactly: -1, 0 or 1.

    Times S**k the difference is a sum of exponentials of distinct rationals.  For the forward log_softmax, d_i - log S
    against b is exp(d_i - b) against S.
    """
    if problem.function == ("log_softmax", "forward"):
        own = {_below(problem, i) - boundary: _ONE}
        return Expression([(_ONE, [own]), (-_ONE, [_ones(problem)])]).sign()
    products, power = _quotient(problem, i)
    total = _ones(problem)
    return Expression([*products, (-boundary, [total] * power)] if boundary else products).sign()


def around(problem: Problem, i: int, precision: int) -> tuple[mpmath.mpf, mpmath.mpf]:
    """Element i and a bound on its error, relative to the terms that are left; both zero where the element is.

    For quotients, not for the forward log_softmax.  The products are multiplied out where more than half of the bits
    cancel without it.
    """
    products, power = _quotient(problem, i)
    numerator = Expression(products)
    value, size = numerator.value(precision)
    if numerator.kept and abs(value) < mpmath.ldexp(size, -precision // 2):
        value, size = Expression([(_ONE, [numerator.multiplied_out()])]).value(precision)
    total, _ = Expression([(_ONE, [_ones(problem)])]).value(precision)
    with mpmath.workprec(precision):
        # 5 units of 2**-precision for S and so 18 for its third power, and 2 for what joins them.
        scale = 1 / total**power
        return scale * value, mpmath.ldexp(2 * ERROR * scale * size, -precision)


def _quotient(problem: Problem, i: int) -> tuple[list[Product], int]:
    """Element i as a sum of products over a power of S.

    Vectors are taken relative to their mean over the maximum's group where that changes no value: then they have no
    part at the maximum that would have to cancel.
    """
    own: Sum = {_below(problem, i): _ONE} if problem.logits[i] != -math.inf else {}
    if problem.quantity == "forward":
        return [(_ONE, [own])], 1
    ones, given = _ones(problem), [Fraction(v) for v in problem.cotangent or ()]
    if problem.quantity == "vjp" and problem.operation == "log_softmax":
        return [(_ONE, [plus((given[i], ones), (-sum(given, Fraction(0)), own))])], 1
    g, t = _relative(problem, problem.cotangent), _relative(problem, problem.tangent)
    if problem.quantity == "hvp" and problem.operation == "softmax":
        u, v = _weighted(problem, g), _weighted(problem, t)
        p = _weighted(problem, [a * b for a, b in zip(g, t, strict=True)])
        first = plus((t[i] * g[i], ones), (-t[i], u), (-g[i], v), (-1, p))
        return [(_ONE, [own, ones, first]), (Fraction(2), [own, u, v])], 3
    vector = g if problem.quantity == "vjp" else t
    centred = plus((vector[i], ones), (-1, _weighted(problem, vector)))
    if problem.operation == "softmax":
        return [(_ONE, [own, centred])], 2
    if problem.quantity == "jvp":
        return [(_ONE, [centred])], 1
    return [(-sum(given, Fraction(0)), [own, centred])], 2


def _below(problem: Problem, i: int) -> Fraction:
    """d_i of a logit that is not masked."""
    return Fraction(problem.logits[i]) - Fraction(max(problem.logits))


def _ones(problem: Problem) -> Sum:
    """S."""
    return _weighted(problem, [_ONE] * len(problem.logits))


def _relative(problem: Problem, values: Sequence[float] | None) -> list[Fraction]:
    """The vector minus its mean over the maximum's group; none stays none."""
    exact, top = [Fraction(v) for v in values or ()], max(problem.logits)
    at_top = [v for v, x in zip(exact, problem.logits, strict=bool(exact)) if x == top]
    return [v - sum(at_top, Fraction(0)) / len(at_top) for v in exact]


def _weighted(problem: Problem, weights: list[Fraction]) -> Sum:
    """sum w_j exp(d_j)."""
    groups: dict[float, Fraction] = {}
    for j in problem.finite():
        x = problem.logits[j]
        groups[x] = groups.get(x, Fraction(0)) + weights[j]
    top = Fraction(max(problem.logits))
    return {Fraction(x) - top: c for x, c in groups.items() if c}
