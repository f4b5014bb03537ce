"""Bits -> errors -> verdict: one output judged, by its content alone, whoever computed it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from cachetools import LRUCache

from references.bulk.exact_pairs import Reference
from references.formats import Bits, Floats, Mask
from references.functions import Function
from references.ieee.float_state import require_sound_arithmetic
from references.verdict.attribution import attribution
from references.verdict.errors import (
    OUTCOMES,
    Errors,
    Statistics,
    errors_of,
    outcome_is,
    row_maxima,
    row_sum_error,
    statistics_of,
)
from references.verdict.ladder import Judgement, judge
from suites.inputs import special
from suites.inputs.batch import Batch
from suites.scoring.certified_batch import Exact, exact_of
from suites.scoring.stopwatch import timed

# The outcome of memory that was changed and is not the result's.
TOUCHED = "touched_memory"


@dataclass(frozen=True)
class Worst:
    """The element that a cell is remembered by: a wrong one, else the one farthest beyond its bound, else by ulps.

    Numbers travel as the bits of the cell's format.  ``exact`` has 30 decimal digits; ``ulp_error`` is None where the
    two are not both numbers.  ``attribution`` is what each part of the bound may have contributed, in ulps, and the
    excess; None where there is no bound or no number.
    """

    row: int
    column: int
    logits: Bits
    vectors: dict[str, Bits]
    vector_kind: str | None
    computed: int
    computed_value: float
    exact: str
    ulp_error: float | None
    bound_ratio: float | None
    outcome: str
    attribution: dict[str, float] | None


@dataclass(frozen=True)
class Judged:
    """What is found of an output [rows, n] on a batch."""

    rows: int
    statistics: Statistics
    judgement: Judgement
    row_sum_error: float | None
    row_maxima: list[float | None]
    flushes: bool
    input_sha256: str
    output_sha256: str
    oracle: str
    reference_error_ulps: float
    worst: Worst

    def marred(self, touched: int) -> Self:
        """The same where ``touched`` elements of memory were changed that are not the result's: wrong."""
        return replace(
            self,
            judgement=replace(self.judgement, verdict="wrong"),
            statistics=replace(self.statistics, outcomes={**self.statistics.outcomes, TOUCHED: touched}),
            worst=replace(self.worst, outcome=TOUCHED),
        )


# Bytes that what has been judged may take, and those of one without its worst row.
_MOST_KEPT, _FIGURES = 1 << 28, 1 << 13


def _size(judged: Judged) -> int:
    return _FIGURES + judged.worst.logits.nbytes * (1 + len(judged.worst.vectors))


# Layouts, threads, two versions: the same bits come many times, and are judged once.
_JUDGED: LRUCache[tuple[object, ...], Judged] = LRUCache(_MOST_KEPT, getsizeof=_size)


@timed("judging")
def judged_output(
    batch: Batch,
    function: Function,
    computed: Bits,
    *,
    framework: str,
    flushes: bool,
    place: tuple[int, int] | None = None,
) -> Judged:
    """Judge an output [rows, n] of a function on a batch; equal ones share what is found.

    ``framework`` is whose contract its special rows are held to; ``flushes`` says that subnormal numbers are flushed;
    ``place`` names the element that is reported as the worst.  Raises CertificationError, and UnsoundArithmetic where
    this thread, before or after it has judged, doesn't compute as IEEE 754 says.
    """
    require_sound_arithmetic()
    sha256 = hashlib.sha256(computed.astype(computed.dtype.newbyteorder("<")).tobytes()).hexdigest()
    contract = framework if batch.family == special.FAMILY else None
    key = (batch.sha256, function, sha256, contract, flushes, place)
    found = _JUDGED.get(key)
    if found is None:
        found = _judged(batch, function, computed, contract, flushes, place, sha256)
        require_sound_arithmetic()
        _JUDGED[key] = found
    return found


def _judged(
    batch: Batch,
    function: Function,
    computed: Bits,
    contract: str | None,
    flushes: bool,
    place: tuple[int, int] | None,
    sha256: str,
) -> Judged:
    exact = exact_of(batch)
    reference = exact.reference(function)
    if contract is not None:
        reference = special.apply_contract(reference, contract, *function, batch.values)
    errors, judgement, ratio = judged(function, exact, computed, reference, flushes=flushes)
    place = place or worst_place(errors, judgement, ratio)
    return Judged(
        rows=len(batch.logits),
        statistics=statistics_of(errors),
        judgement=judgement,
        row_sum_error=row_sum_error(batch.format.decode(computed), function),
        row_maxima=row_maxima(errors),
        flushes=flushes,
        input_sha256=batch.sha256,
        output_sha256=sha256,
        oracle=_judges(reference),
        reference_error_ulps=float(reference.error_ulps(batch.format).max()),
        worst=element(function, exact, errors, ratio, computed, reference, place, flushes),
    )


def judged(
    function: Function, exact: Exact, computed: Bits, reference: Reference, *, flushes: bool
) -> tuple[Errors, Judgement, Floats]:
    """The errors of an output [rows, n] against a reference, their verdict, and the bound ratio of each element."""
    operation, quantity = function
    format, zero, numbers = exact.batch.format, _zero_by_rule(function, exact), exact.numbers(quantity)
    errors = errors_of(computed, reference, format, function=function, zero_by_rule=zero)
    errors = _decided(errors, function, exact, computed)
    judgement, ratio = judge(
        operation, quantity, errors, exact.shifted, format, special=exact.special, flushes=flushes, **numbers
    )
    return errors, judgement, ratio


def _judges(reference: Reference) -> str:
    """Which tier judged most elements, and how many came from the others: "binary64, 3 of 288 elements by mpmath"."""
    counts = reference.tier_counts()
    most = max(counts, key=lambda tier: counts[tier])
    rest = [f"{count} of {reference.tier.size} elements by {tier}" for tier, count in counts.items() if tier != most]
    return ", ".join([most, *rest])


def _zero_by_rule(function: Function, exact: Exact) -> Mask:
    """Masked elements of a softmax and its derivatives, and rows with a zero cotangent or tangent."""
    zero = np.zeros(exact.batch.logits.shape, bool)
    if function.operation == "softmax":
        zero |= exact.batch.values == -np.inf
    for vector in exact.numbers(function.quantity).values():
        zero |= (vector == 0).all(axis=-1, keepdims=True)
    return zero & ~exact.special[:, None]


def _decided(errors: Errors, function: Function, exact: Exact, computed: Bits) -> Errors:
    """The same errors with the roundings that the pairs leave open decided by the oracle."""
    if not errors.undecided.any():
        return errors
    format, rounded = exact.batch.format, errors.rounded.copy()
    for row in np.flatnonzero(errors.undecided.any(axis=1)).tolist():
        columns = np.flatnonzero(errors.undecided[row]).tolist()
        bits = np.array(exact.rounded(function, row, columns), format.bits_dtype)
        rounded[row, columns] = format.decode(bits) == format.decode(computed[row, columns])
    return replace(errors, rounded=rounded)


def worst_place(errors: Errors, judgement: Judgement, ratio: Floats) -> tuple[int, int]:
    """The row and column that an output is remembered by; ``ratio`` is the bound ratio of each element."""
    ranked = np.where(np.isfinite(errors.ulps) & (errors.exact != 0), errors.ulps, 0.0)
    if judgement.verdict == "wrong":
        lost = outcome_is(errors, "underflow", "flipped") & (ratio > 1)
        bad = lost | ~outcome_is(errors, "ordinary", "underflow", "flipped")
        ranked = np.where(bad, 1.0 + np.minimum(ratio, 1e300), 0.0)
    elif ratio.max(initial=0.0) > 1:
        ranked = ratio
    row, column = np.unravel_index(int(np.argmax(ranked)), ranked.shape)
    return int(row), int(column)


def element(
    function: Function,
    exact: Exact,
    errors: Errors,
    ratio: Floats,
    computed: Bits,
    reference: Reference,
    place: tuple[int, int],
    flushes: bool,
) -> Worst:
    """What is remembered of the element at a place of an output: ``ratio`` has the bound ratio of each."""
    (row, column), batch, quantity = place, exact.batch, function.quantity
    error, relative = float(errors.ulps[place]), float(ratio[place])
    # Copies: a view of a row would keep the whole batch.
    vectors = {role: v[row].copy() for role, v in batch.vectors(quantity).items()}
    parts = None
    if not exact.special[row]:
        numbers, format = exact.numbers(quantity), batch.format
        parts = attribution(
            function.operation, quantity, errors, exact.shifted, format, place, flushes=flushes, **numbers
        )
    return Worst(
        row=row,
        column=column,
        logits=batch.logits[row].copy(),
        vectors=vectors,
        vector_kind=batch.kind_of_row(quantity, row) if vectors else None,
        computed=int(computed[place]),
        computed_value=float(batch.format.decode(computed[row : row + 1, column])[0]),
        exact=_exact_text(exact, reference, function, place),
        ulp_error=error if np.isfinite(error) else None,
        bound_ratio=relative if np.isfinite(relative) else None,
        outcome=OUTCOMES[int(errors.outcome[place])],
        attribution=parts,
    )


def _exact_text(exact: Exact, reference: Reference, function: Function, place: tuple[int, int]) -> str:
    """The exact value to 30 digits from the oracle, which thereby certifies the reference at the worst element."""
    hi = float(reference.hi[place])
    if not np.isfinite(hi):
        return str(hi)  # a framework's own contract may differ from the oracle's here
    return exact.certified(function, *place).decimal(30)
