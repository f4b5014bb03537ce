"""What two runs keep of some cells beyond their figures: the worst elements, and the largest error of each row."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from reports.compare.comparison import Comparison
from reports.compare.figures import cell_of_line
from reports.compare.judgement import Change
from reports.compare.pairing import Maxima, Stored
from reports.run.reader import read_lines

# Changed cells of a part that are looked at: those with the largest errors.
MOST_OF_A_PART = 8


@dataclass(frozen=True)
class Detail:
    """The worst element of a cell before and after, as records have it; its row maxima where both runs kept them."""

    worst: tuple[dict[str, Any], dict[str, Any]]
    maxima: tuple[Maxima, Maxima] | None


def largest(changes: Iterable[Change]) -> list[Change]:
    """The cells whose errors tell most, in a fixed order."""
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


def _worst_of(run: Stored, keys: set[str]) -> dict[str, dict[str, Any]]:
    def made(line: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        return cell_of_line(line).key, line["worst"]

    return {key: worst for key, worst in read_lines(run.path, "cells.jsonl", made) if key in keys}


def _maxima_of(run: Stored, keys: set[str]) -> dict[str, Maxima]:
    if not run.has_maxima:
        return {}

    def made(line: dict[str, Any]) -> tuple[str, Maxima]:
        return line["key"], line["max_ulp"]

    return {key: rows for key, rows in read_lines(run.path, "rows/maxima.jsonl", made) if key in keys}
