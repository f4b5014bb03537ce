"""The formulas of every operation and quantity in double-double arithmetic, each with the error it can make.

A formula first takes what it needs from whole rows, then evaluates any chunk of their columns.  A separate exponent
keeps tiny elements as accurate as large ones.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from references.bulk.blocks import Values
from references.bulk.doubledouble_rows import PairChunk, PairRows, at_zero
from references.formats import Floats, Integers, Mask
from references.functions import Function
from references.ieee import doubledouble as dd
from references.ieee.doubledouble import Pair

# Relative errors of the double-double results (the sum of the bounds in their docstrings, rounded up).
FORWARD_ERROR = {"softmax": 2.0**-98, "log_softmax": 2.0**-90}
GRADIENT_ERROR = 2.0**-95

# What a number may lose to underflow, in a product or where it is brought to the exponent of another.
UNDERFLOW = 2.0**-1070

_SMALLEST = 2.0**-1074

# A number this small beside another is beyond its last bit.
_FAR = 2.0**-56

Element = Callable[[PairChunk], Values]

# v_i - <v, s> of a chunk as a pair, its exponent, and an error bound at that exponent.
Centred = Callable[[PairChunk], tuple[Pair, Integers, Floats]]


def _lost(where: Mask) -> Floats:
    """The error of an underflow, where something may have been lost to one."""
    return np.where(where, UNDERFLOW, 0.0)


def _difference_error(whole: Pair, part: Floats, error: Floats) -> Floats:
    """The error of whole - part, which is ``error`` unless the whole is one number and the part far below it.

    Then the sum of the two high words is exact, and the pair holds the part but for its own last bits: so a logit
    difference that is a midpoint of the format is still distinguished from its neighbours by what is subtracted.
    """
    far = (whole[1] == 0) & (np.abs(part) <= _FAR * np.abs(whole[0]))
    return np.where(far, 2.0**-50 * np.abs(part), error)


def _centred(rows: PairRows, v: Floats) -> Centred:
    """v - <v, s>.

    v is first taken relative to its value at the maximum (exactly), so that a dominant element does not cancel:
    v_i - <v, s> = w_i - <w, s>, w = v - v_top.
    """
    reference = -rows.block.at_top(v)

    def relative(chunk: PairChunk) -> Pair:
        return dd.two_sum(chunk.part(v), chunk.own(reference))

    total, common, magnitude = rows.weighted_sum(relative)
    row_mean = dd.multiply(total, rows.inverse_total)
    row_size = np.abs(magnitude * rows.inverse_total[0])
    row_moved, row_moved_size = dd.scale(row_mean, common), at_zero(row_size, common)

    @lru_cache(maxsize=1)
    def centred(chunk: PairChunk) -> tuple[Pair, Integers, Floats]:
        w, size, moved_size = relative(chunk), chunk.own(row_size), chunk.own(row_moved_size)
        plain = w[0] != 0
        difference = dd.add(w, dd.negate(chunk.spread(row_moved)))
        mean = chunk.spread(row_mean)
        pair = np.where(plain, difference[0], -mean[0]), np.where(plain, difference[1], -mean[1])
        bound = np.where(plain, np.abs(w[0]) + moved_size, size)
        error = GRADIENT_ERROR / 2 * np.where(size > 0, bound, 0.0)
        error = np.where(plain, _difference_error(w, moved_size, error) + _lost(size > 0), error)
        return pair, np.where(plain, 0, chunk.own(common)), error

    return centred


def _softmax(rows: PairRows) -> Element:
    def element(chunk: PairChunk) -> Values:
        high, low = rows.softmax(chunk)
        return Values(high, low, chunk.power, FORWARD_ERROR["softmax"] * high, FORWARD_ERROR["softmax"])

    return element


def _log_softmax(rows: PairRows) -> Element:
    """d - log S, both of one sign; at a maximum -log S, at its own exponent."""
    row_log_total, common = rows.log_total
    row_moved = dd.scale(row_log_total, common)
    row_lost = _lost(row_log_total[0] != 0)

    def element(chunk: PairChunk) -> Values:
        d, log_total, moved, exponent = chunk.d, chunk.spread(row_log_total), chunk.own(row_moved[0]), chunk.own(common)
        high, low = dd.add_same_sign(d, dd.negate(chunk.spread(row_moved)))
        alone = d[0] == 0
        high, low = np.where(alone, -log_total[0], high), np.where(alone, -log_total[1], low)
        error = -FORWARD_ERROR["log_softmax"] * high
        if not (moved > _FAR * -chunk.least).all():
            error = np.where(alone, error, _difference_error(d, moved, error))
        error = error + chunk.own(row_lost)
        if chunk.least == -np.inf:
            high, low, error = (np.where(chunk.masked, v, a) for v, a in ((-np.inf, high), (0.0, low), (0.0, error)))
        return Values(high, low, np.where(alone, exponent, 0), error, FORWARD_ERROR["log_softmax"])

    return element


def _softmax_product(rows: PairRows, v: Floats) -> Element:
    """s_i (v_i - <v, s>): the Jacobian is symmetric, so vjp and jvp are one map."""
    centred = _centred(rows, v)

    def element(chunk: PairChunk) -> Values:
        c, exponent, error = centred(chunk)
        s = rows.softmax(chunk)
        high, low = dd.multiply(s, c)
        bound = s[0] * (2 * error + GRADIENT_ERROR / 2 * np.abs(c[0]))
        return Values(high, low, chunk.power + exponent, bound + _lost((s[0] != 0) & (error > 0)))

    return element


def _log_softmax_jvp(rows: PairRows, t: Floats) -> Element:
    """t_i - <t, s>."""
    centred = _centred(rows, t)

    def element(chunk: PairChunk) -> Values:
        (high, low), exponent, error = centred(chunk)
        return Values(high, low, exponent, 2 * error)

    return element


def _log_softmax_vjp(rows: PairRows, g: Floats) -> Element:
    """g_i - s_i G; at the maximum (g_m T - G') / S with G' the sum of the other cotangents, which does not cancel."""
    top_g = rows.block.at_top(g)
    others, sizes_of_others = rows.sum(g, skip_top=True)
    total, sizes = dd.add(others, (top_g, np.zeros_like(top_g))), sizes_of_others + np.abs(top_g)
    top, top_error = _log_softmax_vjp_at_top(rows, top_g, others, sizes_of_others)

    def element(chunk: PairChunk) -> Values:
        part, s = chunk.part(g), rows.softmax(chunk)
        product = dd.multiply(s, chunk.spread(total))
        moved = dd.scale(product, chunk.power)
        plain = part != 0
        high, low = dd.add((part, np.zeros_like(part)), dd.negate(moved))
        exponent = np.where(plain, 0, chunk.power)
        high, low = np.where(plain, high, -product[0]), np.where(plain, low, -product[1])
        spread = s[0] * chunk.own(sizes)
        scale = np.where(plain, np.abs(part) + at_zero(spread, chunk.power), spread)
        # The scale itself may underflow: whether there is anything to lose is asked of its factors.
        error = GRADIENT_ERROR * scale + _lost(plain | (s[0] != 0) & (chunk.own(sizes) > 0))
        if chunk.least == -np.inf:
            error = np.where(chunk.masked, 0.0, error)
        place = chunk.places_of_top()
        for values, of_top in ((high, top[0]), (low, top[1]), (error, top_error)):
            values[place] = chunk.own(of_top)[place[0], 0]
        exponent[place] = 0
        return Values(high, low, exponent, error)

    return element


def _log_softmax_vjp_at_top(rows: PairRows, g: Floats, others: Pair, sizes: Floats) -> tuple[Pair, Floats]:
    """The element at the maximum and its error, at exponent 0, from the other cotangents' sums: [rows, 1]."""
    gained = dd.scale(dd.multiply(rows.others[0], (g, np.zeros_like(g))), rows.others[1])
    value = dd.multiply(dd.add(gained, dd.negate(others)), rows.inverse_total)
    rounded = (rows.others[0][0] != 0) & (g != 0) | (sizes > 0)
    return value, GRADIENT_ERROR * (np.abs(gained[0]) + sizes) + _lost(rounded)


def _softmax_hvp(rows: PairRows, g: Floats, t: Floats) -> Element:
    """s_i (a_i c_i - <a c, s>), with a and c brought to exponent 0: what they lose there is in the error."""
    c_of, a_of = _centred(rows, g), _centred(rows, t)

    @lru_cache(maxsize=1)
    def product(chunk: PairChunk) -> tuple[Pair, Floats]:
        (c, c_error), (a, a_error) = _brought_to_zero(*c_of(chunk)), _brought_to_zero(*a_of(chunk))
        each = np.abs(a[0]) * c_error + np.abs(c[0]) * a_error + a_error * c_error
        each = each + _lost((np.abs(a[0]) + a_error > 0) & (np.abs(c[0]) + c_error > 0))
        return dd.multiply(a, c), each

    def carried(chunk: PairChunk) -> tuple[Floats]:
        """sum s_j (the error of a_j c_j), with 2**-1074 for a weight that underflows and for a product that does."""
        weights, each = at_zero(np.abs(rows.softmax(chunk)[0]), chunk.power), product(chunk)[1]
        lost = _SMALLEST * (each.sum(axis=-1, keepdims=True) + (each > 0).sum(axis=-1, keepdims=True))
        return ((weights * each).sum(axis=-1, keepdims=True) + lost,)

    total, exponent, magnitude = rows.weighted_sum(lambda chunk: product(chunk)[0])
    average = rows.chunks.gather(carried)[0].sum(axis=-1, keepdims=True)
    mean = dd.scale(dd.multiply(total, rows.inverse_total), exponent)
    size = at_zero(magnitude * rows.inverse_total[0], exponent)

    def element(chunk: PairChunk) -> Values:
        p, each = product(chunk)
        difference = dd.add(p, dd.negate(chunk.spread(mean)))
        error = 2 * (each + chunk.own(average)) + GRADIENT_ERROR * (np.abs(p[0]) + chunk.own(size))
        s = rows.softmax(chunk)
        high, low = dd.multiply(s, difference)
        return Values(high, low, chunk.power, 2 * s[0] * error + _lost((s[0] != 0) & (error > 0)))

    return element


def _brought_to_zero(pair: Pair, exponent: Integers, error: Floats) -> tuple[Pair, Floats]:
    return dd.scale(pair, exponent), at_zero(error, exponent) + _lost(error > 0)


def _log_softmax_hvp(rows: PairRows, g: Floats, t: Floats) -> Element:
    """-G s_i a_i."""
    total, sizes = rows.sum(g)
    slack = GRADIENT_ERROR * sizes
    inner = _softmax_product(rows, t)

    def element(chunk: PairChunk) -> Values:
        v = inner(chunk)
        high, low = dd.multiply((v.hi, v.lo), dd.negate(chunk.spread(total)))
        bound = 2 * v.error * chunk.own(np.abs(total[0]) + slack) + chunk.own(slack) * np.abs(v.hi)
        return Values(high, low, v.exponent, bound + _lost((v.error > 0) & (chunk.own(sizes) > 0)))

    return element


FORMULAS: dict[Function, Callable[..., Element]] = {
    Function("softmax", "forward"): _softmax,
    Function("softmax", "vjp"): _softmax_product,
    Function("softmax", "jvp"): _softmax_product,
    Function("softmax", "hvp"): _softmax_hvp,
    Function("log_softmax", "forward"): _log_softmax,
    Function("log_softmax", "vjp"): _log_softmax_vjp,
    Function("log_softmax", "jvp"): _log_softmax_jvp,
    Function("log_softmax", "hvp"): _log_softmax_hvp,
}
