"""The elements that are rational, or infinite by rule: Ziv's loop would never end on them.

By the theorem of Lindemann and Weierstrass exp(r) for distinct rationals r are linearly independent over the algebraic
numbers, so an element is rational only in the cases below; every other element is transcendental, never a midpoint of
two floating-point numbers and never zero.  Write "groups" for the sets of equal finite logits.

softmax      forward: one group, 1/N; masked, 0.
             vjp, jvp: one group, (N v_i - sum v) / N**2; else 0, exactly where the mean of v over every group is v_i.
             hvp: one group, as the formula in rationals; constant g or t, 0 (over the finite logits).
log_softmax  forward: one finite logit, 0; masked, -inf.
             vjp: G = 0 or masked, g_i; one group, g_i - G/N.
             jvp: one group, t_i - mean t; else t_i - mean where the mean of t over every group is one number.
             hvp: G = 0 or masked or constant t, 0; one group, in rationals.

With several groups the softmax hvp may also vanish by a coincidence of cotangent, tangent and groups; it is a quadratic
form in the exponentials over S**2, and ``sides.side`` decides that in rationals, for the rare row that asks.  It also
decides the elements that are so near to a midpoint that no working precision would: exp(-1e308) away, for instance.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction

from references.problem import Problem


def exact_elements(problem: Problem, elements: Iterable[int]) -> dict[int, Fraction | float]:
    """The elements (of those given) whose value is exact: a Fraction, or -inf."""
    finite = problem.finite()
    groups: dict[float, list[int]] = {}
    for i in finite:
        groups.setdefault(problem.logits[i], []).append(i)
    rule = _RULES[problem.operation, problem.quantity]
    found: dict[int, Fraction | float] = dict(rule(problem, list(groups.values())))
    found |= {
        i: value for i, x in enumerate(problem.logits) if x == -math.inf and (value := _masked(problem, i)) is not None
    }
    return {i: found[i] for i in elements if i in found}


def _masked(problem: Problem, i: int) -> Fraction | float | None:
    """A masked element: s = 0 in every formula.  (The log_softmax jvp, t_i - <t, s>, is an ordinary number.)"""
    if problem.operation == "softmax" or problem.quantity == "hvp":
        return Fraction(0)
    if problem.quantity == "forward":
        return -math.inf
    if problem.quantity == "vjp":
        return Fraction(_vector(problem.cotangent)[i])
    return None


def _vector(values: Sequence[float] | None) -> Sequence[float]:
    assert values is not None
    return values


def _rational(values: Sequence[float] | None) -> list[Fraction]:
    return [Fraction(v) for v in _vector(values)]


def _sums_to_zero(values: Sequence[float]) -> bool:
    """Exactly: binary64 numbers are multiples of 2**-1074, so a sum that is not zero does not round to it."""
    try:
        return math.fsum(values) == 0
    except OverflowError:
        return sum(map(Fraction, values), Fraction(0)) == 0


def _mean(values: Sequence[float] | Sequence[Fraction], indices: Sequence[int]) -> Fraction:
    if len(indices) == 1:
        return Fraction(values[indices[0]])
    return sum((Fraction(values[i]) for i in indices), Fraction(0)) / len(indices)


def _common_mean(values: Sequence[float] | Sequence[Fraction], groups: list[list[int]]) -> Fraction | None:
    """The mean over every group, where that is one number: then it is <values, s> exactly."""
    first = _mean(values, groups[0])
    return first if all(_mean(values, group) == first for group in groups[1:]) else None


def _forward_softmax(problem: Problem, groups: list[list[int]]) -> dict[int, Fraction]:
    return {i: Fraction(1, len(groups[0])) for i in groups[0]} if len(groups) == 1 else {}


def _forward_log_softmax(problem: Problem, groups: list[list[int]]) -> dict[int, Fraction]:
    return {groups[0][0]: Fraction(0)} if len(groups) == 1 and len(groups[0]) == 1 else {}


def _product_softmax(values: Sequence[float] | Sequence[Fraction], groups: list[list[int]]) -> dict[int, Fraction]:
    mean = _common_mean(values, groups)
    if mean is None:
        return {}
    if len(groups) == 1:
        return {i: (Fraction(values[i]) - mean) / len(groups[0]) for i in groups[0]}
    return {i: Fraction(0) for group in groups for i in group if values[i] == mean}


def _vjp_log_softmax(problem: Problem, groups: list[list[int]]) -> dict[int, Fraction]:
    vector = _vector(problem.cotangent)
    if _sums_to_zero(vector):
        return dict(enumerate(_rational(vector)))
    if len(groups) > 1:
        return {}
    g = _rational(vector)
    share = sum(g, Fraction(0)) / len(groups[0])
    return {i: g[i] - share for i in groups[0]}


def _jvp_log_softmax(problem: Problem, groups: list[list[int]]) -> dict[int, Fraction]:
    t = _vector(problem.tangent)
    mean = _common_mean(t, groups)
    return {} if mean is None else {i: Fraction(v) - mean for i, v in enumerate(t)}


def _hvp_softmax(problem: Problem, groups: list[list[int]]) -> dict[int, Fraction]:
    g, t = _vector(problem.cotangent), _vector(problem.tangent)
    g_mean, t_mean = _common_mean(g, groups), _common_mean(t, groups)
    finite = [i for group in groups for i in group]
    if all(g[i] == g[finite[0]] for i in finite) or all(t[i] == t[finite[0]] for i in finite):
        return dict.fromkeys(finite, Fraction(0))
    if g_mean is None or t_mean is None:
        return {}
    return _product_softmax(
        [(Fraction(a) - g_mean) * (Fraction(b) - t_mean) for a, b in zip(g, t, strict=True)], groups
    )


def _hvp_log_softmax(problem: Problem, groups: list[list[int]]) -> dict[int, Fraction]:
    cotangent = _vector(problem.cotangent)
    if _sums_to_zero(cotangent):
        return {i: Fraction(0) for group in groups for i in group}
    products = _product_softmax(_vector(problem.tangent), groups)
    total = sum(map(Fraction, cotangent), Fraction(0)) if any(products.values()) else Fraction(0)
    return {i: -total * v for i, v in products.items()}


_RULES = {
    ("softmax", "forward"): _forward_softmax,
    ("softmax", "vjp"): lambda p, groups: _product_softmax(_vector(p.cotangent), groups),
    ("softmax", "jvp"): lambda p, groups: _product_softmax(_vector(p.tangent), groups),
    ("softmax", "hvp"): _hvp_softmax,
    ("log_softmax", "forward"): _forward_log_softmax,
    ("log_softmax", "vjp"): _vjp_log_softmax,
    ("log_softmax", "jvp"): _jvp_log_softmax,
    ("log_softmax", "hvp"): _hvp_log_softmax,
}
