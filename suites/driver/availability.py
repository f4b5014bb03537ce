"""Which profiles can be measured here: each is started, and what it selected is held against what was asked."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field, replace

from suites.driver.pool import introduction_of
from suites.driver.profiles import DEFAULT, Profile, contradiction, refused_flag, why_not_here
from suites.driver.tasks import Loss
from suites.driver.worker_process import WorkerDied
from suites.worker.self_report import Introduction, Unavailable


@dataclass
class Availability:
    """``present`` can be measured.  ``refused`` can't, for a reason that is nobody's fault; ``failed`` should have.

    ``absent`` are the frameworks that aren't there in any profile.
    """

    present: dict[Profile, Introduction] = field(default_factory=dict)
    refused: dict[Profile, str] = field(default_factory=dict)
    failed: dict[Profile, Loss] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)

    def admit(self, profile: Profile, default: Introduction | None, introduce: Callable[[], Introduction]) -> None:
        """Start a profile and put it where it belongs; ``default`` is what its framework's default profile selected."""
        try:
            mine = introduce()
        except Unavailable as refusal:
            self.refused[profile] = str(refusal)
        except WorkerDied as death:
            flag = refused_flag(death.loss.log)
            if flag:
                self.refused[profile] = f"not available here: this {profile.framework} knows no flag {flag}"
            else:
                self.failed[profile] = replace(death.loss, reason=f"can't be started: {death.loss.reason}")
        else:
            reason = contradiction(profile, default, mine)
            if reason:
                self.failed[profile] = Loss(reason)
            else:
                self.present[profile] = mine


def default_of(profile: Profile) -> Profile:
    """The profile that others of the same framework and interpreter are held against."""
    return Profile(DEFAULT, profile.framework, profile.interpreter, limits=profile.limits)


def not_installed(profile: Profile) -> str | None:
    """Why no worker need be started for a framework: it is not installed beside this interpreter."""
    if profile.interpreter == sys.executable and importlib.util.find_spec(profile.framework) is None:
        return f"{profile.framework} is not installed"
    return None


def availability_of(profiles: Iterable[Profile], engine: Executor) -> Availability:
    """The availability of some profiles, their workers started side by side, those of the default profiles first."""
    availability, wanted = Availability(), list(dict.fromkeys(profiles))
    for profile in wanted:
        reason = not_installed(profile)
        if reason:
            availability.refused[profile] = availability.absent[profile.framework] = reason
    installed = [p for p in wanted if p not in availability.refused]
    cards = _started((p for p in installed if p.device != "cpu"), engine)
    first = Availability()
    for profile, introduction in _started((default_of(p) for p in installed if p.device == "cpu"), engine).items():
        first.admit(profile, None, introduction.result)
    others: list[Profile] = []
    for profile in (p for p in installed if p.device == "cpu"):
        default = default_of(profile)
        if default in first.refused:
            availability.refused[profile] = availability.absent[profile.framework] = first.refused[default]
        elif default in first.failed:
            availability.failed[profile] = first.failed[default]
        elif profile == default:
            availability.present[profile] = first.present[default]
        else:
            reason = why_not_here(profile, first.present[default])
            if reason:
                availability.refused[profile] = reason
            else:
                others.append(profile)
    for profile, introduction in (_started(others, engine) | cards).items():
        availability.admit(profile, first.present.get(default_of(profile)), introduction.result)
    return availability


def _started(profiles: Iterable[Profile], engine: Executor) -> dict[Profile, Future[Introduction]]:
    return {p: engine.submit(introduction_of, p) for p in dict.fromkeys(profiles)}


def admitted(profile: Profile, default: Introduction | None = None) -> Introduction:
    """One profile, once it is known to have taken effect; its worker stays.

    ``default`` is what the framework's default profile selected; a worker is asked where it is not given.  Raises
    Unavailable, and WorkerDied for a profile that can't be started or did not take effect.
    """
    reason = not_installed(profile)
    if not reason and profile.device == "cpu" and profile != default_of(profile):
        default = default or introduction_of(default_of(profile))
        reason = why_not_here(profile, default)
    if reason:
        raise Unavailable(reason)
    availability = Availability()
    availability.admit(profile, default, lambda: introduction_of(profile))
    if profile in availability.failed:
        raise WorkerDied(availability.failed[profile])
    if profile in availability.refused:
        raise Unavailable(availability.refused[profile])
    return availability.present[profile]
