"""Pythons to make environments with: found by path or command, and asked what they are."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reports.audit.state import is_packages
from reports.console.selection import interpreter_named
from reports.console.usage import UsageError
from suites.driver.profiles import OF_THIS_PYTHON

OLDEST = (3, 9)

# What installs packages, and has no part in what they compute.
_TOOLS = ("pip", "setuptools", "wheel")

_QUESTION = """
import json, platform, sys, sysconfig
print(json.dumps([sys.executable, platform.python_implementation(), platform.python_version(), sysconfig.get_platform(),
                  sys.version_info[0], sys.version_info[1]]))
"""


# The first distribution of a name is the one that is imported; what lost its metadata has no name.
_CONTENT = """
import importlib.metadata as m, json, platform, sysconfig
found = {}
for d in m.distributions():
    name = d.metadata and d.metadata["Name"]
    if name:
        found.setdefault(name.lower().replace("_", "-"), d.version)
print(json.dumps([platform.python_version(), platform.python_implementation(), sysconfig.get_platform(), found]))
"""


@dataclass(frozen=True)
class Interpreter:
    """A Python: by which path it was asked for, where it says that it is, and what decides which wheels fit it.

    The two paths differ where a script stands before the program: one that picks a version, or a container's.
    """

    path: Path
    executable: str
    implementation: str
    version: str
    platform: str


def interpreter_at(python: str, option: str = "--python") -> Interpreter:
    """The Python of a path or a command; ``option`` is named where it is none.

    Raises UsageError where there is none, where it can't be started, and where it is older than the worker needs.
    """
    path = Path(interpreter_named(python, option))
    try:
        *names, major, minor = answer_of(path, _QUESTION)
        executable, implementation, version, platform = map(str, names)
    except (NoAnswer, TypeError, ValueError) as reason:
        raise UsageError(f"{option} {python!r} does not run as a Python: {reason}") from None
    if (major, minor) < OLDEST:
        raise UsageError(f"{option} {python!r} is Python {version}; the worker needs {_text(OLDEST)} or newer")
    return Interpreter(path, executable, implementation, version, platform)


@dataclass(frozen=True)
class Python:
    """What a Python is, and the versions of its packages by name, without what installs them."""

    version: str
    implementation: str
    platform: str
    packages: dict[str, str]


def python_at(path: Path) -> Python:
    """What a Python says of itself.  Raises NoAnswer."""
    try:
        *words, packages = answer_of(path, _CONTENT)
        version, implementation, platform = map(str, words)
        if not is_packages(packages):
            raise ValueError("what it lists is no list of packages")
    except (TypeError, ValueError) as error:
        raise NoAnswer(str(error)) from None
    kept = {name: text for name, text in sorted(packages.items()) if name not in _TOOLS}
    return Python(version, implementation, platform, kept)


class NoAnswer(Exception):
    """A program that doesn't answer as a Python does; the message is one line."""


def answer_of(python: Path, question: str) -> Any:
    """What a Python prints for some lines of code, as JSON, apart from what this one has.  Raises NoAnswer."""
    try:
        asked = subprocess.run(
            [str(python), "-I", "-c", question],
            capture_output=True,
            text=True,
            errors="replace",
            check=True,
            timeout=60,
            env=clean_environment(),
        )
        if not asked.stdout:
            raise ValueError("it prints nothing")
        return json.loads(asked.stdout.splitlines()[-1])
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        lines = (getattr(error, "stderr", None) or str(error)).strip().splitlines() or ["it says nothing"]
        raise NoAnswer(lines[-1] if lines[0].startswith("Traceback") else lines[0]) from None


def clean_environment() -> dict[str, str]:
    """This process's variables without those that would put its own packages, or a user's, into another Python."""
    kept = {name: value for name, value in os.environ.items() if name not in OF_THIS_PYTHON}
    return {**kept, "PYTHONNOUSERSITE": "1"}


def _text(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))
