"""Profiles: the environments of an evaluation that can change its bits, and whether one really took effect."""

from __future__ import annotations

import math
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, partial

from suites.implementations.read_back import Fact
from suites.worker.self_report import Introduction

DEFAULT = "default"

# The profile of SciPy in which it takes arrays of other frameworks, which is decided when it is imported.
ARRAY_API = "array-api"

# Variables that say where this Python finds its packages; another one would find them too.
OF_THIS_PYTHON = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")

_INSTRUCTION_SETS = ("ATEN_CPU_CAPABILITY", "NPY_DISABLE_CPU_FEATURES")


# The variable that says how many seconds a call may take, the first one included.
CALL_SECONDS = "SOFTMAX_ACCURACY_CALL_SECONDS"


class UnknownProfile(ValueError):
    """A profile that no framework has, or limits that none can keep; the message names it and says what there is."""


@dataclass(frozen=True)
class Limits:
    """What a worker may take before it is ended: seconds without an answer, and bytes beyond what it starts with.

    The first call of an implementation may compile for long, and imports a user's file.  ``memory`` None means half of
    what the machine has: one that runs away is stopped before it pushes others out.
    """

    start: float = 300.0
    first_call: float = 300.0
    call: float = 120.0
    memory: int | None = None

    @classmethod
    def usual(cls) -> Limits:
        """Those of a profile that is given none; a variable may set the seconds of a call.  Raises UnknownProfile."""
        text = os.environ.get(CALL_SECONDS)
        if not text:
            return cls()
        try:
            seconds = float(text)
        except ValueError:
            seconds = math.nan
        if not (math.isfinite(seconds) and seconds > 0):
            raise UnknownProfile(f"{CALL_SECONDS}={text} is no number of seconds; give one above 0, or unset it")
        return cls(first_call=seconds, call=seconds)


@dataclass(frozen=True)
class Profile:
    """One framework under one interpreter, environment, number of threads and device.

    ``needs`` are the features that the processor must have.  The rest is held against what was read back: ``expects``
    are settings with their values, ``avoids`` are values that no setting may have, ``changes`` are settings that must
    differ from those of the default profile.
    """

    name: str
    framework: str
    interpreter: str = sys.executable
    environment: tuple[tuple[str, str], ...] = ()
    threads: int = 1
    device: str = "cpu"
    cpus: int | None = None
    x64: bool = True
    needs: tuple[str, ...] = ()
    expects: tuple[tuple[str, Fact], ...] = ()
    avoids: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()  # empty: all
    limits: Limits = field(default_factory=Limits.usual)

    @property
    def chooses_instructions(self) -> bool:
        """Whether it has other kernels than the default one, by instruction set."""
        return any(name in _INSTRUCTION_SETS for name, _ in self.environment)

    def variables(self) -> dict[str, str]:
        """The environment variables of its worker: this process's own, with those of the profile in their place.

        What would put this Python's packages into another one is left out.  Flags for XLA are added to those that are
        set, and the later one of a kind holds.
        """
        found = dict(os.environ)
        if self.interpreter != sys.executable:
            found = {name: value for name, value in found.items() if name not in OF_THIS_PYTHON}
        if self.framework == "jax":  # a card that nothing asked for would take three quarters of its memory
            found["JAX_PLATFORMS"] = self.device.partition(":")[0]
            found.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
        for name, value in self.environment:
            found[name] = f"{found.get(name, '')} {value}".strip() if name == "XLA_FLAGS" else value
        return found

    def asked(self) -> dict[str, str]:
        """In what it differs from the default profile."""
        found = dict(self.environment)
        if self.threads != 1:
            found["threads"] = str(self.threads)
        if self.cpus is not None:
            found["processors"] = str(self.cpus)
        if not self.x64:
            found["x64"] = "False"
        return found


def _torch(interpreter: str) -> tuple[Profile, ...]:
    def threads(count: int) -> Profile:
        name = f"threads-{count}"
        return Profile(name, "torch", interpreter, threads=count, expects=(("threads", count),))

    def capability(name: str, *needs: str) -> Profile:
        return Profile(
            f"aten-{name}",
            "torch",
            interpreter,
            environment=(("ATEN_CPU_CAPABILITY", name),),
            needs=needs,
            expects=(("cpu capability", name.upper()),),
        )

    return threads(2), threads(4), capability("default"), capability("avx2", "avx2"), capability("avx512", "avx512f")


def _numpy(framework: str, interpreter: str) -> tuple[Profile, ...]:
    def without(name: str, *features: str) -> Profile:
        variables = (("NPY_DISABLE_CPU_FEATURES", " ".join(features)),)
        return Profile(name, framework, interpreter, environment=variables, avoids=features)

    found = without("without-x86-v4", "X86_V4"), without("without-x86-v3", "X86_V4", "X86_V3")
    if framework != "scipy":
        return found
    variables = (("SCIPY_ARRAY_API", "1"),)
    return *found, Profile(ARRAY_API, framework, interpreter, environment=variables, expects=(("array API", True),))


def _jax(interpreter: str) -> tuple[Profile, ...]:
    def flags(name: str, value: str, *needs: str, formats: tuple[str, ...] = ()) -> Profile:
        return Profile(
            f"xla-{name}",
            "jax",
            interpreter,
            environment=(("XLA_FLAGS", value),),
            needs=needs,
            changes=("XLA options",),
            formats=formats,
        )

    return (
        Profile("one-cpu", "jax", interpreter, cpus=1, expects=(("CPU count", 1),)),
        # What limits the instruction set to one that the processor ends at anyway changes nothing.
        flags("avx2", "--xla_cpu_max_isa=AVX2", "avx512f"),
        # Without F16C, XLA 0.10.2 finds no __extendhfsf2 to link and compiles nothing with binary16 in it.
        flags("sse4_2", "--xla_cpu_max_isa=SSE4_2", "avx2", formats=("binary64", "binary32", "bfloat16")),
        flags("no-excess-precision", "--xla_allow_excess_precision=false"),
        flags("no-ynn", "--xla_cpu_experimental_ynn_fusion_type="),
        Profile(
            "no-x64",
            "jax",
            interpreter,
            x64=False,
            expects=(("x64", False),),
            formats=("binary32", "binary16", "bfloat16"),
        ),
    )


_OTHERS: dict[str, Callable[[str], tuple[Profile, ...]]] = {
    "torch": _torch,
    "jax": _jax,
    "scipy": partial(_numpy, "scipy"),
    "numpy": partial(_numpy, "numpy"),
}


@cache
def cpu_profiles(framework: str, interpreter: str = sys.executable) -> tuple[Profile, ...]:
    """The profiles of a framework on the CPU, the default one first."""
    return Profile(DEFAULT, framework, interpreter), *_OTHERS[framework](interpreter)


def cuda_profile(framework: str, device: str, interpreter: str = sys.executable) -> Profile | None:
    """The profile of a framework on a card (cuda, cuda:1), None for those that compute on the CPU alone."""
    if framework not in ("torch", "jax"):
        return None
    return Profile(device, framework, interpreter, device=device)


def every_name() -> tuple[str, ...]:
    """The names of all profiles on the CPU, of any framework."""
    return tuple(dict.fromkeys(p.name for framework in _OTHERS for p in cpu_profiles(framework)))


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


def devices_of(word: str) -> tuple[str, ...] | None:
    """The devices that a word on the command line stands for: ``all`` is the CPU and the first card; None if none."""
    if word == "all":
        return ("cpu", "cuda")
    return (word,) if word == "cpu" or is_card(word) else None


def is_card(name: str) -> bool:
    """Whether a word names a CUDA device."""
    kind, colon, index = name.partition(":")
    return kind == "cuda" and (index.isdecimal() if colon else True)


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
