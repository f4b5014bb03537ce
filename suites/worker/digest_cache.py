"""The sha256 of files that were read before, so that a second look at an installed framework costs its stats alone.

A file counts as unchanged while its size, its times and its inode are: an edit that puts the time of modification back
still moves the other one.  A memory that is damaged is no memory.  Standard library alone, Python 3.9.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import tempfile
import time
from pathlib import Path

from suites.worker.digests import sha256_of

# A file that changed so shortly before it was read may change again within one tick of its times.
_SETTLED_SECONDS = 2.0

# A memory that nobody asked for this long is of an environment that is gone.
_FORGOTTEN_SECONDS = 90 * 86400.0

_SUFFIX = ".content.json"


class Memory:
    """What is remembered of the files of one question; ``folder`` None: nothing is."""

    def __init__(self, folder: Path | None, question: str) -> None:
        name = hashlib.sha256(question.encode()).hexdigest()[:32]
        self._file = folder / f"{name}{_SUFFIX}" if folder else None
        self._known = _read(self._file) if self._file else {}
        self._seen: dict[str, list[object]] = {}

    def sha256(self, file: str) -> str:
        """The sha256 of a file, or the word for why there is none."""
        try:
            found = os.stat(file)
            if not stat.S_ISREG(found.st_mode):
                return "no file"
            mark = [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]
            known = self._known.get(file)
            digest = str(known[-1]) if known and known[:-1] == mark else sha256_of(Path(file))
        except FileNotFoundError:
            return "missing"
        except OSError:
            return "unreadable"
        if time.time() - max(found.st_mtime, found.st_ctime) > _SETTLED_SECONDS:
            self._seen[file] = [*mark, digest]
        return digest

    def keep(self) -> None:
        """Remember what was seen, in place of what was known; a folder that can't be written costs time alone."""
        if self._file is None or self._seen == self._known:
            return
        text = json.dumps(self._seen)
        with contextlib.suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=str(self._file.parent), suffix=".part")
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as stream:
                    stream.write(f"{_checksum(text)}\n{text}\n")
                os.replace(temporary, str(self._file))
            except BaseException:
                os.unlink(temporary)
                raise
            self._forget()

    def _forget(self) -> None:
        """Remove the memories of environments that are gone."""
        assert self._file is not None
        for file in self._file.parent.glob(f"*{_SUFFIX}"):
            with contextlib.suppress(OSError):
                if time.time() - file.stat().st_mtime > _FORGOTTEN_SECONDS:
                    file.unlink()


def _read(file: Path) -> dict[str, list[object]]:
    try:
        checksum, text, end = file.read_text(encoding="utf-8").split("\n")
        if end or checksum != _checksum(text):
            return {}
        known = json.loads(text)
        os.utime(str(file))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
