"""A measurement run: the cells of a selection, measured one after the other into a run directory."""

from __future__ import annotations

import datetime
import platform
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from references.formats import Bits
from reports.records import SCHEMA, Manifest, Run, Timing, Unmeasured, record_of
from reports.run_directory import RunWriter, read_run
from suites import environment
from suites.implementations.catalogue import (
    Implementation,
    settings_of,
    versions_of,
    why_not_measured,
    why_skipped,
)
from suites.inputs.batch import Batch
from suites.measure import evaluator_of, input_of, output_of, score
from suites.plan import DEVICE, Cell, Selection, cells
from suites.timing import time_ratios


@dataclass(frozen=True)
class Lost:
    """A cell that could not be measured, and what was raised."""

    cell: Cell
    reason: str


@dataclass(frozen=True)
class Outcome:
    """A finished run and the cells that it lost."""

    run: Run
    lost: list[Lost]


# How many cells are evaluated before they are scored, at most; few enough that their inputs stay shared.
_AHEAD = 48

# Called before each cell with how many are done, how many there are, and the cell.
Progress = Callable[[int, int, Cell], None]


def measurable(implementations: list[Implementation]) -> tuple[list[Implementation], list[Unmeasured]]:
    """Those that can be measured here, and a reason for each framework, or single implementation, that can't."""
    missing = {}
    for i in implementations:
        reason = why_not_measured(i.framework)
        if reason:
            missing[i.framework] = Unmeasured(i.framework, reason)
        elif (reason := why_skipped(i)) is not None:
            missing[i.name] = Unmeasured(i.framework, reason, i.name)
    present = [i for i in implementations if i.framework not in missing and i.name not in missing]
    return present, list(missing.values())


def run_measurements(
    path: Path, implementations: list[Implementation], selection: Selection, progress: Progress, *, timing: bool = True
) -> Outcome:
    """Measure what is not there yet and finish the run directory.

    Raises RunError for the directory, CertificationError where the oracle contradicts the reference.  An implementation
    that raises costs its cell.
    """
    present, missing = measurable(implementations)
    planned = cells(present, selection)
    manifest = manifest_of(present, missing, selection, len(planned))
    writer = RunWriter(path, manifest)
    waiting = [cell for cell in planned if cell.key not in writer.done]
    by_name = {i.name: i for i in present}
    lost: list[Lost] = []
    clock = {"total": time.perf_counter(), "evaluation": 0.0, "scoring": 0.0}
    try:
        for number, (cell, future) in enumerate(_evaluated_ahead(waiting, by_name)):
            progress(len(planned) - len(waiting) + number, len(planned), cell)
            try:
                batch, computed, touched, seconds = future.result()
            except Exception as error:  # whatever a framework or a user's function raises costs this cell only
                lost.append(Lost(cell, f"{type(error).__name__}: {error}".splitlines()[0]))
                continue
            start = time.perf_counter()
            implementation = by_name[cell.implementation]
            measurement = score(cell, implementation, batch, computed, touched=touched)
            version = _version_text(implementation.framework)
            record = record_of(measurement, implementation.calls[cell.operation], version, DEVICE, writer.rows)
            writer.add(record, measurement.row_maxima)
            clock["evaluation"] += seconds
            clock["scoring"] += time.perf_counter() - start
        timings = _timings(present) if timing else []
    finally:
        writer.close()
    clock["total"] = time.perf_counter() - clock["total"]
    rounded = {name: round(value, 1) for name, value in clock.items()}
    writer.finish(finished=not lost, timings=timings, seconds=rounded)
    return Outcome(read_run(path), lost)


_Evaluation = tuple[Batch, Bits, int, float]


def _evaluated_ahead(
    waiting: list[Cell], by_name: dict[str, Implementation]
) -> Iterator[tuple[Cell, Future[_Evaluation]]]:
    """Cells and their outputs in order, evaluated by a thread that runs ahead while the caller scores.

    Compilers and kernels release the interpreter, so evaluating and scoring share two cores.
    """

    def evaluate(cell: Cell) -> _Evaluation:
        start = time.perf_counter()
        batch = input_of(cell)
        computed, touched = output_of(cell, batch, evaluator_of(by_name[cell.implementation]))
        return batch, computed, touched, time.perf_counter() - start

    executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="evaluation")
    queue: deque[tuple[Cell, Future[_Evaluation]]] = deque()
    try:
        for cell in waiting:
            queue.append((cell, executor.submit(evaluate, cell)))
            if len(queue) > _AHEAD:
                yield queue.popleft()
        while queue:
            yield queue.popleft()
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def _version_text(framework: str) -> str:
    return " ".join(dict.fromkeys(versions_of(framework).values()))


def _timings(implementations: list[Implementation]) -> list[Timing]:
    frameworks = dict.fromkeys(i.framework for i in implementations if not i.own)
    ratios = [ratio for framework in frameworks for ratio in time_ratios(framework)]
    return [Timing(**{**asdict(ratio), "shape": list(ratio.shape)}) for ratio in ratios]


def manifest_of(
    implementations: list[Implementation], missing: list[Unmeasured], selection: Selection, planned: int
) -> Manifest:
    """The manifest of a run that is about to begin."""
    frameworks = dict.fromkeys(i.framework for i in implementations)
    chosen = {name: list(value) for name, value in asdict(selection).items() if name != "tier"}
    return Manifest(
        schema=SCHEMA,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        tier=selection.tier,
        selection=chosen,
        implementations=[i.name for i in implementations],
        planned=planned,
        finished=False,
        packages=environment.packages(),
        python=sys.version.split()[0],
        platform=platform.platform(),
        cpu=environment.cpu(),
        gpu=None,
        settings={framework: settings_of(framework) for framework in frameworks},
        environment=environment.flags(),
        seed="streams named by family, format, rows and length",
        git_commit=environment.git_commit(),
        inputs_sha256=None,
        unmeasured=missing,
    )
