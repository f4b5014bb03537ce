"""A mistake on the command line: the one exception that says so."""

from __future__ import annotations


class UsageError(Exception):
    """A word or file on the command line that means nothing here; the message names it and says what would."""
