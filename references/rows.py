"""The formulas of every operation and quantity on rows of pairs, each with the error it can make.

An element is ``(hi + lo) * 2**exponent``, off by at most ``error * 2**exponent``; a separate exponent keeps tiny
elements as accurate as large ones.  The rows are ordinary: a finite maximum, no NaN, no +inf; -inf is a masked element.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np

from references import doubledouble as dd
from references import elementary
from references.doubledouble import Pair
from references.formats import Floats, Integers, Mask

# Relative errors of the double-double results (the sum of the bounds in their docstrings, rounded up).
FORWARD_ERROR = {"softmax": 2.0**-98, "log_softmax": 2.0**-90}
GRADIENT_ERROR = 2.0**-95

# What a number may lose to underflow, in a product or where it is brought to the exponent of another.
UNDERFLOW = 2.0**-1070

# Factors whose product is below this have no exact product (see doubledouble).
_PRODUCT = 2.0**-969

# exp(LOWEST) < 2**-2019: what raising a term to it costs, with room for the constant factors of the formulas.
LOWERED = -2014


class Rows:
    """What the formulas share, for ordinary rows [rows, n]: d, e = exp d, S and T = S - 1, none with cancellation."""

    def __init__(self, logits: Floats) -> None:
        self.logits = logits
        self.masked = logits == -np.inf
        self.top = logits.argmax(axis=-1)[:, None]
        self.maximum = np.take_along_axis(logits, self.top, axis=-1)
        high, low = dd.two_sum(logits, -self.maximum)
        self.d: Pair = high, np.where(np.isfinite(low), low, 0.0)

    @cached_property
    def _exponentials(self) -> tuple[Pair, Integers]:
        (high, low), power = elementary.exp(self.d)
        high[self.masked], low[self.masked] = 0.0, 0.0
        return (high, low), power

    @property
    def e(self) -> Pair:
        return self._exponentials[0]

    @property
    def power(self) -> Integers:
        return self._exponentials[1]

    def weighted_sum(self, weights: Pair | None = None, *, skip_top: bool = False) -> tuple[Pair, Integers, Floats]:
        """sum e_j w_j over a row as a pair and its exponent, and sum |e_j w_j| at that exponent; arrays [rows, 1].

        Terms are brought to the largest exponent among them, so that a sum of tiny terms keeps its relative accuracy.
        One beyond the range of the pairs makes the sum NaN; one below _PRODUCT counts as that much in the magnitudes.
        """
        terms, power = self.e, self.power
        present = terms[0] != 0
        if weights is not None:
            present = present & (weights[0] != 0)
            terms = dd.multiply(terms, weights)
        _, magnitude = np.frexp(terms[0])
        if skip_top:
            present = present & (np.arange(terms[0].shape[-1]) != self.top)
        exponent = np.where(present, power + magnitude, -(2**40)).max(axis=-1, keepdims=True)
        exponent = np.where(exponent == -(2**40), 0, exponent)
        terms = dd.scale((np.where(present, terms[0], 0.0), np.where(present, terms[1], 0.0)), power - exponent)
        high, low = dd.sum_last(terms, same_sign=weights is None)
        least = np.where(present, _at_zero(np.full_like(terms[0], _PRODUCT), power - exponent), 0.0)
        return (high[:, None], low[:, None]), exponent, np.maximum(np.abs(terms[0]), least).sum(axis=-1, keepdims=True)

    @cached_property
    def others(self) -> tuple[Pair, Integers]:
        """T, the sum without one maximum, and its exponent."""
        pair, exponent, _ = self.weighted_sum(skip_top=True)
        return pair, exponent

    @cached_property
    def inverse_total(self) -> Pair:
        """1 / S."""
        high, low = dd.scale(*self.others)
        total = dd.two_sum(np.ones_like(high), high)
        total = dd.fast_two_sum(total[0], total[1] + low)
        return dd.divide((np.ones_like(high), np.zeros_like(high)), total)

    @cached_property
    def softmax(self) -> Pair:
        """s at the exponent ``power``."""
        return dd.multiply(self.e, self.inverse_total)

    @cached_property
    def log_total(self) -> tuple[Pair, Integers]:
        """log S = log1p T, and its exponent."""
        return elementary.log1p(*self.others)

    def lowered(self, vectors: list[Floats]) -> Floats:
        """What results may be off by where elements below exp(LOWEST) were raised to it: [rows, 1] * 2**LOWERED."""
        low = ((self.d[0] < elementary.LOWEST) & ~self.masked).any(axis=-1, keepdims=True)
        size = np.ones_like(self.maximum)
        for v in vectors:
            size = size * np.maximum(np.abs(v).max(axis=-1, keepdims=True), 2.0**-500)
        return np.where(low, size * float(self.logits.shape[-1]) ** 2, 0.0)

    def centred(self, v: Floats) -> tuple[Pair, Integers, Floats]:
        """v_i - <v, s> as a pair, its exponent, and an error bound at that exponent.

        v is first taken relative to its value at the maximum (exactly), so that a dominant element does not cancel:
        v_i - <v, s> = w_i - <w, s>, w = v - v_top.
        """
        w = dd.two_sum(v, -np.take_along_axis(v, self.top, axis=-1))
        total, exponent, magnitude = self.weighted_sum(w)
        mean = dd.multiply(total, self.inverse_total)
        size = np.abs(magnitude * self.inverse_total[0])
        plain = w[0] != 0
        moved = dd.scale(mean, exponent)
        difference = dd.add(w, dd.negate((np.broadcast_to(moved[0], v.shape), np.broadcast_to(moved[1], v.shape))))
        pair = np.where(plain, difference[0], -mean[0]), np.where(plain, difference[1], -mean[1])
        bound = np.where(plain, np.abs(w[0]) + _at_zero(size, exponent), size)
        error = GRADIENT_ERROR / 2 * np.where(size > 0, bound, 0.0)
        error = np.where(plain, _difference_error(w, _at_zero(size, exponent), error) + _lost(size > 0), error)
        return pair, np.where(plain, 0, exponent), error


def _difference_error(whole: Pair, part: Floats, error: Floats) -> Floats:
    """The error of whole - part, which is ``error`` unless the whole is one number and the part far below it.

    Then the sum of the two high words is exact, and the pair holds the part but for its own last bits: so a logit
    difference that is a midpoint of the format is still told from its neighbours by what is subtracted.
    """
    far = (whole[1] == 0) & (np.abs(part) <= 2.0**-56 * np.abs(whole[0]))
    return np.where(far, 2.0**-50 * np.abs(part), error)


def _at_zero(values: Floats, exponent: Integers) -> Floats:
    """values * 2**exponent."""
    return np.ldexp(values, np.clip(exponent, -4000, 4000).astype(np.int32))


def _lost(where: Mask) -> Floats:
    """The error of an underflow, where something may have been lost to one."""
    return np.where(where, UNDERFLOW, 0.0)


Values = tuple[Floats, Floats, Integers, Floats]


def _softmax(rows: Rows) -> Values:
    high, low = rows.softmax
    return high, low, rows.power, FORWARD_ERROR["softmax"] * high


def _log_softmax(rows: Rows) -> Values:
    log_total, exponent = rows.log_total
    moved = dd.scale(log_total, exponent)
    high, low = dd.add(
        rows.d, dd.negate((np.broadcast_to(moved[0], rows.d[0].shape), np.broadcast_to(moved[1], rows.d[0].shape)))
    )
    alone = rows.d[0] == 0
    high, low = np.where(alone, -log_total[0], high), np.where(alone, -log_total[1], low)
    high, low = np.where(rows.masked, -np.inf, high), np.where(rows.masked, 0.0, low)
    error = FORWARD_ERROR["log_softmax"] * np.abs(high)
    error = np.where(alone, error, _difference_error(rows.d, moved[0], error) + _lost(log_total[0] != 0))
    return high, low, np.where(alone, exponent, 0), np.where(rows.masked, 0.0, error)


def _softmax_product(rows: Rows, v: Floats) -> Values:
    centred, exponent, error = rows.centred(v)
    high, low = dd.multiply(rows.softmax, centred)
    bound = rows.softmax[0] * (2 * error + GRADIENT_ERROR / 2 * np.abs(centred[0]))
    return high, low, rows.power + exponent, bound + _lost((rows.softmax[0] != 0) & (error > 0))


def _log_softmax_jvp(rows: Rows, t: Floats) -> Values:
    (high, low), exponent, error = rows.centred(t)
    return high, low, exponent, 2 * error


def _log_softmax_vjp(rows: Rows, g: Floats) -> Values:
    """g_i - s_i G; at the maximum (g_m T - G') / S with G' the sum of the other cotangents, which does not cancel."""
    zeros = np.zeros_like(g)
    sizes = np.abs(g).sum(axis=-1, keepdims=True)
    at_top = np.arange(g.shape[-1]) == rows.top
    total = tuple(a[:, None] for a in dd.sum_last((g, zeros)))
    product = dd.multiply(rows.softmax, (np.broadcast_to(total[0], g.shape), np.broadcast_to(total[1], g.shape)))
    moved = dd.scale(product, rows.power)
    plain = g != 0
    high, low = dd.add((g, zeros), dd.negate(moved))
    exponent = np.where(plain, 0, rows.power)
    high, low = np.where(plain, high, -product[0]), np.where(plain, low, -product[1])
    spread = rows.softmax[0] * sizes
    scale = np.where(plain, np.abs(g) + _at_zero(spread, rows.power), spread)
    error = GRADIENT_ERROR * np.where(rows.masked, 0.0, scale) + _lost((scale > 0) & ~rows.masked)

    others = tuple(a[:, None] for a in dd.sum_last((np.where(at_top, 0.0, g), zeros)))
    top_g = np.take_along_axis(g, rows.top, axis=-1)
    gained = dd.scale(dd.multiply(rows.others[0], (top_g, np.zeros_like(top_g))), rows.others[1])
    top = dd.multiply(dd.add(gained, dd.negate((others[0], others[1]))), rows.inverse_total)
    sizes_others = np.where(at_top, 0.0, np.abs(g)).sum(axis=-1, keepdims=True)
    rounded = (rows.others[0][0] != 0) & (top_g != 0) | (sizes_others > 0)
    top_error = GRADIENT_ERROR * (np.abs(gained[0]) + sizes_others) + _lost(rounded)
    return (
        np.where(at_top, top[0], high),
        np.where(at_top, top[1], low),
        np.where(at_top, 0, exponent),
        np.where(at_top, top_error, error),
    )


def _softmax_hvp(rows: Rows, g: Floats, t: Floats) -> Values:
    """s_i (a_i c_i - <a c, s>), with a and c brought to exponent 0: what they lose there is in the error."""
    c, c_exponent, c_error = rows.centred(g)
    a, a_exponent, a_error = rows.centred(t)
    c, c_error = dd.scale(c, c_exponent), _at_zero(c_error, c_exponent) + _lost(c_error > 0)
    a, a_error = dd.scale(a, a_exponent), _at_zero(a_error, a_exponent) + _lost(a_error > 0)
    product = dd.multiply(a, c)
    total, exponent, magnitude = rows.weighted_sum(product)
    mean = dd.scale(dd.multiply(total, rows.inverse_total), exponent)
    difference = dd.add(product, dd.negate((np.broadcast_to(mean[0], g.shape), np.broadcast_to(mean[1], g.shape))))
    each = np.abs(a[0]) * c_error + np.abs(c[0]) * a_error + a_error * c_error
    each = each + _lost((np.abs(a[0]) + a_error > 0) & (np.abs(c[0]) + c_error > 0))
    weights = _at_zero(np.abs(rows.softmax[0]), rows.power)
    average = (weights * each).sum(axis=-1, keepdims=True)
    size = _at_zero(magnitude * rows.inverse_total[0], exponent)
    error = 2 * (each + average) + GRADIENT_ERROR * (np.abs(product[0]) + size)
    high, low = dd.multiply(rows.softmax, difference)
    return high, low, rows.power, 2 * rows.softmax[0] * error + _lost((rows.softmax[0] != 0) & (error > 0))


def _log_softmax_hvp(rows: Rows, g: Floats, t: Floats) -> Values:
    """-G s_i a_i."""
    total = tuple(x[:, None] for x in dd.sum_last((g, np.zeros_like(g))))
    sizes = np.abs(g).sum(axis=-1, keepdims=True)
    high, low, exponent, error = _softmax_product(rows, t)
    product = dd.multiply((high, low), (np.broadcast_to(-total[0], g.shape), np.broadcast_to(-total[1], g.shape)))
    slack = GRADIENT_ERROR * sizes
    bound = 2 * error * (np.abs(total[0]) + slack) + slack * np.abs(high)
    return product[0], product[1], exponent, bound + _lost((error > 0) & (sizes > 0))


FORMULAS: dict[tuple[str, str], Callable[..., Values]] = {
    ("softmax", "forward"): _softmax,
    ("softmax", "vjp"): _softmax_product,
    ("softmax", "jvp"): _softmax_product,
    ("softmax", "hvp"): _softmax_hvp,
    ("log_softmax", "forward"): _log_softmax,
    ("log_softmax", "vjp"): _log_softmax_vjp,
    ("log_softmax", "jvp"): _log_softmax_jvp,
    ("log_softmax", "hvp"): _log_softmax_hvp,
}
