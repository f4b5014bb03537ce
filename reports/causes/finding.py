"""A piece of evidence: what it says, and whether it says why a change came, or where in a framework it lies."""

from __future__ import annotations

from dataclasses import dataclass

BECAUSE = "because"
WHERE = "where"


@dataclass(frozen=True, order=True)
class Finding:
    """``side`` is BECAUSE (what moved: a package, a setting) or WHERE (which kernel, mode, part).

    ``explains``: it answers its question; otherwise it only narrows it.  ``kind`` names the sort of evidence;
    ``statement`` has no numbers of cells in it, so that cells with the same evidence can be gathered.
    """

    side: str
    kind: str
    statement: str
    explains: bool = True


def because(kind: str, statement: str, *, explains: bool = True) -> Finding:
    """Evidence on what moved the bits."""
    return Finding(BECAUSE, kind, statement, explains)


def where(kind: str, statement: str, *, explains: bool = True) -> Finding:
    """Evidence on where the bits are made that moved."""
    return Finding(WHERE, kind, statement, explains)


def enough(support: int, of: int) -> bool:
    """Whether so many cells can speak for all: three, or all where they are fewer."""
    return support >= min(3, of) > 0
