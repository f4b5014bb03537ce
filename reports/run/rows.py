"""The worst rows that a run keeps in rows/: a file is believed only where it is what its name says."""

from __future__ import annotations

import hashlib
import io
import os
import re
import stat
from pathlib import Path

import numpy as np

from references.formats import Bits, Format
from reports.run.error import RunError
from suites.disk import reason_of

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
    except OSError as error:
        raise RunError(f"{rows / name} can't be read: {reason_of(error)}; measure again") from None
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
    content = _bytes_of(rows / name, size + _MOST_HEAD)
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
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return None


def _bytes_of(file: Path, most: int) -> bytes:
    """A regular file's content: no link is followed, no FIFO waited for, and no more is read than can be right."""
    handle = os.open(file, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    with open(handle, "rb") as stream:
        state = os.fstat(stream.fileno())
        if not stat.S_ISREG(state.st_mode):
            raise ValueError("it is no regular file")
        if state.st_size > most:
            raise ValueError(f"it has {state.st_size} bytes")
        return stream.read(most + 1)
