"""Environments for audits: built once for a lock, kept in the user's cache, and found again without a network.

    PLACE/questions/<sha256>.json   which environment some requirements led to, for one Python and index
    PLACE/environments/<name>/      a virtual environment
    .../audit.json                  what is in it, written last: without it the environment is not complete

PLACE is the user's cache directory, or where SOFTMAX_ACCURACY_ENVIRONMENTS says.  One process builds at a time; what a
killed one leaves is removed by the next.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from reports.audit.installers import Failed, Installer, installer_named, python_in
from reports.audit.interpreters import Interpreter, NoAnswer, answer_of, interpreter_at
from reports.audit.requirements import Requirements, requirements_of
from reports.files import write_atomically
from reports.options import UsageError
from reports.telling import Say

_VARIABLE = "SOFTMAX_ACCURACY_ENVIRONMENTS"
_MARKER = "audit.json"

# What the installers take from the environment that can lead the same words to other wheels.
_INDEX_VARIABLES = (
    *("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_CONSTRAINT", "PIP_PRE", "PIP_CONFIG_FILE"),
    *("UV_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_PRERELEASE"),
    *("UV_EXCLUDE_NEWER", "UV_TORCH_BACKEND"),
)

_CONTENT = """
import importlib.metadata as m, json
print(json.dumps({d.metadata["Name"].lower().replace("_", "-"): d.version for d in m.distributions()}))
"""
_TOOLS = ("pip", "setuptools", "wheel")


class EnvironmentFailed(UsageError):
    """An environment that can't be had: ``reason`` in one line, and the message with it and the remedy."""

    def __init__(self, message: str, reason: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason or message


@dataclass(frozen=True)
class Environment:
    """A Python with packages.

    ``packages`` are installed versions by name; ``lock`` is the requirements file that was installed, ``key`` its
    sha256 with the Python and the platform.  ``cached``: nothing had to be built.
    """

    interpreter: Path
    python: str
    packages: dict[str, str]
    lock: str
    key: str
    cached: bool


def place_of_environments() -> Path:
    """Where environments are kept."""
    named = os.environ.get(_VARIABLE)
    if named:
        return Path(named).expanduser().absolute()
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
    prints, ``say`` is told what takes time.  Requirements that don't name one version each are resolved anew, and what
    they led to last time is taken only where that fails.  Raises UsageError, and EnvironmentFailed where the
    requirements can't be resolved or installed.
    """
    asked = requirements_of(requirements) if isinstance(requirements, str) else requirements
    tool, interpreter = installer_named(installer), interpreter_at(python)
    kept = _Kept(place_of_environments())
    question = _question(asked, interpreter, tool)
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        with kept.locked(say):
            known = kept.answer(question)
            if known and asked.pinned:
                return known
            try:
                return kept.made(question, asked, interpreter, tool, log, say)
            except Failed as failure:
                if known:
                    say(f"{asked.text}: {failure}; taking what it led to last time")
                    return known
                raise EnvironmentFailed(
                    f"{asked.text!r} can't be installed for Python {interpreter.version}: "
                    f"{str(failure).rstrip('.')}; {log} has all that {tool.name} said, "
                    "and --python names another Python",
                    str(failure),
                ) from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise EnvironmentFailed(
            f"{kept.place} can't be written: {reason}; free space there, or name another place in {_VARIABLE}"
        ) from None


def _question(asked: Requirements, interpreter: Interpreter, installer: Installer) -> str:
    """A fingerprint of all that decides what requirements lead to; of what may hold a password it keeps no more."""
    index = {name: os.environ[name] for name in _INDEX_VARIABLES if os.environ.get(name)}
    identity = {name: value for name, value in asdict(interpreter).items() if name != "path"}
    return _sha256(asked.lines, identity, installer.name, index)


def _sha256(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class _Kept:
    """The environments that are there."""

    place: Path

    @contextlib.contextmanager
    def locked(self, say: Say) -> Iterator[None]:
        """Be the only one who looks and builds; the lock ends with its process."""
        self.place.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.place / "lock")
        try:
            lock.acquire(blocking=False)
        except Timeout:
            say(f"waiting for another process that builds environments in {self.place}")
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def answer(self, question: str) -> Environment | None:
        """The environment that a question led to, if it is still there."""
        try:
            name = json.loads(self._question_file(question).read_text(encoding="utf-8"))["environment"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return _read(self.place / "environments" / str(name))

    def made(
        self, question: str, asked: Requirements, interpreter: Interpreter, tool: Installer, log: Path, say: Say
    ) -> Environment:
        """Resolve, and build unless there is an environment of that lock.  Raises Failed, OSError."""
        everything = self.place / "environments"
        everything.mkdir(exist_ok=True)
        self._sweep(everything)
        place = everything / secrets.token_hex(6)
        try:
            say(f"resolving {asked.text} for Python {interpreter.version}")
            tool.make(place, interpreter, log)
            lock = tool.resolve(place, asked.lines, log)
            key = _sha256(lock, interpreter.implementation, interpreter.version, interpreter.platform)
            found = next((e for e in map(_read, everything.iterdir()) if e and e.key == key), None)
            if found:
                shutil.rmtree(place, ignore_errors=True)
            else:
                say(f"installing {' '.join(line.split()[0] for line in lock.splitlines() if line[:1].isalnum())}")
                _install(place, lock, key, interpreter, tool, log)
                found = _read(place, cached=False)
                assert found is not None
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            raise
        self._question_file(question).parent.mkdir(exist_ok=True)
        answer = {"environment": found.interpreter.parents[1].name, "requirements": asked.text}
        write_atomically(self._question_file(question), json.dumps(answer) + "\n")
        return found

    def _question_file(self, question: str) -> Path:
        return self.place / "questions" / f"{question}.json"

    @staticmethod
    def _sweep(everything: Path) -> None:
        """Remove what killed processes left, and what lost its Python."""
        for place in everything.iterdir():
            if _read(place) is None:
                shutil.rmtree(place, ignore_errors=True)


def _install(place: Path, lock: str, key: str, interpreter: Interpreter, tool: Installer, log: Path) -> None:
    file = place / "lock.txt"
    file.write_text(lock, encoding="utf-8")
    tool.install(place, file, log)
    content = {"key": key, "python": interpreter.version, "lock": lock, "packages": installed_in(python_in(place))}
    write_atomically(place / _MARKER, json.dumps(content, indent=1) + "\n")


def _read(place: Path, *, cached: bool = True) -> Environment | None:
    """A complete environment; None if it isn't one, or the Python that it was made with is gone."""
    try:
        content = json.loads((place / _MARKER).read_text(encoding="utf-8"))
        python = python_in(place)
        if not python.exists():
            return None
        return Environment(
            python, content["python"], content["packages"], content["lock"], content["key"], cached=cached
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def installed_in(python: Path) -> dict[str, str]:
    """The packages of an environment by name, without what installs them.  Raises EnvironmentFailed."""
    try:
        found: dict[str, str] = answer_of(python, _CONTENT)
    except NoAnswer as reason:
        raise EnvironmentFailed(f"{python} can't list its packages: {reason}") from None
    return {name: version for name, version in sorted(found.items()) if name not in _TOOLS}
