"""Orders of summation, as functions of an addition, beside the depths that are claimed of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from references.bounds.summation_depth import (
    NUMPY_BUFFER,
    lanes_depth,
    numpy_buffered_depth,
    numpy_depth,
    pairwise_depth,
    recursive_depth,
)
from references.formats import Floats

LANES = 8
BLOCK = 32

Add = Callable[[Floats, Floats], Floats]


def _recursive(add: Add, a: Floats) -> Floats:
    total = a[:, :1]
    for column in range(1, a.shape[-1]):
        total = add(total, a[:, column : column + 1])
    return total


def _pairwise(add: Add, a: Floats) -> Floats:
    while (n := a.shape[-1]) > 1:
        paired = add(a[:, 0 : n - 1 : 2], a[:, 1:n:2])
        a = np.concatenate([paired, a[:, -1:]], axis=-1) if n % 2 else paired
    return a


def _lanes(add: Add, a: Floats) -> Floats:
    """Eight partial sums, as a vector register keeps them, and then their pairwise sum; fewer terms one by one."""
    if a.shape[-1] < LANES:
        return _recursive(add, a)
    total = a[:, :LANES]
    for start in range(LANES, a.shape[-1], LANES):
        step = a[:, start : start + LANES]
        width = step.shape[-1]
        total = np.concatenate([add(total[:, :width], step), total[:, width:]], axis=-1)
    return _pairwise(add, total)


def _blocks(add: Add, a: Floats) -> Floats:
    parts = [_recursive(add, a[:, start : start + BLOCK]) for start in range(0, a.shape[-1], BLOCK)]
    return _recursive(add, np.concatenate(parts, axis=-1))


def blocks_depth(n: int) -> int:
    return min(BLOCK, n) - 1 + -(-n // BLOCK) - 1


def _numpy(add: Add, a: Floats) -> Floats:
    """np.sum's: halves down to 128 terms, those in eight lanes, and what is left over one by one."""
    n = a.shape[-1]
    if n < LANES:
        return _recursive(add, a)
    if n > 128:
        half = n // 2 - n // 2 % LANES
        return add(_numpy(add, a[:, :half]), _numpy(add, a[:, half:]))
    total = _lanes(add, a[:, : n - n % LANES])
    for column in range(n - n % LANES, n):
        total = add(total, a[:, column : column + 1])
    return total


def _numpy_buffered(add: Add, a: Floats) -> Floats:
    """np.sum's before NumPy 2.3: as much at a time as its buffer holds."""
    parts = [_numpy(add, a[:, start : start + NUMPY_BUFFER]) for start in range(0, a.shape[-1], NUMPY_BUFFER)]
    return _recursive(add, np.concatenate(parts, axis=-1))


ORDERS: dict[str, Callable[[Add, Floats], Floats]] = {
    "recursive": _recursive,
    "pairwise": _pairwise,
    "lanes": _lanes,
    "blocks": _blocks,
    "numpy": _numpy,
    "numpy before 2.3": _numpy_buffered,
}
DEPTHS: dict[str, Callable[[int], int]] = {
    "recursive": recursive_depth,
    "pairwise": pairwise_depth,
    "lanes": lambda n: lanes_depth(n, LANES, tree=True),
    "blocks": blocks_depth,
    "numpy": numpy_depth,
    "numpy before 2.3": numpy_buffered_depth,
}
