"""pytest's options, each also as an ini value, and the session that they ask for."""

from __future__ import annotations

from typing import Any

import pytest

from reports.console.usage import UsageError
from reports.vocabulary import WORDS, known
from suites.driver.profiles import Limits, UnknownProfile
from suites.implementations.catalogue import (
    OWN_FRAMEWORKS,
    Implementation,
    UnknownName,
    assumption,
    of_frameworks,
    user_implementation,
)
from suites.known_defects import REQUIRED, DefectError, known_defects
from suites.laws.known_law_defects import law_defects
from suites.plan.cell import Selection
from suites.session import Session
from suites.vocabulary import devices_of

# option -> what it is, the kind of its words (reports/vocabulary.py), whether it may be given more than once
_OPTIONS: dict[str, tuple[str, str | None, bool]] = {
    "framework": ("measure only these frameworks", "framework", True),
    "device": ("where it is computed; all is the CPU and a card; cpu by default", "device", False),
    "profile": ("only these profiles; cards are cuda, cuda:N", "profile", True),
    "format": ("only these formats", "format", True),
    "operation": ("only these operations", "operation", True),
    "tier": ("how much is measured; standard by default", "tier", False),
    "implementation": ("measure your own FILE.py:NAME, a callable NAME(x, axis); needs one --framework", None, False),
    "require": (f"the verdict every cell has to reach; {REQUIRED} by default", "verdict", False),
    "record": ("write what is measured into this run directory", None, False),
    "baseline": ("hold every cell against this run directory or baseline file: none may be worse", None, False),
}


def add_options(parser: pytest.Parser) -> None:
    group = parser.getgroup("softmax-accuracy")
    for name, (text, kind, many) in _OPTIONS.items():
        text = f"{text}: {', '.join(WORDS[kind])}" if kind else text
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
    _, kind, many = _OPTIONS[name]
    value = config.getoption(f"--{name}") or config.getini(name)
    given = tuple(value) if many else ((value,) if value else ())
    try:
        words = known(kind, given) if kind else given
    except UsageError as error:
        raise pytest.UsageError(f"--{name}: {error}") from None
    return words if many else next(iter(words), None)


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
        profiles=option(config, "profile"),
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


def _devices(config: pytest.Config) -> tuple[str, ...]:
    """Empty for the CPU, which is what a selection means by default."""
    word = option(config, "device") or "cpu"
    return () if word == "cpu" else devices_of(word) or ()
