"""Lines for a person on stdout and stderr; whatever a name, a file or an error brings along, a line is a line."""

from __future__ import annotations

import contextlib
import sys
from typing import TextIO

from suites.printable import printable

PROGRAM = "softmax-accuracy"

# Characters of a line: more than the longest sentence that is said, and what a person still reads.
LONGEST = 4000


def say(message: str) -> None:
    """A line on stderr."""
    _write(sys.stderr, message)


def print_line(message: str) -> None:
    """A line on stdout: what was asked for."""
    _write(sys.stdout, message)


def _write(stream: TextIO, message: str) -> None:
    print(printable(message, LONGEST), file=stream)


def complain(message: str, code: int) -> int:
    """Say one line on stderr and give the code back; where stderr can't be written, only the code is left."""
    with contextlib.suppress(OSError, ValueError):
        if sys.stderr is not None:
            print(printable(f"{PROGRAM}: {message}", LONGEST), file=sys.stderr, flush=True)
    return code
