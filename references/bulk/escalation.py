"""Which arithmetic a block of rows is evaluated in: the cheapest that meets the tolerance, element by element."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import cached_property

import numpy as np

from references.bulk import binary64_formulas, doubledouble_formulas
from references.bulk.binary64_formulas import PlainRows
from references.bulk.blocks import Block, Values, constant, spread
from references.bulk.doubledouble_rows import LOWERED, PairRows
from references.bulk.exact_pairs import BINARY64, DOUBLE_DOUBLE, LOWEST_EXPONENT, MPMATH, TOLERANCE, Reference, as_pair
from references.formats import Floats, Format, Integers, Mask
from references.functions import Function, not_finite, problem_of, roles_of
from references.oracle.certified import accurate

# Accuracy in bits that the oracle is asked for where it replaces an element.
_ORACLE_BITS = 110

# The widest precisions that plain binary64 serves: derivatives cancel, and need more room.
_PLAIN_PRECISION = {"forward": 24, "vjp": 11, "jvp": 11}

Vectors = Mapping[str, Floats]


def first_tier(function: Function, format: Format) -> int:
    """The tier that evaluates most elements of a function for a format."""
    return BINARY64 if format.precision <= _PLAIN_PRECISION.get(function.quantity, 0) else DOUBLE_DOUBLE


class BlockEvaluation:
    """Some rows [rows, n] with their vectors by role, for any function and any chunk of columns."""

    def __init__(self, logits: Floats, vectors: Vectors, format: Format) -> None:
        self.given_logits, self.given_vectors, self.format = logits, vectors, format
        top = logits.argmax(axis=-1)[:, None]  # a NaN counts as the largest
        self._odd = ~np.isfinite(np.take_along_axis(logits, top, axis=-1)[:, 0])
        self._odd_vector = {role: not_finite(v) for role, v in vectors.items()}
        self.block = Block(_tame(logits, self._odd), np.where(self._odd[:, None], 0, top))
        self.vectors = {role: _tame(v, self._odd_vector[role]) for role, v in vectors.items()}
        self._elements: dict[tuple[int, Function], Callable[[int], Values]] = {}

    @cached_property
    def tiles(self) -> list[tuple[slice, slice]]:
        """Rows and columns of the chunks."""
        return self.block.tiles()

    @cached_property
    def _plain(self) -> PlainRows:
        return PlainRows(self.block)

    @cached_property
    def _pairs(self) -> PairRows:
        return PairRows(self.block)

    def special(self, function: Function) -> Mask | None:
        """Rows [rows, 1] that are NaN throughout, by the contract of ``special_rows``; None: no row is."""
        odd = self._odd
        for role in roles_of(function.quantity):
            odd = odd | self._odd_vector[role]
        return odd[:, None] if odd.any() or not odd.size else None

    def reference(self, function: Function, tile: int) -> Reference:
        """The exact result of a tile, every element within TOLERANCE or beyond the format's range."""
        rows, columns = self.tiles[tile]
        shape = (rows.stop - rows.start, columns.stop - columns.start)
        special = self.special(function)
        if special is not None and (special := special[rows]).all():
            return _throughout(np.nan, shape)
        tier = first_tier(function, self.format)
        found, needed = self._evaluated(tier, function, tile)
        if special is not None:
            found, needed = _chosen(special, _throughout(np.nan, shape), found), needed & ~special
        if not needed.any():
            return found
        if tier == BINARY64:
            better, still = self._evaluated(DOUBLE_DOUBLE, function, tile)
            found, needed = _chosen(needed, better, found), needed & still
        return self._by_oracle(found, needed, function, tile) if needed.any() else found

    def _evaluated(self, tier: int, function: Function, tile: int) -> tuple[Reference, Mask]:
        """The result of a tier, and where it does not do."""
        key = tier, function
        if key not in self._elements:
            self._elements[key] = self._element(tier, function)
        values = self._elements[key](tile)
        shape = values.hi.shape
        exponent, error = spread(values.exponent, shape), spread(values.error, shape)
        found = Reference(values.hi, values.lo, exponent, error, constant(np.uint8(tier), shape))
        if values.relative is not None and values.relative * 2.0**self.format.precision <= TOLERANCE:
            needed = constant(np.False_, shape)
        else:
            needed = ~(found.error_ulps(self.format) <= TOLERANCE)
        if tier == DOUBLE_DOUBLE and not (np.isfinite(values.hi).all() and np.isfinite(values.lo).all()):
            masked = self.block.logits[self.tiles[tile]] == -np.inf
            usable = np.isfinite(values.hi) & np.isfinite(values.lo) | (values.hi == -np.inf) & masked
            needed = needed | ~usable
        return found, needed

    def _element(self, tier: int, function: Function) -> Callable[[int], Values]:
        """The values of a tile.  (A function that held this object would keep the block from being freed at once.)"""
        vectors = [self.vectors[role] for role in roles_of(function.quantity)]
        if tier == BINARY64:
            plain, plain_chunks = binary64_formulas.FORMULAS[function](self._plain, *vectors), self._plain.chunks
            return lambda tile: plain(plain_chunks.of(tile))
        pairs = doubledouble_formulas.FORMULAS[function](self._pairs, *vectors)
        chunks, tiles = self._pairs.chunks, self.tiles
        lowered = self._pairs.lowered(vectors)
        return lambda tile: _raised(pairs(chunks.of(tile)), lowered[tiles[tile][0]])

    def _by_oracle(self, found: Reference, needed: Mask, function: Function, tile: int) -> Reference:
        """The elements that are needed, from the oracle."""
        found = Reference(*(np.array(getattr(found, field.name)) for field in fields(Reference)))
        rows, columns = self.tiles[tile]
        for row in np.flatnonzero(needed.any(axis=1)).tolist():
            places = np.flatnonzero(needed[row])
            vectors = [self.given_vectors[role][rows.start + row] for role in roles_of(function.quantity)]
            problem = problem_of(function, self.given_logits[rows.start + row], vectors)
            certified = accurate(problem, _ORACLE_BITS, (places + columns.start).tolist())
            for column, element in zip(places.tolist(), certified, strict=True):
                place = row, column
                found.hi[place], found.lo[place], found.exponent[place], found.error[place] = as_pair(element)
                found.tier[place] = MPMATH
        return found


def _tame(rows: Floats, odd: Mask) -> Floats:
    """The rows, zeros in place of the odd ones (whose results are NaN by contract); no copy where nothing is odd."""
    if odd.all():
        return np.broadcast_to(rows.dtype.type(0), rows.shape)
    return np.where(odd[:, None], rows.dtype.type(0), rows) if odd.any() else rows


def _raised(values: Values, lowered: Floats) -> Values:
    """The same values with no exponent below LOWEST_EXPONENT, and what raised exponentials cost in the error."""
    hi, lo, exponent, error = values.hi, values.lo, values.exponent, values.error
    if exponent.min() < LOWEST_EXPONENT:
        down: Integers = np.clip(exponent - LOWEST_EXPONENT, -4000, 0)
        shift = down.astype(np.int32)
        hi, lo, exponent = np.ldexp(hi, shift), np.ldexp(lo, shift), np.maximum(exponent, LOWEST_EXPONENT)
        error = np.ldexp(error, shift) + (down < 0) * doubledouble_formulas.UNDERFLOW
    if lowered.any():
        cost = np.ldexp(lowered, np.clip(LOWERED - exponent, -4000, 4000).astype(np.int32))
        error = error + np.maximum(cost, (lowered > 0) * 2.0**-1074)
    return Values(hi, lo, exponent, error, values.relative)


def _throughout(value: float, shape: tuple[int, int]) -> Reference:
    nothing, exponent, tier = np.float64(0), np.int64(0), np.uint8(BINARY64)
    return Reference(*(constant(v, shape) for v in (np.float64(value), nothing, exponent, nothing, tier)))


def _chosen(where: Mask, new: Reference, old: Reference) -> Reference:
    """``new`` where it is asked for, ``old`` elsewhere."""
    names = (field.name for field in fields(Reference))
    return Reference(*(np.where(where, getattr(new, name), getattr(old, name)) for name in names))
