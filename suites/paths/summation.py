"""Orders of summation: the sum in each order that a kernel uses, its name and depth, and a way to see any sum's order.

A term of a sum is rounded once for each addition that it passes through, so the order decides the error: its depth is
the ``h`` of docs/theory.md, section 5.1 (references/bounds/summation_depth.py).  Sums run along the last axis, in the
format of the values.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from references.bounds.summation_depth import (
    NUMPY_BUFFER,
    lanes_depth,
    lanes_then_rest_depth,
    numpy_buffered_depth,
    numpy_depth,
    recursive_depth,
    registers_depth,
    warp_depth,
    windows_depth,
)

Values = npt.NDArray[Any]


def sequential(values: Values) -> Values:
    """One term after the other."""
    total: Values = values[..., 0]
    for i in range(1, values.shape[-1]):
        total = total + values[..., i]
    return total


def halved(values: Values) -> Values:
    """The upper half onto the lower until one is left, as shuffles of a register add; a power of two of terms."""
    while values.shape[-1] > 1:
        half = values.shape[-1] // 2
        values = values[..., :half] + values[..., half:]
    first: Values = values[..., 0]
    return first


def stepped(values: Values, step: int) -> Values:
    """``step`` sums side by side: term i goes to sum i % step."""
    totals = values[..., :step].copy()
    for start in range(step, values.shape[-1], step):
        block = values[..., start : start + step]
        totals[..., : block.shape[-1]] = totals[..., : block.shape[-1]] + block
    return totals


def in_lanes(values: Values, lanes: int, *, tree: bool, registers: int = 1) -> Values:
    """PyTorch's reduce_all: a sum in each lane, then over the lanes, in a tree or one after the other.

    A row shorter than a register is added one after the other.  With two ``registers`` (16-bit formats, whose terms
    fill two of binary32) the second is added to the first before the lanes are.
    """
    n = values.shape[-1]
    if n < lanes * registers:
        return sequential(stepped(values, lanes) if n > lanes else values)
    totals = stepped(values, lanes * registers)
    if registers == 2:
        totals = totals[..., :lanes] + totals[..., lanes:]
    return halved(totals) if tree else sequential(totals)


def lanes_then_rest(values: Values, lanes: int, *, tree: bool) -> Values:
    """Whole registers in lanes, and what is left of the row onto their sum, one after the other."""
    whole = values.shape[-1] - values.shape[-1] % lanes
    if not whole:
        return sequential(values)
    total = stepped(values[..., :whole], lanes)
    total = halved(total) if tree else sequential(total)
    return sequential(np.concatenate([total[..., None], values[..., whole:]], axis=-1))


def numpy_pairwise(values: Values) -> Values:
    """NumPy's pairwise sum: fewer than 8 terms in sequence, to 128 in eight sums, more in halves of a multiple of 8."""
    n = values.shape[-1]
    if n < 8:
        return sequential(values)
    if n <= 128:
        whole = n - n % 8
        eight = stepped(values[..., :whole], 8)
        two = eight[..., ::2] + eight[..., 1::2]
        four = two[..., ::2] + two[..., 1::2]
        total = four[..., 0] + four[..., 1]
        return sequential(np.concatenate([total[..., None], values[..., whole:]], axis=-1))
    half = n // 2 - n // 2 % 8
    return numpy_pairwise(values[..., :half]) + numpy_pairwise(values[..., half:])


def numpy_buffered(values: Values) -> Values:
    """NumPy's sum before 2.3: each piece of 8,192 terms pairwise, one piece after the other."""
    return sequential(np.stack([numpy_pairwise(piece) for piece in numpy_pieces(values)], axis=-1))


def numpy_pieces(values: Values) -> list[Values]:
    """The pieces of the rows that fill NumPy's buffer, in their order; the last may be short."""
    return [values[..., a : a + NUMPY_BUFFER] for a in range(0, values.shape[-1], NUMPY_BUFFER)]


def in_windows(values: Values, window: int = 32) -> Values:
    """XLA's tree: windows of 32 terms, each in sequence, over again until one is left.

    Windows are laid as evenly as padding on both sides makes them ("SAME"), so the first and the last may be short.
    """
    while values.shape[-1] > window:
        parts = [sequential(values[..., a:b]) for a, b in _windows(values.shape[-1], window)]
        values = np.stack(parts, axis=-1)
    return sequential(values)


def _windows(n: int, window: int) -> list[tuple[int, int]]:
    before = (-n % window) // 2
    edges = [0, *range(window - before, n, window), n]
    return list(itertools.pairwise(edges))


def in_fours(values: Values, lanes: int) -> Values:
    """YNNPACK, binary32: the lanes of four registers in sequence, each such group onto the last, then the lanes."""
    group = 4 * lanes
    parts = [stepped(values[..., a : a + group], lanes) for a in range(0, values.shape[-1], group)]
    totals = parts[0]
    for part in parts[1:]:
        totals[..., : part.shape[-1]] = totals[..., : part.shape[-1]] + part
    missing = lanes - totals.shape[-1]
    if missing > 0:
        totals = np.concatenate([totals, np.zeros_like(totals, shape=(*totals.shape[:-1], missing))], axis=-1)
    return halved(totals)


# -- how deep --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Order:
    """An order by name: in words, and its depth for a row of n, so many SIMD lanes, and a tree over the lanes or not.

    The depth is None where the library doesn't document it, or it depends on what is not read back.
    """

    words: str
    depth: Callable[[int, int, bool], int | None]

    def in_words(self, tree: bool | None = None) -> str:
        """The words, with what is done over the lanes where that is known."""
        over = {True: "a tree over the lanes", False: "the lanes one after the other", None: "a sum over the lanes"}
        return self.words.format(then=over[tree])


ORDERS: dict[str, Order] = {
    "sequential": Order("one term after the other", lambda n, *_: recursive_depth(n)),
    "lanes": Order("a sum in each SIMD lane, then {then}", lanes_depth),
    "two-registers": Order("a sum in each lane of two registers, one onto the other, then {then}", registers_depth),
    "lanes-then-rest": Order(
        "a sum in each SIMD lane, {then}, then the rest of the row one after the other", lanes_then_rest_depth
    ),
    "numpy-pairwise": Order("pairwise: eight sums up to 128 terms, halves beyond", lambda n, *_: numpy_depth(n)),
    "numpy-buffered": Order(
        "pairwise in each piece of 8,192 terms, then one piece after the other",
        lambda n, *_: numpy_buffered_depth(n),
    ),
    "windows": Order("windows of 32 terms, over again until one is left", lambda n, *_: windows_depth(n)),
    "fours": Order("four registers of SIMD lanes at a time, then a tree over the lanes", lambda *_: None),
    "cascade": Order("pieces one after the other, and these pairwise", lambda *_: None),
    "vector": Order("a sum in each SIMD lane of the loop, then over the lanes", lambda *_: None),
    "warp": Order("a sum in each thread of a warp, then a tree over the warp", lambda n, *_: warp_depth(n)),
    "block": Order("a sum in each thread, then trees over warps and blocks", lambda *_: None),
    "library": Order("not documented by the library, and not the same on every machine", lambda *_: None),
}


# -- seeing an order -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Probe:
    """Rows of terms that reveal an order: +large at i, -large at j, units elsewhere, for every pair i < j.

    Units that are added to +large or -large before those two meet are absorbed.  What is left of the sum counts the
    units that were not, and so shows how many terms had been added up where i and j met: the whole tree, pair by pair
    (P. Xie and others, "Revealing Floating-Point Accumulation Orders", arXiv:2411.00442).
    """

    pairs: list[tuple[int, int]]
    terms: npt.NDArray[np.float64]
    unit: float

    def meetings(self, sums: Values) -> npt.NDArray[np.int64]:
        """For each pair, the number of terms under the node where the two meet, from the sums of the rows."""
        left = np.asarray(sums, np.float64) / self.unit
        found: npt.NDArray[np.int64] = np.rint(self.terms.shape[-1] - left).astype(np.int64)
        return found


def probe(n: int, *, large: float, unit: float) -> Probe:
    """The rows for n terms, [n (n - 1) / 2, n]; ``large`` must absorb n units, ``unit`` be exact n times over."""
    pairs = [(i, j) for i in range(n) for j in range(i + 1, n)]
    terms = np.full((len(pairs), n), unit)
    for row, (i, j) in enumerate(pairs):
        terms[row, i], terms[row, j] = large, -large
    return Probe(pairs, terms, unit)
