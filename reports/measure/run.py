"""A measurement run: the cells of a selection, evaluated by workers and judged here, into a run directory."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path

from references.formats import BINARY32, Bits
from references.ieee.float_state import require_sound_arithmetic
from reports.measure.estimate import Cost, Estimate, estimate_of, pilot_of
from reports.measure.observations import observe
from reports.run.content import ContentUnknown, content_of_run, files_read
from reports.run.from_measurement import recorded, timing_of
from reports.run.manifest import manifest_of
from reports.run.reader import read_run
from reports.run.records import LostCell, Run, Timing
from reports.run.resuming import read_before
from reports.run.writer import RunWriter
from reports.wording import listing
from suites.driver.availability import Roster, roster_of
from suites.driver.own_functions import arithmetic_changed, declared
from suites.driver.pool import WorkerPool, declaration_of, evaluate, timings_of
from suites.driver.profiles import DEFAULT, Profile, profile_named
from suites.driver.tasks import Answer, Declaration, Loss, Task, task_of
from suites.driver.worker_process import WorkerDied, loss_of
from suites.implementations.catalogue import Implementation, why_skipped
from suites.implementations.placement import processors
from suites.inputs.batch import Batch
from suites.inputs.families import logits_of
from suites.plan.cell import Cell, Selection
from suites.plan.cells import cells
from suites.scoring.cell import input_of, request_of, score
from suites.scoring.stopwatch import WATCH
from suites.worker.self_report import Unavailable
from suites.worker.timing import SHAPES


@dataclass(frozen=True)
class Lost:
    """A cell that could not be measured, and why; ``unsupported`` ones are nobody's failure.

    ``refused``: the implementation said by an exception that it doesn't take what it was given.
    """

    cell: Cell
    reason: str
    unsupported: bool = False
    refused: bool = False


@dataclass(frozen=True)
class Outcome:
    """A finished run, the cells that it lost, what should be known of the processes that evaluated, and where the time
    of this measurement went."""

    run: Run
    lost: list[Lost]
    remarks: list[str]
    seconds: dict[str, float]


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
    planned: Sequence[Cell] | None = None,
    timing: bool = True,
    interpreter: str = sys.executable,
    engine: Executor | None = None,
    foretell: Callable[[Estimate], None] | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> Outcome:
    """Measure what is not there yet and finish the run directory.

    ``planned`` are the cells of the selection, for whoever has them already.
    ``interpreter`` is the Python whose frameworks are measured.  ``engine`` runs the functions of suites.driver.pool;
    the workers of this machine do where none is given.  ``foretell`` is called with what the run will take, once some
    cells of each kind have been measured, and ``tell`` where a user's files have changed since the run was begun.
    Raises RunError for the directory, and where what is measured changes meanwhile; ScratchError where arrays can't be
    handed over, CertificationError where the oracle contradicts the reference, UnknownName for a user's file that can't
    be had, before anything is written, and UnsoundArithmetic.  An implementation that raises, and one that costs its
    worker twice, costs its cell.
    """
    require_sound_arithmetic()
    WATCH.restart()
    with nullcontext(engine) if engine else WorkerPool() as crew:
        every = cells(implementations, selection) if planned is None else planned
        by_name = {i.name: i for i in implementations}
        profiles = _profiles(every, by_name, interpreter)
        with WATCH.spent_on("starting"):
            roster = roster_of(profiles.values(), crew)
            remarks = [*_remarks_on(roster)]
            implementations = _declared(implementations, profiles, roster, crew, remarks)
            by_name = {i.name: i for i in implementations}
        skipped = _skipped(every, by_name, profiles, roster)
        offered = [c for c in every if profiles[_lane(c, by_name)] not in roster.refused]
        chosen = [c for c in offered if c.implementation not in skipped]
        measured = [i for i in implementations if i.name not in skipped]
        with WATCH.spent_on("reading packages"):
            content = content_of_run(measured, roster.present, crew, read_before(path))
        manifest = manifest_of(implementations, selection, len(chosen), roster, skipped, content=content)
        writer = RunWriter(path, manifest, {cell.key for cell in chosen})
        run = _Measuring(writer, by_name, profiles, roster, progress, chosen)
        try:
            if writer.anew:
                tell(f"{listing(writer.anew)} changed since {path} was begun: what was found of it is measured anew")
            run.measure(crew, foretell)
            with WATCH.spent_on("observing"):
                answered = run.answered()
                observe([i for i in measured if i.name in answered], selection, roster, crew, writer, interpreter)
            timings = _timings(implementations, roster, crew) if timing else []
            with WATCH.spent_on("reading packages"), suppress(ContentUnknown):  # its cells have told of it
                writer.confirm(content_of_run(measured, roster.present, crew, files_read(writer.manifest)))
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
    profiles: Mapping[_ProfileKey, Profile],
    roster: Roster,
    crew: Executor,
    remarks: list[str],
) -> list[Implementation]:
    """The same, users' own with what a worker has found them to consist of; where none can be had, nothing runs."""

    def ask(profile: Profile, own: tuple[str, str, str]) -> Declaration:
        return crew.submit(declaration_of, profile, own).result()

    found = []
    for implementation in implementations:
        here = [p for (framework, _), p in profiles.items() if framework == implementation.framework]
        present = [p for p in here if p in roster.present]
        if implementation.own and present:
            with suppress(WorkerDied, Unavailable):  # its cells tell of it
                implementation, state = declared(implementation, present[0], ask)
                if state:
                    remarks.append(arithmetic_changed(implementation, state))
        found.append(implementation)
    return found


def _remarks_on(roster: Roster) -> Iterator[str]:
    """Of the processes whose arithmetic is another one before anything has run in them."""
    for profile, introduction in roster.present.items():
        if introduction.arithmetic:
            yield (
                f"{profile.framework} in profile {profile.name} doesn't compute as IEEE 754 says: "
                f"{introduction.arithmetic}; its results are judged as they are"
            )


_ProfileKey = tuple[str, str]


def _lane(cell: Cell, by_name: dict[str, Implementation]) -> _ProfileKey:
    return by_name[cell.implementation].framework, cell.profile


def _profiles(
    planned: Iterable[Cell], by_name: dict[str, Implementation], interpreter: str
) -> dict[_ProfileKey, Profile]:
    lanes = dict.fromkeys(_lane(cell, by_name) for cell in planned)
    return {(framework, name): profile_named(framework, name, interpreter) for framework, name in lanes}


def _skipped(
    planned: Iterable[Cell], by_name: dict[str, Implementation], profiles: dict[_ProfileKey, Profile], roster: Roster
) -> dict[str, str]:
    """Implementations that these profiles can't measure, and why: a compiler or another framework is missing."""
    found = {}
    for name, lane in dict.fromkeys((c.implementation, _lane(c, by_name)) for c in planned):
        profile = profiles[lane]
        elsewhere = profile.interpreter != sys.executable and profile in roster.present
        installed = roster.present[profile].packages if elsewhere else None
        reason = why_skipped(by_name[name], profile.variables(), installed)
        if reason:
            found[name] = reason
    return found


@dataclass
class _Measuring:
    """The loop: cells to the workers, answers to the judge, records to the writer."""

    writer: RunWriter
    by_name: dict[str, Implementation]
    profiles: dict[_ProfileKey, Profile]
    roster: Roster
    progress: Progress
    planned: list[Cell]
    lost: list[Lost] = field(default_factory=list)
    evaluating: float = 0.0
    done: int = 0
    costs: list[Cost] | None = None

    def measure(self, crew: Executor, foretell: Callable[[Estimate], None] | None) -> None:
        """Measure what is not there yet; where the time is to be foretold, some cells of each kind first."""
        waiting = [cell for cell in self.planned if cell.key not in self.writer.done]
        self.done = len(self.planned) - len(waiting)
        if foretell and waiting:
            first, self.costs = pilot_of(waiting), []
            self._hand_out(first, crew)
            foretell(estimate_of(waiting, self.costs, processors()))
            known, self.costs = set(first), None
            waiting = [cell for cell in waiting if cell not in known]
        self._hand_out(waiting, crew)

    def _hand_out(self, waiting: list[Cell], crew: Executor) -> None:
        """Give cells to the workers and judge what comes back, the oldest of it first."""
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
            by_input: dict[tuple[_ProfileKey, str | None], list[Cell]] = {}
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
            if answer.read:
                self.writer.learn(answer.read)
            before = WATCH.so_far()
            self._score(cell, piece, answer, answer.bits)
            if self.costs is not None:
                spent = {name: seconds - before.get(name, 0.0) for name, seconds in WATCH.so_far().items()}
                shared = spent.pop("reference", 0.0)
                self.costs.append(Cost(cell, answer.seconds, sum(spent.values()), shared))

    def _score(self, cell: Cell, piece: _Piece, answer: Answer, bits: Bits) -> None:
        implementation = self.by_name[cell.implementation]
        introduction = self.roster.present[piece.task.profile]
        measurement = score(cell, implementation, piece.batch, bits, introduction=introduction, touched=answer.touched)
        with WATCH.spent_on("writing"):
            record = recorded(measurement, implementation, introduction, self.writer.rows)
            self.writer.add(record, measurement.row_maxima)

    def _lose(self, cell: Cell, batch: Batch, loss: Loss) -> None:
        self.lost.append(Lost(cell, loss.reason, loss.unsupported, loss.refused))
        self.writer.lose(LostCell(cell.key, loss.reason, loss.signal, batch.sha256, loss.log, loss.unsupported))

    def answered(self) -> set[str]:
        """The implementations that did not lose all of their cells."""
        lost = {lost.cell.key for lost in self.lost}
        return {cell.implementation for cell in self.planned if cell.key not in lost}

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
    return [timing_of(ratio) for ratio in ratios]
