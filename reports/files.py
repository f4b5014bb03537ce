"""Files on disk, replaced as a whole: whoever reads one sees the old text or the new.

What is no ordinary file (a device, a FIFO, a descriptor such as /dev/fd/3) is written into, since to replace it would
take it away from everybody else; a link is followed, and stays.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

# The names of descriptors that the process was given: a shell's >(command) is one.
_DESCRIPTOR = re.compile(r"/(?:dev|proc/self)/fd/([0-9]{1,6})")
_STREAMS = {"/dev/stdout": 1, "/dev/stderr": 2}

# Of a name, so that one with more behind it is no longer than file systems take.
_LONGEST_NAME = 200


class RunError(Exception):
    """A run directory, or what is made from one, that can't be read or written as asked; one line, with the remedy."""


def write_atomically(path: Path, text: str | Iterable[str], *, durable: bool = False) -> None:
    """Replace a file as a whole, so that a reader sees the old text or the new; a long one may come in parts.

    A ``durable`` one survives a power cut once this returns.  Raises RunError.
    """
    parts = [text] if isinstance(text, str) else text
    try:
        # A file name that is no UTF-8 may stand in the text.
        replace_file(path, (part.encode(errors="backslashreplace") for part in parts), durable=durable)
    except OSError as error:
        raise RunError(f"{path} can't be written: {error.strerror or error}; choose another place") from None


def replace_file(path: Path, parts: Iterable[bytes], *, durable: bool = False) -> None:
    """The same for bytes.  Raises OSError."""
    with replaced(path, durable=durable) as file:
        file.writelines(parts)


@contextmanager
def replaced(path: Path, *, durable: bool = False) -> Iterator[BinaryIO]:
    """A stream whose content takes the place of a file when the block ends well, and is dropped where it doesn't.

    A link's target is replaced, or made.  Mode and, where that may be, owner of an old file are kept.  What is no
    ordinary file gets what is written at once, and can't be sought in.  Raises OSError.
    """
    status = status_of(path)
    if descriptor_of(path) is not None or (status and not stat.S_ISREG(status.st_mode)):
        with _into(path, status) as stream:
            yield stream
        return
    target = Path(os.path.realpath(path))
    if status and not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, "it is read-only")
    temporary = target.with_name(_name_of_part(target.name))
    try:
        with temporary.open("xb") as stream:
            if status:
                _take_over(stream.fileno(), status)
            yield stream
            if durable:
                stream.flush()
                os.fsync(stream.fileno())
        temporary.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):  # the reason is printed, whatever becomes of the rest
            temporary.unlink(missing_ok=True)
        raise
    if durable:
        sync(target.parent)


def sync(path: Path) -> None:
    """Have the disk keep a file's content, or which files a folder has, over a power cut.  Raises OSError."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def status_of(path: Path) -> os.stat_result | None:
    """What a path leads to; None where that is not there.  Raises OSError, for a loop of links too."""
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None
    except ValueError:
        raise OSError(errno.EINVAL, "a name can't have a NUL in it") from None


def descriptor_of(path: Path) -> int | None:
    """The number of the descriptor that a path is another name of."""
    name = os.path.abspath(path)
    named = _DESCRIPTOR.fullmatch(name)
    return int(named[1]) if named else _STREAMS.get(name)


def _into(path: Path, status: os.stat_result | None) -> BinaryIO:
    """What is there, opened to be written into: not made, not cut, and a descriptor goes on where it is."""
    descriptor = descriptor_of(path)
    if descriptor is not None:
        return os.fdopen(os.dup(descriptor), "wb")
    if status and stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    flags = os.O_WRONLY | getattr(os, "O_NOCTTY", 0)
    return os.fdopen(os.open(path, flags), "wb")


def _take_over(handle: int, status: os.stat_result) -> None:
    """Give a new file the owner and the mode of the one whose place it takes."""
    if not hasattr(os, "fchown"):
        return  # Windows has neither
    new = os.fstat(handle)
    if (new.st_uid, new.st_gid) != (status.st_uid, status.st_gid):
        with contextlib.suppress(OSError):  # only root gives files away
            os.fchown(handle, status.st_uid, status.st_gid)
    with contextlib.suppress(OSError):  # file systems that have no modes
        os.fchmod(handle, stat.S_IMODE(status.st_mode))


def _name_of_part(name: str) -> str:
    kept = name if len(os.fsencode(name)) <= _LONGEST_NAME else "softmax-accuracy"
    return f"{kept}.{secrets.token_hex(4)}.part"
