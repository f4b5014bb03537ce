"""Files that are read: regular ones alone, opened without waiting for a FIFO's other end, and within a size."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from suites.driver.disk import reason_of

# What a line of a run's files, and a file that is read as a whole, may have at most.
MOST_LINE = 1 << 21
MOST_FILE = 1 << 26


class Unreadable(Exception):
    """A file that is not there as one to be read; the message says why."""


def opened(file: Path, *, follow: bool = True) -> BinaryIO:
    """A regular file, to be read; a link is followed only if that is asked for.

    Raises FileNotFoundError, and Unreadable for everything else that is wrong.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | (0 if follow else getattr(os, "O_NOFOLLOW", 0))
    try:
        stream = os.fdopen(os.open(file, flags), "rb")  # which takes no directory
    except FileNotFoundError:
        raise
    except IsADirectoryError:
        raise Unreadable("it is no regular file") from None
    except OSError as error:
        raise Unreadable(reason_of(error)) from None
    except ValueError as error:  # a zero byte in a name
        raise Unreadable(str(error)) from None
    if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        stream.close()
        raise Unreadable("it is no regular file")
    return stream


def content_of(file: Path, *, most: int = MOST_FILE, follow: bool = True) -> bytes:
    """A file's content of at most ``most`` bytes.  Raises FileNotFoundError and Unreadable."""
    with opened(file, follow=follow) as stream:
        size = os.fstat(stream.fileno()).st_size
        if size > most:
            raise Unreadable(f"it has {size} bytes, more than the {most} that can be right")
        try:
            return stream.read(most)
        except OSError as error:
            raise Unreadable(reason_of(error)) from None


def lines_in(file: Path) -> Iterator[str]:
    """The lines of a file, one at a time and with their ends.

    Raises FileNotFoundError and Unreadable; ValueError for a line that is no UTF-8 or goes on and on.
    """
    with opened(file) as stream:
        try:
            while line := stream.readline(MOST_LINE + 1):
                if len(line) > MOST_LINE:
                    raise ValueError(f"longer than {MOST_LINE} bytes")
                yield line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(f"no UTF-8: {error.reason}") from None
        except OSError as error:
            raise Unreadable(reason_of(error)) from None
