"""The environments that are kept: found by name, checked before they are used, built anew where they are broken.

    PLACE/questions/<sha256>.json   which environment some requirements led to, for one Python and index
    PLACE/environments/<name>/      a virtual environment
    .../contents.json               every file in it, when it had been built
    .../audit.json                  what is in it, written last: without it the environment is not complete

Names are matched, and no link below PLACE is followed to something that is said of an environment.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from reports.audit.contents import contents_of, difference
from reports.audit.installers import Installer, python_in
from reports.audit.interpreters import Interpreter, NoAnswer, python_at
from reports.audit.requirements import Requirements
from reports.audit.state import (
    LINE,
    SHA256,
    TEXT,
    VERSION,
    WORDS,
    Damaged,
    is_contents,
    is_packages,
    of_pattern,
    read_object,
)
from reports.files import write_atomically
from reports.measure.messages import Say
from suites.worker.digests import sha256_of

_MARKER, _CONTENTS = "audit.json", "contents.json"
_OURS = frozenset({_MARKER, _CONTENTS})

_NAME = re.compile(r"[0-9a-f]{12}")

_MARKER_FIELDS = {
    "key": of_pattern(SHA256),
    "python": of_pattern(VERSION),
    "implementation": of_pattern(LINE),
    "platform": of_pattern(LINE),
    "executable": of_pattern(SHA256),
    "lock": of_pattern(TEXT),
    "packages": is_packages,
    "contents": of_pattern(SHA256),
}
_QUESTION_FIELDS = {"environment": of_pattern(_NAME), "requirements": of_pattern(WORDS)}


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


def sha256_of_parts(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class KeptEnvironments:
    """The environments that are there; ``say`` prints what takes time, and what was broken."""

    place: Path
    say: Say

    @property
    def everything(self) -> Path:
        return self.place / "environments"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only one who looks and builds; the lock ends with its process."""
        self.place.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.place / "lock")
        try:
            lock.acquire(blocking=False)
        except Timeout:
            self.say(f"waiting for another process that builds environments in {self.place}")
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def answer(self, question: str) -> Environment | None:
        """The environment that a question led to, if it is still there and as it was built."""
        place = self._answered(question)
        return self._checked(place) if place else None

    def _answered(self, question: str) -> Path | None:
        """Where the environment that a question led to is, or was."""
        file = self._question_file(question)
        try:
            if not self._is_own(file):
                return None
            return self.everything / str(read_object(file, _QUESTION_FIELDS)["environment"])
        except (FileNotFoundError, Damaged):
            return None

    def made(
        self, question: str, asked: Requirements, interpreter: Interpreter, tool: Installer, log: Path
    ) -> Environment:
        """Resolve, and build unless there is an environment of that lock.  Raises Failed, NoAnswer, OSError."""
        self.everything.mkdir(exist_ok=True)
        self._sweep()
        place = self._answered(question)  # one that is built anew is found by audits that were begun with it
        if place is None or os.path.lexists(place):
            place = self.everything / secrets.token_hex(6)
        try:
            self.say(f"resolving {asked.text} for Python {interpreter.version}")
            tool.make(place, interpreter, log)
            lock = tool.resolve(place, asked.lines, log)
            key = sha256_of_parts(lock, interpreter.implementation, interpreter.version, interpreter.platform)
            found = self._of_key(key)
            if found:
                shutil.rmtree(place, ignore_errors=True)
            else:
                names = " ".join(line.split()[0] for line in lock.splitlines() if line[:1].isalnum())
                self.say(f"installing {names}")
                found = _installed(place, lock, key, tool, log)
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            raise
        file = self._question_file(question)
        file.parent.mkdir(exist_ok=True)
        answer = {"environment": found.interpreter.parents[1].name, "requirements": asked.text}
        write_atomically(file, json.dumps(answer) + "\n", durable=True)
        return found

    def _question_file(self, question: str) -> Path:
        return self.place / "questions" / f"{question}.json"

    def _is_own(self, path: Path) -> bool:
        """Whether a path below PLACE leads to where it says, by no link."""
        return Path(os.path.realpath(path)) == Path(os.path.realpath(self.place)) / path.relative_to(self.place)

    def _places(self) -> list[Path]:
        """Folders that may be environments; what is not named as they are is somebody else's."""
        return [path for path in self.everything.iterdir() if _NAME.fullmatch(path.name) and not path.is_symlink()]

    def _of_key(self, key: str) -> Environment | None:
        for place in self._places():
            with contextlib.suppress(FileNotFoundError, Damaged):
                if read_object(place / _MARKER, _MARKER_FIELDS)["key"] == key and (found := self._checked(place)):
                    return found
        return None

    def _checked(self, place: Path) -> Environment | None:
        """An environment that is as it was built; one that isn't is named and removed."""
        if not self._is_own(place):
            return None
        try:
            return checked(place)
        except FileNotFoundError:
            return None
        except Damaged as reason:
            self.say(f"the environment {place} is not as it was built ({reason}); building it anew")
            _remove(place)
            return None

    def _sweep(self) -> None:
        """Remove what killed processes left, and what lost its Python."""
        for place in self._places():
            try:
                read_object(place / _MARKER, _MARKER_FIELDS)
                complete = python_in(place).exists()
            except (FileNotFoundError, Damaged):
                complete = False
            if not complete:
                _remove(place)


def checked(place: Path) -> Environment:
    """The complete environment in a folder: its packages, its Python and every file are what was built.

    Raises FileNotFoundError where there is none, and Damaged where something differs.
    """
    marker = read_object(place / _MARKER, _MARKER_FIELDS)
    try:
        files = read_object(place / _CONTENTS, {"files": is_contents})["files"]
        if sha256_of(place / _CONTENTS) != marker["contents"]:
            raise Damaged(f"{_CONTENTS} was changed")
        changed = difference(place, files, _OURS)
        if changed:
            raise Damaged(changed)
        python = _python_of(place)
    except OSError as error:
        raise Damaged(f"{error.filename or place}: {error.strerror or error}") from None
    except NoAnswer as reason:
        raise Damaged(f"its Python does not run: {reason}") from None
    for name, value in python.items():
        if value != marker[name]:
            raise Damaged(f"its {name} was another when it was built")
    return _environment(place, marker, cached=True)


def _installed(place: Path, lock: str, key: str, tool: Installer, log: Path) -> Environment:
    """Install a lock, and write down what there is then."""
    file = place / "lock.txt"
    file.write_text(lock, encoding="utf-8")
    tool.install(place, file, log)
    python = _python_of(place)
    files = contents_of(place, _OURS)
    write_atomically(place / _CONTENTS, json.dumps({"files": files}, indent=0) + "\n", durable=True)
    marker = {"key": key, **python, "lock": lock, "contents": sha256_of(place / _CONTENTS)}
    write_atomically(place / _MARKER, json.dumps(marker, indent=1) + "\n", durable=True)
    return _environment(place, marker, cached=False)


def _python_of(place: Path) -> dict[str, object]:
    """What the Python of an environment is and has, as its marker says.  Raises NoAnswer, OSError."""
    path = python_in(place)
    found = python_at(path)
    return {
        "python": found.version,
        "implementation": found.implementation,
        "platform": found.platform,
        "executable": sha256_of(path),
        "packages": found.packages,
    }


def _environment(place: Path, marker: dict[str, object], *, cached: bool) -> Environment:
    packages = marker["packages"]
    assert isinstance(packages, dict)
    python, lock, key = (str(marker[name]) for name in ("python", "lock", "key"))
    return Environment(python_in(place), python, packages, lock, key, cached)


def _remove(place: Path) -> None:
    """Remove an environment, so that half of one never looks complete."""
    with contextlib.suppress(OSError):
        (place / _MARKER).unlink(missing_ok=True)
    shutil.rmtree(place, ignore_errors=True)
