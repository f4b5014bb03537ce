"""A measurement run: the cells of a selection, evaluated by workers and judged here, into a run directory."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from references.formats import BINARY32
from references.ieee.float_state import require_sound_arithmetic
from reports.measure.estimate import Estimate
from reports.measure.loop import Lost, Measuring, ProfileKey, Progress, profile_key
from reports.measure.observations import observe
from reports.run.content import ContentUnknown, content_of_run, files_read
from reports.run.from_measurement import timing_of
from reports.run.manifest import manifest_of
from reports.run.reader import read_run
from reports.run.records import Run, Timing
from reports.run.resuming import read_before
from reports.run.writer import RunWriter
from reports.wording import listing
from suites.driver.availability import Availability, availability_of
from suites.driver.own_functions import arithmetic_changed, declared
from suites.driver.pool import WorkerPool, declaration_of, timings_of
from suites.driver.profiles import DEFAULT, Profile, profile_named, variables_of
from suites.driver.tasks import Declaration
from suites.driver.worker_process import WorkerDied
from suites.implementations.catalogue import Implementation, why_skipped
from suites.inputs.families import logits_of
from suites.plan.cell import Cell, Selection
from suites.plan.cells import cells
from suites.scoring.stopwatch import WATCH
from suites.worker.self_report import Unavailable
from suites.worker.timing import SHAPES


@dataclass(frozen=True)
class Outcome:
    """A finished run, the cells that it lost, what should be known of the processes that evaluated, and where the time
    of this measurement went."""

    run: Run
    lost: list[Lost]
    remarks: list[str]
    seconds: dict[str, float]


def run_measurements(
    path: Path,
    implementations: list[Implementation],
    selection: Selection,
    progress: Progress,
    *,
    planned: Sequence[Cell] | None = None,
    timing: bool = True,
    interpreter: str = sys.executable,
    engine: Executor | None = None,
    on_estimate: Callable[[Estimate], None] | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Outcome:
    """Measure what is not there yet and finish the run directory.

    ``planned`` are the cells of the selection, for whoever has them already.
    ``interpreter`` is the Python whose frameworks are measured.  ``engine`` runs the functions of suites.driver.pool;
    the workers of this machine do where none is given.  ``on_estimate`` is called with what the run will take, once
    some cells of each kind have been measured, and ``say`` where a user's files have changed since the run was begun.
    Raises RunError for the directory, and where what is measured changes meanwhile; ScratchError where arrays can't be
    handed over, CertificationError where the oracle contradicts the reference, UnknownName for a user's file that can't
    be had, before anything is written, and UnsoundArithmetic.  An implementation that raises, and one that costs its
    worker twice, costs its cell.
    """
    require_sound_arithmetic()
    WATCH.restart()
    with nullcontext(engine) if engine else WorkerPool() as workers:
        every = cells(implementations, selection) if planned is None else planned
        by_name = {i.name: i for i in implementations}
        profiles = _profiles(every, by_name, interpreter)
        with WATCH.spent_on("starting"):
            availability = availability_of(profiles.values(), workers)
            remarks = [*_remarks_on(availability)]
            implementations = _declared(implementations, profiles, availability, workers, remarks)
            by_name = {i.name: i for i in implementations}
        skipped = _skipped(every, by_name, profiles, availability)
        offered = [c for c in every if profiles[profile_key(c, by_name)] not in availability.refused]
        chosen = [c for c in offered if c.implementation not in skipped]
        measured = [i for i in implementations if i.name not in skipped]
        with WATCH.spent_on("reading packages"):
            content = content_of_run(measured, availability.present, workers, read_before(path))
        manifest = manifest_of(implementations, selection, len(chosen), availability, skipped, content=content)
        writer = RunWriter(path, manifest, {cell.key for cell in chosen})
        run = Measuring(writer, by_name, profiles, availability, progress, chosen)
        try:
            if writer.anew:
                say(f"{listing(writer.anew)} changed since {path} was begun: what was found of it is measured anew")
            run.measure(workers, on_estimate)
            with WATCH.spent_on("observing"):
                answered = run.answered()
                observe(
                    [i for i in measured if i.name in answered], selection, availability, workers, writer, interpreter
                )
            timings = _timings(implementations, availability, workers) if timing else []
            with WATCH.spent_on("reading packages"), suppress(ContentUnknown):  # its cells say so
                writer.confirm(content_of_run(measured, availability.present, workers, files_read(writer.manifest)))
            require_sound_arithmetic()
            unsupported = sum(lost.unsupported for lost in run.lost)
            seconds = run.seconds()
            writer.finish(
                planned=len(chosen) - unsupported,
                finished=unsupported == len(run.lost),
                timings=timings,
                seconds=seconds,
            )
        finally:
            writer.close()
    return Outcome(read_run(path), run.lost, remarks, seconds)


def _declared(
    implementations: list[Implementation],
    profiles: Mapping[ProfileKey, Profile],
    availability: Availability,
    workers: Executor,
    remarks: list[str],
) -> list[Implementation]:
    """The same, users' own with what a worker has found them to consist of; where none can be had, nothing runs."""

    def ask(profile: Profile, own: tuple[str, str, str]) -> Declaration:
        return workers.submit(declaration_of, profile, own).result()

    found = []
    for implementation in implementations:
        here = [p for (framework, _), p in profiles.items() if framework == implementation.framework]
        present = [p for p in here if p in availability.present]
        if implementation.own and present:
            with suppress(WorkerDied, Unavailable):  # its cells say so
                implementation, state = declared(implementation, present[0], ask)
                if state:
                    remarks.append(arithmetic_changed(implementation, state))
        found.append(implementation)
    return found


def _remarks_on(availability: Availability) -> Iterator[str]:
    """Of the processes whose arithmetic is another one before anything has run in them."""
    for profile, introduction in availability.present.items():
        if introduction.arithmetic:
            yield (
                f"{profile.framework} in profile {profile.name} doesn't compute as IEEE 754 says: "
                f"{introduction.arithmetic}; its results are judged as they are"
            )


def _profiles(
    planned: Iterable[Cell], by_name: dict[str, Implementation], interpreter: str
) -> dict[ProfileKey, Profile]:
    lanes = dict.fromkeys(profile_key(cell, by_name) for cell in planned)
    return {(framework, name): profile_named(framework, name, interpreter) for framework, name in lanes}


def _skipped(
    planned: Iterable[Cell],
    by_name: dict[str, Implementation],
    profiles: dict[ProfileKey, Profile],
    availability: Availability,
) -> dict[str, str]:
    """Implementations that these profiles can't measure, and why: a compiler or another framework is missing."""
    found = {}
    for name, lane in dict.fromkeys((c.implementation, profile_key(c, by_name)) for c in planned):
        profile = profiles[lane]
        elsewhere = profile.interpreter != sys.executable and profile in availability.present
        installed = availability.present[profile].packages if elsewhere else None
        reason = why_skipped(by_name[name], variables_of(profile), installed)
        if reason:
            found[name] = reason
    return found


def _timings(implementations: list[Implementation], availability: Availability, workers: Executor) -> list[Timing]:
    """Of the frameworks' own calls, in the default profile and one after the other; none where a worker fails."""
    frameworks = {i.framework for i in implementations if not i.own}
    timed = [p for p in availability.present if p.name == DEFAULT and p.framework in frameworks]
    batches = [logits_of("gauss1", BINARY32, *shape) for shape in SHAPES]
    ratios = []
    with WATCH.spent_on("timing"):
        for profile in timed:
            with suppress(WorkerDied, Unavailable):  # its cells have told of it
                ratios += workers.submit(timings_of, profile, batches).result()
    return [timing_of(ratio) for ratio in ratios]
