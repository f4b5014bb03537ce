"""Evidence that subnormal results alone have changed: the flush probe, counts of zeros, and row by row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from references.formats import Mask, format_named
from reports.causes.details import Detail
from reports.causes.finding import Finding, where
from reports.causes.view import ChangedPart
from reports.compare.judgement import Change
from reports.compare.pairing import Maxima
from suites.inputs import special
from suites.plan.cell import Cell
from suites.scoring.cell import input_of
from suites.scoring.certified_batch import exact_of


def subnormals(part: ChangedPart, details: Mapping[str, Detail]) -> Iterator[Finding]:
    """What a flush to zero, or its end, would leave behind; nothing where no count of zeros has changed."""
    flushes = {(change.both[0].flushes, change.both[1].flushes) for change in part.changes}
    for before, after in sorted(flushes):
        if before != after:
            words = [("flushed to zero" if flush else "kept") for flush in (before, after)]
            text = f"by the probe, subnormal numbers were {words[0]} and are {words[1]}"
            yield where("flush", text, explains=all(map(_zeros_moved, part.changes)))
    if is_candidate(part) and _row_by_row(part, details):
        text = "subnormal results alone: only rows that have some moved, and those without kept their errors"
        yield where("subnormal rows", text)


def is_candidate(part: ChangedPart) -> bool:
    """Whether every changed cell has more zeros for numbers than before, or fewer."""
    ordinary = [change for change in part.changes if change.cell.family != special.FAMILY]
    return bool(ordinary) and all(map(_zeros_moved, ordinary))


def _zeros_moved(change: Change) -> bool:
    old, new = change.both
    return old.outcomes.get("underflow", 0) != new.outcomes.get("underflow", 0)


def _row_by_row(part: ChangedPart, details: Mapping[str, Detail]) -> bool:
    """Whether rows moved only where the exact result has subnormal numbers, and rows without were there to compare."""
    moved_any = still_any = False
    for change in part.changes:
        detail = details.get(change.cell.key)
        if change.cell.family == special.FAMILY or detail is None or detail.maxima is None:
            continue
        rows = rows_with_subnormals(change.cell, change.both[1].input_sha256)
        if rows is None:
            continue
        moved = _moved(*detail.maxima)
        if (moved & ~rows[: moved.size]).any():
            return False
        moved_any |= bool(moved.any())
        still_any |= bool((~rows[: moved.size]).any())
    return moved_any and still_any


def _moved(before: Maxima, after: Maxima) -> Mask:
    return np.array([old != new for old, new in zip(before, after, strict=True)], bool)


def rows_with_subnormals(cell: Cell, input_sha256: str) -> Mask | None:
    """Which rows [rows] of a cell have a subnormal exact result; None where its input can't be made again."""
    elements = elements_subnormal(cell, input_sha256)
    return None if elements is None else np.asarray(elements.any(axis=1))


def elements_subnormal(cell: Cell, input_sha256: str) -> Mask | None:
    """Which elements [rows, n] of a cell have an exact result below the smallest normal number, and are not zero."""
    batch = input_of(cell)
    if batch.sha256 != input_sha256:
        return None
    exact = exact_of(batch).reference(cell.function)
    with np.errstate(under="ignore"):
        sizes = np.abs(np.ldexp(exact.hi, np.clip(exact.exponent, -2000, 2000).astype(np.int32)))
    return np.asarray((exact.hi != 0) & (sizes < format_named(cell.format).smallest_normal))
