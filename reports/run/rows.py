"""The worst rows that a run keeps in rows/: a file is believed only where it is what its name says."""

from __future__ import annotations

import hashlib
import re
import stat
from pathlib import Path

import numpy as np

from references.formats import Bits, Format

# Hexadecimal digits of the sha256 that a row's file is named by.
DIGITS = 16

_NAME = re.compile(rf"[0-9a-f]{{{DIGITS}}}\.npy", re.ASCII)


def name_of(bits: Bits) -> str:
    """The name of a row's file, by its content."""
    return f"{hashlib.sha256(bits.tobytes()).hexdigest()[:DIGITS]}.npy"


def is_whole(rows: Path, name: str, length: int, format: Format) -> bool:
    """Whether the file ``name`` of the directory ``rows`` has the bit patterns [length] that it is named by."""
    try:
        if not _NAME.fullmatch(name) or not stat.S_ISREG((rows / name).lstat().st_mode):
            return False
        bits = np.load(rows / name, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return False
    right = isinstance(bits, np.ndarray) and bits.dtype == format.bits_dtype and bits.shape == (length,)
    return right and name_of(bits) == name
