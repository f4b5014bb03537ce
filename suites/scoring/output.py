"""Bits -> errors -> verdict: one output judged, by its content alone, whoever computed it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from cachetools import LRUCache

from references.formats import Bits
from references.functions import Function
from references.ieee.float_state import require_sound_arithmetic
from references.verdict.assessment import Assessment, assess
from references.verdict.errors import OUTCOMES, Statistics, row_maxima, row_sum_error, statistics_of
from references.verdict.ladder import Judgement
from suites.inputs import special
from suites.inputs.batch import Batch
from suites.scoring.certified_batch import Exact, exact_of
from suites.scoring.stopwatch import timed

# The outcome of memory that was changed and is not the result's.
TOUCHED = "touched_memory"


@dataclass(frozen=True)
class JudgedElement:
    """An element of an output, in the row that it was computed of.

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
class JudgedOutput:
    """What is found of an output [rows, n] on a batch; ``elements_by_tier`` counts what each reference judged."""

    rows: int
    statistics: Statistics
    judgement: Judgement
    row_sum_error: float | None
    row_maxima: list[float | None]
    flushes: bool
    input_sha256: str
    output_sha256: str
    elements_by_tier: dict[str, int]
    reference_error_ulps: float
    worst: JudgedElement

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


def _size(judged: JudgedOutput) -> int:
    return _FIGURES + judged.worst.logits.nbytes * (1 + len(judged.worst.vectors))


# Layouts, threads, two versions: the same bits come many times, and are judged once.
_JUDGED: LRUCache[tuple[object, ...], JudgedOutput] = LRUCache(_MOST_KEPT, getsizeof=_size)


@timed("judging")
def judge_output(
    batch: Batch,
    function: Function,
    computed: Bits,
    *,
    framework: str,
    flushes: bool,
    place: tuple[int, int] | None = None,
) -> JudgedOutput:
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
        exact = exact_of(batch)
        reference = exact.reference(function)
        if contract is not None:
            reference = special.apply_contract(reference, contract, *function, batch.values)
        assessed = assess(function, exact, computed, reference, flushes=flushes)
        found = _found(exact, assessed, place or assessed.worst_place(), sha256)
        require_sound_arithmetic()
        _JUDGED[key] = found
    return found


def _found(exact: Exact, assessed: Assessment, place: tuple[int, int], sha256: str) -> JudgedOutput:
    format, errors, reference = exact.format, assessed.errors, assessed.reference
    return JudgedOutput(
        rows=len(exact.logits),
        statistics=statistics_of(errors),
        judgement=assessed.judgement,
        row_sum_error=row_sum_error(format.decode(assessed.computed), assessed.function),
        row_maxima=row_maxima(errors),
        flushes=assessed.flushes,
        input_sha256=exact.batch.sha256,
        output_sha256=sha256,
        elements_by_tier=reference.tier_counts(),
        reference_error_ulps=float(reference.error_ulps(format).max()),
        worst=element(exact, assessed, place),
    )


def element(exact: Exact, assessed: Assessment, place: tuple[int, int]) -> JudgedElement:
    """What is remembered of the element at a place of an output."""
    (row, column), batch, quantity = place, exact.batch, assessed.function.quantity
    error, relative = float(assessed.errors.ulps[place]), float(assessed.ratios.bound[place])
    # Copies: a view of a row would keep the whole batch.
    vectors = {role: v[row].copy() for role, v in batch.vectors(quantity).items()}
    return JudgedElement(
        row=row,
        column=column,
        logits=batch.logits[row].copy(),
        vectors=vectors,
        vector_kind=batch.kind_of_row(quantity, row) if vectors else None,
        computed=int(assessed.computed[place]),
        computed_value=float(batch.format.decode(assessed.computed[row : row + 1, column])[0]),
        exact=_exact_text(exact, assessed, place),
        ulp_error=error if np.isfinite(error) else None,
        bound_ratio=relative if np.isfinite(relative) else None,
        outcome=OUTCOMES[int(assessed.errors.outcome[place])],
        attribution=assessed.attribution(place),
    )


def _exact_text(exact: Exact, assessed: Assessment, place: tuple[int, int]) -> str:
    """The exact value to 30 digits from the oracle, which thereby certifies the reference at the worst element."""
    hi = float(assessed.reference.hi[place])
    if not np.isfinite(hi):
        return str(hi)  # a framework's own contract may differ from the oracle's here
    return exact.certified(assessed.function, *place).decimal(30)
