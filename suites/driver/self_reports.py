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

Told = Introduction | Unavailable | WorkerDied


class Introductions:
    """Of each profile what its worker said of itself, or why there is none."""

    def __init__(self) -> None:
        self._told: dict[Profile, Told] = {}

    def of(self, profile: Profile) -> Introduction:
        """What a profile selected, once it is known to have taken effect.

        Raises Unavailable, and WorkerDied for a profile that can't be started or did not take effect.
        """
        told = self._known(profile)
        if isinstance(told, Introduction):
            return told
        raise told.with_traceback(None)  # it may be raised often, and would gather a traceback each time

    def missing(self, profile: Profile) -> str | None:
        """Why a profile isn't here, or None; its worker is started to know.  Raises WorkerDied as ``of`` does."""
        told = self._known(profile)
        if isinstance(told, WorkerDied):
            raise told.with_traceback(None)
        return str(told) if isinstance(told, Unavailable) else None

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
            with ThreadPoolExecutor(len(chosen)) as crew:
                list(crew.map(self._known, chosen))

    def _known(self, profile: Profile) -> Told:
        if profile not in self._told:
            self._told[profile] = self._asked(profile)
        return self._told[profile]

    def _asked(self, profile: Profile) -> Told:
        try:
            held_against = profile.device == "cpu" and profile != default_of(profile)
            return admitted(profile, self.of(default_of(profile)) if held_against else None)
        except (Unavailable, WorkerDied) as reason:
            return reason

    # -- to other processes ------------------------------------------------------------------------------------------

    def text(self) -> str:
        """All that is known, as JSON."""
        return json.dumps([[p.framework, p.name, *_plain(told)] for p, told in self._told.items()])

    def learn(self, text: str) -> None:
        """Take over what another process of the same session knows."""
        for framework, name, kind, value in json.loads(text):
            self._told[profile_named(framework, name)] = _told(kind, value)


def _plain(told: Told) -> tuple[str, object]:
    if isinstance(told, Introduction):
        return "introduction", asdict(told)
    if isinstance(told, WorkerDied):
        return "loss", asdict(told.loss)
    return "unavailable", str(told)


def _told(kind: str, value: object) -> Told:
    if isinstance(value, dict):
        return Introduction(**value) if kind == "introduction" else WorkerDied(Loss(**value))
    return Unavailable(str(value))
