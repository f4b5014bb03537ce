"""Profiles: the environments of an evaluation that can change its bits, and whether one really took effect."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from suites.implementations.catalogue import framework_named, frameworks
from suites.implementations.profile import CALL_SECONDS as CALL_SECONDS
from suites.implementations.profile import DEFAULT as DEFAULT
from suites.implementations.profile import Limits as Limits
from suites.implementations.profile import Profile as Profile
from suites.implementations.profile import UnknownProfile as UnknownProfile
from suites.vocabulary import is_card

if TYPE_CHECKING:  # what a worker says of itself is read there; names of profiles are listed without NumPy
    from suites.worker.self_report import Introduction


# Variables that say where this Python finds its packages; another one would find them too.
OF_THIS_PYTHON = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")


def variables_of(profile: Profile) -> dict[str, str]:
    """The environment variables of a profile's worker: this process's own, with those of the profile in their place.

    What would put this Python's packages into another one is left out.  A variable that holds flags has those of the
    profile added to it; the later one of a kind holds.
    """
    framework, found = framework_named(profile.framework), dict(os.environ)
    if profile.interpreter != sys.executable:
        found = {name: value for name, value in found.items() if name not in OF_THIS_PYTHON}
    found.update(framework.variables(profile.device.partition(":")[0], found))
    for name, value in profile.environment:
        added = name == framework.flags_variable
        found[name] = f"{found.get(name, '')} {value}".strip() if added else value
    return found


@cache
def cpu_profiles(framework: str, interpreter: str = sys.executable) -> tuple[Profile, ...]:
    """The profiles of a framework on the CPU, the default one first."""
    others = framework_named(framework).profiles
    return tuple(replace(p, interpreter=interpreter) for p in (Profile(DEFAULT, framework), *others))


def cuda_profile(framework: str, device: str, interpreter: str = sys.executable) -> Profile | None:
    """The profile of a framework on a card (cuda, cuda:1), None for those that compute on the CPU alone."""
    if not framework_named(framework).cards:
        return None
    return Profile(device, framework, interpreter, device=device)


def every_name() -> tuple[str, ...]:
    """The names of all profiles on the CPU, of any framework."""
    return tuple(dict.fromkeys(p.name for framework in frameworks() for p in cpu_profiles(framework)))


def profiles_on(framework: str, devices: tuple[str, ...], interpreter: str = sys.executable) -> tuple[Profile, ...]:
    """The profiles of a framework on some devices."""
    found: list[Profile] = []
    for device in devices:
        if device == "cpu":
            found += cpu_profiles(framework, interpreter)
        else:
            card = cuda_profile(framework, device, interpreter)
            found += [card] if card else []
    return tuple(found)


def profile_named(framework: str, name: str, interpreter: str = sys.executable) -> Profile:
    """A profile by its name in keys.  Raises UnknownProfile."""
    if is_card(name):
        card = cuda_profile(framework, name, interpreter)
        if card:
            return card
    for profile in cpu_profiles(framework, interpreter):
        if profile.name == name:
            return profile
    known = ", ".join(profile.name for profile in cpu_profiles(framework))
    raise UnknownProfile(f"{framework} has no profile {name!r}; it has {known}")


def why_not_here(profile: Profile, default: Introduction) -> str | None:
    """Why a profile can't differ from the default one on this machine, or None; nothing is started for it."""
    if profile.name == DEFAULT or profile.device != "cpu":
        return None
    absent = [feature for feature in profile.needs if feature not in default.features]
    if absent:
        return f"not available here: this processor has no {', '.join(absent)}"
    selected = default.selected
    for name, _ in profile.expects:
        if name in default.facts and default.facts[name] is None:
            return f"not available here: {name} is {selected[name]}"
    if profile.expects and all(default.facts.get(name) == value for name, value in profile.expects):
        chosen = ", ".join(f"{name} {value}" for name, value in profile.expects)
        return f"not available here: it is the default ({chosen})"
    if profile.avoids and not set(profile.avoids) & set(selected.values()):
        return f"not available here: {' and '.join(profile.avoids)} {_are(profile.avoids)} not in use"
    return None


def _are(names: tuple[str, ...]) -> str:
    return "is" if len(names) == 1 else "are"


def refused_flag(log: str) -> str | None:
    """The flag that XLA ended the process for, because this release doesn't know it; None if it was something else."""
    match = re.search(r"Unknown flags? in XLA_FLAGS: (\S+)", log)
    return match.group(1) if match else None


def contradiction(profile: Profile, default: Introduction | None, mine: Introduction) -> str | None:
    """How what a started profile selected differs from what was asked of it, or None.

    ``default`` is what the default profile selected, for those that must differ from it.
    """
    selected = mine.selected
    if profile.device != "cpu" and mine.card is None:
        return f"did not take effect: it computes on {mine.device}, not on a card"
    for name, value in profile.expects:
        if mine.facts.get(name) != value:
            return f"did not take effect: {name} is {selected.get(name)}, not {value}"
    for name, value in selected.items():
        if value in profile.avoids:
            return f"did not take effect: {name} is still {value}"
    for name in profile.changes:
        if default is not None and selected.get(name) == default.selected.get(name):
            return f"did not take effect: {name} is {selected.get(name)}, as in the default profile"
    return None
