"""Arrays kept on disk under content keys: bounded in bytes, checked at each read, shared by processes.

An entry is a file of its own (references.bulk.cache_entry).  It is written beside its place and moved there, so that
nobody sees a part of it; what a killed writer leaves has another name and is removed later.  Damage is confined to an
entry and looks like absence.  (A database in one file would lose everything at once, and the usual libraries
unpickle what they find.)
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import re
import secrets
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy.typing as npt

from references.bulk.cache_entry import Entry, NotAnEntry, decoded, encoded

LIMIT = 2 << 30

# A writer takes seconds; what is older than this was left by one that was killed.
_ABANDONED_SECONDS = 3600.0

# Files of anybody else in the directory are left alone.
_ENTRY = re.compile(r"[0-9a-f]{64}\.arrays")
_PART = re.compile(r"[0-9a-f]{64}\.[0-9a-f]{16}\.part")

# A FIFO is opened at once, and not when somebody writes to it; a link leads to what is not ours.
_OPENED = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)

_log = logging.getLogger(__name__)


class Store:
    """A directory of entries.  When they exceed ``limit`` bytes, the least recently used ones go.

    Nothing that happens to the directory is an error.  What can't be read is absent, and what is there and is no entry
    is reported once.  When something can't be written, one line says so and this object writes no more.  ``remedy``
    ends these lines: what a user can do about it.
    """

    def __init__(self, directory: Path, limit: int = LIMIT, remedy: str = "") -> None:
        self.directory, self.limit = directory, limit
        self._remedy = f"; {remedy}" if remedy else ""
        self._writable = True
        self._reported = False
        self._until_scan = 0

    def read(self, key: str) -> dict[str, npt.NDArray[Any] | str] | None:
        """The entry of a key (64 hexadecimal digits), its arrays writable; None if there is none, or a damaged one."""
        path = self._path(key)
        try:
            content = self._content(path)
            entry = decoded(content, key)
        except (FileNotFoundError, NotADirectoryError):
            return None  # writing reports a directory that is none
        except MemoryError:
            return None  # nothing is wrong with it
        except NotAnEntry as reason:
            self.reject(key, str(reason))
            return None
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                self.reject(key, _reason(error))
            return None
        with contextlib.suppress(OSError):  # a directory that can only be read keeps the order it has
            os.utime(path)
        return entry

    def _content(self, path: Path) -> bytearray:
        """What is in an ordinary file of a size that entries have.  Raises NotAnEntry, OSError."""
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | _OPENED)) as stream:
            status = os.fstat(stream.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise NotAnEntry("it is no ordinary file")
            if status.st_size > self.limit:
                raise NotAnEntry(f"it has {status.st_size} bytes")
            content = bytearray(status.st_size)
            if stream.readinto(content) != len(content):
                raise NotAnEntry("it ends early")
            return content

    def reject(self, key: str, reason: str) -> None:
        """Forget an entry that is not what it should be; the first one is reported, with what is wrong with it."""
        if not self._reported:
            self._reported = True
            _log.warning(
                "%s is not used: %s; what is damaged there is computed again%s",
                self._path(key),
                reason,
                self._remedy,
            )
        self.remove(key)

    def write(self, key: str, entry: Entry) -> None:
        """Keep an entry, unless it takes more than a quarter of the limit."""
        if not self._writable or 4 * sum(v.nbytes for v in entry.values() if not isinstance(v, str)) > self.limit:
            return
        pieces = encoded(key, entry)
        temporary = self.directory / f"{key}.{secrets.token_hex(8)}.part"
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            try:
                with temporary.open("xb") as stream:
                    stream.writelines(pieces)
                temporary.replace(self._path(key))
            finally:
                _unlink(temporary)
        except OSError as error:
            if error.errno == errno.EISDIR:  # a directory in the place of this entry, which reading it has reported
                return
            self._writable = False
            _log.warning(
                "%s can't be written: %s; references are not kept%s", self.directory, _reason(error), self._remedy
            )
            return
        self._until_scan -= sum(map(len, pieces))
        if self._until_scan < 0:
            self._trim()

    def remove(self, key: str) -> None:
        """Forget an entry, if it is there and can be removed."""
        _unlink(self._path(key))

    def _path(self, key: str) -> Path:
        return self.directory / f"{key}.arrays"

    def _trim(self) -> None:
        """Remove what killed writers left, then entries until an eighth of the limit is free.

        Between two looks at the directory a process writes at most a 64th of the limit.
        """
        self._until_scan = self.limit // 64
        total, entries = 0, []
        for path, used, size in self._files():
            if path.suffix == ".part":
                abandoned = abs(time.time() - used) > _ABANDONED_SECONDS  # a clock may have jumped back
                if abandoned:
                    _unlink(path)
                total += 0 if abandoned else size
            else:
                entries.append((used, size, path))
                total += size
        if total <= self.limit:
            return
        for _, size, path in sorted(entries):
            if total <= self.limit - self.limit // 8:
                break
            _unlink(path)
            total -= size

    def _files(self) -> Iterator[tuple[Path, float, int]]:
        """Entries and parts with the time of their last use and their size."""
        try:
            with os.scandir(self.directory) as found:
                for file in found:
                    if _ENTRY.fullmatch(file.name) or _PART.fullmatch(file.name):
                        try:
                            status = file.stat(follow_symlinks=False)
                        except OSError:
                            continue  # another process was faster
                        yield Path(file.path), status.st_mtime, status.st_size
        except OSError:
            return


def _reason(error: OSError) -> str:
    return error.strerror or str(error)


def _unlink(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
