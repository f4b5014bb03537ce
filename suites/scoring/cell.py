"""Cell -> bits -> errors -> verdict: one measurement of one cell."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from references.formats import Bits
from suites.driver.own_functions import request_for
from suites.driver.tasks import Request
from suites.implementations.call import Evaluator
from suites.implementations.catalogue import CATALOGUE, Implementation, settings_module
from suites.implementations.implementation import COMPILER
from suites.inputs.batch import Batch, arrays_of, batch_of
from suites.inputs.layouts import TouchedMemory
from suites.paths.taken import path_ids
from suites.plan.cell import Cell
from suites.plan.cells import rows_of
from suites.scoring.output import JudgedOutput, judge_output
from suites.worker.evaluation import evaluate_rows
from suites.worker.self_report import Introduction


@dataclass(frozen=True)
class Measurement(JudgedOutput):
    """Everything that is recorded of a cell."""

    cell: Cell
    framework: str
    path: list[str]


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
    vectors = tuple(arrays_of(cell.quantity).items())
    return request_for(implementation, cell.operation, cell.quantity, cell.layout, vectors)


def input_of(cell: Cell) -> Batch:
    """The input that a cell is evaluated on."""
    return input_of_rows(cell, rows_of(cell.family, cell.row_length))


def input_of_rows(cell: Cell, rows: int) -> Batch:
    """The same with another number of rows."""
    implementation = CATALOGUE.get(cell.implementation)
    drawn = implementation.drawn.get(cell.format) if implementation else None
    return batch_of(cell.family, cell.format, rows, cell.row_length, drawn)


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
    judged = judge_output(
        batch,
        cell.function,
        computed,
        framework=implementation.framework,
        flushes=proven_flush(implementation, introduction.flushes if introduction else None),
        place=place,
    )
    if touched:
        judged = judged.marred(touched)
    path = path_ids(cell, implementation, introduction.selected if introduction else None)
    return Measurement(**vars(judged), cell=cell, framework=implementation.framework, path=path)


@cache
def _cached_evaluator(implementation_name: str) -> Evaluator:
    return CATALOGUE[implementation_name].evaluator()


def evaluator_of(implementation: Implementation) -> Evaluator:
    """The evaluator, imported once for the catalogue's own."""
    if implementation.name in CATALOGUE:
        return _cached_evaluator(implementation.name)
    return implementation.evaluator()


@cache
def _flush_probe(*frameworks: str) -> bool:
    """Whether one of these frameworks flushes subnormal numbers in this process, as its own probe says."""
    return any(settings_module(name).flushes() for name in frameworks)


def proven_flush(implementation: Implementation, probed: bool | None = None) -> bool:
    """Whether subnormal numbers are flushed: declared, and proved by a probe.  Only JAX's CPU backend declares it."""
    if not implementation.flushes:
        return False
    if probed is not None:
        return probed
    return _flush_probe(implementation.framework, *(name for name in implementation.needs if name != COMPILER))
