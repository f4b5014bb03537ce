"""The worst rows that a run keeps in rows/: a file is used only where it is what its name says."""

from __future__ import annotations

import hashlib
import io
import re
from pathlib import Path

import numpy as np

from references.formats import Bits, Format
from reports.files import RunError
from reports.run.regular import Unreadable, content_of

# Hexadecimal digits of the sha256 that a row's file is named by.
DIGITS = 16

_NAME = re.compile(rf"[0-9a-f]{{{DIGITS}}}\.npy", re.ASCII)

# What an .npy file has before its numbers, at most.
_MOST_HEAD = 4096


def name_of(bits: Bits) -> str:
    """The name of a row's file, by its content."""
    return f"{hashlib.sha256(bits.tobytes()).hexdigest()[:DIGITS]}.npy"


def read_row(rows: Path, name: str, length: int, format: Format) -> Bits:
    """The bit patterns [length] in the file ``name`` of the directory ``rows``.

    Raises RunError for a name that is none of a row, which is never opened; for what is no regular file of the right
    size; and for a content that is another than the name says.
    """
    if not _NAME.fullmatch(name):
        raise RunError(f"{rows} has no row {name[:60]!r}: that is {DIGITS} hexadecimal digits and .npy; measure again")
    try:
        return _checked(rows, name, length, format)
    except FileNotFoundError:
        raise RunError(f"{rows / name} can't be read: it is not there; measure again") from None
    except Unreadable as error:
        raise RunError(f"{rows / name} can't be read: {error}; measure again") from None
    except ValueError as error:
        raise RunError(f"{rows / name} is not the row that its record names: {error}; measure again") from None


def is_whole(rows: Path, name: str, length: int, format: Format) -> bool:
    """Whether ``read_row`` would give the row."""
    try:
        read_row(rows, name, length, format)
    except RunError:
        return False
    return True


def _checked(rows: Path, name: str, length: int, format: Format) -> Bits:
    size = length * format.bits_dtype.itemsize
    content = content_of(rows / name, most=size + _MOST_HEAD, follow=False)
    head = (length,), False, format.bits_dtype
    stream = io.BytesIO(content)
    if _head_of(stream) != head or len(content) - stream.tell() != size:
        raise ValueError(f"it doesn't hold {length} numbers of {format.width} bits")
    bits: Bits = np.frombuffer(content, format.bits_dtype, offset=stream.tell())
    if name_of(bits) != name:
        raise ValueError("its content is another")
    return bits


def _head_of(stream: io.BytesIO) -> object:
    """Shape, order and type that an .npy file of version 1.0, which is what is written, says it has; None for another.

    The head alone is read by NumPy: it makes room for as many numbers as a head asks for before it looks for them.
    """
    try:
        if np.lib.format.read_magic(stream) != (1, 0):
            return None
        return np.lib.format.read_array_header_1_0(stream)
    except Exception:  # a head is read as Python, which can fail in any way
        return None
