"""A-priori error bounds of the shifted algorithms, and the conditioning scales: what an implementation may be off by.

The derivations are in docs/theory.md; the letters (B1, B2, ...) are its.  Every function returns absolute bounds per
element, [rows, n], in binary64.  1 + u is never formed: for u = 2**-53 that would turn a bound into zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from references import doubledouble as dd
from references.elementary import expm1, log_of_inverse
from references.formats import Floats, Format, Mask, compute_format
from references.reference import Reference

# exp and log are granted this many ulps.
ELEMENTARY_ULPS = 3.0


@dataclass(frozen=True)
class Arithmetic:
    """What a bound assumes of an implementation.

    ``unit``: relative error of one elementwise result; ``sum_unit``: of one addition in a sum; ``stored_sum``: of
    storing a sum; ``elementary``: of exp and log.  Absolute, near zero: ``lost`` by a product, a quotient or a stored
    sum (half the smallest subnormal; flushing: the smallest normal number), ``lost_sum`` by one addition (nothing,
    unless it is flushed), ``exp_underflow`` by an exp.  ``grid``: the format that a difference x - max, and every
    elementwise result, is rounded to; ``depth``: additions on the longest path of a sum; ``assumed``: the depth is no
    theorem for any order of summation.
    """

    unit: float
    sum_unit: float
    stored_sum: float
    elementary: float
    lost: float
    lost_sum: float
    exp_underflow: float
    grid: Format
    depth: int
    assumed: bool


def any_order_depth(n: int, unit: float) -> tuple[int, bool]:
    """n + 3 holds for any order of summation; where that says nothing (h u >= 1), that of a pairwise sum is assumed."""
    depth = n + 3
    return (depth, False) if depth * unit < 1 else (math.ceil(math.log2(n)) + 4, True)


def compute_arithmetic(format: Format, n: int, *, flushes: bool = False) -> Arithmetic:
    """Everything inside in the compute format.

    A flush takes up to N, the smallest normal number, from an operand or a result: an exp may lose its own result and
    2N of the difference that it is taken of.
    """
    wide = compute_format(format)
    depth, assumed = any_order_depth(n, wide.unit_roundoff)
    flushed = wide.smallest_normal if flushes else 0.0
    return Arithmetic(
        unit=wide.unit_roundoff,
        sum_unit=wide.unit_roundoff,
        stored_sum=0.0,
        elementary=2 * ELEMENTARY_ULPS * wide.unit_roundoff,
        lost=flushed or _halved(wide.smallest_subnormal),
        lost_sum=flushed,
        exp_underflow=4 * flushed or ELEMENTARY_ULPS * wide.smallest_subnormal,
        grid=wide,
        depth=depth,
        assumed=assumed,
    )


def storage_arithmetic(format: Format, n: int, *, flushes: bool = False) -> Arithmetic:
    """Sums in binary32, and every elementwise result, a stored sum too, rounded to the narrow storage format."""
    inner = compute_arithmetic(format, n, flushes=flushes)
    narrow, half = format.unit_roundoff, _halved(format.smallest_subnormal)
    return Arithmetic(
        unit=float(compounded(inner.unit, narrow)),
        sum_unit=inner.sum_unit,
        stored_sum=narrow,
        elementary=float(compounded(inner.elementary, narrow)),
        lost=inner.lost + half,
        lost_sum=inner.lost_sum,
        exp_underflow=inner.exp_underflow + half,
        grid=format,
        depth=inner.depth,
        assumed=inner.assumed,
    )


def compounded(*relative: Floats | float) -> Floats:
    """(1 + a)(1 + b)... - 1 of non-negative errors, each step as a + b + a b."""
    total: Floats = np.zeros(())
    for error in relative:
        total = total + error + total * error
    return total


def gamma(h: float, u: float) -> float:
    """h u / (1 - h u), infinite where that is no bound."""
    return h * u / (1 - h * u) if h * u < 1 else math.inf


class Shifted:
    """The exact forward quantities that the bounds are made of: s, l = log s, d = x - max x, log S; [rows, n]."""

    def __init__(self, logits: Floats, softmax: Reference, log_softmax: Reference) -> None:
        self.n = logits.shape[-1]
        self.masked = logits == -np.inf
        maximum = logits.max(axis=-1, keepdims=True)
        with np.errstate(invalid="ignore", over="ignore"):
            high, low = dd.two_sum(logits, -maximum)
        self.difference = np.where(self.masked, 0.0, high)
        self.difference_low = np.where(self.masked | ~np.isfinite(low), 0.0, low)
        self.s = softmax.values()
        self.l = np.where(self.masked, 0.0, log_softmax.values())
        self.distance = np.abs(self.difference)
        top = logits.argmax(axis=-1)[:, None]
        self.log_total = np.abs(np.take_along_axis(self.l, top, axis=-1))
        with np.errstate(invalid="ignore", over="ignore"):
            self.mean_distance = _product(self.s, self.distance).sum(axis=-1, keepdims=True)
        self._kept: dict[tuple[str, Arithmetic], Floats] = {}

    def kept(self, name: str, arithmetic: Arithmetic, make: Callable[[Shifted, Arithmetic], Floats]) -> Floats:
        """A bound that every quantity and implementation over these rows shares, made once for an arithmetic."""
        key = name, arithmetic
        if key not in self._kept:
            self._kept[key] = make(self, arithmetic)
        return self._kept[key]

    def subtraction(self, arithmetic: Arithmetic) -> Floats:
        """tau: the absolute error of x - max in the arithmetic's grid; zero where the difference is on it."""
        grid, distance = arithmetic.grid, self.distance
        with np.errstate(over="ignore", invalid="ignore"):
            stored = grid.decode(grid.round_floats(self.difference))
        inexact = (stored != self.difference) | (self.difference_low != 0)
        half_ulp = np.ldexp(0.5, _ulp_exponents(distance, grid))
        return np.where(inexact, np.minimum(grid.unit_roundoff * distance, half_ulp), 0.0)


def _ulp_exponents(values: Floats, format: Format) -> np.typing.NDArray[np.int32]:
    zero = np.zeros_like(values)
    finite = np.where(np.isfinite(values), values, format.largest)
    return format.ulp_exponents(finite, zero, zero.astype(np.int64)).astype(np.int32)


def _product(a: Floats, b: Floats) -> Floats:
    """a b with 0 * inf = 0: a masked or vanished element carries no error."""
    with np.errstate(invalid="ignore", over="ignore", under="ignore"):
        return np.where((a == 0) | (b == 0), 0.0, a * b)


def _halved(quantum: float) -> float:
    """Half the smallest number, which binary64's own half cannot be told from zero: rounded up."""
    return max(quantum / 2, 5e-324)


def _summation(arithmetic: Arithmetic) -> float:
    """Relative error of a sum and of storing it."""
    return float(compounded(gamma(arithmetic.depth, arithmetic.sum_unit), arithmetic.stored_sum))


def _sum_error(rows: Shifted, arithmetic: Arithmetic) -> tuple[Floats, Floats]:
    """a, the relative error of each exp (the maximum's is exactly 1), and R, that of their sum; NaN where R >= 1.

    R = sum s ((1 + a)(1 + gamma_h)(1 + stored) - 1), and what n exps and n additions lose near zero: S >= 1.
    """
    each = compounded(expm1(rows.subtraction(arithmetic)), arithmetic.elementary)
    each = np.where(rows.difference == 0, 0.0, each)
    summed = _summation(arithmetic)
    lost = rows.n * (1 + summed) * (arithmetic.exp_underflow + arithmetic.lost_sum)
    total = _product(rows.s, compounded(each, summed)).sum(axis=-1, keepdims=True) + lost
    return each, np.where(total < 1, total, np.nan)


def softmax_bound(rows: Shifted, arithmetic: Arithmetic) -> Floats:
    """B1: exp(x - max) / sum, before the output is rounded; NaN where the bound says nothing.

    One rounding less than gamma(n + 3) allows for leaves room for a product with the reciprocal of the sum.
    """
    each, total = _sum_error(rows, arithmetic)
    inverse = total / (1 - total)
    relative = compounded(each, arithmetic.unit, inverse)
    lost = arithmetic.exp_underflow * (1 + arithmetic.unit) * (1 + inverse) + arithmetic.lost
    return np.asarray(_product(rows.s, relative) + lost)


def log_softmax_bound(rows: Shifted, arithmetic: Arithmetic) -> Floats:
    """B2: (x - max) - log(sum), before the output is rounded; NaN where the bound says nothing."""
    _, total = _sum_error(rows, arithmetic)
    sum_error = log_of_inverse(total)
    log_error = sum_error + arithmetic.elementary * (rows.log_total + sum_error) + arithmetic.exp_underflow
    before = rows.subtraction(arithmetic) + log_error
    return np.asarray(before + arithmetic.unit * (np.abs(rows.l) + before))


def rounded(bound: Floats, exact: Floats, format: Format, arithmetic: Arithmetic) -> Floats:
    """The bound after the output's rounding, where that is not the last rounding of the arithmetic itself."""
    if arithmetic.grid is format:
        return bound
    with np.errstate(over="ignore", invalid="ignore"):
        return bound + np.ldexp(0.5, _ulp_exponents(np.abs(exact) + np.nan_to_num(bound), format))


def softmax_product_bound(rows: Shifted, v: Floats, saved_error: Floats, arithmetic: Arithmetic) -> Floats:
    """B9 + B10: s (v - <v, s>), or s v - s <v, s>, evaluated from a saved softmax that is off by ``saved_error``."""
    size, saved = np.abs(v), rows.s + saved_error
    mean = _product(rows.s, v).sum(axis=-1, keepdims=True)
    kernel = _product(saved, gamma(2, arithmetic.unit) * size + _mean_error(arithmetic) * _total(saved, size))
    lost = 2 * arithmetic.lost + saved * _mean_lost(rows, arithmetic)
    carried = _product(saved_error, np.abs(v - mean)) + saved * _total(saved_error, size)
    return np.asarray(kernel + lost + carried)


def log_softmax_jvp_bound(
    rows: Shifted, t: Floats, exact: Floats, saved_error: Floats, arithmetic: Arithmetic
) -> Floats:
    """B14: t - <t, s> evaluated from a softmax that is off by ``saved_error``."""
    size, saved = np.abs(t), rows.s + saved_error
    kernel = _mean_error(arithmetic) * _total(saved, size) + _mean_lost(rows, arithmetic)
    return np.asarray(kernel + (1 + arithmetic.unit) * _total(saved_error, size) + arithmetic.unit * np.abs(exact))


def log_softmax_vjp_bound(
    rows: Shifted, g: Floats, exact: Floats, saved_error: Floats, arithmetic: Arithmetic
) -> Floats:
    """B11 + B12: g - exp(l) G evaluated from a saved log_softmax l that is off by ``saved_error``."""
    unit, summed = arithmetic.unit, _summation(arithmetic)
    total = np.abs(g.sum(axis=-1, keepdims=True))
    total_error = summed * np.abs(g).sum(axis=-1, keepdims=True)
    total_error = total_error + (1 + summed) * (arithmetic.lost + 2 * rows.n * arithmetic.lost_sum)
    factor = compounded(arithmetic.elementary, unit)
    drift = expm1(saved_error)
    saved = _product(rows.s, 1 + drift)
    product = _product(saved, factor * total + (1 + factor) * total_error)
    product = product + arithmetic.exp_underflow * (1 + unit) * (total + total_error) + arithmetic.lost
    carried = _product(rows.s, drift) * total
    return np.asarray((1 + unit) * (product + carried) + unit * np.abs(exact) + arithmetic.lost_sum)


def _mean_error(arithmetic: Arithmetic) -> float:
    """Relative error of <v, s> and of what is done with it: the sum, its storing, product, difference and product."""
    unit = arithmetic.unit
    return float(compounded(_summation(arithmetic), unit, unit, unit))


def _mean_lost(rows: Shifted, arithmetic: Arithmetic) -> float:
    """What <v, s> loses near zero: n products, the stored sum, n - 1 additions and the difference."""
    each = arithmetic.lost + arithmetic.lost_sum
    return float((1 + _mean_error(arithmetic)) * (rows.n + 1) * each)


def _total(weights: Floats, size: Floats) -> Floats:
    return np.asarray(_product(weights, size).sum(axis=-1, keepdims=True))


def bound(
    operation: str,
    quantity: str,
    rows: Shifted,
    exact: Floats,
    format: Format,
    arithmetic: Arithmetic,
    *,
    cotangent: Floats | None = None,
    tangent: Floats | None = None,
) -> Floats:
    """The bound on |computed - exact| for an implementation of the given arithmetic; NaN where it says nothing.

    One rounding of each array that crosses the interface is allowed for: the output, and for a gradient the saved
    output too.  ``exact`` holds the exact values.  Raises KeyError for a quantity that has no bound.
    """
    if quantity not in ("forward", "vjp", "jvp"):
        raise KeyError(f"no bound for {operation} {quantity}")
    with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
        saved_s = rounded(rows.kept("softmax", arithmetic, softmax_bound), rows.s, format, arithmetic)
        saved_l = rounded(rows.kept("log_softmax", arithmetic, log_softmax_bound), rows.l, format, arithmetic)
        if quantity == "forward":
            return saved_s if operation == "softmax" else saved_l
        vector = cotangent if cotangent is not None else tangent
        assert vector is not None
        if operation == "softmax":
            inner = softmax_product_bound(rows, vector, saved_s, arithmetic)
        elif quantity == "vjp":
            inner = log_softmax_vjp_bound(rows, vector, exact, saved_l, arithmetic)
        else:
            from_log = _product(rows.s, compounded(expm1(saved_l), arithmetic.elementary)) + arithmetic.exp_underflow
            inner = log_softmax_jvp_bound(rows, vector, exact, np.maximum(saved_s, from_log), arithmetic)
        return rounded(inner, exact, format, arithmetic)


def says_nothing(operation: str, quantity: str, rows: Shifted, limit: Floats) -> Mask:
    """Rows [rows] whose bound would let an all-zeros softmax pass, or is no number."""
    nothing = (np.isnan(limit) | np.isinf(limit) & np.isfinite(rows.distance)).any(axis=-1)
    if operation == "softmax" and quantity == "forward":
        nothing = nothing | (limit >= rows.s).all(axis=-1)
    return np.asarray(nothing)


def conditioning_scale(
    operation: str, quantity: str, rows: Shifted, exact: Floats, vector: Floats | None = None
) -> Floats:
    """K: what relative errors of one unit in d, and in the cotangent or tangent, do to each element (docs/theory.md).

    O(n) upper bounds by the triangle inequality; D is the mean of |d| under s, c = v - <v, s>, M = <|v|, s>.
    """
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        moved = _product(rows.s, rows.distance + rows.mean_distance)
        if quantity == "forward":
            return np.asarray(
                rows.s + moved if operation == "softmax" else np.abs(rows.l) + rows.distance + rows.mean_distance
            )
        assert vector is not None
        size = np.abs(vector)
        centred = np.abs(vector - _total(rows.s, vector))
        centred_moved = _total(_product(rows.s, centred), rows.distance)
        if operation == "softmax":
            by_shift = _product(centred, moved) + rows.s * centred_moved
            return np.abs(exact) + by_shift + rows.s * (size + _total(rows.s, size))
        if quantity == "vjp":
            total = np.abs(vector.sum(axis=-1, keepdims=True))
            return np.asarray(np.abs(exact) + total * moved + size + rows.s * size.sum(axis=-1, keepdims=True))
        return np.abs(exact) + centred_moved + size + _total(rows.s, size)


def conditioning_limit(
    operation: str,
    quantity: str,
    rows: Shifted,
    exact: Floats,
    format: Format,
    *,
    flushes: bool,
    vector: Floats | None = None,
) -> Floats:
    """The error that a conditioning ratio of 1 stands for: ulp/2 + (ceil(log2 n) + 4) u K + lambda (1 + max |v|)."""
    wide = compute_format(format)
    quantum = wide.smallest_normal if flushes else wide.smallest_subnormal
    depth = math.ceil(math.log2(rows.n)) + 4
    size = 0.0 if vector is None else np.abs(vector).max(axis=-1, keepdims=True)
    with np.errstate(over="ignore", invalid="ignore"):
        half_ulp = np.ldexp(0.5, _ulp_exponents(np.abs(exact), format))
        scale = conditioning_scale(operation, quantity, rows, exact, vector)
        return np.asarray(half_ulp + depth * wide.unit_roundoff * scale + quantum * (1 + size))
