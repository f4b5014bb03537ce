"""What the profiles of a session selected: each worker is asked once, and the answers can go to other processes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

from suites.driver.availability import admitted, default_of
from suites.driver.profiles import Profile, profile_named, why_not_here
from suites.driver.tasks import Loss
from suites.driver.worker_process import WorkerDied
from suites.worker.self_report import Introduction, Unavailable

SelfReport = Introduction | Unavailable | WorkerDied


class Introductions:
    """Of each profile what its worker said of itself, or why there is none."""

    def __init__(self) -> None:
        self._reports: dict[Profile, SelfReport] = {}

    def of(self, profile: Profile) -> Introduction:
        """What a profile selected, once it is known to have taken effect.

        Raises Unavailable, and WorkerDied for a profile that can't be started or did not take effect.
        """
        report = self._known(profile)
        if isinstance(report, Introduction):
            return report
        raise report.with_traceback(None)  # it may be raised often, and would gather a traceback each time

    def missing(self, profile: Profile) -> str | None:
        """Why a profile isn't here, or None; its worker is started to know.  Raises WorkerDied as ``of`` does."""
        report = self._known(profile)
        if isinstance(report, WorkerDied):
            raise report.with_traceback(None)
        return str(report) if isinstance(report, Unavailable) else None

    def refused(self, profile: Profile) -> str | None:
        """Why a profile can't be here, as far as its framework's default profile shows; no other worker is started.

        None of a card, which the default profile knows nothing of.  Raises WorkerDied.
        """
        if profile.device != "cpu":
            return None
        default = default_of(profile)
        return self.missing(default) or why_not_here(profile, self.of(default))

    def gather(self, profiles: Iterable[Profile]) -> None:
        """Ask several profiles side by side."""
        chosen = list(dict.fromkeys(profiles))
        if chosen:
            with ThreadPoolExecutor(len(chosen)) as threads:
                list(threads.map(self._known, chosen))

    def _known(self, profile: Profile) -> SelfReport:
        if profile not in self._reports:
            self._reports[profile] = self._asked(profile)
        return self._reports[profile]

    def _asked(self, profile: Profile) -> SelfReport:
        try:
            held_against = profile.device == "cpu" and profile != default_of(profile)
            return admitted(profile, self.of(default_of(profile)) if held_against else None)
        except (Unavailable, WorkerDied) as reason:
            return reason

    # -- to other processes ------------------------------------------------------------------------------------------

    def text(self) -> str:
        """All that is known, as JSON."""
        return json.dumps([[p.framework, p.name, *_plain(report)] for p, report in self._reports.items()])

    def learn(self, text: str) -> None:
        """Take over what another process of the same session knows."""
        for framework, name, kind, value in json.loads(text):
            self._reports[profile_named(framework, name)] = _report_of(kind, value)


def _plain(report: SelfReport) -> tuple[str, object]:
    if isinstance(report, Introduction):
        return "introduction", asdict(report)
    if isinstance(report, WorkerDied):
        return "loss", asdict(report.loss)
    return "unavailable", str(report)


def _report_of(kind: str, value: object) -> SelfReport:
    if isinstance(value, dict):
        return Introduction(**value) if kind == "introduction" else WorkerDied(Loss(**value))
    return Unavailable(str(value))
