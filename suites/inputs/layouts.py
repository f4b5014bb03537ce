"""Layouts: where the reduced axis of a batch of rows lies, and how the memory around and between the rows is laid out.

A layout makes views: rows [rows, n] are written into a buffer of their own that is otherwise NaN, and a view of it with
the layout's shape, strides and offset goes to the implementation.  What reads past its view meets a NaN, and what
writes anywhere shows in the buffer.  NumPy and PyTorch take the view as it is; JAX copies what it is given, so only the
layouts that change the shape mean anything to it.

NumPy alone, and fit for Python 3.9: a worker lays out its arrays in any environment.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import as_strided

from suites.vocabulary import OFFSETS

AnyBits = npt.NDArray[np.unsignedinteger[Any]]

# NaN elements on either side of a view: a cache line of the narrowest format, and more of the others.
_GUARD = 64
_ALIGNMENT = 64

# How often `broadcast` repeats a row, and the NaN columns on either side of a row in `padded`: odd, to shift the rows.
_COPIES = 3
_MARGIN = 3


class TouchedMemory(RuntimeError):
    """An implementation has changed memory that it was not given to write: an input, or what lies around an array.

    ``computed`` is the result all the same, and ``count`` how many elements were changed.
    """

    def __init__(self, computed: AnyBits, count: int) -> None:
        super().__init__(computed, count)
        self.computed, self.count = computed, count

    def __str__(self) -> str:
        return f"{self.count} elements of memory were changed that are not the result's"


class Buffer:
    """Memory with a view into it, remembered as it was before the view was handed out."""

    def __init__(self, memory: AnyBits, view: AnyBits, writable: AnyBits | None = None) -> None:
        """``writable`` is a view of ``memory`` that may be changed; nothing may if it is not given."""
        self.memory, self.view = memory, view
        self._writable, self._before = writable, memory.copy()

    def touched(self) -> int:
        """How many elements have changed that may not."""
        changed = int(np.count_nonzero(self.memory != self._before))
        if self._writable is not None and changed:
            marks = np.zeros(self.memory.shape, bool)
            start = (self._writable.ctypes.data - self.memory.ctypes.data) // self.memory.itemsize
            strides = [stride // self.memory.itemsize for stride in self._writable.strides]
            as_strided(marks[start:], self._writable.shape, strides)[...] = True
            changed = int(np.count_nonzero((self.memory != self._before) & ~marks))
        return changed


def nan_of(dtype: np.dtype[Any]) -> int:
    """The guards' pattern, all ones below the sign: a NaN in every format, and not the one that arithmetic makes."""
    return int(np.iinfo(dtype).max) >> 1


def _memory_of(elements: int, dtype: np.dtype[Any], offset: int = 0) -> tuple[AnyBits, AnyBits]:
    """NaN memory, and ``elements`` of it that begin ``offset`` elements after a 64-byte boundary, guarded."""
    spare = _ALIGNMENT // dtype.itemsize
    memory = np.full(elements + 2 * _GUARD + spare + offset, nan_of(dtype), dtype)
    start = _GUARD + (-memory.ctypes.data % _ALIGNMENT) // dtype.itemsize + offset
    return memory, memory[start : start + elements]


@dataclass(frozen=True)
class Layout:
    """One layout: the reduced axis, and how rows become a view.

    ``shape`` says that the shape is the layout's point, which every framework sees; the others differ from ``last`` by
    strides or offset alone.  ``negative`` strides are NumPy's own.
    """

    name: str
    axis: int
    meaning: str
    make: Callable[[AnyBits, int], Buffer]
    shape: bool = False
    negative: bool = False


def _filled(memory: AnyBits, view: AnyBits, values: AnyBits) -> Buffer:
    view[...] = values
    return Buffer(memory, view)


def _last(rows: AnyBits, role: int) -> Buffer:
    memory, inside = _memory_of(rows.size, rows.dtype)
    return _filled(memory, inside.reshape(rows.shape), rows)


def _inner(rows: AnyBits, role: int) -> Buffer:
    memory, inside = _memory_of(rows.size, rows.dtype)
    return _filled(memory, inside.reshape(rows.T.shape), rows.T)


def _column(rows: AnyBits, role: int) -> Buffer:
    memory, inside = _memory_of(rows.size, rows.dtype)
    return _filled(memory, inside.reshape(*rows.shape, 1), rows[:, :, None])


def _middle(rows: AnyBits, role: int) -> Buffer:
    count, n = rows.shape
    outer = next((k for k in range(2, count) if count % k == 0), 1)
    memory, inside = _memory_of(rows.size, rows.dtype)
    stacked = np.swapaxes(rows.reshape(outer, count // outer, n), 1, 2)
    return _filled(memory, inside.reshape(stacked.shape), stacked)


def _transposed(rows: AnyBits, role: int) -> Buffer:
    memory, inside = _memory_of(rows.size, rows.dtype)
    return _filled(memory, inside.reshape(rows.T.shape).T, rows)


def _strided(rows: AnyBits, role: int) -> Buffer:
    memory, inside = _memory_of(2 * rows.size, rows.dtype)
    return _filled(memory, inside.reshape(rows.shape[0], 2 * rows.shape[1])[:, ::2], rows)


def _reversed(rows: AnyBits, role: int) -> Buffer:
    memory, inside = _memory_of(rows.size, rows.dtype)
    return _filled(memory, inside.reshape(rows.shape)[:, ::-1], rows)


def _broadcast(rows: AnyBits, role: int) -> Buffer:
    count, n = rows.shape
    memory, inside = _memory_of(rows.size, rows.dtype)
    view = as_strided(inside, (count, _COPIES, n), (n * rows.itemsize, 0, rows.itemsize))
    return _filled(memory, view, rows[:, None, :])


def _padded(rows: AnyBits, role: int) -> Buffer:
    count, n = rows.shape
    memory, inside = _memory_of((count + 2) * (n + 2 * _MARGIN), rows.dtype)
    wide = inside.reshape(count + 2, n + 2 * _MARGIN)
    return _filled(memory, wide[1:-1, _MARGIN:-_MARGIN], rows)


def _offset(elements: int) -> Callable[[AnyBits, int], Buffer]:
    def make(rows: AnyBits, role: int) -> Buffer:
        """Each array of a call at another distance from a boundary: a kernel may mistake one's for another's."""
        memory, inside = _memory_of(rows.size, rows.dtype, (elements + 5 * role) % 16)
        return _filled(memory, inside.reshape(rows.shape), rows)

    return make


_ALL = (
    Layout("last", 1, "(rows, n), contiguous; the last axis is reduced", _last, shape=True),
    Layout("inner", 0, "(n, rows), contiguous; the first axis is reduced", _inner, shape=True),
    Layout("column", 1, "(rows, n, 1), contiguous; the axis before one of length 1", _column, shape=True),
    Layout("middle", 1, "(a, n, b) with a b rows, contiguous; the middle axis", _middle, shape=True),
    Layout("single", 1, "(1, n), one row a call", _last, shape=True),
    Layout("transposed", 1, "(rows, n), a transposed view: a row's elements are far apart", _transposed),
    Layout("strided", 1, "(rows, n), every second element of rows twice as long, NaN between them", _strided),
    Layout("broadcast", 2, "(rows, 3, n), each row three times by a stride of zero", _broadcast),
    Layout("reversed", 1, "(rows, n) with a negative stride along a row", _reversed, negative=True),
    Layout("padded", 1, "(rows, n), a window in a wider array of NaN", _padded),
    *(Layout(f"offset-{k}", 1, f"(rows, n), {k} elements past a 64-byte boundary", _offset(k)) for k in OFFSETS),
)
_BY_NAME = {layout.name: layout for layout in _ALL}


def layout_named(name: str) -> Layout:
    """Raises KeyError."""
    return _BY_NAME[name]


def axis_of(layout: str) -> int:
    """The reduced axis, counted from the front."""
    return _BY_NAME[layout].axis


def buffer_of(rows: AnyBits, layout: str, role: int = 0) -> Buffer:
    """Rows [rows, n] in guarded memory, as a view of the layout; ``role`` counts the arrays of one call."""
    return _BY_NAME[layout].make(rows, role)


def place(rows: AnyBits, layout: str) -> AnyBits:
    """Rows [rows, n] as the view that an implementation gets; ``buffer_of`` also says what becomes of the memory."""
    return buffer_of(rows, layout).view


def unplace(array: AnyBits, layout: str) -> AnyBits:
    """The rows [rows, n] of an array in the shape of a layout; of ``broadcast`` each copy in turn."""
    if layout == "inner":
        return np.ascontiguousarray(array.T)
    if layout == "column":
        return array[:, :, 0]
    if layout == "middle":
        return np.ascontiguousarray(np.swapaxes(array, 1, 2)).reshape(-1, array.shape[1])
    if layout == "broadcast":
        return array[np.arange(len(array)), np.arange(len(array)) % _COPIES]
    return array


def output_like(view: AnyBits) -> Buffer:
    """Guarded memory for a result, with the shape and strides of an input where those address every element once."""
    sizes, steps = view.shape, [stride // view.itemsize for stride in view.strides]
    if not view.size:
        return Buffer(view.copy(), view.copy())
    if any(steps[i] <= 0 and sizes[i] > 1 for i in range(view.ndim)):
        return output_like(np.empty(sizes, view.dtype))
    span = 1 + sum((sizes[i] - 1) * abs(steps[i]) for i in range(view.ndim))
    memory, inside = _memory_of(span, view.dtype)
    result = as_strided(inside, view.shape, view.strides)
    return Buffer(memory, result, writable=result)
