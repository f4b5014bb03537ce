"""Depths of the orders of summation, and the relative error of a sum of that depth.

The depth h of a sum is the number of additions on the longest path from a term to the total: a sum of terms of one sign
is off by gamma(h) relatively (Higham, ASNA, section 4.2).
"""

from __future__ import annotations

import math

# NumPy adds this many numbers by eight accumulators, and more by halves.
_NUMPY_BLOCK = 128
_NUMPY_LANES = 8
# Before 2.3, at most this many of a row at a time (numpy.getbufsize).
_NUMPY_BUFFER = 8192


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


def lanes_depth(n: int, lanes: int) -> int:
    """That many interleaved partial sums (a vector register, or several), and then their pairwise sum."""
    return math.ceil(n / lanes) - 1 + pairwise_depth(min(lanes, n))


def blocks_depth(n: int, block: int) -> int:
    """Recursive sums of blocks of that many terms, and the recursive sum of those."""
    return min(block, n) - 1 + math.ceil(n / block) - 1


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
    pieces = math.ceil(n / _NUMPY_BUFFER)
    last = n - (pieces - 1) * _NUMPY_BUFFER
    if pieces == 1:
        return numpy_depth(last)
    return max(numpy_depth(_NUMPY_BUFFER) + pieces - 1, numpy_depth(last) + 1)
