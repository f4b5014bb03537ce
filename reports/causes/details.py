"""What two runs keep of some cells beyond their figures: the worst elements, and the largest error of each row."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from reports.compare.comparison import Comparison
from reports.compare.judgement import Change
from reports.compare.pairing import Maxima, Stored
from reports.run.reader import maxima_of_line, read_lines, record_of_line
from reports.run.records import Worst

# Changed cells of a part that are looked at: those with the largest errors.
MOST_OF_A_PART = 8


@dataclass(frozen=True)
class Detail:
    """The worst element of a cell before and after; its row maxima where both runs kept them."""

    worst: tuple[Worst, Worst]
    maxima: tuple[Maxima, Maxima] | None


def largest(changes: Iterable[Change]) -> list[Change]:
    """The cells whose errors show most, in a fixed order."""
    return sorted(changes, key=lambda c: (-max(f.max_ulp or 0.0 for f in c.both), c.cell.key))[:MOST_OF_A_PART]


def details_of(comparison: Comparison, wanted: Iterable[Change]) -> dict[str, Detail]:
    """The details of some cells by key, in one reading of each file.  Raises RunError."""
    keys = {change.cell.key for change in wanted}
    if not keys:
        return {}
    old, new = (_worst_of(run, keys) for run in (comparison.old, comparison.new))
    maxima = [_maxima_of(run, keys) for run in (comparison.old, comparison.new)]
    found = {}
    for key in keys & old.keys() & new.keys():
        both = all(key in rows for rows in maxima)
        found[key] = Detail((old[key], new[key]), (maxima[0][key], maxima[1][key]) if both else None)
    return found


def _worst_of(run: Stored, keys: set[str]) -> dict[str, Worst]:
    records = read_lines(run.path, "cells.jsonl", record_of_line)
    return {record.key: record.worst for record in records if record.key in keys}


def _maxima_of(run: Stored, keys: set[str]) -> dict[str, Maxima]:
    if not run.has_maxima:
        return {}
    lines = read_lines(run.path, "rows/maxima.jsonl", maxima_of_line)
    return {maxima.key: maxima.max_ulp for maxima in lines if maxima.key in keys}
