"""A measurement run: the cells of a selection, evaluated by workers and judged here, into a run directory."""

from __future__ import annotations

import datetime
import itertools
import platform
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import nullcontext, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType

from references.formats import BINARY32
from reports.observing import observe
from reports.records import (
    SCHEMA,
    LostCell,
    Manifest,
    Run,
    Timing,
    Unmeasured,
    measured_profile,
    record_of,
)
from reports.run_directory import RunWriter, read_run
from suites import environment
from suites.implementations.catalogue import Implementation, why_skipped
from suites.inputs.batch import Batch
from suites.inputs.families import logits_of
from suites.introduction import Introduction, Unavailable
from suites.measure import input_of, request_of, score
from suites.plan import Cell, Selection, cells
from suites.pool import WorkerPool, evaluate, timings_of
from suites.profiles import DEFAULT, Profile, profile_named
from suites.roster import Roster, roster_of
from suites.stopwatch import WATCH
from suites.tasks import Answer, Loss, Task, task_of
from suites.timing import SHAPES
from suites.worker_process import WorkerDied, loss_of


@dataclass(frozen=True)
class Lost:
    """A cell that could not be measured, and why."""

    cell: Cell
    reason: str


@dataclass(frozen=True)
class Outcome:
    """A finished run and the cells that it lost."""

    run: Run
    lost: list[Lost]


# How many inputs are with the workers at most: few enough that their exact results stay shared.
_INPUTS_AHEAD = 12
# And how many elements, so that what waits to be judged stays small.
_ELEMENTS_AHEAD = 1 << 24
# Evaluations in one task: enough to be worth its way, few enough that judging can begin.
_MOST_REQUESTS = 24

# Called before each cell with how many are done, how many there are, and the cell.
Progress = Callable[[int, int, Cell], None]


@dataclass(frozen=True, eq=False)
class _Piece:
    """Cells of one profile on one input, and the task that evaluates them."""

    cells: tuple[Cell, ...]
    batch: Batch
    task: Task

    @property
    def elements(self) -> int:
        return self.batch.logits.size * len(self.cells)


def run_measurements(
    path: Path,
    implementations: list[Implementation],
    selection: Selection,
    progress: Progress,
    *,
    timing: bool = True,
    interpreter: str = sys.executable,
    engine: Executor | None = None,
) -> Outcome:
    """Measure what is not there yet and finish the run directory.

    ``interpreter`` is the Python whose frameworks are measured.  ``engine`` runs the functions of suites.pool; the
    workers of this machine do where none is given.  Raises RunError for the directory, ScratchError where arrays can't
    be handed over, CertificationError where the oracle contradicts the reference.  An implementation that raises, and
    one that costs its worker twice, costs its cell.
    """
    WATCH.restart()
    with nullcontext(engine) if engine else WorkerPool() as crew:
        every = cells(implementations, selection)
        by_name = {i.name: i for i in implementations}
        profiles = _profiles(every, by_name, interpreter)
        with WATCH.spent_on("starting"):
            roster = roster_of(profiles.values(), crew)
        skipped = _skipped(every, by_name, profiles)
        offered = [c for c in every if profiles[_lane(c, by_name)] not in roster.refused]
        planned = [c for c in offered if c.implementation not in skipped]
        manifest = manifest_of(implementations, selection, len(planned), roster, skipped)
        writer = RunWriter(path, manifest)
        run = _Measuring(writer, by_name, profiles, roster, progress, planned)
        try:
            run.measure(crew)
            with WATCH.spent_on("observing"):
                measured = [i for i in implementations if i.name not in skipped]
                observe(measured, selection, roster, crew, writer, interpreter)
            timings = _timings(implementations, roster, crew) if timing else []
        finally:
            writer.close()
    writer.finish(finished=not run.lost, timings=timings, seconds=run.seconds())
    return Outcome(read_run(path), run.lost)


_Lane = tuple[str, str]


def _lane(cell: Cell, by_name: dict[str, Implementation]) -> _Lane:
    return by_name[cell.implementation].framework, cell.profile


def _profiles(planned: Iterable[Cell], by_name: dict[str, Implementation], interpreter: str) -> dict[_Lane, Profile]:
    lanes = dict.fromkeys(_lane(cell, by_name) for cell in planned)
    return {(framework, name): profile_named(framework, name, interpreter) for framework, name in lanes}


def _skipped(
    planned: Iterable[Cell], by_name: dict[str, Implementation], profiles: dict[_Lane, Profile]
) -> dict[str, str]:
    """Implementations that these profiles can't measure, and why: a compiler or another framework is missing."""
    found = {}
    for name, lane in dict.fromkeys((c.implementation, _lane(c, by_name)) for c in planned):
        reason = why_skipped(by_name[name], profiles[lane].variables())
        if reason:
            found[name] = reason
    return found


@dataclass
class _Measuring:
    """The loop: cells to the workers, answers to the judge, records to the writer."""

    writer: RunWriter
    by_name: dict[str, Implementation]
    profiles: dict[_Lane, Profile]
    roster: Roster
    progress: Progress
    planned: list[Cell]
    lost: list[Lost] = field(default_factory=list)
    evaluating: float = 0.0
    done: int = 0

    def measure(self, crew: Executor) -> None:
        """Hand out what is not there yet and judge what comes back, the oldest of it first."""
        waiting = [cell for cell in self.planned if cell.key not in self.writer.done]
        self.done = len(self.planned) - len(waiting)
        pending: dict[Future[list[Answer]], _Piece] = {}
        for piece in self._pieces(waiting):
            failed = self.roster.failed.get(piece.task.profile)
            if failed:
                self._judge(piece, [Answer(None, loss=failed)] * len(piece.cells))
                continue
            while _is_full(pending.values(), piece):
                self._take(pending)
            pending[crew.submit(evaluate, piece.task)] = piece
        while pending:
            self._take(pending)

    def _pieces(self, waiting: Iterable[Cell]) -> Iterator[_Piece]:
        """Neighbours on the same input, by profile."""
        for _, group in itertools.groupby(waiting, key=lambda c: (c.row_length, c.format, c.family)):
            by_input: dict[tuple[_Lane, str | None], list[Cell]] = {}
            for cell in group:
                drawn = self.by_name[cell.implementation].drawn.get(cell.format)
                by_input.setdefault((_lane(cell, self.by_name), drawn), []).append(cell)
            for (lane, _), chosen in by_input.items():
                for start in range(0, len(chosen), _MOST_REQUESTS):
                    yield self._piece(self.profiles[lane], tuple(chosen[start : start + _MOST_REQUESTS]))

    def _piece(self, profile: Profile, part: tuple[Cell, ...]) -> _Piece:
        with WATCH.spent_on("inputs"):
            batch = input_of(part[0])
        requests = tuple(request_of(cell, self.by_name[cell.implementation]) for cell in part)
        return _Piece(part, batch, task_of(profile, batch, requests))

    def _take(self, pending: dict[Future[list[Answer]], _Piece]) -> None:
        """Judge the oldest piece that is evaluated; wait for one if there is none."""
        future = next((f for f in pending if f.done()), None)
        if future is None:
            with WATCH.spent_on("idle"):
                wait(pending, return_when=FIRST_COMPLETED)
            future = next(f for f in pending if f.done())
        piece = pending.pop(future)
        try:
            answers = future.result()
        except (WorkerDied, Unavailable) as failure:
            answers = [Answer(None, loss=loss_of(failure))] * len(piece.cells)
        self._judge(piece, answers)

    def _judge(self, piece: _Piece, answers: list[Answer]) -> None:
        for cell, answer in zip(piece.cells, answers, strict=True):
            self.progress(self.done, len(self.planned), cell)
            self.done += 1
            self.evaluating += answer.seconds
            if answer.bits is None:
                self._lose(cell, piece.batch, answer.loss or Loss("no answer"))
                continue
            implementation = self.by_name[cell.implementation]
            introduction = self.roster.present[piece.task.profile]
            measurement = score(
                cell, implementation, piece.batch, answer.bits, introduction=introduction, touched=answer.touched
            )
            with WATCH.spent_on("writing"):
                record = record_of(
                    measurement,
                    implementation.calls[cell.operation],
                    version_text(implementation.framework, introduction.packages),
                    introduction.device,
                    self.writer.rows,
                )
                self.writer.add(record, measurement.row_maxima)

    def _lose(self, cell: Cell, batch: Batch, loss: Loss) -> None:
        self.lost.append(Lost(cell, loss.reason))
        self.writer.lose(LostCell(cell.key, loss.reason, loss.signal, batch.sha256, loss.log))

    def seconds(self) -> dict[str, float]:
        """Where the time went: the driver's by name, that of the workers in calls, and the whole."""
        spent = WATCH.so_far()
        found = {"total": sum(spent.values()), "evaluation": self.evaluating, "idle": 0.0, **spent}
        return {name: round(value, 1) for name, value in found.items()}


def _is_full(pending: Iterable[_Piece], piece: _Piece) -> bool:
    """Whether a piece has to wait for others to be judged."""
    ahead = list(pending)
    inputs = {id(p.batch) for p in ahead} | {id(piece.batch)}
    return bool(ahead) and (
        len(inputs) > _INPUTS_AHEAD or sum(p.elements for p in ahead) + piece.elements > _ELEMENTS_AHEAD
    )


_DISTRIBUTIONS = {"jax": ("jax", "jaxlib")}


def version_text(framework: str, packages: dict[str, str]) -> str:
    """The version of a framework, with its library's where that is another."""
    names = _DISTRIBUTIONS.get(framework, (framework,))
    return " ".join(dict.fromkeys(packages[name] for name in names if name in packages))


def _timings(implementations: list[Implementation], roster: Roster, crew: Executor) -> list[Timing]:
    """Of the frameworks' own calls, in the default profile and one after the other; none where a worker fails."""
    frameworks = {i.framework for i in implementations if not i.own}
    timed = [p for p in roster.present if p.name == DEFAULT and p.framework in frameworks]
    batches = [logits_of("gauss1", BINARY32, *shape) for shape in SHAPES]
    ratios = []
    with WATCH.spent_on("timing"):
        for profile in timed:
            with suppress(WorkerDied, Unavailable):  # its cells have told of it
                ratios += crew.submit(timings_of, profile, batches).result()
    return [Timing(**{**asdict(ratio), "shape": list(ratio.shape)}) for ratio in ratios]


def manifest_of(
    implementations: list[Implementation],
    selection: Selection,
    planned: int,
    roster: Roster,
    skipped: Mapping[str, str] = MappingProxyType({}),
) -> Manifest:
    """The manifest of a run that is about to begin; ``skipped`` has a reason for each implementation left out."""
    chosen = {name: list(value) for name, value in asdict(selection).items() if name != "tier"}
    introductions = list(roster.present.values())
    measured = [measured_profile(p, i) for p, i in roster.present.items()]
    return Manifest(
        schema=SCHEMA,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        tier=selection.tier,
        selection=chosen,
        implementations=[i.name for i in implementations if i.framework not in roster.absent and i.name not in skipped],
        planned=planned,
        finished=False,
        packages=_packages(introductions),
        python=introductions[0].python if introductions else platform.python_version(),
        platform=platform.platform(),
        cpu=environment.cpu(),
        gpu="; ".join(dict.fromkeys(i.card for i in introductions if i.card)) or None,
        settings={p.framework: i.settings for p, i in roster.present.items() if p.name == DEFAULT},
        environment=environment.flags(),
        seed="streams named by family, format, rows and length",
        git_commit=environment.git_commit(),
        inputs_sha256=None,
        unmeasured=_unmeasured(roster)
        + [
            Unmeasured(i.framework, skipped[i.name], implementation=i.name)
            for i in implementations
            if i.name in skipped and i.framework not in roster.absent
        ],
        profiles=sorted(measured, key=lambda p: (p.framework, p.name)),
    )


def _packages(introductions: list[Introduction]) -> dict[str, str]:
    """The packages that were measured, and those that judged."""
    found = environment.packages()
    if introductions:
        found = {name: version for name, version in found.items() if name in environment.JUDGES}
        for introduction in introductions:
            found = {**introduction.packages, **found}
    return found


def _unmeasured(roster: Roster) -> list[Unmeasured]:
    """One for a framework that isn't here; else one for each profile."""
    found = [Unmeasured(framework, reason) for framework, reason in roster.absent.items()]
    others = [(p, reason) for p, reason in roster.refused.items() if p.framework not in roster.absent]
    return found + [Unmeasured(p.framework, reason, p.name) for p, reason in others]
