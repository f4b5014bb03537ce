"""What chance explains and what it doesn't: the paired tests of changed cells, and of whole lines of cells at once."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from references.formats import Floats
from reports.compare.figures import Figures
from reports.compare.judgement import Rows
from reports.compare.pairing import Maxima
from reports.compare.statistics import beyond_chance, sign_test, signs_of
from reports.run.records import MOST_ROWS
from suites.inputs import special
from suites.plan.cell import Cell

# How often, at most, chance alone gives a comparison any word that rests on a test; cells and lines have half each.
LEVEL = 0.01

# Families whose rows are one problem up to roundings: a sum that happens to come out better does so in all rows at
# once, and 18 of them are no more evidence than one.  The special rows are chosen, not drawn.
ALIKE = ("equal", "near-tie", "geometric", special.FAMILY)

# Cells whose rows are tallied at once.
_CHUNK = 4096


class PooledCells(NamedTuple):
    """Cells that differ in family and row length only.  No input occurs twice in a line, so its rows can be pooled;
    layouts and implementations share theirs."""

    framework: str
    device: str
    implementation: str
    profile: str
    operation: str
    quantity: str
    format: str
    layout: str


def line_of(cell: Cell, figures: Figures) -> PooledCells:
    return PooledCells(
        figures.framework,
        figures.device,
        cell.implementation,
        cell.profile,
        cell.operation,
        cell.quantity,
        cell.format,
        cell.layout,
    )


@dataclass(frozen=True)
class Drift:
    """A line whose typical row moved: more than half of the rows of its changed cells one way, and not by chance."""

    line: PooledCells
    cells: int
    rows: Rows
    accepted: str | None = None

    @property
    def grows(self) -> bool:
        return self.rows.grew > self.rows.shrank


@dataclass(frozen=True, slots=True)
class _Count:
    grew: int
    shrank: int
    stayed: int
    typical: float


@dataclass
class _Tally:
    cells: int = 0
    grew: int = 0
    shrank: int = 0
    stayed: int = 0
    ratios: list[Floats] = field(default_factory=list)

    def add(self, count: _Count, ratios: Floats) -> None:
        self.cells += 1
        self.grew += count.grew
        self.shrank += count.shrank
        self.stayed += count.stayed
        self.ratios.append(ratios)

    def count(self) -> _Count:
        return _Count(self.grew, self.shrank, self.stayed, float(np.median(np.concatenate(self.ratios))))


class Evidence:
    """Gathers the rows of changed cells, and says at the end which moved beyond chance."""

    def __init__(self) -> None:
        self._waiting: list[tuple[PooledCells | None, Maxima, Maxima]] = []
        self._counts: list[_Count] = []
        self._tested: list[bool] = []
        self._lines: dict[PooledCells, _Tally] = {}

    def add(self, cell: Cell, figures: Figures, before: Maxima, after: Maxima) -> int:
        """Take the rows of a cell; returns its number."""
        self._waiting.append((line_of(cell, figures) if cell.family not in ALIKE else None, before, after))
        if len(self._waiting) == _CHUNK:
            self._tally()
        return len(self._counts) + len(self._waiting) - 1

    def _tally(self) -> None:
        signs = signs_of(_array(w[1] for w in self._waiting), _array(w[2] for w in self._waiting))
        numbers = zip(signs.grew.tolist(), signs.shrank.tolist(), signs.stayed.tolist(), signs.ratios, strict=True)
        for (line, _, _), (grew, shrank, stayed, ratios) in zip(self._waiting, numbers, strict=True):
            ratios = ratios[~np.isnan(ratios)]
            count = _Count(grew, shrank, stayed, float(np.median(ratios)) if ratios.size else math.nan)
            if line is not None and ratios.size:
                self._lines.setdefault(line, _Tally()).add(count, ratios)
            self._counts.append(count)
            self._tested.append(line is not None)
        self._waiting.clear()

    def cells(self) -> list[Rows]:
        """The rows of each cell, by number, and whether they moved beyond chance."""
        self._tally()
        return _decided(self._counts, self._tested)

    def drifts(self) -> list[Drift]:
        """The lines that moved as a whole, sorted."""
        self._tally()
        tallies = sorted(self._lines.items())
        rows = _decided([tally.count() for _, tally in tallies], [True] * len(tallies))
        return [
            Drift(line, tally.cells, found)
            for (line, tally), found in zip(tallies, rows, strict=True)
            if found.decided and 2 * max(found.grew, found.shrank) > found.grew + found.shrank + found.stayed
        ]


def _decided(counts: list[_Count], tested: list[bool]) -> list[Rows]:
    """The counts with their p-values; of those that are tested, which are beyond chance."""
    p_values = [sign_test(count.grew, count.shrank) for count in counts]
    numbers = [number for number, wanted in enumerate(tested) if wanted]
    trials = [counts[number].grew + counts[number].shrank for number in numbers]
    passed = beyond_chance([p_values[number] for number in numbers], trials, LEVEL / 2)
    decided = {number for number, beyond in zip(numbers, passed.tolist(), strict=True) if beyond}
    return [
        Rows(count.grew, count.shrank, count.stayed, count.typical, p_value, number in decided)
        for number, (count, p_value) in enumerate(zip(counts, p_values, strict=True))
    ]


def _array(maxima: Iterable[Maxima]) -> Floats:
    """Row maxima [cells, MOST_ROWS]; NaN where a cell has no such row, or the row no such number."""
    listed = list(maxima)
    array = np.full((len(listed), MOST_ROWS), np.nan)
    for number, rows in enumerate(listed):
        array[number, : len(rows)] = np.array(rows[:MOST_ROWS], float)
    return array
