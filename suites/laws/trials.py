"""Laws held against implementations: a trial is one law on all subjects of one implementation and one operation."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from suites.driver.availability import not_installed
from suites.driver.profiles import variables_of
from suites.driver.self_reports import Introductions
from suites.driver.worker_process import WorkerDied
from suites.implementations.catalogue import Implementation, why_skipped
from suites.laws.catalogue import LAWS, law_named
from suites.laws.evaluation import Evaluations
from suites.laws.law import CRASHED, LOST, Breach, Law
from suites.laws.observations import ObservedPair, comparisons_of
from suites.laws.subjects import Subject, subjects_of
from suites.plan.cell import Selection
from suites.session import LostEvaluation
from suites.worker.self_report import Unavailable


@dataclass(frozen=True, order=True)
class Trial:
    """One test: a law, an implementation and an operation, by name."""

    law: str
    implementation: str
    operation: str

    @property
    def id(self) -> str:
        return f"{self.law.replace(' ', '-')}-{self.implementation}-{self.operation}"


@dataclass(frozen=True)
class Broken:
    """A subject that breaks a law."""

    law: str
    subject: Subject
    breach: Breach

    @property
    def key(self) -> str:
        return f"{self.law}: {self.subject.key}"

    @property
    def lost(self) -> bool:
        """Whether there is no result at all."""
        return self.breach.unit in (LOST, CRASHED)

    @property
    def crashed(self) -> bool:
        """Whether there is none since a signal ended the process, which a known defect can explain."""
        return self.breach.unit == CRASHED


@dataclass
class Trials:
    """The trials of some implementations under a selection, and what has come of them in this process."""

    implementations: list[Implementation]
    selection: Selection
    introductions: Introductions = field(default_factory=Introductions)
    _results: dict[Trial, list[Broken]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.by_name = {i.name: i for i in self.implementations}
        self.evaluations = Evaluations(self.selection.tier, self.introductions.of)

    def planned(self) -> list[Trial]:
        """The trials that have a subject, whether or not it can be measured here; neighbours share evaluations."""
        return [
            Trial(law.name, implementation.name, operation)
            for implementation in self.implementations
            for operation in self._operations(implementation)
            for law in LAWS
            if any(law.is_asked(s) for s in subjects_of(implementation, operation, self.selection))
        ]

    def _operations(self, implementation: Implementation) -> list[str]:
        wanted = self.selection.operations
        return [o for o in implementation.calls if not wanted or o in wanted]

    def subjects(self, trial: Trial) -> list[Subject]:
        law = law_named(trial.law)
        every = subjects_of(self.by_name[trial.implementation], trial.operation, self.selection)
        return [subject for subject in every if law.is_asked(subject)]

    def missing(self, subject: Subject) -> str | None:
        """Why a subject can't be measured here, or None; a profile is started to know.

        Raises WorkerDied for a profile that can't be started or did not take effect.
        """
        profile = subject.profile
        reason = not_installed(profile) or why_skipped(subject.implementation, variables_of(profile))
        return reason or self.introductions.missing(profile)

    def watched(self) -> list[tuple[str, str]]:
        """Implementations, and with what their bits may change: one test each."""
        pairs = ((i.name, c.what) for i in self.implementations for c in comparisons_of(i, self.selection))
        return list(dict.fromkeys(pairs))

    def comparisons(self, implementation: str, what: str) -> list[ObservedPair]:
        """What is compared of a watched pair."""
        every = comparisons_of(self.by_name[implementation], self.selection)
        return [comparison for comparison in every if comparison.what == what]

    def broken(self, trial: Trial) -> list[Broken]:
        """The subjects of a trial that break its law, those that are missing aside."""
        if trial not in self._results:
            law, found = law_named(trial.law), []
            for subject in self.subjects(trial):
                if self.missing(subject) is None:
                    breach = breach_of(law, subject, self.evaluations)
                    found += [Broken(law.name, subject, breach)] if breach else []
            self._results[trial] = found
        return self._results[trial]

    def all_broken(self, trials: Iterable[Trial]) -> list[Broken]:
        return [broken for trial in trials for broken in self.broken(trial)]


def breach_of(law: Law, subject: Subject, on: Evaluations) -> Breach | None:
    """The breach of a law by a subject; one that has no result breaks it, whatever it says.

    Raises Unavailable and WorkerDied where its profile isn't here.
    """
    try:
        return law.check(subject, on)
    except (Unavailable, WorkerDied):
        raise
    except LostEvaluation as lost:
        return Breach(
            subject.key,
            math.inf,
            CRASHED if lost.loss.signal else LOST,
            f"{subject.key} has no result: {lost.loss.reason}",
        )
    except Exception as error:  # what a check itself runs into
        lines = f"{type(error).__name__}: {error}".splitlines() or [type(error).__name__]
        return Breach(subject.key, math.inf, "raised", f"{subject.key} raised {lines[0]}")
