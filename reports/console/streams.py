"""Standard output and error as this program writes them: a failure ends it with a line, or in silence if none is due.

The standard library alone is imported here, so that nothing can go wrong before the streams are guarded.
"""

from __future__ import annotations

import atexit
import contextlib
import io
import os
import sys
from typing import TextIO

# What a shell says of a tool whose reader has gone: 128 and the number of SIGPIPE.
READER_GONE = 141


class OutputFailed(OSError):
    """Standard output can't be written; the message is the line to print."""


class ReaderGone(SystemExit):
    """Whoever read standard output has read enough: the program ends without a word, as other tools do."""


def guard_streams() -> None:
    """Have what can't be written to standard output raise OutputFailed or ReaderGone, and drop what stderr refuses.

    What is opened later never gets the number of a stream that was closed.  Streams that somebody has put in the place
    of the process's own are left alone.
    """
    _fill_gaps()
    if sys.stdout is None or sys.stdout is sys.__stdout__:
        sys.stdout = _guarded(sys.stdout, _Output(1, "it is closed" if sys.stdout is None else None))
        atexit.register(_give_up)
    if sys.stderr is None or sys.stderr is sys.__stderr__:
        sys.stderr = _guarded(sys.stderr, _Messages(2))


def flush_output() -> None:
    """Write what is still held back, which would fail after the last word on the exit code.

    Raises OutputFailed, ReaderGone.
    """
    sys.stdout.flush()


def _fill_gaps() -> None:
    """Put the null device where one of the three descriptors is closed: a file opened next would get its number."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            with contextlib.suppress(OSError):
                os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def _give_up() -> None:
    with contextlib.suppress(OutputFailed, ReaderGone):
        sys.stdout.flush()


def _guarded(stream: TextIO | None, raw: io.RawIOBase) -> io.TextIOWrapper:
    """A text stream like the one that it takes the place of; a character that its encoding lacks is spelt out."""
    given = stream if isinstance(stream, io.TextIOWrapper) else None
    at_once = bool(given and given.write_through)  # PYTHONUNBUFFERED: nothing is held back in between
    lossless = given is not None and given.errors != "strict"
    return io.TextIOWrapper(
        raw if at_once else io.BufferedWriter(raw),  # type: ignore[arg-type]
        encoding=given.encoding if given else "utf-8",
        errors=given.errors if given and lossless else "backslashreplace",
        line_buffering=bool(given and given.line_buffering),
        write_through=at_once,
    )


class _Descriptor(io.RawIOBase):
    """Writes to a descriptor that the process was given, and leaves it open."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._failed = False

    def _write(self, content: memoryview) -> int:
        """Write all of it: not every layer above looks at how much that was.  Raises OSError."""
        done = 0
        while done < len(content):
            done += os.write(self._descriptor, content[done:])
        return done

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)


class _Output(_Descriptor):
    """Standard output; after its first failure it takes everything in silence."""

    def __init__(self, descriptor: int, refusal: str | None) -> None:
        super().__init__(descriptor)
        self._refusal = refusal

    def write(self, data: object) -> int:
        content = memoryview(data)  # type: ignore[arg-type]
        if self._failed:
            return len(content)
        reason = self._refusal
        if reason is None:
            try:
                return self._write(content)
            except BrokenPipeError:
                pass  # what is raised below is not in the course of handling this: nobody is to look at it
            except OSError as error:
                reason = error.strerror or str(error)
        self._failed = True
        if reason is None:
            raise ReaderGone(READER_GONE)
        raise OutputFailed(f"standard output can't be written: {reason}; send it elsewhere")


class _Messages(_Descriptor):
    """Standard error: where it can't be written, only the exit code is left."""

    def write(self, data: object) -> int:
        content = memoryview(data)  # type: ignore[arg-type]
        if not self._failed:
            try:
                return self._write(content)
            except OSError:
                self._failed = True
        return len(content)
