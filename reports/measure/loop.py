"""The loop of a run: cells to the workers, answers to the judge, records to the writer."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass, field

from references.formats import Bits
from reports.measure.estimate import Cost, Estimate, estimate_of, pilot_of
from reports.run.from_measurement import recorded
from reports.run.records import LostCell
from reports.run.writer import RunWriter
from suites.driver.availability import Availability
from suites.driver.pool import evaluate
from suites.driver.profiles import Profile
from suites.driver.tasks import Answer, Loss, Task, task_of
from suites.driver.worker_process import WorkerDied, loss_of
from suites.implementations.catalogue import Implementation
from suites.implementations.placement import processors
from suites.inputs.batch import Batch
from suites.plan.cell import Cell
from suites.scoring.cell import input_of, request_of, score
from suites.scoring.stopwatch import WATCH
from suites.worker.self_report import Unavailable

# A framework and the name of its profile.
ProfileKey = tuple[str, str]


def profile_key(cell: Cell, by_name: dict[str, Implementation]) -> ProfileKey:
    """Whose workers evaluate a cell."""
    return by_name[cell.implementation].framework, cell.profile


@dataclass(frozen=True)
class Lost:
    """A cell that could not be measured, and why; ``unsupported`` ones are nobody's failure.

    ``refused``: the implementation said by an exception that it doesn't take what it was given.
    """

    cell: Cell
    reason: str
    unsupported: bool = False
    refused: bool = False


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


@dataclass
class Measuring:
    """The loop: cells to the workers, answers to the judge, records to the writer."""

    writer: RunWriter
    by_name: dict[str, Implementation]
    profiles: dict[ProfileKey, Profile]
    availability: Availability
    progress: Progress
    planned: list[Cell]
    lost: list[Lost] = field(default_factory=list)
    evaluating: float = 0.0
    done: int = 0
    costs: list[Cost] | None = None

    def measure(self, workers: Executor, on_estimate: Callable[[Estimate], None] | None) -> None:
        """Measure what is not there yet; where the time is to be estimated, some cells of each kind first."""
        waiting = [cell for cell in self.planned if cell.key not in self.writer.done]
        self.done = len(self.planned) - len(waiting)
        if on_estimate and waiting:
            first, self.costs = pilot_of(waiting), []
            self._hand_out(first, workers)
            on_estimate(estimate_of(waiting, self.costs, processors()))
            known, self.costs = set(first), None
            waiting = [cell for cell in waiting if cell not in known]
        self._hand_out(waiting, workers)

    def _hand_out(self, waiting: list[Cell], workers: Executor) -> None:
        """Give cells to the workers and judge what comes back, the oldest of it first."""
        pending: dict[Future[list[Answer]], _Piece] = {}
        for piece in self._pieces(waiting):
            failed = self.availability.failed.get(piece.task.profile)
            if failed:
                self._judge(piece, [Answer(None, loss=failed)] * len(piece.cells))
                continue
            while _is_full(pending.values(), piece):
                self._take(pending)
            pending[workers.submit(evaluate, piece.task)] = piece
        while pending:
            self._take(pending)

    def _pieces(self, waiting: Iterable[Cell]) -> Iterator[_Piece]:
        """Neighbours on the same input, by profile."""
        for _, group in itertools.groupby(waiting, key=lambda c: (c.row_length, c.format, c.family)):
            by_input: dict[tuple[ProfileKey, str | None], list[Cell]] = {}
            for cell in group:
                drawn = self.by_name[cell.implementation].drawn.get(cell.format)
                by_input.setdefault((profile_key(cell, self.by_name), drawn), []).append(cell)
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
        introduction = self.availability.present[piece.task.profile]
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
