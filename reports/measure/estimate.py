"""How long a deep run will take, estimated from cells of it, drawn by their names, that are measured first."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from suites.plan.cell import Cell
from suites.plan.cells import rows_of

# Shapes that are tried in each stratum, and cells of each: the first pays for compiling.
_SHAPES = 4
_CELLS = 2

# Row lengths that cost about the same; beyond the last bound time goes with the length.
_LENGTHS = (64, 1100, 5000)


class Shape(NamedTuple):
    """What a compiler makes one program for: families differ in numbers only."""

    implementation: str
    profile: str
    operation: str
    quantity: str
    format: str
    layout: str
    rows: int
    row_length: int


class Stratum(NamedTuple):
    """Cells that cost about the same."""

    implementation: str
    quantity: str
    length: int


@dataclass(frozen=True)
class Cost:
    """Seconds of a cell: in the framework, in judging it, and for what cells on the same input share."""

    cell: Cell
    evaluation: float
    judging: float
    shared: float


@dataclass(frozen=True)
class Estimate:
    """What ``cells`` will take: seconds of the frameworks and of the driver, and of the clock on some processors."""

    cells: int
    measured: int
    evaluation: float
    driver: float
    processors: int

    @property
    def seconds(self) -> float:
        """By the clock: the driver judges while workers evaluate, as far as there are processors for both."""
        return max(self.driver, self.evaluation / self.processors, (self.driver + self.evaluation) / self.processors)

    @property
    def text(self) -> str:
        return (
            f"{self.cells:,} cells, about {duration(self.seconds)} on {self.processors} processors "
            f"(from {self.measured:,} of them, measured first)"
        )


def duration(seconds: float) -> str:
    """Seconds as people say them: 40 s, 12 min, 8.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def pilot_of(waiting: list[Cell]) -> list[Cell]:
    """The cells to measure first, in the plan's order: some shapes of every stratum, two cells of each."""
    shapes: dict[Stratum, dict[Shape, list[Cell]]] = defaultdict(lambda: defaultdict(list))
    for cell in waiting:
        shapes[_stratum(cell)][_shape(cell)].append(cell)
    chosen: set[Cell] = set()
    for by_shape in shapes.values():
        for shape in sorted(by_shape, key=lambda s: min(c.digest for c in by_shape[s][:_CELLS]))[:_SHAPES]:
            chosen.update(by_shape[shape][:_CELLS])
    return [cell for cell in waiting if cell in chosen]


def estimate_of(waiting: list[Cell], costs: Iterable[Cost], processors: int) -> Estimate:
    """What the cells will take, those that the costs are of included."""
    costs = list(costs)
    first, later = _means(costs)
    shapes: dict[Stratum, set[Shape]] = defaultdict(set)
    numbers: Counter[Stratum] = Counter()
    for cell in waiting:
        shapes[_stratum(cell)].add(_shape(cell))
        numbers[_stratum(cell)] += 1
    evaluation = judging = 0.0
    for stratum in first:
        compiled = len(shapes[stratum])
        for seconds, times in ((first[stratum], compiled), (later[stratum], numbers[stratum] - compiled)):
            evaluation += times * seconds.evaluation
            judging += times * seconds.judging
    shared = _per_input(costs)
    inputs = {(_stratum(c).length, _input(c)) for c in waiting}
    driver = judging + math.fsum(shared.get(length, 0.0) for length, _ in inputs)
    return Estimate(len(waiting), len(costs), evaluation, driver, processors)


class _Seconds(NamedTuple):
    """Of a cell, or the mean of some."""

    evaluation: float
    judging: float


def _means(costs: list[Cost]) -> tuple[dict[Stratum, _Seconds], dict[Stratum, _Seconds]]:
    """What the first cell of a shape costs, and what others do, by stratum.

    The first cell of all of an implementation in a profile pays for what is loaded once; it counts only where there is
    no other.
    """
    first: dict[Stratum, list[_Seconds]] = defaultdict(list)
    later: dict[Stratum, list[_Seconds]] = defaultdict(list)
    cold: dict[Stratum, list[_Seconds]] = defaultdict(list)
    lanes: set[tuple[str, str]] = set()
    shapes: set[Shape] = set()
    for cost in costs:
        lane, shape = (cost.cell.implementation, cost.cell.profile), _shape(cost.cell)
        chosen = later if shape in shapes else first if lane in lanes else cold
        chosen[_stratum(cost.cell)].append(_Seconds(cost.evaluation, cost.judging))
        lanes.add(lane)
        shapes.add(shape)
    firsts = {stratum: _mean(first.get(stratum) or cold[stratum]) for stratum in {**cold, **first}}
    return firsts, {stratum: _mean(later[stratum]) if stratum in later else mean for stratum, mean in firsts.items()}


def _mean(seconds: list[_Seconds]) -> _Seconds:
    count = len(seconds)
    return _Seconds(math.fsum(s.evaluation for s in seconds) / count, math.fsum(s.judging for s in seconds) / count)


def _per_input(costs: list[Cost]) -> dict[int, float]:
    """Mean seconds that an input costs with its exact results, by class of row length."""
    total: dict[int, float] = defaultdict(float)
    inputs: dict[int, set[tuple[str, ...]]] = defaultdict(set)
    for cost in costs:
        length = _stratum(cost.cell).length
        total[length] += cost.shared
        inputs[length].add(_input(cost.cell))
    return {length: seconds / len(inputs[length]) for length, seconds in total.items()}


def _input(cell: Cell) -> tuple[str, ...]:
    return cell.family, cell.format, str(cell.row_length), cell.operation, cell.quantity


def _shape(cell: Cell) -> Shape:
    named = (cell.implementation, cell.profile, cell.operation, cell.quantity, cell.format, cell.layout)
    return Shape(*named, rows_of(cell.family, cell.row_length), cell.row_length)


def _stratum(cell: Cell) -> Stratum:
    n = cell.row_length
    length = next((bound for bound in _LENGTHS if n <= bound), n)
    return Stratum(cell.implementation, cell.quantity, length)
