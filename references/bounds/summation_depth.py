"""Depths of the orders of summation, and the relative error of a sum of that depth.

The depth h of a sum is the number of additions on the longest path from a term to the total: a sum of terms of one sign
is off by gamma(h) relatively (Higham, ASNA, section 4.2).  Depths are of rows of n terms; ``tree`` says that the SIMD
lanes are added pairwise at last, and not one after the other.
"""

from __future__ import annotations

import math
from functools import lru_cache

# NumPy adds this many numbers by eight accumulators, and more by halves.
_NUMPY_BLOCK = 128
_NUMPY_LANES = 8

# Before 2.3 NumPy summed a row as much at a time as its buffer holds (numpy.getbufsize, unless it was changed).
NUMPY_BUFFER = 8192

# The threads of a warp, and the terms of a window of XLA's.
_WARP = _WINDOW = 32


def gamma(h: float, u: float) -> float:
    """h u / (1 - h u), infinite where that is no bound."""
    return h * u / (1 - h * u) if h * u < 1 else math.inf


def any_order_depth(n: int, unit: float) -> tuple[int, bool]:
    """n + 3 holds for any order of summation; where that says nothing (h u >= 1), that of a pairwise sum is assumed.

    Any order has n - 1; what is left is docs/theory.md's allowance for reciprocals and for evaluating the bound.  The
    second value says whether the depth is assumed.
    """
    depth = n + 3
    return (depth, False) if depth * unit < 1 else (pairwise_depth(n) + 4, True)


def recursive_depth(n: int) -> int:
    """One term after the other: n - 1."""
    return n - 1


def pairwise_depth(n: int) -> int:
    """Neighbours, then neighbouring sums: ceil(log2 n)."""
    return (n - 1).bit_length()


def lanes_depth(n: int, lanes: int, tree: bool) -> int:
    """That many interleaved partial sums, and then over the lanes; a shorter row one term after the other."""
    return recursive_depth(n) if n < lanes else -(-n // lanes) - 1 + _over(lanes, tree)


def registers_depth(n: int, lanes: int, tree: bool) -> int:
    """The same in two registers, of which the second is added to the first."""
    if n < 2 * lanes:
        return recursive_depth(n) if n <= lanes else lanes
    return -(-n // (2 * lanes)) + _over(lanes, tree)


def lanes_then_rest_depth(n: int, lanes: int, tree: bool) -> int:
    """Whole registers in lanes, over the lanes, and what is left of the row onto their sum, one after the other."""
    return recursive_depth(n) if n < lanes else n // lanes - 1 + _over(lanes, tree) + n % lanes


@lru_cache(maxsize=4096)
def numpy_depth(n: int) -> int:
    """np.sum over the contiguous last axis: halves down to 128 terms, and those in eight lanes."""
    if n < _NUMPY_LANES:
        return max(n - 1, 0)
    if n <= _NUMPY_BLOCK:
        return n // _NUMPY_LANES - 1 + pairwise_depth(_NUMPY_LANES) + n % _NUMPY_LANES
    half = n // 2 - n // 2 % _NUMPY_LANES
    return 1 + max(numpy_depth(half), numpy_depth(n - half))


def numpy_buffered_depth(n: int) -> int:
    """The same before NumPy 2.3: pieces of 8,192 terms, one after the other."""
    pieces = -(-n // NUMPY_BUFFER)
    rest = numpy_depth(n - (pieces - 1) * NUMPY_BUFFER)
    return _sequence_depth(numpy_depth(min(n, NUMPY_BUFFER)), pieces, rest)


def warp_depth(n: int) -> int:
    """A sum in each thread of a warp, and then a tree over the warp."""
    width = min(_WARP, 1 << pairwise_depth(n))
    return -(-n // width) - 1 + pairwise_depth(width)


def windows_depth(n: int) -> int:
    """XLA's windows of 32 terms, each one after the other, over again until one is left.

    All windows but the first and the last are alike, on every level, so three depths stand for all.
    """
    first = middle = last = 0
    while n > _WINDOW:
        before = (-n % _WINDOW) // 2
        head, windows = _WINDOW - before, -(-n // _WINDOW)
        tail = n - head - (windows - 2) * _WINDOW
        first, middle, last = (
            max(first + head - 1, _sequence_depth(middle, head, middle)),
            _sequence_depth(middle, _WINDOW, middle),
            _sequence_depth(middle, tail, last),
        )
        n = windows
    return max(first + n - 1, _sequence_depth(middle if n > 2 else first, n, last)) if n > 1 else first


def _over(lanes: int, tree: bool) -> int:
    return pairwise_depth(lanes) if tree else recursive_depth(lanes)


def _sequence_depth(each: int, count: int, last: int) -> int:
    """The depth of a sum, one after the other, of so many terms that are sums themselves, alike but for the last."""
    return max(each + count - 1, last + 1) if count > 1 else last
