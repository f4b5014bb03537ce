"""pytest's options, each also as an ini value, and the session that they ask for."""

from __future__ import annotations

from typing import Any

import pytest

from references.functions import OPERATIONS
from references.verdict.ladder import VERDICTS
from suites.driver.profiles import Limits, UnknownProfile, devices_of, every_name, is_card
from suites.implementations.catalogue import (
    FRAMEWORKS,
    OWN_FRAMEWORKS,
    Implementation,
    UnknownName,
    assumption,
    of_frameworks,
    user_implementation,
)
from suites.known_defects import REQUIRED, DefectError, known_defects
from suites.laws.known_law_defects import law_defects
from suites.plan.cell import FORMATS, TIERS, Selection
from suites.session import Session

# option -> what it is, the known values, whether it may be given more than once
_OPTIONS: dict[str, tuple[str, tuple[str, ...] | None, bool]] = {
    "framework": ("measure only these frameworks", FRAMEWORKS, True),
    "device": ("measure on cpu (default), cuda, cuda:N or all: the CPU and a card", None, False),
    "profile": ("only these profiles, for example default or aten-avx2", None, True),
    "format": ("only these formats", FORMATS, True),
    "operation": ("only these operations", OPERATIONS, True),
    "tier": ("smoke, standard (default) or deep", TIERS, False),
    "implementation": ("measure your own FILE.py:NAME, a callable NAME(x, axis); needs one --framework", None, False),
    "require": (f"the verdict every cell has to reach (default {REQUIRED})", VERDICTS, False),
    "record": ("write what is measured into this run directory", None, False),
    "baseline": ("hold every cell against this run directory or baseline file: none may be worse", None, False),
}


def add_options(parser: pytest.Parser) -> None:
    group = parser.getgroup("softmax-accuracy")
    for name, (text, _, many) in _OPTIONS.items():
        extra: dict[str, Any] = {"action": "append"} if many else {}
        group.addoption(f"--{name}", help=text, **extra)
        if many:
            parser.addini(name, text, type="args", default=[])
        else:
            parser.addini(name, text, type="string", default="")
    text = "fail where --device names what is not there"
    group.addoption("--require-device", action="store_true", help=text)
    parser.addini("require-device", text, type="bool", default=False)


def option(config: pytest.Config, name: str) -> Any:
    """The value of an option, a tuple of those that may be given more than once.  Raises UsageError."""
    text, known, many = _OPTIONS[name]
    value = config.getoption(f"--{name}") or config.getini(name)
    for word in (value if many else [value]) if known else []:
        if word and known and word not in known:
            raise pytest.UsageError(f"--{name}: unknown {word!r}; known are {', '.join(known)}")
    return tuple(value) if many else (value or None)


def session_of(config: pytest.Config) -> Session:
    """What the options ask for.  Raises UsageError."""
    try:
        Limits.usual()  # before a profile is made that would have them
        implementations = _implementations(config)
        known_defects()
        law_defects()
    except (UnknownName, UnknownProfile, DefectError) as error:
        raise pytest.UsageError(str(error)) from None
    selection = Selection(
        option(config, "tier") or "standard",
        operations=option(config, "operation"),
        formats=option(config, "format"),
        profiles=_profiles(config),
        devices=_devices(config),
    )
    own = option(config, "implementation")
    return Session(
        implementations,
        selection,
        option(config, "require") or REQUIRED,
        require_device=config.getoption("--require-device") or config.getini("require-device"),
        remarks=[assumption(own)] if own and not selection.operations else [],
    )


def _implementations(config: pytest.Config) -> list[Implementation]:
    frameworks, operations, own = (option(config, name) for name in ("framework", "operation", "implementation"))
    if not own:
        return of_frameworks(frameworks)
    if len(frameworks) != 1:
        raise pytest.UsageError(f"--implementation {own} needs one --framework: {', '.join(OWN_FRAMEWORKS)}")
    if len(set(operations)) > 1:
        raise pytest.UsageError(f"--implementation {own} is one operation; give --operation once")
    return [user_implementation(own, frameworks[0], operations[0] if operations else None)]


def _profiles(config: pytest.Config) -> tuple[str, ...]:
    names: tuple[str, ...] = option(config, "profile")
    for name in names:
        if name not in every_name() and not is_card(name):
            raise pytest.UsageError(f"--profile: unknown {name!r}; known are {', '.join(every_name())}, cuda, cuda:N")
    return names


def _devices(config: pytest.Config) -> tuple[str, ...]:
    """Empty for the CPU, which is what a selection means by default."""
    word = option(config, "device") or "cpu"
    devices = devices_of(word)
    if devices is None:
        raise pytest.UsageError(f"--device: unknown {word!r}; known are cpu, cuda, cuda:N, all")
    return () if devices == ("cpu",) else devices
