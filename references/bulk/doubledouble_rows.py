"""Rows in double-double arithmetic: exponentials, and sums over rows that keep the accuracy of tiny terms."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np

from references.bulk.blocks import Block, Chunk, Chunks, constant
from references.formats import Floats, Integers, Mask
from references.ieee import doubledouble as dd
from references.ieee import elementary
from references.ieee.doubledouble import Pair

# Factors whose product is below this have no exact product (see doubledouble).
_PRODUCT = 2.0**-969

# exp(LOWEST) < 2**-2019: what raising a term to it costs, with room for the constant factors of the formulas.
LOWERED = -2014

# An exponent for sums that have no terms, below all others.
_NO_TERMS = -(2**40)

# High and low word of a sum [rows, 1], and its exponent.  Terms are brought to the largest exponent among them, so that
# a sum of tiny terms keeps its relative accuracy.
Sum = tuple[Floats, Floats, Integers]


class PairChunk(Chunk):
    """d = x - max x and e = exp d as pairs."""

    def __init__(self, block: Block, maximum: Floats, rows: slice, columns: slice) -> None:
        super().__init__(block, rows, columns)
        logits = self.part(block.logits)
        high, low = dd.two_sum(logits, -self.own(maximum))
        # The smallest difference: most chunks have none that is masked or far, and are spared what those need.
        self.least = float(high.min())
        finite = self.least > -np.inf
        self.masked: Mask = constant(np.False_, self.shape) if finite else logits == -np.inf
        self.d: Pair = high, low if finite else np.where(np.isfinite(low), low, 0.0)

    @cached_property
    def is_top(self) -> Mask:
        """Which elements are the row's maximum (the first, where there are more)."""
        mask = np.zeros(self.shape, bool)
        mask[self.places_of_top()] = True
        return mask

    @cached_property
    def _exponentials(self) -> tuple[Pair, Integers]:
        (high, low), power = elementary.exp(self.d)
        if self.least == -np.inf:
            high[self.masked], low[self.masked] = 0.0, 0.0
        return (high, low), power

    @property
    def e(self) -> Pair:
        return self._exponentials[0]

    @property
    def power(self) -> Integers:
        return self._exponentials[1]

    def spread(self, pair: Pair) -> Pair:
        """A pair [rows, 1] of the block over these rows and columns."""
        return np.broadcast_to(self.own(pair[0]), self.shape), np.broadcast_to(self.own(pair[1]), self.shape)

    def lowered(self) -> Mask:
        """Rows [rows, 1] in which an element below exp(LOWEST) was raised to it."""
        if self.least >= elementary.LOWEST:
            return np.zeros((self.shape[0], 1), bool)
        return np.asarray(((self.d[0] < elementary.LOWEST) & ~self.masked).any(axis=-1, keepdims=True))

    def others(self) -> Sum:
        """The sum of e without the row's maximum, and its exponent (_NO_TERMS: there are no others)."""
        place, power = self.places_of_top(), self.power.copy()
        power[place] = _NO_TERMS
        exponent = power.max(axis=-1, keepdims=True)
        high, low = dd.scale(self.e, power - exponent)
        high[place], low[place] = 0.0, 0.0
        total, rest = dd.sum_last((high, low), same_sign=True)
        return total[:, None], rest[:, None], exponent

    def weighted_sum(self, weights: Pair) -> tuple[Floats, Floats, Integers, Floats]:
        """sum e_j w_j, its exponent (_NO_TERMS: there are no terms), and the sum of magnitudes at that exponent.

        A term beyond the range of the pairs makes the sum NaN; one below _PRODUCT counts as that much in the
        magnitudes.
        """
        present = (self.e[0] != 0) & (weights[0] != 0)
        high, low = dd.multiply(self.e, weights)
        _, magnitude = np.frexp(high)
        exponent = np.where(present, self.power + magnitude, _NO_TERMS).max(axis=-1, keepdims=True)
        moved = self.power - np.where(exponent == _NO_TERMS, 0, exponent)
        terms = dd.scale((np.where(present, high, 0.0), np.where(present, low, 0.0)), moved)
        least = np.where(present, at_zero(np.full_like(high, _PRODUCT), moved), 0.0)
        size = np.maximum(np.abs(terms[0]), least).sum(axis=-1, keepdims=True)
        high, low = dd.sum_last(terms)
        return high[:, None], low[:, None], exponent, size


class PairRows:
    """The rows of a block with what is summed over them: S and T = S - 1, without cancellation."""

    def __init__(self, block: Block) -> None:
        self.block = block
        maximum = block.at_top(block.logits)
        self.chunks = Chunks(block, lambda rows, columns: PairChunk(block, maximum, rows, columns))

    def weighted_sum(self, weights: Callable[[PairChunk], Pair]) -> tuple[Pair, Integers, Floats]:
        """sum e_j w_j as a pair and its exponent, and the sum of magnitudes at that exponent; arrays [rows, 1]."""
        high, low, exponents, size = self.chunks.gather(lambda chunk: chunk.weighted_sum(weights(chunk)))
        pair, exponent, moved = _joined(high, low, exponents, same_sign=False)
        return pair, exponent, at_zero(size, moved).sum(axis=-1, keepdims=True)

    def sum(self, v: Floats, *, skip_top: bool = False) -> tuple[Pair, Floats]:
        """sum v_j over the rows, and the sum of the magnitudes; arrays [rows, 1]."""

        def part_of(chunk: PairChunk) -> tuple[Floats, ...]:
            part = np.where(chunk.is_top, 0.0, chunk.part(v)) if skip_top else chunk.part(v)
            high, low = dd.sum_last((part, np.zeros_like(part)))
            return high[:, None], low[:, None], np.abs(part).sum(axis=-1, keepdims=True)

        highs, lows, sizes = self.chunks.gather(part_of)
        high, low = dd.sum_last((highs, lows))
        return (high[:, None], low[:, None]), sizes.sum(axis=-1, keepdims=True)

    @cached_property
    def others(self) -> tuple[Pair, Integers]:
        """T, the sum without one maximum, and its exponent."""
        pair, exponent, _ = _joined(*self.chunks.gather(PairChunk.others), same_sign=True)
        return pair, exponent

    @cached_property
    def inverse_total(self) -> Pair:
        """1 / S."""
        high, low = dd.scale(*self.others)
        total = dd.two_sum(np.ones_like(high), high)
        total = dd.fast_two_sum(total[0], total[1] + low)
        return dd.divide((np.ones_like(high), np.zeros_like(high)), total)

    @cached_property
    def log_total(self) -> tuple[Pair, Integers]:
        """log S = log1p T, and its exponent."""
        return elementary.log1p(*self.others)

    def softmax(self, chunk: PairChunk) -> Pair:
        """s at the exponent ``chunk.power``."""
        return dd.multiply(chunk.e, (chunk.own(self.inverse_total[0]), chunk.own(self.inverse_total[1])))

    def lowered(self, vectors: list[Floats]) -> Floats:
        """What results may be off by where elements below exp(LOWEST) were raised to it: [rows, 1] * 2**LOWERED."""
        (parts,) = self.chunks.gather(lambda chunk: (chunk.lowered(),))
        low = parts.any(axis=-1, keepdims=True)
        size = np.full(low.shape, float(self.block.n) ** 2)
        for v in vectors if low.any() else ():
            size = size * np.maximum(np.maximum(v.max(axis=-1), -v.min(axis=-1))[:, None], 2.0**-500)
        return np.where(low, size, 0.0)


def _joined(high: Floats, low: Floats, exponents: Integers, *, same_sign: bool) -> tuple[Pair, Integers, Integers]:
    """The sum of a row's chunks [rows, chunks] at their largest exponent, and how far each was moved there."""
    exponent = exponents.max(axis=-1, keepdims=True)
    moved = np.where(exponents == _NO_TERMS, 0, exponents - exponent)
    total, rest = dd.sum_last(dd.scale((high, low), moved), same_sign=same_sign)
    return (total[:, None], rest[:, None]), np.where(exponent == _NO_TERMS, 0, exponent), moved


def at_zero(values: Floats, exponent: Integers) -> Floats:
    """values * 2**exponent."""
    return np.ldexp(values, np.clip(exponent, -4000, 4000).astype(np.int32))
