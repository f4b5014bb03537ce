"""What a process computes with, by content: the sha256 of files, since an edit leaves names and versions as they are.

Standard library alone, and fit for Python 3.9: a worker runs it beside any framework.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

# Of larger files (the libraries of another framework) size and times are taken in place of the sha256.
_LARGE = 1 << 26


def sha256_of(file: Path) -> str:
    """The sha256 of a file's content, in hexadecimal.  Raises OSError."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        for part in iter(lambda: stream.read(1 << 20), b""):
            digest.update(part)
    return digest.hexdigest()


def together(found: Mapping[str, str]) -> str:
    """One sha256 for many things by name, whatever order they were found in."""
    return hashlib.sha256("".join(f"{name}\0{found[name]}\n" for name in sorted(found)).encode()).hexdigest()


def file_of(module: ModuleType | None) -> Path | None:
    """The file that a module was loaded from, if it was loaded from one."""
    named = getattr(module, "__file__", None)
    return Path(named) if isinstance(named, str) and Path(named).is_file() else None


def digest_of(file: str) -> str:
    """The sha256 of a file, or size and times of a large one; empty where it is no plain file that can be read."""
    try:
        status = os.stat(file)
        if not stat.S_ISREG(status.st_mode):
            return ""  # nobody waits for what comes through a pipe
        if status.st_size > _LARGE:
            return f"{status.st_size} bytes of {status.st_mtime_ns}, {status.st_ctime_ns}"
        return sha256_of(Path(file))
    except OSError:
        return ""
