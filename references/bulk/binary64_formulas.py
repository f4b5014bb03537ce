"""The formulas in plain binary64, for outputs of binary32 and narrower, each with the error it can make.

What is beyond the range of plain numbers is far below these formats: what underflows costs an element less than
2**-800, where the smallest of their numbers is 2**-149.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np

from references.bulk.blocks import CHUNK, Block, Chunk, Chunks, Values, constant
from references.formats import Floats, Integers, Mask
from references.functions import Function
from references.ieee import binary64
from references.ieee import doubledouble as dd

UNIT = 2.0**-53

# What an element may be off by where something underflows or is raised to exp(LOWEST) < 2**-1019, in a sum of fewer
# than 2**80 elements weighted by numbers below 2**129.
_UNDERFLOW = 2.0**-800

# exp(_FAINT) > 2**-924: below it a product with 1 / S, or with the relative error of s, may be a subnormal number.
_FAINT = -640.0


def _no_shift(chunk: Chunk) -> Integers:
    exponent: Integers = constant(np.int64(0), chunk.shape)
    return exponent


def _no_rest(chunk: Chunk) -> Floats:
    low: Floats = constant(np.float64(0), chunk.shape)
    return low


class PlainChunk(Chunk):
    """d = x - max x, exactly as ``high + low`` (None: zero), and e = exp d; ``masked`` is None where nothing is."""

    def __init__(self, block: Block, maximum: Floats, rows: slice, columns: slice) -> None:
        super().__init__(block, rows, columns)
        logits = self.part(block.logits)
        self.high, low = dd.two_sum(logits, -self.own(maximum))
        self.least = float(self.high.min())
        self.masked: Mask | None = None
        if self.least == -np.inf:
            self.masked = logits == -np.inf
            low[self.masked] = 0.0
        self.low = low if low.any() else None

    @cached_property
    def e(self) -> Floats:
        """Relative error <= EXP_ERROR u; what is below exp(LOWEST) is raised to it, what is masked is zero."""
        if self.least >= binary64.LOWEST:
            return binary64.exp(self.high, self.low)
        below = self.high < binary64.LOWEST
        low = None if self.low is None else np.where(below, 0.0, self.low)
        e = binary64.exp(np.where(below, binary64.LOWEST, self.high), low)
        if self.masked is not None:
            e[self.masked] = 0.0
        return e

    @cached_property
    def faint(self) -> Mask:
        """Rows [rows, 1] with an element below exp(_FAINT): it was raised, or may lose bits in a product."""
        if self.least >= _FAINT:
            return np.zeros((self.shape[0], 1), bool)
        below = self.high < _FAINT
        return np.asarray((below if self.masked is None else below & ~self.masked).any(axis=-1, keepdims=True))

    def differs(self, v: Floats, from_top: Floats) -> Mask:
        """Rows [rows, 1] in which an element of ``v`` that is not masked is another number than that at the top."""
        other = self.part(v) != self.own(from_top)
        return np.asarray((other if self.masked is None else other & ~self.masked).any(axis=-1, keepdims=True))

    def others(self) -> Floats:
        """sum e over these columns, without the row's maximum: [rows, 1]."""
        place = self.places_of_top()
        self.e[place] = 0.0
        total = binary64.sum_last(self.e)
        self.e[place] = 1.0
        return total[:, None]

    def unmasked(self, error: Floats) -> Floats:
        """The error, zero where an element is masked."""
        return error if self.masked is None else np.where(self.masked, 0.0, error)


def _depth(n: int) -> int:
    """Additions on the longest path of a sum over a row: within a chunk, then over the chunks."""
    return binary64.sum_depth(min(n, CHUNK)) + binary64.sum_depth(-(-n // CHUNK))


class PlainRows:
    """The rows of a block with what is summed over them; ``unit`` bounds the relative error of S and of s."""

    def __init__(self, block: Block) -> None:
        self.block = block
        maximum = block.at_top(block.logits)
        self.chunks = Chunks(block, lambda rows, columns: PlainChunk(block, maximum, rows, columns))
        # exp in the sum and above it, the additions, 1 + T, its inverse and the product; the rest is for higher order.
        self.unit = (2 * binary64.EXP_ERROR + _depth(block.n) + 4) * UNIT

    def sum(self, terms: Callable[[PlainChunk], Floats]) -> Floats:
        """The sum of [rows, n] terms over the rows, pairwise: [rows, 1]."""
        (parts,) = self.chunks.gather(lambda chunk: (binary64.sum_last(terms(chunk))[:, None],))
        return binary64.sum_last(parts)[:, None]

    @cached_property
    def others(self) -> Floats:
        """T = S - 1: [rows, 1]."""
        (parts,) = self.chunks.gather(lambda chunk: (chunk.others(),))
        return binary64.sum_last(parts)[:, None]

    @cached_property
    def lost(self) -> Floats:
        """What a value may be off by because elements were raised or lost bits: [rows, 1]."""
        (parts,) = self.chunks.gather(lambda chunk: (chunk.faint,))
        return np.where(parts.any(axis=-1, keepdims=True), _UNDERFLOW, 0.0)

    @cached_property
    def inverse_total(self) -> Floats:
        return 1.0 / (1.0 + self.others)

    @cached_property
    def log_total(self) -> Floats:
        """log S = log1p T, relative error <= ``unit``."""
        return binary64.log1p(self.others)

    def softmax(self, chunk: PlainChunk) -> Floats:
        return chunk.e * chunk.own(self.inverse_total)


Element = Callable[[PlainChunk], Values]


def _softmax(rows: PlainRows) -> Element:
    def element(chunk: PlainChunk) -> Values:
        s = rows.softmax(chunk)
        error = rows.unit * s
        if chunk.least < _FAINT:
            error += chunk.own(rows.lost)
        return Values(s, _no_rest(chunk), _no_shift(chunk), chunk.unmasked(error), rows.unit)

    return element


def _log_softmax(rows: PlainRows) -> Element:
    """d - log S as a pair: log S distinguishes a difference that is a midpoint of the format from its neighbours."""
    log_total = rows.log_total

    def element(chunk: PlainChunk) -> Values:
        part = -chunk.own(log_total)
        error = -rows.unit * part + chunk.own(rows.lost)
        if chunk.low is not None:
            part = part + chunk.low
            error = error + UNIT * np.abs(chunk.low)
        high, low = dd.two_sum(chunk.high, part)
        if chunk.masked is not None:
            low[chunk.masked] = 0.0
        return Values(high, low, _no_shift(chunk), chunk.unmasked(error), rows.unit)

    return element


def _centred(rows: PlainRows, v: Floats) -> Callable[[PlainChunk], tuple[Floats, Floats, Floats]]:
    """v - <v, s> as a pair, and a bound on what it is off by.

    v is first taken relative to its value at the maximum (exactly): then a dominant element does not cancel.
    """
    top = rows.block.at_top(v)
    reference = -top

    def weighted(chunk: PlainChunk) -> Floats:
        return chunk.e * dd.two_sum(chunk.part(v), chunk.own(reference))[0]

    mean = rows.sum(weighted) * rows.inverse_total
    size = rows.sum(lambda chunk: np.abs(weighted(chunk))) * rows.inverse_total
    # Every term may underflow: then the size is zero as well, and only the vector itself says whether there are any.
    present = size > 0
    if not present.all():
        (parts,) = rows.chunks.gather(lambda chunk: (chunk.differs(v, top),))
        present = parts.any(axis=-1, keepdims=True)
    # A low word left out of the sum, a product and two more roundings, beside what s is off by.
    row_error = (rows.unit + 6 * UNIT) * size + np.where(present, _UNDERFLOW, 0.0)

    def centred(chunk: PlainChunk) -> tuple[Floats, Floats, Floats]:
        w, w_low = dd.two_sum(chunk.part(v), chunk.own(reference))
        high, low = dd.two_sum(w, w_low - chunk.own(mean))
        return high, low, chunk.own(row_error) + UNIT * np.abs(w_low)

    return centred


def _softmax_product(rows: PlainRows, v: Floats) -> Element:
    """s_i (v_i - <v, s>): the Jacobian is symmetric, so vjp and jvp are one map."""
    centred = _centred(rows, v)

    def element(chunk: PlainChunk) -> Values:
        s, (c, _, error) = rows.softmax(chunk), centred(chunk)
        bound = s * (1.5 * error + (rows.unit + 4 * UNIT) * np.abs(c))
        lost = np.where((c != 0) | (error > 0), _UNDERFLOW, 0.0)
        return Values(s * c, _no_rest(chunk), _no_shift(chunk), chunk.unmasked(bound + lost))

    return element


def _log_softmax_jvp(rows: PlainRows, t: Floats) -> Element:
    """t_i - <t, s>."""
    centred = _centred(rows, t)

    def element(chunk: PlainChunk) -> Values:
        high, low, error = centred(chunk)
        return Values(high, low, _no_shift(chunk), error)

    return element


def _log_softmax_vjp(rows: PlainRows, g: Floats) -> Element:
    """g_i - s_i G."""
    total = rows.sum(lambda chunk: chunk.part(g))
    size = rows.sum(lambda chunk: np.abs(chunk.part(g)))
    # s is off by one unit of the rows, and G by less than another.
    row_error, row_lost = 2 * rows.unit * size, np.where(size > 0, _UNDERFLOW, 0.0)

    def element(chunk: PlainChunk) -> Values:
        s = rows.softmax(chunk)
        high, low = dd.two_sum(chunk.part(g), -(s * chunk.own(total)))
        error = s * chunk.own(row_error) + chunk.own(row_lost)
        return Values(high, low, _no_shift(chunk), chunk.unmasked(error))

    return element


# The second derivative cancels twice: it is left to the pairs.
FORMULAS: dict[Function, Callable[..., Element]] = {
    Function("softmax", "forward"): _softmax,
    Function("softmax", "vjp"): _softmax_product,
    Function("softmax", "jvp"): _softmax_product,
    Function("log_softmax", "forward"): _log_softmax,
    Function("log_softmax", "vjp"): _log_softmax_vjp,
    Function("log_softmax", "jvp"): _log_softmax_jvp,
}
