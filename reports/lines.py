"""Lines for a person on stdout and stderr; whatever a name, a file or an error brings along, a line is a line."""

from __future__ import annotations

import sys
from typing import TextIO

from suites.printable import printable

# Characters of a line: more than the longest sentence that is said, and what a person still reads.
LONGEST = 4000


def say(message: str) -> None:
    """A line on stderr."""
    _write(sys.stderr, message)


def tell(message: str) -> None:
    """A line on stdout: what was asked for."""
    _write(sys.stdout, message)


def _write(stream: TextIO, message: str) -> None:
    print(printable(message, LONGEST), file=stream)
