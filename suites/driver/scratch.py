"""The folder that arrays travel through between the driver and one worker."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from references.formats import Bits
from suites.driver.disk import reason_in, reason_of
from suites.driver.replies import Nonsense
from suites.printable import printable

# A disk's or a file system's fault; anything else that keeps a result from its file is the function's own doing.
_OF_THE_DISK = (None, errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)

# The header of an .npy file is shorter than this.
_HEADER = 1 << 12

# Where there have been folders before.
_USED: set[str] = set()


class ScratchError(Exception):
    """The folder that arrays travel through can't be written; one line with the remedy."""


class ScratchRemoved(Exception):
    """The folder is gone: a function has removed it."""


class Scratch:
    """A folder of its own for one worker.  Raises ScratchError."""

    def __init__(self) -> None:
        with _scratch_errors():
            place = tempfile.gettempdir()
            if place in _USED:  # a function may have removed all that it found there, and the place with it
                os.makedirs(place, exist_ok=True)
            self.path = Path(tempfile.mkdtemp(prefix="softmax-accuracy-", dir=place))
            _USED.add(place)

    def keep(self, name: str, bits: npt.NDArray[Any]) -> str:
        """The file of an array.  Raises ScratchError, ScratchRemoved."""
        file = self.path / f"{name}.npy"
        try:
            with _scratch_errors():
                file.unlink(missing_ok=True)  # to write over a file costs milliseconds where the disk is ext4
                np.save(file, bits, allow_pickle=False)
        except ScratchError:
            if self.path.is_dir():
                raise
            raise ScratchRemoved from None
        return str(file)

    def place(self) -> Path:
        """Where a result should be put: under a name that nobody guesses."""
        return self.path / f"{secrets.token_hex(8)}.npy"

    def remove(self) -> None:
        """Remove the folder, and what is left in it."""
        shutil.rmtree(self.path, ignore_errors=True)


def result_in(file: Path, like: Bits) -> Bits:
    """A worker's output, which is removed.  Raises Nonsense where it has not the format and the shape of ``like``."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as stream:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_size > like.nbytes + _HEADER:
                raise Nonsense("its result is no file of the size that it should have")
            bits = np.load(stream, allow_pickle=False)
        file.unlink()
    except Nonsense:
        raise
    except Exception as error:  # a damaged header can raise anything in NumPy's reader
        text = reason_of(error) if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
        raise Nonsense(f"its result can't be read: {printable(text, 100)}") from None
    if not isinstance(bits, np.ndarray) or bits.dtype != like.dtype or bits.shape != like.shape:
        raise Nonsense(f"its result is {bits.dtype} {bits.shape}, not {like.dtype} {like.shape}")
    result: Bits = bits
    return result


def blame_disk(reason: str, number: int | None) -> None:
    """Raises ScratchError where it is the disk's fault that a worker could not write its result."""
    if number in _OF_THE_DISK:
        raise ScratchError(_text(printable(reason_in(reason))))


@contextmanager
def _scratch_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ScratchError(_text(reason_of(error))) from None


def _text(reason: str) -> str:
    return f"{tempfile.gettempdir()} can't be written: {reason}; free space there, or set TMPDIR to another folder"
