"""Stored runs in the order of versions: for each framework its columns, and for each cell a point in each column."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from packaging.version import InvalidVersion, Version

from references.verdict.ladder import BELOW_STABLE, rank
from reports.compare.figures import Figures
from reports.compare.pairing import Stored
from reports.wording import PAGE_ORDER
from suites.plan.cell import Cell


@dataclass(frozen=True, slots=True)
class Point:
    """What a cell was in one column."""

    verdict: str
    max_ulp: float | None
    bound_ratio: float | None
    output_sha256: str


@dataclass(frozen=True)
class Series:
    """A cell over the columns of its framework; None where a run lacks it, or gave it another input than the newest."""

    cell: Cell
    points: tuple[Point | None, ...]

    @property
    def present(self) -> list[Point]:
        return [point for point in self.points if point is not None]

    @property
    def bits_changed(self) -> bool:
        return len({point.output_sha256 for point in self.present}) > 1

    @property
    def verdict_changed(self) -> bool:
        return len({point.verdict for point in self.present}) > 1

    @property
    def movement(self) -> float:
        """How far the cell moved at most from one column to the next, in binary digits of its bound ratio.

        A verdict that leaves or enters the bound counts more than any of them.
        """
        steps = zip(self.present, self.present[1:], strict=False)
        return max((_movement(before, after) for before, after in steps), default=0.0)


# Between a verdict that is within the bound and one that isn't, and for a ratio that comes from zero or infinity.
_FAR = 64.0


def _movement(before: Point, after: Point) -> float:
    if before.output_sha256 == after.output_sha256:
        return 0.0
    crossed = before.verdict != after.verdict and bool({before.verdict, after.verdict} & set(BELOW_STABLE))
    return _digits(before.bound_ratio, after.bound_ratio) + crossed * 2 * _FAR


def _digits(low: float | None, high: float | None) -> float:
    if low is None or high is None or low == high:
        return 0.0
    low, high = sorted((low, high))
    return _FAR if not low or math.isinf(high) else min(_FAR, math.log2(high) - math.log2(low))


@dataclass(frozen=True)
class SeriesGroup:
    """The cells of one implementation, operation, quantity and format.

    ``worst`` has, for each column, the worst verdict and the largest errors over the cells that all columns have.
    """

    implementation: str
    operation: str
    quantity: str
    format: str
    cells: tuple[Series, ...]
    shared: int
    worst: tuple[Point | None, ...]

    @property
    def movement(self) -> float:
        return max((series.movement for series in self.cells), default=0.0)

    @property
    def changed(self) -> tuple[Series, ...]:
        """The cells whose bits changed, those that moved furthest first."""
        found = [series for series in self.cells if series.bits_changed]
        return tuple(sorted(found, key=lambda s: (-s.movement, s.cell.key)))


@dataclass(frozen=True)
class Timeline:
    """One framework.  ``labels`` are its columns; ``groups`` begin with those that moved furthest."""

    framework: str
    labels: tuple[str, ...]
    runs: tuple[Stored, ...]
    groups: tuple[SeriesGroup, ...]

    @property
    def cells(self) -> list[Series]:
        return [series for group in self.groups for series in group.cells]

    def other_bits(self, column: int) -> int:
        """How many cells have other bits than in the column before."""
        pairs = [(s.points[column - 1], s.points[column]) for s in self.cells] if column else []
        return sum(bool(a and b and a.output_sha256 != b.output_sha256) for a, b in pairs)

    def verdicts(self, column: int) -> Counter[str]:
        return Counter(point.verdict for series in self.cells if (point := series.points[column]))


@dataclass
class _SeriesCells:
    cell: Cell
    figures: dict[int, Figures] = field(default_factory=dict)


def timelines_of(runs: Sequence[Stored]) -> tuple[Timeline, ...]:
    """The timelines of the frameworks that the runs have, in the order of a page.  Raises RunError."""
    found: dict[str, dict[str, _SeriesCells]] = {}
    versions: dict[str, dict[int, str]] = {}
    for number, run in enumerate(runs):
        for key, side in run.sides():
            framework = side.figures.framework
            cells = found.setdefault(framework, {})
            cells.setdefault(key, _SeriesCells(side.cell)).figures[number] = side.figures
            versions.setdefault(framework, {})[number] = side.figures.version
    return tuple(_timeline(name, found[name], versions[name], runs) for name in sorted(found, key=_place))


def _place(framework: str) -> tuple[int, str]:
    return PAGE_ORDER.index(framework if framework in PAGE_ORDER else ""), framework


def _timeline(
    framework: str, cells: dict[str, _SeriesCells], versions: dict[int, str], runs: Sequence[Stored]
) -> Timeline:
    columns = sorted(versions, key=lambda number: (_version(versions[number]), number))
    groups: dict[tuple[str, str, str, str], list[Series]] = {}
    for key in sorted(cells):
        cell = cells[key].cell
        place = cell.implementation, cell.operation, cell.quantity, cell.format
        groups.setdefault(place, []).append(Series(cell, _points(cells[key].figures, columns)))
    made = [_group(place, series) for place, series in groups.items()]
    return Timeline(
        framework=framework,
        labels=tuple(_labels([versions[n] for n in columns], [runs[n] for n in columns])),
        runs=tuple(runs[number] for number in columns),
        groups=tuple(sorted(made, key=lambda g: (-g.movement, -len(g.changed), g.cells[0].cell.key))),
    )


def _version(text: str) -> Version:
    """The first of the versions in a text such as ``0.4.30 0.4.29``; one that means nothing comes first."""
    try:
        return Version(text.split()[0])
    except (InvalidVersion, IndexError):
        return Version("0")


def _labels(versions: Sequence[str], runs: Sequence[Stored]) -> Iterable[str]:
    """Versions, with the name of the run where several have the same."""
    repeated = Counter(versions)
    for version, run in zip(versions, runs, strict=True):
        yield version if repeated[version] == 1 else f"{version} ({run.path.name})"


def _points(figures: dict[int, Figures], columns: Sequence[int]) -> tuple[Point | None, ...]:
    newest = next(figures[number] for number in reversed(columns) if number in figures)
    return tuple(
        Point(found.verdict, found.max_ulp, found.bound_ratio, found.output_sha256)
        if (found := figures.get(number)) and found.input_sha256 == newest.input_sha256
        else None
        for number in columns
    )


def _group(place: tuple[str, str, str, str], series: list[Series]) -> SeriesGroup:
    shared = [s for s in series if all(s.points)]
    columns = range(len(series[0].points))
    worst = tuple(_worst([p for s in shared if (p := s.points[column])]) for column in columns)
    return SeriesGroup(*place, cells=tuple(series), shared=len(shared), worst=worst)


def _worst(points: list[Point]) -> Point | None:
    if not points:
        return None
    return Point(
        verdict=min((p.verdict for p in points), key=rank),
        max_ulp=max((p.max_ulp for p in points if p.max_ulp is not None), default=None),
        bound_ratio=max((p.bound_ratio for p in points if p.bound_ratio is not None), default=None),
        output_sha256="",
    )
