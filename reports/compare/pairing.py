"""Two run directories read side by side, a cell at a time, in the order of their keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from reports.compare.figures import Figures, cell_of_record, figures_of_record
from reports.run.reader import check_complete, is_there, maxima_of_line, read_lines, read_manifest, record_of_line
from reports.run.records import MOST_ROWS, Manifest, RunError
from suites.plan.cell import Cell

Maxima = list[float | None]
Kept = TypeVar("Kept")


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
        return is_there(self.path / "rows" / "maxima.jsonl")

    def sides(self) -> Iterator[tuple[str, Side]]:
        """The cells in the order of their keys.  Raises RunError for a line that is damaged or out of order, and at the
        end for cells that the manifest doesn't speak of."""
        maxima = self._ordered("rows/maxima.jsonl", _key_and_maxima) if self.has_maxima else iter(())
        key, rows = next(maxima, ("", None))
        cells, inputs = 0, set()
        for wanted, side in self._ordered("cells.jsonl", _key_and_side):
            while key and key < wanted:
                key, rows = next(maxima, ("", None))
            yield wanted, self._with_rows(wanted, side, rows) if rows and key == wanted else side
            cells += 1
            inputs.add(side.figures.input_sha256)
        check_complete(self.path, self.manifest, cells, inputs)

    def _with_rows(self, key: str, side: Side, rows: Maxima) -> Side:
        largest = max((m for m in rows if m is not None), default=None)
        if len(rows) < MOST_ROWS and largest != side.figures.max_ulp:
            raise RunError(
                f"{self.path / 'rows/maxima.jsonl'}: {key}: the largest is {largest}, and max_ulp of its record is "
                f"{side.figures.max_ulp}; measure again"
            )
        return Side(side.cell, side.figures, rows)

    def _ordered(self, name: str, of_line: Callable[[Any], tuple[str, Kept]]) -> Iterator[tuple[str, Kept]]:
        """Keys and what a file's lines hold.  Lines of a run that was interrupted have no order yet."""
        pairs = read_lines(self.path, name, of_line)
        if not self.manifest.finished:
            pairs = iter(sorted(pairs, key=lambda pair: pair[0]))
        last = ""
        for key, value in pairs:
            if key <= last:
                complaint = f"has {key} twice" if key == last else f"is not sorted at {key}"
                raise RunError(f"{self.path / name} {complaint}; measure again")
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


def _key_and_side(data: Any) -> tuple[str, Side]:
    record = record_of_line(data)
    cell = cell_of_record(record)
    return cell.key, Side(cell, figures_of_record(record), None)


def _key_and_maxima(data: Any) -> tuple[str, Maxima]:
    maxima = maxima_of_line(data)
    return maxima.key, maxima.max_ulp
