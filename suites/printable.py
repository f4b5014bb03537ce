"""Text of anybody's, such as a name from a file or what a kernel raised, as one line that a terminal only shows.

Standard library alone, and fit for Python 3.9: workers import it too.
"""

from __future__ import annotations

import re

# What ends a line for somebody: str.splitlines has this list, and a tab is no better.
_BREAKS = frozenset("\t\n\r\v\f\x1c\x1d\x1e\x1f\x85\u2028\u2029")
_BLANKS = re.compile(r"\s+")

# Servers of continuous integration obey what stands after `::` at the start of a line, or after `##[` and `##vso[`.
_COMMAND = re.compile(r"^(\s*:)(?=:)|(#)(?=#\w*\[)")

_LEFT_OUT = "..."


def printable(text: str, limit: int | None = None) -> str:
    """The text in one line; of a longer one than ``limit`` characters its beginning, and ``...``.

    Blanks with a line break among them become one blank.  Control characters, lone surrogates, and marks that are
    invisible or turn the direction of writing are shown as Python writes them: ESC is ``\\x1b``.  What a CI server
    would take for a command gets a backslash inside.
    """
    line = _BLANKS.sub(_one_blank, text if limit is None else text[:limit])
    if not line.isprintable():
        line = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in line)
    line = _COMMAND.sub(r"\1\2\\", line)
    if limit is None or len(text) <= limit >= len(line):
        return line
    return line[: max(0, limit - len(_LEFT_OUT))] + _LEFT_OUT[:limit]


def _one_blank(found: re.Match[str]) -> str:
    blanks = found.group()
    return " " if not _BREAKS.isdisjoint(blanks) else " " * len(blanks)
