"""What a session was asked to test, and how a cell's measurement is held against it; shared by the laws' tests."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache, cached_property

from references.attribution import described
from references.verdict import at_least
from suites.environment import profile_of
from suites.implementations.catalogue import Implementation, versions_of, why_not_measured, why_skipped
from suites.introduction import Introduction, Unavailable, introduce
from suites.known_defects import REQUIRED, Defect, Failing, defect_of
from suites.measure import Measurement, evaluator_of, input_of, measure, request_of, score
from suites.plan import Cell, Selection, cells
from suites.pool import evaluate
from suites.profiles import DEFAULT, Profile, profile_named, why_not_here
from suites.roster import Roster, admitted
from suites.tasks import Loss, task_of


class BelowRequired(AssertionError):
    """A cell's verdict is worse than what is required of it."""


class LostEvaluation(AssertionError):
    """A worker did not survive the evaluation of a cell, or the implementation raised in it."""


@cache
def introduction_here(framework: str) -> Introduction:
    """What this process computes with, which is the default profile.  Raises Unavailable."""
    return introduce(framework)


@dataclass
class Session:
    """The implementations and cells of one pytest session, and what has been measured in this process.

    The default profile is evaluated in this process, where a call costs least; others by workers.
    """

    implementations: list[Implementation]
    selection: Selection
    required: str = REQUIRED
    require_device: bool = False
    measured: dict[str, Failing | None] = field(default_factory=dict)
    _absent: dict[Profile, str | None] = field(default_factory=dict)

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
        reasons = [why_skipped(implementation, profile.variables()) for profile in profiles]
        return reasons[0] if reasons and all(reasons) else None

    def refused(self, cell: Cell) -> str | None:
        """Why the cell can't be measured here, or None, as far as that is known without a worker of its profile."""
        implementation, profile = self.by_name[cell.implementation], self.profile(cell)
        reason = why_not_measured(profile.framework) or why_skipped(implementation, profile.variables())
        if reason or profile.name == DEFAULT:
            return reason
        return why_not_here(profile, introduction_here(profile.framework))

    def missing(self, cell: Cell) -> str | None:
        """Why the cell can't be measured here, or None; a profile is started to know.

        Raises WorkerDied for a profile that can't be started or did not take effect, LostEvaluation where a device that
        is required is missing.
        """
        profile, reason = self.profile(cell), self.refused(cell)
        if reason is None and profile.name != DEFAULT:
            if profile not in self._absent:
                self._absent[profile] = self._why_absent(profile)
            reason = self._absent[profile]
        if reason and self.require_device and profile.device != "cpu":
            raise LostEvaluation(f"--require-device: {profile.framework} on {profile.device}: {reason}")
        return reason

    def _why_absent(self, profile: Profile) -> str | None:
        try:
            admitted(profile, introduction_here(profile.framework))
        except Unavailable as reason:
            return str(reason)
        return None

    def version(self, implementation: str) -> str:
        framework = self.by_name[implementation].framework
        return versions_of(framework).get(framework, "0")

    def defect(self, cell: Cell) -> Defect | None:
        """The known defect that covers the cell, under the usual requirement."""
        if self.by_name[cell.implementation].own or not at_least(self.required, REQUIRED):
            return None
        return defect_of(cell, self.version(cell.implementation))

    def measure(self, cell: Cell) -> Measurement:
        """Measure a cell and remember whether it failed."""
        implementation = self.by_name[cell.implementation]
        if cell.profile == DEFAULT:
            measurement = measure(cell, implementation, evaluator_of(implementation))
        else:
            measurement = self._by_worker(cell, implementation)
        judgement = measurement.judgement
        failed = not at_least(judgement.verdict, self.required)
        ratio = float("inf") if judgement.bound_ratio is None else judgement.bound_ratio
        self.measured[cell.key] = Failing(cell, judgement.verdict, ratio) if failed else None
        return measurement

    def _by_worker(self, cell: Cell, implementation: Implementation) -> Measurement:
        batch, profile = input_of(cell), self.profile(cell)
        task = task_of(profile, batch, (request_of(cell, implementation),))
        (answer,) = evaluate(task)
        if answer.bits is None:
            loss = answer.loss or Loss("no answer")
            raise LostEvaluation(f"{cell.key}: {loss.reason}\n{loss.log}".rstrip())
        return score(
            cell, implementation, batch, answer.bits, introduction=self.introduction(cell), touched=answer.touched
        )

    def roster(self) -> Roster:
        """What can be measured here, as far as that is known without a worker of each profile."""
        found = Roster()
        for cell in self.cells():
            profile = self.profile(cell)
            if profile in found.present or profile in found.refused:
                continue
            reason = self.missing(cell) if profile.device != "cpu" else self.refused(cell)
            if why_not_measured(profile.framework):
                found.refused[profile] = found.absent[profile.framework] = str(reason)
            elif reason:
                found.refused[profile] = reason
            elif profile.name == DEFAULT:
                found.present[profile] = introduction_here(profile.framework)
        return found

    def introduction(self, cell: Cell) -> Introduction:
        """What the cell's profile selected.  Raises Unavailable, WorkerDied."""
        profile = self.profile(cell)
        default = introduction_here(profile.framework)
        return default if profile.name == DEFAULT else admitted(profile, default)

    def settings(self, framework: str, profile: str) -> dict[str, str]:
        """What figures in a profile depend on: what it selected, and what was asked of it.  Raises as above."""
        chosen, default = profile_named(framework, profile), introduction_here(framework)
        mine = default if profile == DEFAULT else admitted(chosen, default)
        return {**mine.settings, **chosen.asked()}

    def failing(self, defect: Defect) -> list[Failing]:
        """The failing cells that an entry selects; what another process has measured is measured here again."""
        found = []
        for cell in self.cells():
            if defect.selects(cell) and self.defect(cell) is defect and not self.missing(cell):
                if cell.key not in self.measured:
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


def profile_here(defect: Defect) -> str:
    return profile_of(defect.framework)
