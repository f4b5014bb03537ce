"""What is shown of a history, as data: what moved furthest first, and the rest as numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from references.verdict.ladder import LADDER
from reports.history.chart import Panel, panel, sparkline
from reports.history.timeline import Point, Series, SeriesGroup, Timeline
from reports.wording import count, listing, significant, whole

# Groups of a framework that have a table and a chart, and cells that have a line in them.
MOST_GROUPS = 24
MOST_CELLS = 5

ULPS = "largest error in ulps"
RATIOS = "largest error / bound"

Points = tuple[Point | None, ...]

# A group in which no cell moved by half a binary digit has other bits and the same errors.
_MOVED = 0.5


@dataclass(frozen=True)
class Row:
    """A line of a table: the worst of a group, or a cell.  ``entries`` are (verdict, ulps, ratio), None for a gap."""

    name: str
    entries: tuple[tuple[str, str, str] | None, ...]
    ulps: str
    ratios: str


@dataclass(frozen=True)
class GroupTable:
    """A group: its table and its two charts."""

    title: str
    about: str
    rows: tuple[Row, ...]
    panels: tuple[Panel, Panel]


@dataclass(frozen=True)
class Column:
    """A version: the run it comes from, its verdicts worst first, and how many cells have other bits than before."""

    label: str
    run: str
    about: str
    verdicts: tuple[tuple[str, int], ...]
    other_bits: str


@dataclass(frozen=True)
class FrameworkPage:
    framework: str
    sentence: str
    labels: tuple[str, ...]
    columns: tuple[Column, ...]
    blocks: tuple[GroupTable, ...]
    rest: tuple[str, ...]


@dataclass(frozen=True)
class HistoryPage:
    title: str
    frameworks: tuple[FrameworkPage, ...]
    notes: tuple[str, ...]


def page_of(timelines: Sequence[Timeline]) -> HistoryPage:
    return HistoryPage(
        title="Accuracy of softmax and log_softmax over versions",
        frameworks=tuple(_framework(timeline) for timeline in timelines if len(timeline.labels) > 1),
        notes=tuple(_notes(timelines)),
    )


def _notes(timelines: Sequence[Timeline]) -> list[str]:
    runs = {id(run): run for timeline in timelines for run in timeline.runs}.values()
    notes = [f"{run.path} is an incomplete run." for run in runs if not run.manifest.finished]
    notes += [f"{t.framework} is in one of the runs only." for t in timelines if len(t.labels) == 1]
    processors = dict.fromkeys(run.manifest.cpu for run in runs)
    if len(processors) > 1:
        notes.append(f"The runs come from different processors, which alone can move errors: {listing(processors)}.")
    gaps = sum(len(s.present) < len(s.points) for t in timelines for s in t.cells)
    if gaps:
        notes.append(f"{count(gaps, 'cell')} were not measured in every version, or on another input: they have gaps.")
    return notes


def _framework(timeline: Timeline) -> FrameworkPage:
    moved = [group for group in timeline.groups if group.movement >= _MOVED]
    changed = sum(series.bits_changed for series in timeline.cells)
    verdicts = sum(series.verdict_changed for series in timeline.cells)
    return FrameworkPage(
        framework=timeline.framework,
        sentence=(
            f"{timeline.framework} {listing(timeline.labels)}: {count(len(timeline.cells), 'cell')}, "
            f"{whole(changed)} with other bits in some version, {whole(verdicts)} with another verdict."
        ),
        labels=timeline.labels,
        columns=tuple(_column(timeline, number) for number in range(len(timeline.labels))),
        blocks=tuple(_block(group, timeline.labels) for group in moved[:MOST_GROUPS]),
        rest=tuple(_rest(timeline, moved)),
    )


def _column(timeline: Timeline, number: int) -> Column:
    manifest = timeline.runs[number].manifest
    verdicts = timeline.verdicts(number)
    return Column(
        label=timeline.labels[number],
        run=str(timeline.runs[number].path),
        about=f"{manifest.created[:10]}, {manifest.tier} tier",
        verdicts=tuple((verdict, verdicts[verdict]) for verdict in LADDER if verdicts[verdict]),
        other_bits=whole(timeline.other_bits(number)) if number else "",
    )


def _block(group: SeriesGroup, labels: tuple[str, ...]) -> GroupTable:
    cells = group.changed[:MOST_CELLS]
    named = [(f"worst of {count(group.shared, 'cell')}", group.worst)] if group.shared else []
    named += [(_name(series), series.points) for series in cells]
    ulps = panel(ULPS, labels, [(name, _ulps(points)) for name, points in named])
    ratios = panel(RATIOS, labels, [(name, _ratios(points)) for name, points in named])
    about = f"{count(len(group.changed), 'cell')} of {whole(len(group.cells))} changed their bits"
    if len(group.changed) > len(cells):
        about += f"; the {len(cells)} that moved furthest have lines of their own"
    title = f"{group.implementation} {group.operation} {group.quantity}, {group.format}"
    return GroupTable(title, about, tuple(_row(name, points) for name, points in named), (ulps, ratios))


def _ulps(points: Points) -> list[float | None]:
    return [point.max_ulp if point else None for point in points]


def _ratios(points: Points) -> list[float | None]:
    return [point.bound_ratio if point else None for point in points]


def _name(series: Series) -> str:
    return f"{series.cell.family}, {series.cell.layout}, n = {series.cell.row_length}"


def _row(name: str, points: Points) -> Row:
    return Row(name, tuple(map(_entry, points)), sparkline(_ulps(points)), sparkline(_ratios(points)))


def _entry(point: Point | None) -> tuple[str, str, str] | None:
    return (point.verdict, significant(point.max_ulp), significant(point.bound_ratio)) if point else None


def _rest(timeline: Timeline, moved: list[SeriesGroup]) -> list[str]:
    """What has no table of its own, in a sentence for each kind."""
    rest = []
    if len(moved) > MOST_GROUPS:
        names = listing(_short(group) for group in moved[MOST_GROUPS : MOST_GROUPS + 12])
        more = len(moved) - MOST_GROUPS - 12
        tail = f", and {whole(more)} more groups" if more > 0 else ""
        rest.append(f"Moved less: {names}{tail}.")
    alike = [group for group in timeline.groups if group.changed and group not in moved]
    if alike:
        rest.append(f"Other bits and errors of the same size: {count(len(alike), 'group')}.")
    still = sum(not group.changed for group in timeline.groups)
    if still:
        rest.append(f"The same bits in every version: {count(still, 'group')}.")
    return rest


def _short(group: SeriesGroup) -> str:
    return f"{group.implementation} {group.operation} {group.quantity} {group.format}"
