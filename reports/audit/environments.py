"""Environments for audits: built once for a lock, kept in the user's cache, and found again without a network.

They are in the user's cache directory, or where SOFTMAX_ACCURACY_ENVIRONMENTS says (reports.audit.kept has the layout).
One process builds at a time; what a killed one leaves is removed by the next.
"""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path

from reports.audit.installers import Failed, Installer, installer_named
from reports.audit.interpreters import Interpreter, NoAnswer, interpreter_at, python_at
from reports.audit.kept import Environment as Environment
from reports.audit.kept import KeptEnvironments, checked, sha256_of_parts
from reports.audit.requirements import Requirements, requirements_of
from reports.audit.state import Damaged
from reports.console.usage import UsageError
from reports.measure.messages import Say

_VARIABLE = "SOFTMAX_ACCURACY_ENVIRONMENTS"

# What the installers take from the environment that can lead the same words to other wheels.
_INDEX_VARIABLES = (
    *("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_CONSTRAINT", "PIP_PRE", "PIP_CONFIG_FILE"),
    *("UV_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_PRERELEASE"),
    *("UV_EXCLUDE_NEWER", "UV_TORCH_BACKEND"),
)


class EnvironmentFailed(UsageError):
    """An environment that can't be had: ``reason`` in one line, and the message with it and the remedy."""

    def __init__(self, message: str, reason: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason or message


def place_of_environments() -> Path:
    """Where environments are kept."""
    named = os.environ.get(_VARIABLE)
    if named:
        try:
            return Path(named).expanduser().absolute()
        except RuntimeError:  # ~somebody who is nobody
            return Path(named).absolute()
    from platformdirs import user_cache_path

    return user_cache_path("softmax-accuracy", appauthor=False) / "environments"


def environment_of(
    requirements: str | Requirements,
    *,
    python: str,
    log: Path,
    installer: str = "pip",
    say: Say = lambda line: None,
) -> Environment:
    """The environment that requirements lead to, built if it isn't kept.

    ``python`` is the path or command of the Python that it is made with, ``log`` the file that gets what the installer
    prints, ``say`` prints what takes time.  Requirements that don't name one version each are resolved anew, and what
    they led to last time is taken only where that fails.  Raises UsageError, and EnvironmentFailed where the
    requirements can't be resolved or installed.
    """
    asked = requirements_of(requirements) if isinstance(requirements, str) else requirements
    tool, interpreter = installer_named(installer), interpreter_at(python)
    kept = KeptEnvironments(place_of_environments(), say)
    question = _question(asked, interpreter, tool)
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.touch()
    except OSError as error:
        raise EnvironmentFailed(f"{log} can't be written: {error.strerror or error}; choose another --out") from None
    try:
        with kept.locked():
            known = kept.answer(question)
            if known and asked.pinned:
                return known
            try:
                return kept.made(question, asked, interpreter, tool, log)
            except (Failed, NoAnswer, Damaged) as failure:
                if known:
                    say(f"{asked.text}: {failure}; taking what it led to last time")
                    return known
                raise EnvironmentFailed(
                    f"{asked.text!r} can't be installed for Python {interpreter.version}: "
                    f"{str(failure).rstrip('.')}; {log} has all that {tool.name} said, "
                    "and --python names another Python",
                    str(failure),
                ) from None
    except (OSError, NotImplementedError) as error:  # the latter: a file system without locks
        reason = getattr(error, "strerror", None) or str(error)
        raise EnvironmentFailed(
            f"{kept.place} can't be written: {reason}; free space there, or name another place in {_VARIABLE}"
        ) from None


def _question(asked: Requirements, interpreter: Interpreter, installer: Installer) -> str:
    """A fingerprint of all that decides what requirements lead to; of what may hold a password it keeps no more."""
    index = {name: os.environ[name] for name in _INDEX_VARIABLES if os.environ.get(name)}
    identity = {name: value for name, value in asdict(interpreter).items() if name != "path"}
    return sha256_of_parts(asked.lines, identity, installer.name, index)


def installed_in(python: Path) -> dict[str, str]:
    """The packages of an environment by name, without what installs them.  Raises EnvironmentFailed."""
    try:
        return python_at(python).packages
    except NoAnswer as reason:
        raise EnvironmentFailed(f"{python} can't list its packages: {reason}") from None


def is_kept(python: Path) -> bool:
    """Whether a Python is that of an environment that is kept."""
    return python.parent.parent.parent == place_of_environments() / "environments"


def what_changed(python: Path, packages: dict[str, str]) -> str | None:
    """How a Python differs from when it had these packages, in words; None if it doesn't.

    In a kept environment every file counts, elsewhere the list of packages.
    """
    if is_kept(python):
        try:
            found = checked(python.parents[1]).packages
        except (Damaged, FileNotFoundError) as reason:
            return str(reason)
    else:
        try:
            found = installed_in(python)
        except EnvironmentFailed as failure:
            return str(failure)
    for name in sorted({*packages, *found}):
        old, new = packages.get(name, "not there"), found.get(name, "not there")
        if old != new:
            return f"{name} was {old} and is {new}"
    return None
