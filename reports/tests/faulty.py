"""Faults of a disk, one at a time: the k-th call that touches a folder fails, writes half of what it should, or is the
last one of its process, or of its machine.

Only what goes through Python's ``open`` and the functions of ``os`` is seen, which is all that the driver uses.
"""

from __future__ import annotations

import builtins
import errno
import fcntl
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

# What a call can do in place of its work.
ERROR, SHORT, KILL, POWER = "error", "short write", "kill", "power cut"
KINDS = (ERROR, SHORT, KILL, POWER)

# Functions of os that touch a file by its path, the first argument or the first two.
_BY_PATH = ("open", "replace", "rename", "unlink", "remove", "mkdir", "rmdir", "truncate", "link", "symlink", "chmod")


class Killed(BaseException):
    """The process is dead: nothing that it still tries reaches the disk."""


class Disk:
    """Counts the calls that touch ``folder``; the one with number ``at`` goes wrong in the way of ``kind``."""

    def __init__(self, folder: Path, at: int | None = None, kind: str = ERROR) -> None:
        self.folder, self.at, self.kind = str(folder), at, kind
        self.calls: list[str] = []
        self.dead = False
        self._safe: dict[str, bytes] = {}  # what was there after the last fsync of each file that was written
        self._open: dict[int, str] = {}
        self.descriptors: list[int] = []  # that os.open gave out

    def touches(self, *paths: object) -> bool:
        return any(isinstance(p, (str, Path)) and str(p).startswith(self.folder) for p in paths)

    def step(self, name: str, path: object, half: Callable[[], None] = lambda: None) -> None:
        """One call; raises where it is the one that goes wrong, after doing ``half`` of it if it writes."""
        if self.dead:
            raise Killed
        self.calls.append(f"{name} {str(path).removeprefix(self.folder)}")
        if len(self.calls) - 1 != self.at:
            return
        if self.kind != ERROR:
            half()
        if self.kind in (KILL, POWER):
            self.dead = True
            if self.kind == POWER:
                self._forget()
            raise Killed
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    def opened(self, descriptor: int, path: str, kept: bytes) -> None:
        """A file is open for writing; ``kept`` is what it holds from before."""
        self._open[descriptor] = path
        self._safe.setdefault(path, kept)

    def synced(self, descriptor: int) -> None:
        path = self._open.get(descriptor)
        if path is not None and os.path.isfile(path):
            self._safe[path] = Path(path).read_bytes()

    def moved(self, old: str, new: str) -> None:
        self._safe[new] = self._safe.pop(old, b"")

    def _forget(self) -> None:
        """Without power, a file that was written keeps what its last fsync saw; names and folders are kept."""
        for path, safe in self._safe.items():
            if os.path.isfile(path):
                Path(path).write_bytes(safe)


class _File(io.FileIO):
    """A file whose writes are steps of a disk."""

    disk: Disk

    def write(self, data: Any) -> int:
        content = bytes(data)
        self.disk.step("write", self.name, lambda: _all(super(_File, self).write, content[: len(content) // 2]))
        return super().write(content)

    def truncate(self, size: int | None = None) -> int:
        self.disk.step("truncate", self.name)
        return super().truncate(size)


def _all(write: Callable[[bytes], int | None], data: bytes) -> None:
    while data:
        data = data[write(data) or 0 :]


@contextmanager
def faulty(disk: Disk) -> Iterator[Disk]:
    """Put the disk under this process's files for a while."""
    with pytest.MonkeyPatch.context() as patch:
        real = io.open

        def opened(file: Any, mode: str = "r", buffering: int = -1, *rest: Any, **named: Any) -> Any:
            if not disk.touches(file):
                return real(file, mode, buffering, *rest, **named)
            disk.step("open " + mode, file)
            if not set(mode) & set("wax+"):
                return real(file, mode, buffering, *rest, **named)
            kept = Path(file).read_bytes() if "w" not in mode and os.path.isfile(file) else b""
            raw = _File(os.fspath(file), mode.replace("t", "").replace("b", ""))
            raw.disk = disk
            disk.opened(raw.fileno(), os.fspath(file), kept)
            binary = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
            return binary if "b" in mode else io.TextIOWrapper(binary, *rest, **named)

        patch.setattr(io, "open", opened)
        patch.setattr(builtins, "open", opened)
        for name in _BY_PATH:
            patch.setattr(os, name, _by_path(disk, name, getattr(os, name)))
        sync = os.fsync

        def synced(descriptor: int) -> None:
            disk.step("fsync", "")
            sync(descriptor)
            disk.synced(descriptor)

        patch.setattr(os, "fsync", synced)
        yield disk
    if disk.dead:  # the locks of a process end with it
        for descriptor in disk.descriptors:
            with suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_UN)


def _by_path(disk: Disk, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def called(*arguments: Any, **named: Any) -> Any:
        if disk.touches(*arguments[:2]):
            disk.step(name, arguments[0])
        found = function(*arguments, **named)
        if name == "open" and disk.touches(arguments[0]):
            disk.descriptors.append(found)
        if name in ("replace", "rename") and disk.touches(arguments[1]):
            disk.moved(*map(os.fspath, arguments[:2]))
        return found

    return called
