"""Words of the command line, held against those that are known."""

from __future__ import annotations

from collections.abc import Iterable


class UsageError(Exception):
    """A word or file on the command line that means nothing here; the message names it and says what would."""


def one_of(option: str, values: Iterable[str], known: Iterable[str]) -> tuple[str, ...]:
    """The values, if all are known.  Raises UsageError."""
    known, values = tuple(known), tuple(values)
    for value in values:
        if value not in known:
            raise UsageError(f"unknown {option} {value!r}; known are {', '.join(known)}")
    return values
