"""The geometry of a chart: versions from left to right, an error on a logarithmic axis, lines that break at gaps."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 460.0, 220.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 52.0, 16.0, 26.0, 40.0

# How far zero and infinity lie from the scale, where they occur.
_APART = 18.0

# Ticks on an axis, at most.
_MOST_TICKS = 6

Values = Sequence[float | None]


@dataclass(frozen=True)
class Mark:
    """A point of a line; ``kind`` is ``value``, ``zero`` (below the scale) or ``infinite`` (above it)."""

    x: float
    y: float
    kind: str
    text: str


@dataclass(frozen=True)
class ChartLine:
    """One line: its marks, and the pieces between gaps as SVG point lists."""

    name: str
    marks: tuple[Mark, ...]
    pieces: tuple[str, ...]


@dataclass(frozen=True)
class Panel:
    """One chart.  ``one`` is the height of 1 where it is on the axis: the bound."""

    title: str
    ticks: tuple[tuple[float, str], ...]
    columns: tuple[tuple[float, str], ...]
    lines: tuple[ChartLine, ...]
    one: float | None

    width, height = WIDTH, HEIGHT
    left, right, floor = _LEFT, WIDTH - _RIGHT, HEIGHT - _BOTTOM


def panel(title: str, labels: Sequence[str], lines: Sequence[tuple[str, Values]]) -> Panel:
    """A panel of lines over the columns ``labels``; each has a value for each column, None for a gap, inf and 0 too."""
    every = [v for _, values in lines for v in values if v is not None]
    low, high = _decades(every)
    columns = _columns(len(labels))
    edges = [(HEIGHT - _BOTTOM, "0")] * (0.0 in every) + [(_TOP, "∞")] * (math.inf in every)
    floor, ceiling = HEIGHT - _BOTTOM - _APART * (0.0 in every), _TOP + _APART * (math.inf in every)

    def height(logarithm: float) -> float:
        share = (logarithm - low) / (high - low)
        return round(floor - share * (floor - ceiling), 2)

    def mark(x: float, value: float, label: str) -> Mark:
        if value == 0:
            return Mark(x, HEIGHT - _BOTTOM, "zero", f"{label}: 0")
        if math.isinf(value):
            return Mark(x, _TOP, "infinite", f"{label}: ∞")
        return Mark(x, height(math.log10(value)), "value", f"{label}: {value:.3g}")

    made = []
    for name, values in lines:
        marks = [None if v is None else mark(x, v, label) for x, v, label in zip(columns, values, labels, strict=True)]
        made.append(ChartLine(name, tuple(m for m in marks if m), tuple(_pieces(marks))))
    step = max(1, math.ceil((high - low) / _MOST_TICKS))
    return Panel(
        title=title,
        ticks=(*((height(power), _power(power)) for power in range(low, high + 1, step)), *edges),
        columns=tuple(zip(columns, labels, strict=True)),
        lines=tuple(made),
        one=height(0) if low <= 0 <= high else None,
    )


def _decades(values: Iterable[float]) -> tuple[int, int]:
    """The powers of ten that enclose the numbers, one apart at least."""
    logarithms = [math.log10(v) for v in values if v > 0 and math.isfinite(v)]
    low = math.floor(min(logarithms, default=0.0))
    return low, max(low + 1, math.ceil(max(logarithms, default=0.0)))


def _columns(count: int) -> list[float]:
    inside = WIDTH - _LEFT - _RIGHT
    return [round(_LEFT + inside * (number + 0.5) / count, 2) for number in range(count)]


def _pieces(marks: Sequence[Mark | None]) -> Iterable[str]:
    piece: list[str] = []
    for mark in [*marks, None]:
        if mark is not None:
            piece.append(f"{mark.x:g},{mark.y:g}")
        elif piece:
            yield " ".join(piece)
            piece = []


def _power(power: int) -> str:
    return f"{10.0**power:g}" if -3 <= power <= 3 else f"1e{power}"


_BARS = "▁▂▃▄▅▆▇█"


def sparkline(values: Values) -> str:
    """A line of text: bars on a logarithmic scale over the values, a decade high at least, and a gap for None."""
    logarithms = [math.log10(v) for v in values if v is not None and v > 0 and math.isfinite(v)]
    low, high = min(logarithms, default=0.0), max(logarithms, default=0.0)
    room = max(0.0, 1.0 - (high - low)) / 2
    low, high = low - room, high + room

    def bar(value: float | None) -> str:
        if value is None:
            return " "
        if value == 0:
            return _BARS[0]
        if math.isinf(value):
            return "∞"
        share = (math.log10(value) - low) / (high - low)
        return _BARS[min(len(_BARS) - 1, int(share * len(_BARS)))]

    return "".join(map(bar, values))
