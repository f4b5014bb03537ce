"""Files on disk, replaced as a whole: whoever reads one sees the old text or the new."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from reports.run.records import RunError


def write_atomically(path: Path, text: str | Iterable[str], *, durable: bool = False) -> None:
    """Replace a file as a whole, so that a reader sees the old text or the new; a long one may come in parts.

    A ``durable`` one survives a power cut once this returns.  Raises RunError.
    """
    parts = [text] if isinstance(text, str) else text
    try:
        replace_file(path, (part.encode() for part in parts), durable=durable)
    except OSError as error:
        raise RunError(f"{path} can't be written: {error.strerror or error}; choose another place") from None


def replace_file(path: Path, parts: Iterable[bytes], *, durable: bool = False) -> None:
    """The same for bytes.  Raises OSError."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as file:
            file.writelines(parts)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
        if durable:
            sync(path.parent)
    except OSError:
        with contextlib.suppress(OSError):  # the reason is told, whatever becomes of the rest
            temporary.unlink(missing_ok=True)
        raise


def sync(path: Path) -> None:
    """Have the disk keep a file's content, or which files a folder has, over a power cut.  Raises OSError."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
