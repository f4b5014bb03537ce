"""What a process computes with: versions, settings that were really selected, the device; read back, never assumed."""

from __future__ import annotations

import importlib
import importlib.util
import platform
import re
import sys
from dataclasses import dataclass, field
from typing import Any

from references.ieee.float_state import what_is_off
from suites.implementations.catalogue import settings_module
from suites.implementations.placement import HERE
from suites.implementations.read_back import Fact, facts_of, in_words
from suites.worker import environment

# Settings that a framework picks by itself, by the processor and the variables that it finds, under names of its own:
# the kernels that one release of NumPy calls AVX512_SKX are X86_V4 in another.
_PICKED = re.compile(r"(exp|log) [a-z]|dispatch|sum buffer|cpu capability")


def is_picked(setting: str) -> bool:
    """Whether a setting follows from a framework's version on one processor under the same variables."""
    return _PICKED.fullmatch(setting) is not None


class Unavailable(Exception):
    """A framework or a device that isn't here; the message is the reason, in one line."""


@dataclass(frozen=True)
class Introduction:
    """One framework in one process.

    ``settings`` can change the bits; ``details`` tell more of the same kind.  Both are words, to be shown and recorded;
    ``facts`` are their values, None for what this version doesn't tell.  ``features`` are the processor's, ``card``
    names the GPU with its driver.
    """

    framework: str
    device: str
    interpreter: str
    python: str
    platform: str
    packages: dict[str, str]
    environment: dict[str, str]
    settings: dict[str, str]
    details: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Fact] = field(default_factory=dict)
    features: list[str] = field(default_factory=list)
    card: str | None = None

    @property
    def selected(self) -> dict[str, str]:
        """Everything that was read back."""
        return {**self.settings, **self.details}

    @property
    def flushes(self) -> bool:
        """Whether the framework flushes subnormal numbers to zero, as a probe of its own arithmetic showed."""
        return self.facts.get("flushes subnormals") is True

    @property
    def arithmetic(self) -> str:
        """In what the thread that evaluates differs from IEEE 754's default, in words; empty where it doesn't."""
        return self.details.get(_ARITHMETIC, "")


# A detail that is there only where something is unusual.
_ARITHMETIC = "floating-point arithmetic"


def _arithmetic() -> dict[str, str]:
    """Looked at when the framework has been imported, which can set it."""
    words = what_is_off()
    return {_ARITHMETIC: words} if words else {}


def introduce(framework: str) -> Introduction:
    """This process, with the framework imported.  Raises Unavailable."""
    try:
        if importlib.util.find_spec(framework) is None:
            raise Unavailable(f"{framework} is not installed")
        importlib.import_module(framework)
        module: Any = settings_module(framework)
    except Unavailable:
        raise
    except Exception as error:  # a broken wheel can raise anything while it is imported
        reason = f"{framework} can't be imported: {type(error).__name__}: {error}"
        raise Unavailable(reason.splitlines()[0]) from None
    reason = module.no_device()
    if reason:
        raise Unavailable(reason)
    settings, details = module.settings(), module.details()
    return Introduction(
        framework=framework,
        device=HERE.device,
        interpreter=sys.executable,
        python=platform.python_version(),
        platform=platform.platform(),
        packages=environment.packages(),
        environment=environment.flags(),
        settings=in_words(settings),
        details={**in_words(details), **_arithmetic()},
        facts=facts_of({**settings, **details}),
        features=environment.features(),
        card=module.card(),
    )
