"""What a user's function consists of: the sha256 of its file, of everything that importing it has brought along, and of
what it reads from its folder later.

Standard library alone, and fit for Python 3.9: it runs in the worker that imports the file.
"""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from suites.content import sha256_of

T = TypeVar("T")

# Of larger files (the libraries of another framework) size and time are taken in place of the sha256.
_LARGE = 1 << 26


# What says that a file is opened to be written, in place of a mode.
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class ContentChanged(Exception):
    """A user's function isn't what it was when the run began."""


class Reading:
    """The files below a folder that this process opens to read from now on, and does not write.

    Python tells of every file that is opened by way of it: modules and data, whenever they are wanted.  A library that
    opens files by itself tells nothing.
    """

    def __init__(self, folder: str) -> None:
        self._folder = os.path.join(os.path.realpath(folder), "")
        self._temporary = os.path.join(os.path.realpath(tempfile.gettempdir()), "")
        self._read: dict[str, None] = {}
        self._written: set[str] = set()
        self._told: set[str] = set()
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event != "open" or not arguments or not isinstance(arguments[0], (str, bytes)):
            return
        mode, flags = arguments[1:3]
        path = os.path.realpath(os.fsdecode(arguments[0]))
        if not path.startswith(self._folder) or self._is_by_the_way(path):
            return
        if set(str(mode or "")) & set("wax+") or (mode is None and isinstance(flags, int) and flags & _WRITING):
            self._written.add(path)
        else:
            self._read[path] = None

    def _is_by_the_way(self, path: str) -> bool:
        """Whether a file is a cache's or an installed package's, or one that only passes through."""
        parts = path[len(self._folder) :].split(os.sep)
        if "__pycache__" in parts or "site-packages" in parts or any(part.startswith(".") for part in parts):
            return True
        within = self._folder != self._temporary and self._folder.startswith(self._temporary)
        return not within and path.startswith(self._temporary) and os.path.dirname(path) + os.sep != self._folder

    def news(self) -> dict[str, str]:
        """What was read since this was asked last: the path from the folder on, and the content."""
        found = {}
        for path in [p for p in self._read if p not in self._told]:
            self._told.add(path)
            if path not in self._written and os.path.isfile(path):
                found[path[len(self._folder) :]] = digest_of(Path(path))
        return found

    def known(self, paths: Iterable[str]) -> None:
        """Leave out files that are told by another name."""
        self._told.update(os.path.realpath(path) for path in paths)


def loading(file: str, load: Callable[[], T], reading: Reading) -> tuple[T, dict[str, str]]:
    """What ``load`` gives, and the content of ``file`` and of the modules and libraries that loading it brought along.

    Named by the file's name, the modules' names and the libraries' paths; what else it has read of the folder of
    ``reading``, by the path from there.  Raises what ``load`` raises.
    """
    modules, libraries = set(sys.modules), mapped_libraries()
    before = digest_of(Path(file))
    found = load()
    brought = {Path(file).name: Path(file)}
    for name, module in sorted(sys.modules.items()):
        origin = getattr(module, "__file__", None)
        mine = origin == file or name.startswith("suites.")
        if name not in modules and not mine and isinstance(origin, str):
            brought.setdefault(name, Path(origin))
    known = {str(path) for path in brought.values()}
    reading.known(known)
    brought.update({path: Path(path) for path in sorted(mapped_libraries() - libraries - known)})
    content = {**reading.news(), **{name: digest_of(path) for name, path in brought.items()}}
    if content[Path(file).name] != before:
        raise ContentChanged(f"{file} was changed while it was imported; run again")
    return found, {name: digest for name, digest in content.items() if digest}


def check_unchanged(file: str, declared: Mapping[str, str], loaded: Mapping[str, str]) -> None:
    """Raises ContentChanged where something is not what was declared.

    What only one of the two has brought along is no change: another process may have had it already.
    """
    names = [name for name in declared if name in loaded and declared[name] != loaded[name]]
    if Path(file).name not in loaded or names:
        others = [name for name in names if name != Path(file).name]
        what = f"{Path(file).name}, by way of {', '.join(others[:3])}," if others else Path(file).name
        raise ContentChanged(f"{what} has changed since the run began; run again")


def digest_of(file: Path) -> str:
    """The sha256 of a file, or size and time of a large one; empty where it can't be read."""
    try:
        status = file.stat()
        if not stat.S_ISREG(status.st_mode):
            return ""  # nobody waits for what comes through a pipe
        if status.st_size > _LARGE:
            return f"{status.st_size} bytes of {status.st_mtime_ns}"
        return sha256_of(file)
    except OSError:
        return ""


def mapped_libraries() -> set[str]:
    """The paths of the files that this process has mapped to run; none where the system doesn't tell."""
    try:
        lines = Path("/proc/self/maps").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return set()
    parts = (line.split(maxsplit=5) for line in lines)
    return {part[5] for part in parts if len(part) == 6 and "x" in part[1] and part[5].startswith("/")}
