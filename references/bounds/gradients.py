"""A-priori bounds of the algorithms for vjp, jvp and hvp, before an output is rounded to a narrower format.

The derivations are in docs/theory.md; the names B9 to B14 are its.  Each bound is of an algorithm that starts from a
saved softmax or log_softmax, off by ``saved_error``: that error carried to the result, and the errors of the kernel.
Arrays and bounds are [rows, n], in binary64; NaN where a bound says nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from references.bounds.error_model import Arithmetic, compounded, summation_error
from references.bounds.forward import exp_error
from references.bounds.forward_quantities import Shifted, mean, product
from references.bounds.summation_depth import gamma
from references.formats import Floats
from references.ieee.elementary import expm1


def softmax_product_bound(rows: Shifted, v: Floats, saved_error: Floats, arithmetic: Arithmetic) -> Floats:
    """B9 + B10: s (v - <v, s>), or s v - s <v, s>."""
    saved = rows.s + saved_error
    carried = product(saved_error, np.abs(v - mean(rows.s, v))) + saved * mean(saved_error, np.abs(v))
    return np.asarray(softmax_product_kernel(rows, v, saved_error, arithmetic) + carried)


def softmax_product_kernel(rows: Shifted, v: Floats, saved_error: Floats, arithmetic: Arithmetic) -> Floats:
    """B9: how far the same is from its exact value at the saved softmax."""
    size, saved = np.abs(v), rows.s + saved_error
    kernel = product(saved, gamma(2, arithmetic.unit) * size + _mean_error(arithmetic) * mean(saved, size))
    return np.asarray(kernel + (2 * arithmetic.lost + saved * _mean_lost(rows, arithmetic)))


def log_softmax_vjp_bound(
    rows: Shifted, g: Floats, exact: Floats, saved_error: Floats, arithmetic: Arithmetic
) -> Floats:
    """B11 + B12: g - exp(l) G from a saved log_softmax l."""
    carried = product(rows.s, expm1(saved_error)) * np.abs(g.sum(axis=-1, keepdims=True))
    return np.asarray(log_softmax_vjp_kernel(rows, g, exact, saved_error, arithmetic) + carried)


def log_softmax_vjp_kernel(
    rows: Shifted, g: Floats, exact: Floats, saved_error: Floats, arithmetic: Arithmetic
) -> Floats:
    """B11: how far the same is from its exact value at the saved log_softmax."""
    unit = arithmetic.unit
    total = _total(rows, g, arithmetic)
    factor = compounded(exp_error(arithmetic, np.abs(rows.l) + saved_error), unit)
    drift = product(rows.s, expm1(saved_error))
    saved = rows.s + drift
    inner = product(saved, factor * total.value + (1 + factor) * total.growth)
    inner = inner + arithmetic.exp_lost * (1 + unit) * (total.value + total.growth) + arithmetic.lost
    at_saved = np.abs(exact) + drift * total.value
    return np.asarray((1 + unit) * inner + unit * at_saved + arithmetic.lost_sum)


def log_softmax_jvp_bound(
    rows: Shifted, t: Floats, exact: Floats, saved_error: Floats, arithmetic: Arithmetic
) -> Floats:
    """B14: t - <t, s>."""
    size, saved = np.abs(t), rows.s + saved_error
    kernel = _mean_error(arithmetic) * mean(saved, size) + _mean_lost(rows, arithmetic)
    return np.asarray(kernel + (1 + arithmetic.unit) * mean(saved_error, size) + arithmetic.unit * np.abs(exact))


def softmax_hvp_bound(rows: Shifted, g: Floats, t: Floats, saved_error: Floats, arithmetic: Arithmetic) -> Floats:
    """B13 for softmax, in any of the three forms that are in use, a = t - <t, s> and c = g - <g, s>:

    s (a c - <a c, s>);  s a c - s <s a, g>;  s (q - <q, s>) with q = t g - <g, s> t - <t, s> g.

    Multiplied out, each is a sum of products of saved elements with entries of g and t; the bound is what the sum of
    their sizes may grow by.
    """
    saved, size_g, size_t = Grown(rows.s, saved_error), Grown(np.abs(g)), Grown(np.abs(t))
    mean_g, mean_t, both = saved.mean(size_g), saved.mean(size_t), size_g * size_t
    once = both + size_t * mean_g + size_g * mean_t + saved.mean(both)
    twice = mean_g * mean_t
    grown = (
        once * _roundings(arithmetic, 7, sums=1)
        + Grown(np.array(3.0)) * twice * _roundings(arithmetic, 8, sums=2)
        + twice * saved.mean(Grown(np.ones_like(rows.s))) * _roundings(arithmetic, 8, sums=3)
    )
    return (saved * grown).growth + _lost_by_softmax_hvp(rows, saved, size_g, size_t, arithmetic)


def _lost_by_softmax_hvp(rows: Shifted, saved: Grown, g: Grown, t: Grown, arithmetic: Arithmetic) -> Floats:
    """What its products, sums and differences lose near zero, each times what it is multiplied with later."""
    each, one = arithmetic.lost, arithmetic.lost_sum
    mean_lost = _mean_lost(rows, arithmetic)
    sizes = (g + t + saved.mean(g) + saved.mean(t)).largest
    inner = product(sizes, np.asarray(mean_lost + one)) + mean_lost**2 + 3 * each + 2 * one
    largest = saved.largest
    weighted = product(largest, inner + mean(largest, inner) + mean_lost + one)
    weighted = weighted + product(largest, each * (_size(g) + _size(t)))
    lost = weighted + each * (2 * (1 + mean_lost) + sizes) + one
    return np.asarray((1 + _roundings(arithmetic, 8, sums=3).growth) * lost)


def log_softmax_hvp_bound(rows: Shifted, g: Floats, t: Floats, saved_error: Floats, arithmetic: Arithmetic) -> Floats:
    """B13 for log_softmax: -G s (t - <t, s>), or z - s sum z with z = -G s t, from a softmax off by ``saved_error``."""
    saved, size, total = Grown(rows.s, saved_error), Grown(np.abs(t)), _total(rows, g, arithmetic)
    centred = size * _roundings(arithmetic, 3, sums=0) + saved.mean(size) * _roundings(arithmetic, 5, sums=1)
    each, one, largest = arithmetic.lost, arithmetic.lost_sum, saved.largest
    mean_lost = _mean_lost(rows, arithmetic)
    lost = each * (3 + size.value) + one + product(largest, each * _size(size) + mean_lost)
    lost = lost + product(total.largest, 3 * each + product(largest, np.asarray(mean_lost + one)))
    return (saved * total * centred).growth + (1 + _roundings(arithmetic, 5, sums=1).growth) * lost


# -- what they share ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Grown:
    """A size and by how much errors may make it larger; products and sums of sizes grow by exactly so much.

    The growth is never a difference of two sizes: relative to a size, one of 2**-53 keeps all its digits.
    """

    value: Floats
    growth: Floats = field(default_factory=lambda: np.zeros(()))

    @property
    def largest(self) -> Floats:
        return np.asarray(self.value + self.growth)

    def __add__(self, other: Grown) -> Grown:
        return Grown(self.value + other.value, self.growth + other.growth)

    def __mul__(self, other: Grown) -> Grown:
        growth = product(self.growth, other.largest) + product(self.value, other.growth)
        return Grown(product(self.value, other.value), growth)

    def mean(self, other: Grown) -> Grown:
        """The sum over a row of the products, [rows, 1]."""
        both = self * other
        return Grown(both.value.sum(axis=-1, keepdims=True), both.growth.sum(axis=-1, keepdims=True))


def _roundings(arithmetic: Arithmetic, elementwise: int, *, sums: int) -> Grown:
    """1 after that many elementwise roundings and sums."""
    errors = [arithmetic.unit] * elementwise + [summation_error(arithmetic)] * sums
    return Grown(np.ones(()), compounded(*errors))


def _total(rows: Shifted, g: Floats, arithmetic: Arithmetic) -> Grown:
    """|G| and the error of the sum G, what is lost near zero included: [rows, 1]."""
    summed = summation_error(arithmetic)
    error = summed * np.abs(g).sum(axis=-1, keepdims=True)
    error = error + (1 + summed) * (arithmetic.lost + 2 * rows.n * arithmetic.lost_sum)
    return Grown(np.abs(g.sum(axis=-1, keepdims=True)), error)


def _size(vector: Grown) -> Floats:
    """The sum of magnitudes, [rows, 1]."""
    return np.asarray(vector.value.sum(axis=-1, keepdims=True))


def _mean_error(arithmetic: Arithmetic) -> float:
    """Relative error of <v, s> and of what is done with it: the sum, its storing, product, difference and product."""
    unit = arithmetic.unit
    return float(compounded(summation_error(arithmetic), unit, unit, unit))


def _mean_lost(rows: Shifted, arithmetic: Arithmetic) -> float:
    """What <v, s> loses near zero: n products, the stored sum, n - 1 additions and the difference."""
    each = arithmetic.lost + arithmetic.lost_sum
    return float((1 + _mean_error(arithmetic)) * (rows.n + 1) * each)
