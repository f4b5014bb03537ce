"""Two run directories read side by side, a cell at a time, in the order of their keys."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reports.compare.figures import Figures, cell_of_line, figures_of_line
from reports.run.reader import read_lines, read_manifest
from reports.run.records import Manifest, RunError
from suites.plan import Cell

Maxima = list[float | None]


@dataclass(frozen=True, slots=True)
class Side:
    """A cell of one run: its figures, and the largest error of each row where the run kept them."""

    cell: Cell
    figures: Figures
    maxima: Maxima | None


@dataclass(frozen=True)
class Stored:
    """A run directory to be read from: its manifest, and whether it keeps the largest errors of rows."""

    path: Path
    manifest: Manifest

    @property
    def has_maxima(self) -> bool:
        return (self.path / "rows" / "maxima.jsonl").is_file()

    def sides(self) -> Iterator[tuple[str, Side]]:
        """The cells in the order of their keys.  Raises RunError for a line that is damaged or out of order."""
        maxima = self._ordered("rows/maxima.jsonl", _maxima_of_line) if self.has_maxima else iter(())
        key, rows = next(maxima, ("", None))
        for wanted, (cell, figures) in self._ordered("cells.jsonl", _cell_and_figures):
            while key and key < wanted:
                key, rows = next(maxima, ("", None))
            yield wanted, Side(cell, figures, rows if key == wanted else None)

    def _ordered(self, name: str, made: Any) -> Iterator[tuple[str, Any]]:
        """Keys and what a file's lines hold.  Lines of a run that was interrupted have no order yet."""
        pairs: Iterator[tuple[str, Any]] = read_lines(self.path, name, made)
        if not self.manifest.finished:
            pairs = iter(sorted(pairs, key=lambda pair: pair[0]))
        last = ""
        for key, value in pairs:
            if key <= last:
                raise RunError(f"{self.path / name} is not sorted at {key}; measure again")
            last = key
            yield key, value


def stored(path: Path) -> Stored:
    """A run directory; its cells are read later.  Raises RunError."""
    return Stored(path, read_manifest(path))


def paired(old: Stored, new: Stored) -> Iterator[tuple[Side | None, Side | None]]:
    """Both sides of every cell that either run has, None where one lacks it.  Raises RunError."""
    olds, news = old.sides(), new.sides()
    before, after = next(olds, None), next(news, None)
    while before or after:
        if after is None or (before is not None and before[0] < after[0]):
            assert before is not None
            yield before[1], None
            before = next(olds, None)
        elif before is None or after[0] < before[0]:
            yield None, after[1]
            after = next(news, None)
        else:
            yield before[1], after[1]
            before, after = next(olds, None), next(news, None)


def _cell_and_figures(line: dict[str, Any]) -> tuple[str, tuple[Cell, Figures]]:
    cell = cell_of_line(line)
    return cell.key, (cell, figures_of_line(line))


def _maxima_of_line(line: dict[str, Any]) -> tuple[str, Maxima]:
    return line["key"], line["max_ulp"]
