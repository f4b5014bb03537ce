"""The bits of worst rows that are too long for their record: files in rows/, named by their content."""

from __future__ import annotations

import hashlib
import io
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from references.formats import Bits
from reports.files import replace_file
from reports.run.records import RunError
from suites.disk import reason_of

_NAME = re.compile(r"[0-9a-f]{16}\.npy")


def keep_row(bits: Bits, rows: Path) -> str:
    """Write a row into the directory ``rows`` unless it is there, and return its name.  Raises RunError."""
    name = _name_of(bits)
    if not is_intact(rows, name, bits.size):
        content = io.BytesIO()
        try:
            np.save(content, bits, allow_pickle=False)
            replace_file(rows / name, [content.getvalue()])
        except OSError as error:
            raise RunError(f"{rows} can't be written: {reason_of(error)}; free space and run again") from None
    return name


def is_intact(rows: Path, name: str, length: int) -> bool:
    """Whether a file has the row of that many numbers that its name stands for."""
    try:
        if not _NAME.fullmatch(name) or not stat.S_ISREG((rows / name).lstat().st_mode):
            return False
        bits = np.load(rows / name, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return False
    whole = isinstance(bits, np.ndarray) and bits.dtype.kind == "u" and bits.shape == (length,)
    return whole and _name_of(bits) == name


def rows_named(worst: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """Name and length of the rows that the line of a record refers to.  Raises KeyError, TypeError for no such line."""
    for vector in (worst["logits"], worst["cotangent"], worst["tangent"]):
        if isinstance(vector, dict):
            yield str(vector["file"]), int(vector["length"])


def is_row(name: str) -> bool:
    """Whether a file of this name is one of ours."""
    return _NAME.fullmatch(name) is not None


def _name_of(bits: Bits) -> str:
    return f"{hashlib.sha256(bits.tobytes()).hexdigest()[:16]}.npy"
