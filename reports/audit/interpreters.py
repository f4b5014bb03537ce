"""Pythons to make environments with: found by path or command, and asked what they are."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reports.options import UsageError
from reports.selecting import interpreter_named
from suites.profiles import OF_THIS_PYTHON

OLDEST = (3, 9)

_QUESTION = """
import json, platform, sys, sysconfig
print(json.dumps([sys.executable, platform.python_implementation(), platform.python_version(), sysconfig.get_platform(),
                  sys.version_info[0], sys.version_info[1]]))
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
        told = getattr(error, "stderr", None) or str(error)
        raise NoAnswer(told.splitlines()[0]) from None


def clean_environment() -> dict[str, str]:
    """This process's variables without those that would put its own packages, or a user's, into another Python."""
    kept = {name: value for name, value in os.environ.items() if name not in OF_THIS_PYTHON}
    return {**kept, "PYTHONNOUSERSITE": "1"}


def _text(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))
