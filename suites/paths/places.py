"""Where a row lies: the shape, axis and memory of an array, and how the loops of PyTorch's CPU kernels divide its rows.

A row is one softmax.  An array (outer sizes, n, inner sizes) that is reduced along the axis of size n has outer * inner
rows; row r is the one at outer index r // inner and inner index r % inner.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt


@dataclass(frozen=True)
class Place:
    """Sizes of an array and the axis that is reduced, counted from the front.

    ``fastest`` says that the reduced axis varies fastest in memory, ``reversed`` that an axis is walked backwards.
    """

    shape: tuple[int, ...]
    axis: int
    fastest: bool
    reversed: bool = False

    @classmethod
    def contiguous(cls, shape: Iterable[int], axis: int) -> Place:
        """A C-contiguous array.  Raises ValueError for an axis that it does not have."""
        sizes = tuple(shape)
        if not -len(sizes) <= axis < len(sizes):
            raise ValueError(f"axis {axis} is not in an array of {len(sizes)} dimensions")
        place = axis % len(sizes)
        return cls(sizes, place, math.prod(sizes[place + 1 :]) == 1)

    @classmethod
    def of_array(cls, array: npt.NDArray[Any], axis: int) -> Place:
        """Where the rows of an array lie, from its strides."""
        steps = [s for size, s in zip(array.shape, array.strides, strict=True) if size > 1 and s]
        own = array.strides[axis]
        fastest = array.shape[axis] <= 1 or (own != 0 and abs(own) == min(map(abs, steps)))
        return cls(array.shape, axis % array.ndim, fastest, any(s < 0 for s in steps))

    @property
    def n(self) -> int:
        return self.shape[self.axis]

    @property
    def outer(self) -> int:
        return math.prod(self.shape[: self.axis])

    @property
    def inner(self) -> int:
        return math.prod(self.shape[self.axis + 1 :])

    @property
    def last(self) -> bool:
        """PyTorch's own test: an axis of size 1 after the reduced one makes it another axis."""
        return self.axis == len(self.shape) - 1

    def rows_last(self) -> Place:
        """The same rows as vmap hands them to a kernel: the batch in front, the reduced axis last."""
        return Place((self.outer * self.inner, self.n), 1, True, self.reversed)


# -- how a kernel divides the rows ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pieces:
    """Ranges of rows alike: ``first``, and so many of its kind, each ``step`` rows after the one before.

    A huge array has more ranges than can be listed, but few kinds of them.
    """

    first: range
    step: int = 0
    times: int = 1

    @property
    def rows(self) -> int:
        return len(self.first) * self.times

    def ranges(self, most: int) -> list[range]:
        """The first of them, at most so many."""
        start, stop = self.first.start, self.first.stop
        return [range(start + k * self.step, stop + k * self.step) for k in range(min(self.times, most))]


@dataclass(frozen=True)
class SomeRows:
    """Some of an array's ``of`` rows."""

    pieces: tuple[Pieces, ...]
    of: int

    @property
    def count(self) -> int:
        return sum(piece.rows for piece in self.pieces)

    @property
    def are_all(self) -> bool:
        return self.count == self.of


@dataclass(frozen=True)
class SomeElements:
    """Some of the ``of`` elements that each row has."""

    elements: range
    of: int

    @property
    def are_all(self) -> bool:
        return len(self.elements) == self.of


def split_by_threads(place: Place, lanes: int, threads: int) -> tuple[list[Pieces], list[Pieces]]:
    """The rows of softmax along an axis that is not the last: by registers, and one by one.

    The kernel's own loop: all rows are cut into a chunk for each thread; a register is filled where so many rows are
    left in the inner sizes and in the chunk, otherwise what is left of the nearer one is done row by row.
    """
    rows = place.outer * place.inner
    chunk = max(-(-rows // threads) if threads > 1 else rows, 1)
    vector: list[Pieces] = []
    scalar: list[Pieces] = []
    for begin in range(0, rows, chunk):
        _divide(begin, min(begin + chunk, rows), place.inner, lanes, vector, scalar)
    return vector, scalar


def _divide(at: int, end: int, inner: int, lanes: int, vector: list[Pieces], scalar: list[Pieces]) -> None:
    """One thread's rows.  Whole inner sizes that lie well before its end are divided alike: in one step, then."""
    body = inner - inner % lanes
    while at < end:
        alike = (end - lanes - at) // inner if at % inner == 0 else 0
        if alike > 1:
            if body:
                vector.append(Pieces(range(at, at + body), inner, alike))
            if body < inner:
                scalar.append(Pieces(range(at + body, at + inner), inner, alike))
            at += alike * inner
            continue
        registers = min(inner - at % inner, end - at) // lanes
        if registers:
            vector.append(Pieces(range(at, at + registers * lanes)))
            at += registers * lanes
        else:
            rest = end - at if at + lanes > end else inner - at % inner
            scalar.append(Pieces(range(at, at + rest)))
            at += rest


def split_by_blocks(place: Place, lanes: int) -> tuple[list[Pieces], list[Pieces]]:
    """The rows of the other kernels along an axis that is not the last: registers, and the rest of the inner sizes."""
    body, inner, outer = place.inner - place.inner % lanes, place.inner, place.outer
    vector = [Pieces(range(body), inner, outer)] if body and outer else []
    scalar = [Pieces(range(body, inner), inner, outer)] if body < inner and outer else []
    return vector, scalar


def rows_in_words(rows: SomeRows, most: int = 3) -> str:
    """``rows 0-15 and 18-33 of 35``; of many pieces, how many rows they are."""
    pieces, count = rows.pieces, rows.count
    if rows.are_all:
        return f"all {rows.of} rows" if rows.of > 1 else "the row"
    if sum(piece.times for piece in pieces) > most:
        return f"{count} of {rows.of} rows, {_span(pieces[0].first)} first"
    spans = [_span(one) for one in sorted((r for p in pieces for r in p.ranges(most)), key=lambda r: r.start)]
    joined = spans[0] if len(spans) == 1 else f"{', '.join(spans[:-1])} and {spans[-1]}"
    return f"row{'s' if count > 1 else ''} {joined} of {rows.of}"


def elements_in_words(elements: SomeElements) -> str:
    """``elements 0-991 of each row of 1000``."""
    if elements.are_all:
        return "whole rows"
    some = elements.elements
    return f"element{'s' if len(some) > 1 else ''} {_span(some)} of each row of {elements.of}"


def _span(piece: range) -> str:
    return f"{piece.start}-{piece.stop - 1}" if len(piece) > 1 else f"{piece.start}"
