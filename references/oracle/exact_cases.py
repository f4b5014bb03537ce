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
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction

from references.functions import Function, Problem

# An element's index -> its value, or None where it is not rational.
Rule = Callable[[int], Fraction | None]


class _Groups:
    """The sets of equal finite logits; most questions are answered before they are written out."""

    def __init__(self, logits: Sequence[float]) -> None:
        self.logits = logits
        self.sizes = Counter(logits)
        self.masked = self.sizes.pop(-math.inf, 0)

    @property
    def only(self) -> int | None:
        """The size of the only group, where there is one."""
        return next(iter(self.sizes.values())) if len(self.sizes) == 1 else None

    def finite(self) -> Iterator[int]:
        return (i for i, x in enumerate(self.logits) if x in self.sizes)

    def common_mean(self, values: Sequence[float] | Sequence[Fraction]) -> Fraction | None:
        """The mean over every group, where that is one number: then it is <values, s> exactly."""
        alone = (values[i] for i, x in enumerate(self.logits) if self.sizes.get(x) == 1)
        first = next(alone, None)
        if first is not None and any(v != first for v in alone):
            return None
        several = self._several()
        mean = Fraction(first) if first is not None else _mean(values, several.pop())
        return mean if all(_mean(values, group) == mean for group in several) else None

    def _several(self) -> list[list[int]]:
        """The groups of two and more, as indices."""
        groups: dict[float, list[int]] = {}
        for i, x in enumerate(self.logits):
            if self.sizes.get(x, 0) > 1:
                groups.setdefault(x, []).append(i)
        return list(groups.values())


def exact_elements(problem: Problem, elements: Iterable[int]) -> dict[int, Fraction | float]:
    """The elements (of those given) whose value is exact: a Fraction, or -inf."""
    groups = _Groups(problem.logits)
    rule = _RULES[problem.function](problem, groups)
    found: dict[int, Fraction | float] = {}
    for i in elements:
        value = _masked(problem, i) if problem.logits[i] == -math.inf else None
        value = rule(i) if value is None else value
        if value is not None:
            found[i] = value
    return found


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


def _total(values: Iterable[float | Fraction]) -> Fraction:
    """The exact sum, over the largest denominator: binary64 numbers have powers of two."""
    ratios = [v.as_integer_ratio() for v in values]
    denominator = math.lcm(*{d for _, d in ratios})
    return Fraction(sum(n * (denominator // d) for n, d in ratios), denominator)


def _sums_to_zero(values: Sequence[float]) -> bool:
    """Exactly: binary64 numbers are multiples of 2**-1074, so a sum that is not zero does not round to it."""
    try:
        return math.fsum(values) == 0
    except OverflowError:
        return _total(values) == 0


def _mean(values: Sequence[float] | Sequence[Fraction], indices: Sequence[int]) -> Fraction:
    return _total(values[i] for i in indices) / len(indices)


def _never(i: int) -> None:
    return None


def _zero(i: int) -> Fraction:
    return Fraction(0)


def _forward_softmax(problem: Problem, groups: _Groups) -> Rule:
    count = groups.only
    return (lambda i: Fraction(1, count)) if count else _never


def _forward_log_softmax(problem: Problem, groups: _Groups) -> Rule:
    return _zero if groups.only == 1 else _never


def _product_softmax(values: Sequence[float] | Sequence[Fraction], groups: _Groups) -> Rule:
    mean = groups.common_mean(values)
    if mean is None:
        return _never
    count = groups.only
    if count:
        return lambda i: (Fraction(values[i]) - mean) / count
    return lambda i: Fraction(0) if values[i] == mean else None


def _vjp_log_softmax(problem: Problem, groups: _Groups) -> Rule:
    g = _vector(problem.cotangent)
    if _sums_to_zero(g):
        return lambda i: Fraction(g[i])
    if groups.only is None:
        return _never
    share = _total(g) / groups.only
    return lambda i: Fraction(g[i]) - share


def _jvp_log_softmax(problem: Problem, groups: _Groups) -> Rule:
    t = _vector(problem.tangent)
    mean = groups.common_mean(t)
    return _never if mean is None else lambda i: Fraction(t[i]) - mean


def _hvp_softmax(problem: Problem, groups: _Groups) -> Rule:
    g, t = _vector(problem.cotangent), _vector(problem.tangent)
    first = next(groups.finite())
    if any(all(v[i] == v[first] for i in groups.finite()) for v in (g, t)):
        return _zero
    g_mean, t_mean = groups.common_mean(g), groups.common_mean(t)
    if g_mean is None or t_mean is None:
        return _never
    return _product_softmax(
        [(Fraction(a) - g_mean) * (Fraction(b) - t_mean) for a, b in zip(g, t, strict=True)], groups
    )


def _hvp_log_softmax(problem: Problem, groups: _Groups) -> Rule:
    cotangent = _vector(problem.cotangent)
    if _sums_to_zero(cotangent):
        return _zero
    product = _product_softmax(_vector(problem.tangent), groups)
    if product is _never:
        return _never
    total = _total(cotangent)

    def element(i: int) -> Fraction | None:
        value = product(i)
        return None if value is None else -total * value

    return element


_RULES: dict[Function, Callable[[Problem, _Groups], Rule]] = {
    Function("softmax", "forward"): _forward_softmax,
    Function("softmax", "vjp"): lambda p, groups: _product_softmax(_vector(p.cotangent), groups),
    Function("softmax", "jvp"): lambda p, groups: _product_softmax(_vector(p.tangent), groups),
    Function("softmax", "hvp"): _hvp_softmax,
    Function("log_softmax", "forward"): _forward_log_softmax,
    Function("log_softmax", "vjp"): _vjp_log_softmax,
    Function("log_softmax", "jvp"): _jvp_log_softmax,
    Function("log_softmax", "hvp"): _hvp_log_softmax,
}
