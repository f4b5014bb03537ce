"""Files on disk, replaced as a whole: whoever reads one sees the old text or the new."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from reports.run.records import RunError


def write_atomically(path: Path, text: str | Iterable[str]) -> None:
    """Replace a file as a whole, so that a reader sees the old text or the new; a long one may come in parts.

    Raises RunError.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.writelines([text] if isinstance(text, str) else text)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise RunError(f"{path} can't be written: {error.strerror or error}; choose another place") from None
