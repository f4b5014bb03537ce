"""A block of rows, read in chunks that stay in cache; what runs over whole rows is gathered from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from references.formats import Floats, Integers

# Elements of a chunk.  Its temporaries, of 64 KiB each, fit in a second-level cache, and malloc keeps them; larger ones
# go back to the system each time, which costs three times the arithmetic.
CHUNK = 8192

# Elements of a block: what is worked out once a row is then a small share of the work.
BLOCK = 65536


_Number = TypeVar("_Number", bound=np.generic)


@lru_cache(maxsize=256, typed=True)  # 0, 0.0 and False are equal
def constant(value: Any, shape: tuple[int, int]) -> Any:
    """One NumPy number throughout an array that takes no memory; most chunks have one of a few shapes."""
    return np.broadcast_to(value, shape)


def spread(values: npt.NDArray[_Number], shape: tuple[int, ...]) -> npt.NDArray[_Number]:
    """Values over a shape; NumPy's own function takes microseconds where there is nothing to do."""
    return values if values.shape == shape else np.broadcast_to(values, shape)


@dataclass(frozen=True)
class Values:
    """Elements of a chunk, ``(hi + lo) * 2**exponent``, each off by at most ``error * 2**exponent``.

    Arrays of the chunk's shape; ``exponent`` and ``error`` may be one number a row, [rows, 1].  ``relative`` bounds the
    error over the element's magnitude, beside an absolute error that is far below every format the tier serves; None
    where cancellation leaves no such bound.
    """

    hi: Floats
    lo: Floats
    exponent: Integers
    error: Floats
    relative: float | None = None


@dataclass(frozen=True, eq=False)
class Block:
    """Ordinary rows [rows, n]: a finite maximum in column ``top`` [rows, 1], no NaN, no +inf; -inf is a masked element.

    ``logits`` and the vectors may be of any floating-point type that converts to binary64 exactly.
    """

    logits: Floats
    top: Integers

    @property
    def n(self) -> int:
        return int(self.logits.shape[1])

    def at_top(self, v: Floats) -> Floats:
        """The elements of ``v`` [rows, n] in the column of the maximum: [rows, 1]."""
        return np.take_along_axis(v, self.top, axis=-1).astype(np.float64)

    def tiles(self) -> list[tuple[slice, slice]]:
        """Rows and columns of the chunks: several whole rows, or a part of one; row by row."""
        rows = self.logits.shape[0]
        height, width = max(1, CHUNK // self.n), min(CHUNK, self.n)
        return [
            (slice(row, min(row + height, rows)), slice(column, min(column + width, self.n)))
            for row in range(0, max(rows, 1), height)
            for column in range(0, self.n, width)
        ]


class Chunk:
    """Some rows and columns of a block."""

    def __init__(self, block: Block, rows: slice, columns: slice) -> None:
        self.block, self.rows, self.columns = block, rows, columns
        self.shape = rows.stop - rows.start, columns.stop - columns.start

    def part(self, v: Floats) -> Floats:
        """These rows and columns of ``v`` [rows, n], in binary64."""
        return np.asarray(v[self.rows, self.columns], np.float64)

    def own(self, v: npt.NDArray[_Number]) -> npt.NDArray[_Number]:
        """These rows of ``v`` [rows, 1]."""
        return v[self.rows]

    def places_of_top(self) -> tuple[Integers, Integers]:
        """Row and column, within the chunk, of the maxima that lie in it."""
        local = self.block.top[self.rows, 0] - self.columns.start
        rows = np.flatnonzero((local >= 0) & (local < self.shape[1]))
        return rows, local[rows]


_Chunk = TypeVar("_Chunk", bound=Chunk)


class Chunks(Generic[_Chunk]):
    """The chunks of a block.

    Those of a block of the usual size are kept, with what they have worked out; those of a longer row are worked out
    anew at every pass, so that memory does not grow with it.
    """

    def __init__(self, block: Block, make: Callable[[slice, slice], _Chunk]) -> None:
        self._tiles, self._make = block.tiles(), make
        self._row_groups = len({rows.start for rows, _ in self._tiles})
        self._kept: dict[int, _Chunk] | None = {} if block.logits.size <= BLOCK else None

    def __iter__(self) -> Iterator[_Chunk]:
        return map(self.of, range(len(self._tiles)))

    def of(self, number: int) -> _Chunk:
        """The chunk of one of the block's tiles."""
        if self._kept is None:
            return self._make(*self._tiles[number])
        if number not in self._kept:
            self._kept[number] = self._make(*self._tiles[number])
        return self._kept[number]

    def gather(self, work: Callable[[_Chunk], tuple[Any, ...]]) -> tuple[Any, ...]:
        """Arrays [rows, 1] worked out for every chunk, as arrays [rows, chunks of a row]."""
        found = [work(chunk) for chunk in self]
        across = len(found) // self._row_groups
        return tuple(
            np.block([list(arrays[start : start + across]) for start in range(0, len(arrays), across)])
            if len(arrays) > 1
            else arrays[0]
            for arrays in zip(*found, strict=True)
        )
