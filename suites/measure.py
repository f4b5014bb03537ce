"""Cell -> bits -> errors -> verdict: one measurement of one cell."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from references.attribution import attribution
from references.errors import (
    OUTCOMES,
    Errors,
    Statistics,
    errors_of,
    outcome_is,
    row_maxima,
    row_sum_error,
    statistics_of,
)
from references.formats import Bits, Mask
from references.reference import Reference
from references.verdict import Judgement, judge
from suites.evaluation import evaluate_rows
from suites.exact import Exact, exact_of
from suites.implementations.call import Evaluator
from suites.implementations.catalogue import CATALOGUE, Implementation
from suites.inputs import special
from suites.inputs.batch import Batch, arrays_of, batch_of
from suites.inputs.layouts import TouchedMemory
from suites.introduction import Introduction
from suites.paths.taken import path_ids
from suites.plan import Cell, rows_of
from suites.stopwatch import timed
from suites.tasks import Request

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
class Measurement:
    """Everything that is recorded of a cell."""

    cell: Cell
    framework: str
    path: list[str]
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


def run_cell(cell: Cell, batch: Batch, evaluator: Evaluator) -> Bits:
    """The implementation's output for a batch, as rows [rows, n] of bits.

    Raises what ``evaluate_rows`` raises: TouchedMemory, with the output, where guarded memory was changed.
    """
    return evaluate_rows(
        evaluator, cell.operation, cell.quantity, cell.format, cell.layout, batch.logits, batch.vectors(cell.quantity)
    )


def output_of(cell: Cell, batch: Batch, evaluator: Evaluator) -> tuple[Bits, int]:
    """The implementation's output, and how many elements of memory it changed that it was not given to write."""
    try:
        return run_cell(cell, batch, evaluator), 0
    except TouchedMemory as found:
        return found.computed, found.count


def measure(
    cell: Cell, implementation: Implementation | None = None, evaluator: Evaluator | None = None
) -> Measurement:
    """Evaluate and judge one cell.

    ``implementation`` and ``evaluator`` are looked up by name where they are not given.  Raises CertificationError, and
    whatever the framework raises.
    """
    implementation = implementation or CATALOGUE[cell.implementation]
    evaluator = evaluator or evaluator_of(implementation)
    batch = input_of(cell)
    computed, touched = output_of(cell, batch, evaluator)
    return score(cell, implementation, batch, computed, touched=touched)


def request_of(cell: Cell, implementation: Implementation) -> Request:
    """A cell as a worker is asked for it."""
    own = (implementation.module, *implementation.own) if implementation.own else None
    return Request(
        cell.implementation, cell.operation, cell.quantity, cell.layout, tuple(arrays_of(cell.quantity).items()), own
    )


def input_of(cell: Cell) -> Batch:
    """The input that a cell is evaluated on."""
    return input_of_rows(cell, rows_of(cell.family, cell.row_length))


def input_of_rows(cell: Cell, rows: int) -> Batch:
    """The same with another number of rows."""
    implementation = CATALOGUE.get(cell.implementation)
    drawn = implementation.drawn.get(cell.format) if implementation else None
    return batch_of(cell.family, cell.format, rows, cell.row_length, drawn)


@timed("judging")
def score(
    cell: Cell,
    implementation: Implementation,
    batch: Batch,
    computed: Bits,
    place: tuple[int, int] | None = None,
    *,
    introduction: Introduction | None = None,
    touched: int = 0,
) -> Measurement:
    """Judge an output [rows, n]; ``place`` names the element that is reported as the worst, for a replay.

    ``introduction`` is that of the process that evaluated; without it, of this one.  ``touched`` elements of memory
    were changed that are not the result's: such a cell is wrong, whatever its numbers.  Raises CertificationError.
    """
    exact = exact_of(batch)
    reference = exact.reference(cell.operation, cell.quantity)
    if batch.family == special.FAMILY:
        reference = special.apply_contract(
            reference, implementation.framework, cell.operation, cell.quantity, batch.values
        )
    flushes = proven_flush(implementation, introduction.flushes if introduction else None)
    errors, judgement = judged(cell.operation, cell.quantity, exact, computed, reference, flushes=flushes)
    statistics = statistics_of(errors)
    place = place or worst_place(errors, judgement)
    worst = _element(cell, exact, errors, judgement, computed, reference, place, flushes)
    if touched:
        judgement = replace(judgement, verdict="wrong")
        statistics = replace(statistics, outcomes={**statistics.outcomes, TOUCHED: touched})
        worst = replace(worst, outcome=TOUCHED)
    return Measurement(
        cell=cell,
        framework=implementation.framework,
        path=path_ids(cell, implementation, introduction.selected if introduction else None),
        rows=batch.logits.shape[0],
        statistics=statistics,
        judgement=judgement,
        row_sum_error=row_sum_error(batch.format.decode(computed), cell.operation, cell.quantity),
        row_maxima=row_maxima(errors),
        flushes=flushes,
        input_sha256=batch.sha256,
        output_sha256=hashlib.sha256(computed.astype(computed.dtype.newbyteorder("<")).tobytes()).hexdigest(),
        oracle=_judges(reference),
        reference_error_ulps=float(reference.error_ulps(batch.format).max()),
        worst=worst,
    )


def judged(
    operation: str, quantity: str, exact: Exact, computed: Bits, reference: Reference, *, flushes: bool
) -> tuple[Errors, Judgement]:
    """The errors of an output [rows, n] against a reference, and their verdict."""
    format = exact.batch.format
    zero = _zero_by_rule(operation, quantity, exact)
    errors = errors_of(computed, reference, format, operation=operation, quantity=quantity, zero_by_rule=zero)
    errors = _decided(errors, operation, quantity, exact, computed)
    numbers = exact.numbers(quantity)
    judgement = judge(
        operation, quantity, errors, exact.shifted, format, special=exact.special, flushes=flushes, **numbers
    )
    return errors, judgement


def _judges(reference: Reference) -> str:
    """Which tier judged most elements, and how many came from the others: "binary64, 3 of 288 elements by mpmath"."""
    counts = reference.tier_counts()
    most = max(counts, key=lambda tier: counts[tier])
    rest = [f"{count} of {reference.tier.size} elements by {tier}" for tier, count in counts.items() if tier != most]
    return ", ".join([most, *rest])


def _zero_by_rule(operation: str, quantity: str, exact: Exact) -> Mask:
    """Masked elements of a softmax and its derivatives, and rows with a zero cotangent or tangent."""
    zero = np.zeros(exact.batch.logits.shape, bool)
    if operation == "softmax":
        zero |= exact.batch.values == -np.inf
    for vector in exact.numbers(quantity).values():
        zero |= (vector == 0).all(axis=-1, keepdims=True)
    return zero & ~exact.special[:, None]


def _decided(errors: Errors, operation: str, quantity: str, exact: Exact, computed: Bits) -> Errors:
    """The same errors with the roundings that the pairs leave open decided by the oracle."""
    if not errors.undecided.any():
        return errors
    format, rounded = exact.batch.format, errors.rounded.copy()
    for row in np.flatnonzero(errors.undecided.any(axis=1)).tolist():
        columns = np.flatnonzero(errors.undecided[row]).tolist()
        bits = np.array(exact.rounded(operation, quantity, row, columns), format.bits_dtype)
        rounded[row, columns] = format.decode(bits) == format.decode(computed[row, columns])
    return replace(errors, rounded=rounded)


def worst_place(errors: Errors, judgement: Judgement) -> tuple[int, int]:
    """The row and column that an output is remembered by."""
    ratio = judgement.by_element
    ranked = np.where(np.isfinite(errors.ulps) & (errors.exact != 0), errors.ulps, 0.0)
    if judgement.verdict == "wrong":
        lost = outcome_is(errors, "underflow", "flipped") & (ratio > 1)
        bad = lost | ~outcome_is(errors, "ordinary", "underflow", "flipped")
        ranked = np.where(bad, 1.0 + np.minimum(ratio, 1e300), 0.0)
    elif ratio.max(initial=0.0) > 1:
        ranked = ratio
    row, column = np.unravel_index(int(np.argmax(ranked)), ranked.shape)
    return int(row), int(column)


def _element(
    cell: Cell,
    exact: Exact,
    errors: Errors,
    judgement: Judgement,
    computed: Bits,
    reference: Reference,
    place: tuple[int, int],
    flushes: bool,
) -> Worst:
    (row, column), ratio = place, judgement.by_element
    batch = exact.batch
    bits, value = int(computed[row, column]), float(batch.format.decode(computed[row : row + 1, column])[0])
    error = float(errors.ulps[row, column])
    vectors = {role: v[row] for role, v in batch.vectors(cell.quantity).items()}
    parts = None
    if not exact.special[row]:
        numbers = exact.numbers(cell.quantity)
        parts = attribution(
            cell.operation, cell.quantity, errors, exact.shifted, batch.format, place, flushes=flushes, **numbers
        )
    return Worst(
        row=row,
        column=column,
        logits=batch.logits[row],
        vectors=vectors,
        vector_kind=batch.kind_of_row(cell.quantity, row) if vectors else None,
        computed=bits,
        computed_value=value,
        exact=_exact_text(exact, reference, cell, row, column),
        ulp_error=error if np.isfinite(error) else None,
        bound_ratio=float(ratio[row, column]) if np.isfinite(ratio[row, column]) else None,
        outcome=OUTCOMES[int(errors.outcome[row, column])],
        attribution=parts,
    )


def _exact_text(exact: Exact, reference: Reference, cell: Cell, row: int, column: int) -> str:
    """The exact value to 30 digits from the oracle, which thereby certifies the reference at the worst element."""
    hi = float(reference.hi[row, column])
    if not np.isfinite(hi):
        return str(hi)  # a framework's own contract may differ from the oracle's here
    return exact.certified(cell.operation, cell.quantity, row, column).decimal(30)


@cache
def _cached_evaluator(implementation_name: str) -> Evaluator:
    return CATALOGUE[implementation_name].evaluator()


def evaluator_of(implementation: Implementation) -> Evaluator:
    """The evaluator, imported once for the catalogue's own."""
    if implementation.name in CATALOGUE:
        return _cached_evaluator(implementation.name)
    return implementation.evaluator()


@cache
def _flush_probe(framework: str) -> bool:
    from suites.implementations import jax_nn

    return jax_nn.flushes_subnormals()


def proven_flush(implementation: Implementation, probed: bool | None = None) -> bool:
    """Whether subnormal numbers are flushed: declared, and proved by a probe.  Only JAX's CPU backend declares it."""
    if not implementation.flushes:
        return False
    return _flush_probe(implementation.framework) if probed is None else probed
