"""Arrays kept on disk under content keys: bounded in bytes, checked at each read, shared by processes.

An entry is a file of its own: a magic line, the sha256 of what follows, the length of a JSON header, the header, and
the arrays at multiples of 64 bytes.  It is written beside its place and moved there, so that nobody sees a part of it;
what a killed writer leaves has another name and is removed later.  Damage is confined to an entry and looks like
absence.  (A database in one file would lose everything at once, and the usual libraries unpickle what they find.)
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Entry = Mapping[str, "npt.NDArray[Any] | str"]

LIMIT = 2 << 30

_MAGIC = b"softmax-accuracy arrays 1\n"
_ALIGNMENT = 64
_PROLOGUE = len(_MAGIC) + 32 + 8

# A writer takes seconds; what is older than this was left by one that was killed.
_ABANDONED_SECONDS = 3600.0

# Files of anybody else in the directory are left alone.
_ENTRY = re.compile(r"[0-9a-f]{64}\.arrays")
_PART = re.compile(r"[0-9a-f]{64}\.[0-9a-f]{16}\.part")

_log = logging.getLogger(__name__)


class Store:
    """A directory of entries.  When they exceed ``limit`` bytes, the least recently used ones go.

    Nothing that happens to the directory is an error: what can't be read is absent, and when something can't be
    written, one line says so and this object writes no more.
    """

    def __init__(self, directory: Path, limit: int = LIMIT) -> None:
        self.directory, self.limit = directory, limit
        self._writable = True
        self._until_scan = 0

    def read(self, key: str) -> dict[str, npt.NDArray[Any] | str] | None:
        """The entry of a key (64 hexadecimal digits), its arrays writable; None if there is none, or a damaged one."""
        path = self._path(key)
        try:
            with path.open("rb") as stream:
                content = bytearray(os.fstat(stream.fileno()).st_size)
                whole = stream.readinto(content) == len(content)
        except (OSError, MemoryError):
            return None
        entry = _decoded(content, key) if whole else None
        if entry is None:
            self.remove(key)
            return None
        with contextlib.suppress(OSError):  # a directory that can only be read keeps the order it has
            os.utime(path)
        return entry

    def write(self, key: str, entry: Entry) -> None:
        """Keep an entry, unless it takes more than a quarter of the limit."""
        if not self._writable or 4 * sum(v.nbytes for v in entry.values() if not isinstance(v, str)) > self.limit:
            return
        pieces = _encoded(key, entry)
        temporary = self.directory / f"{key}.{secrets.token_hex(8)}.part"
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            try:
                with temporary.open("xb") as stream:
                    stream.writelines(pieces)
                temporary.replace(self._path(key))
            finally:
                temporary.unlink(missing_ok=True)
        except OSError as error:
            self._writable = False
            _log.warning("%s can't be written: %s; references are not kept", self.directory, error.strerror or error)
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
                abandoned = time.time() - used > _ABANDONED_SECONDS
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


def _unlink(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)


def _encoded(key: str, entry: Entry) -> list[bytes | memoryview]:
    """The pieces of an entry's file."""
    words = {name: value for name, value in entry.items() if isinstance(value, str)}
    arrays = {name: np.ascontiguousarray(value) for name, value in entry.items() if not isinstance(value, str)}
    shapes = {name: [array.dtype.str, list(array.shape)] for name, array in arrays.items()}
    header = json.dumps({"key": key, "words": words, "arrays": shapes}).encode()
    pieces: list[bytes | memoryview] = [len(header).to_bytes(8, "little"), header]
    place = _PROLOGUE + len(header)
    for array in arrays.values():
        gap = -place % _ALIGNMENT
        pieces += [b"\0" * gap, array.reshape(-1).view(np.uint8).data]
        place += gap + array.nbytes
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return [_MAGIC, digest.digest(), *pieces]


def _decoded(content: bytearray, key: str) -> dict[str, npt.NDArray[Any] | str] | None:
    """The entry in a file's content, if it is that of the key and its checksum is right."""
    start = len(_MAGIC) + 32
    if content[: len(_MAGIC)] != _MAGIC:
        return None
    if hashlib.sha256(memoryview(content)[start:]).digest() != content[len(_MAGIC) : start]:
        return None
    place = _PROLOGUE + int.from_bytes(content[start:_PROLOGUE], "little")
    header = json.loads(content[_PROLOGUE:place])
    if header["key"] != key:
        return None  # a file under another name
    entry: dict[str, npt.NDArray[Any] | str] = dict(header["words"])
    for name, (code, shape) in header["arrays"].items():
        place += -place % _ALIGNMENT
        dtype = np.dtype(code)
        count = int(np.prod(shape, dtype=np.int64))
        entry[name] = np.frombuffer(content, dtype, count, place).reshape(shape)
        place += count * dtype.itemsize
    return entry
