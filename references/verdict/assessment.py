"""An output held against a reference: the errors of its elements, their ratios to the bounds, and the verdict."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from references.bounds.exact_rows import ExactRows
from references.bulk.exact_pairs import Reference
from references.formats import Bits, Mask
from references.functions import Function
from references.oracle.certified import GUARD_BITS, correctly_rounded
from references.verdict.attribution import attribution
from references.verdict.errors import Errors, errors_of, outcome_is
from references.verdict.ladder import Judgement, judgement_of
from references.verdict.ratios import Ratios, ratios_of

# What the oracle is asked for where it checks a reference: far beyond any pair.  Roundings start from there, because
# the exponentials of a row are kept for a precision.
CHECK_BITS = 130


@dataclass(frozen=True, eq=False)
class Assessment:
    """What is found of an output [rows, n] of a function; ``flushes`` says that subnormal numbers are flushed."""

    function: Function
    rows: ExactRows
    computed: Bits
    reference: Reference
    flushes: bool
    errors: Errors
    ratios: Ratios
    judgement: Judgement

    def worst_place(self) -> tuple[int, int]:
        """The row and column that the output is remembered by.

        A wrong element, else the one farthest beyond its bound, else the one with the most ulps.
        """
        errors, ratio = self.errors, self.ratios.bound
        ranked = np.where(np.isfinite(errors.ulps) & (errors.exact != 0), errors.ulps, 0.0)
        if self.judgement.verdict == "wrong":
            lost = outcome_is(errors, "underflow", "flipped") & (ratio > 1)
            bad = lost | ~outcome_is(errors, "ordinary", "underflow", "flipped")
            ranked = np.where(bad, 1.0 + np.minimum(ratio, 1e300), 0.0)
        elif ratio.max(initial=0.0) > 1:
            ranked = ratio
        row, column = np.unravel_index(int(np.argmax(ranked)), ranked.shape)
        return int(row), int(column)

    def attribution(self, place: tuple[int, int]) -> dict[str, float] | None:
        """What each part of the bound may have contributed at a place; None where there is no bound or no number."""
        if self.rows.special[place[0]]:
            return None
        return attribution(self.function, self.rows, self.errors, place, flushes=self.flushes)


def assess(function: Function, rows: ExactRows, computed: Bits, reference: Reference, *, flushes: bool) -> Assessment:
    """Hold an output [rows, n] against a reference: that of the rows, or one with a contract of its own."""
    zero = _zero_by_rule(function, rows)
    errors = errors_of(computed, reference, rows.format, function=function, zero_by_rule=zero)
    errors = _decided(errors, function, rows, computed)
    ratios = ratios_of(function, rows, errors, flushes=flushes)
    return Assessment(function, rows, computed, reference, flushes, errors, ratios, judgement_of(errors, ratios))


def _zero_by_rule(function: Function, rows: ExactRows) -> Mask:
    """Masked elements of a softmax and its derivatives, and rows with a zero cotangent or tangent."""
    zero = np.zeros(rows.logits.shape, bool)
    if function.operation == "softmax":
        zero |= rows.logits == -np.inf
    for vector in rows.vectors(function).values():
        zero |= (vector == 0).all(axis=-1, keepdims=True)
    return zero & ~rows.special[:, None]


def _decided(errors: Errors, function: Function, rows: ExactRows, computed: Bits) -> Errors:
    """The same errors with the roundings that the pairs leave open decided by the oracle."""
    if not errors.undecided.any():
        return errors
    format, rounded = rows.format, errors.rounded.copy()
    for row in np.flatnonzero(errors.undecided.any(axis=1)).tolist():
        columns = np.flatnonzero(errors.undecided[row]).tolist()
        found = correctly_rounded(rows.problem(function, row), format, columns, start=CHECK_BITS + GUARD_BITS)
        bits = np.array(found, format.bits_dtype)
        rounded[row, columns] = format.decode(bits) == format.decode(computed[row, columns])
    return replace(errors, rounded=rounded)
