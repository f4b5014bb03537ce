"""What a session was asked to test, and how a cell's measurement is held against it; shared by the laws' tests."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol

from references.verdict.attribution import described
from references.verdict.ladder import at_least
from references.vocabulary import VERDICTS
from suites.driver.availability import Availability, default_of, not_installed
from suites.driver.own_functions import arithmetic_changed, declared
from suites.driver.pool import evaluate
from suites.driver.profiles import DEFAULT, Profile, profile_named, variables_of
from suites.driver.self_reports import Introductions
from suites.driver.tasks import Answer, Loss, Task, task_of
from suites.driver.worker_process import WorkerDied, loss_of
from suites.implementations.catalogue import Implementation, versions_of, why_skipped
from suites.known_defects import REQUIRED, Defect, Failing, defect_of
from suites.plan.cell import Cell, Selection
from suites.plan.cells import cells
from suites.scoring.cell import Measurement, input_of, request_of, score
from suites.worker.environment import profile_of
from suites.worker.self_report import Introduction, Unavailable


class BelowRequired(AssertionError):
    """A cell's verdict is worse than what is required of it."""


class LostEvaluation(AssertionError):
    """What was to be evaluated has no result: its worker did not survive, or the implementation raised."""

    def __init__(self, what: str, loss: Loss) -> None:
        super().__init__(f"{what}: {loss.reason}\n{loss.log}".rstrip())
        self.loss = loss


def answer_of(what: str, task: Task, engine: Callable[[Task], list[Answer]] = evaluate) -> Answer:
    """A worker's answer to a task of one request, with bits.  Raises LostEvaluation, which names ``what`` it was."""
    try:
        (answer,) = engine(task)
    except (WorkerDied, Unavailable) as failure:
        raise LostEvaluation(what, loss_of(failure)) from None
    if answer.bits is None:
        raise LostEvaluation(what, answer.loss or Loss("no answer"))
    return answer


class Recorder(Protocol):
    """Takes what the test of a cell has found, to write it down."""

    def measured(self, measurement: Measurement) -> None:
        """A cell with its verdict, whatever that is."""

    def missing(self, cell: Cell) -> None:
        """A cell that can't be measured here, which is nobody's fault."""

    def losses_of(self, cell: Cell) -> AbstractContextManager[None]:
        """Reports why the cell was lost, if it is in this context."""


@dataclass
class Session:
    """The implementations and cells of one pytest session, and what has been measured in this process.

    Workers evaluate every profile: what is judged never runs where it is judged.  ``read`` has the content of what a
    user's function was seen to read from its folder.
    """

    implementations: list[Implementation]
    selection: Selection
    required: str = REQUIRED
    require_device: bool = False
    introductions: Introductions = field(default_factory=Introductions)
    measured: dict[str, Failing | None] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    read: dict[str, str] = field(default_factory=dict)

    def declare(self, known: str | None = None) -> None:
        """Have workers say what users' functions consist of, which every evaluation is held to from now on.

        ``known`` is what another process has found (``declared``).  Raises UnknownName for a file that can't be had.
        """
        contents = json.loads(known) if known is not None else None
        for place, implementation in enumerate(self.implementations):
            profile = profile_named(implementation.framework, DEFAULT)
            if not implementation.own or not_installed(profile):
                continue
            if contents is not None:
                self.implementations[place] = replace(implementation, content=contents[implementation.name])
                continue
            with contextlib.suppress(Unavailable, WorkerDied):  # its cells say so
                self.implementations[place], state = declared(implementation, profile)
                if state:
                    self.remarks.append(arithmetic_changed(implementation, state))

    def declared(self) -> str:
        """What users' functions consist of, for another process."""
        return json.dumps({i.name: i.content and dict(i.content) for i in self.implementations if i.own})

    @property
    def by_name(self) -> dict[str, Implementation]:
        return {i.name: i for i in self.implementations}

    @property
    def complete(self) -> bool:
        """Whether every cell of the standard tier is selected, under the usual requirement."""
        return self.selection == Selection() and self.required == REQUIRED

    @cached_property
    def _planned(self) -> list[Cell]:
        return cells(self.implementations, self.selection)

    def cells(self) -> list[Cell]:
        """The cells of the selection; the deep tier has millions, so they are planned once."""
        return self._planned

    @cached_property
    def _profiles(self) -> dict[str, dict[str, None]]:
        """The names of the profiles that each implementation has cells in."""
        found: dict[str, dict[str, None]] = {}
        for cell in self.cells():
            found.setdefault(cell.implementation, {})[cell.profile] = None
        return found

    def profile(self, cell: Cell) -> Profile:
        return profile_named(self.by_name[cell.implementation].framework, cell.profile)

    def skipped(self, implementation: Implementation) -> str | None:
        """Why no profile can measure an implementation, or None: a compiler or another framework is missing."""
        names = self._profiles.get(implementation.name, ())
        profiles = [profile_named(implementation.framework, name) for name in names]
        reasons = [why_skipped(implementation, variables_of(profile)) for profile in profiles]
        return reasons[0] if reasons and all(reasons) else None

    def refused(self, cell: Cell) -> str | None:
        """Why the cell can't be measured here, or None, as far as that is known without a worker of its profile.

        Raises WorkerDied where its framework's default profile can't be started.
        """
        implementation, profile = self.by_name[cell.implementation], self.profile(cell)
        reason = not_installed(profile) or why_skipped(implementation, variables_of(profile))
        return reason or self.introductions.refused(profile)

    def missing(self, cell: Cell) -> str | None:
        """Why the cell can't be measured here, or None; a profile is started to know.

        Raises WorkerDied for a profile that can't be started or did not take effect, LostEvaluation where a device that
        is required is missing.
        """
        profile = self.profile(cell)
        reason = self.refused(cell) or self.introductions.missing(profile)
        if reason and self.require_device and profile.device != "cpu":
            loss = Loss(f"{profile.framework} on {profile.device}: {reason}")
            raise LostEvaluation("--require-device", loss)
        return reason

    def version(self, implementation: str) -> str:
        framework = self.by_name[implementation].framework
        return versions_of(framework).get(framework, "0")

    def defect(self, cell: Cell) -> Defect | None:
        """The known defect that covers the cell, under the usual requirement."""
        if self.by_name[cell.implementation].own or not at_least(self.required, REQUIRED):
            return None
        return defect_of(cell, self.version(cell.implementation))

    def measure(self, cell: Cell) -> Measurement:
        """Measure a cell and remember whether it failed.  Raises LostEvaluation.

        One that ended its worker is remembered as wrong: an entry of the known defects may speak of a crash.
        """
        try:
            measurement = self._by_worker(cell, self.by_name[cell.implementation])
        except LostEvaluation as lost:
            self.measured[cell.key] = Failing(cell, VERDICTS[0], math.inf) if lost.loss.signal else None
            raise
        judgement = measurement.judgement
        failed = not at_least(judgement.verdict, self.required)
        ratio = float("inf") if judgement.bound_ratio is None else judgement.bound_ratio
        self.measured[cell.key] = Failing(cell, judgement.verdict, ratio) if failed else None
        return measurement

    def _by_worker(self, cell: Cell, implementation: Implementation) -> Measurement:
        batch = input_of(cell)
        task = task_of(self.profile(cell), batch, (request_of(cell, implementation),))
        answer = answer_of(cell.key, task)
        assert answer.bits is not None
        self.read.update(answer.read)
        introduction = self.introduction(cell)
        return score(cell, implementation, batch, answer.bits, introduction=introduction, touched=answer.touched)

    @cached_property
    def lanes(self) -> list[Profile]:
        """The profiles that have cells."""
        names = dict.fromkeys((self.by_name[cell.implementation].framework, cell.profile) for cell in self.cells())
        return [profile_named(*name) for name in names]

    def availability(self) -> Availability:
        """What can be measured here; of the CPU's profiles, as far as their framework's default one shows."""
        found = Availability()
        for profile in self.lanes:
            try:
                reason = not_installed(profile)
                if not reason and profile.device == "cpu":
                    reason = self.introductions.missing(default_of(profile))
                if reason:
                    found.refused[profile] = found.absent[profile.framework] = reason
                    continue
                find = self.introductions.missing if profile.device != "cpu" else self.introductions.refused
                reason = find(profile)
            except WorkerDied as death:
                found.failed[profile] = death.loss
                continue
            if reason:
                found.refused[profile] = reason
            elif profile.name == DEFAULT:
                found.present[profile] = self.introductions.of(profile)
        return found

    def introduction(self, cell: Cell) -> Introduction:
        """What the cell's profile selected.  Raises Unavailable, WorkerDied."""
        return self.introductions.of(self.profile(cell))

    def settings(self, framework: str, profile: str) -> dict[str, str]:
        """What figures in a profile depend on: what it selected, and what was asked of it.  Raises as above."""
        chosen = profile_named(framework, profile)
        return {**self.introductions.of(chosen).settings, **chosen.asked()}

    def where(self, framework: str) -> str:
        """What the figures of a framework depend on here, in one line.  Raises as above."""
        return profile_of(framework, self.settings(framework, DEFAULT))

    def failing(self, defect: Defect) -> list[Failing]:
        """The failing cells that an entry selects; what another process has measured is measured here again."""
        found = []
        for cell in self.cells():
            if defect.selects(cell) and self.defect(cell) is defect and not self.missing(cell):
                if cell.key not in self.measured:
                    with contextlib.suppress(*((LostEvaluation,) if defect.crash else ())):
                        self.measure(cell)
                failed = self.measured[cell.key]
                if failed is not None:
                    found.append(failed)
        return found


def failure_text(measurement: Measurement, required: str) -> str:
    """What failed, on which bits: enough to reproduce it without the suite."""
    worst, statistics, judgement = measurement.worst, measurement.statistics, measurement.judgement
    format = measurement.cell.format
    logits = " ".join(f"{b:#x}" for b in worst.logits[:16].tolist())
    more = f" ... ({worst.logits.size} in all)" if worst.logits.size > 16 else ""
    parts = described(worst.attribution, worst.ulp_error)
    return (
        f"{measurement.cell.key} is {judgement.verdict}, {required} is required\n"
        f"  worst element: row {worst.row}, index {worst.column}: "
        f"computed {worst.computed:#x} = {worst.computed_value!r}, exact {worst.exact}\n"
        f"  {worst.outcome}; error {worst.ulp_error} ulp of {format}, {worst.bound_ratio} of the bound "
        f"(cell: {judgement.bound_ratio} of the bound, outcomes {statistics.outcomes or 'ordinary'})\n"
        + (f"  {parts}\n" if parts else "")
        + f"  logits {logits}{more}"
        + (f"\n  {worst.vector_kind} vector" if worst.vector_kind else "")
    )
