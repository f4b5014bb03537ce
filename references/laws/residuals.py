"""How far computed arrays are from what exact ones have in common, evaluated in pairs: the other side of the laws.

Arrays are numbers of a format [rows, n]; a residual is a magnitude in binary64, of elements or of rows [rows, 1].
No error of its own reaches 2**-90 of the terms, where none of them is below 2**-969.
"""

from __future__ import annotations

import numpy as np

from references.formats import Floats
from references.ieee import doubledouble as dd
from references.ieee.doubledouble import Pair
from references.ieee.elementary import exp


def pair(values: Floats) -> Pair:
    return np.asarray(values, np.float64), np.zeros(np.shape(values))


def difference(a: Pair, b: Pair) -> Floats:
    """|a - b|."""
    high, low = dd.add(a, dd.negate(b))
    return np.abs(high + low)


def sum_of(a: Pair) -> Pair:
    """The sum of each row, [rows, 1]."""
    high, low = dd.sum_last(a)
    return high[..., None], low[..., None]


def inner(a: Floats, b: Floats) -> Pair:
    """<a, b>, [rows, 1]."""
    return sum_of(dd.two_product(a, b))


def exponential(values: Floats) -> Pair:
    """exp of each number; of -inf 0, of NaN and +inf NaN."""
    finite = np.where(np.isfinite(values), values, 0.0)
    size = np.abs(finite)
    (high, low), power = exp((-size, np.zeros_like(size)))
    if (finite > 0).any():
        inverse = dd.divide(pair(np.ones_like(size)), (high, low))
        high, low = np.where(finite > 0, inverse[0], high), np.where(finite > 0, inverse[1], low)
        power = np.where(finite > 0, -power, power)
    high, low = dd.scale((high, low), power)
    known = np.isfinite(values)
    return np.where(known, high, np.where(np.isneginf(values), 0.0, np.nan)), np.where(known, low, 0.0)


def off_from(total: Pair, expected: float) -> Floats:
    """|total - expected|."""
    return difference(total, pair(np.full_like(total[0], expected)))


def inversions(logits: Floats, computed: Floats) -> Floats:
    """How far each element is below the largest of the elements whose logits are no larger; 0 if nothing is inverted.

    Equal logits count both ways, so unequal results of them are inversions too.
    """
    order = np.argsort(logits, axis=-1, kind="stable")
    x, y = (np.take_along_axis(a, order, axis=-1) for a in (logits, computed))
    place = np.arange(x.shape[-1])
    ends = np.concatenate([x[:, 1:] != x[:, :-1], np.ones((x.shape[0], 1), bool)], axis=-1)
    last = np.minimum.accumulate(np.where(ends, place, place.size)[:, ::-1], axis=-1)[:, ::-1]
    largest = np.take_along_axis(np.maximum.accumulate(y, axis=-1), last, axis=-1)
    with np.errstate(invalid="ignore"):
        below = np.where(largest == y, 0.0, largest - y)
    result = np.empty_like(below)
    np.put_along_axis(result, order, below, axis=-1)
    return result
