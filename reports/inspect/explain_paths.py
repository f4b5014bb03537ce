"""Where it is implemented: for one shape, what runs in each framework, where its source is, and how that is known."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from references.formats import FormatError
from references.vocabulary import OPERATIONS
from reports.console.tables import plain
from reports.inspect.explain import ExplainError
from suites.implementations.catalogue import CATALOGUE, Implementation, settings_of, versions_of, why_not_measured
from suites.paths.conditions import evaluate
from suites.paths.places import Place
from suites.paths.registry import Path, registry
from suites.paths.summation import ORDERS
from suites.paths.taken import NoPath, Settings, Step, path_of, quantities_of
from suites.vocabulary import FORMATS

# What is explained where no quantity is asked for.
_USUAL = ("forward", "vjp")


@dataclass(frozen=True)
class Taken:
    """What one call of an implementation runs."""

    implementation: str
    call: str
    operation: str
    quantity: str
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class PathAtShape:
    """A path with its numbers for the shape: ``depth`` of its sum where it is known, ``boundaries`` with sizes."""

    path: Path
    summation: str
    depth: int | None
    boundaries: tuple[tuple[str, tuple[int, ...], int, str], ...]


@dataclass(frozen=True)
class FrameworkPaths:
    """One framework: ``notes`` say where the settings or the registry are not of what is installed."""

    framework: str
    version: str | None
    settings: dict[str, str]
    notes: tuple[str, ...]
    calls: tuple[Taken, ...]
    paths: tuple[PathAtShape, ...]


@dataclass(frozen=True)
class PathExplanation:
    format: str
    place: Place
    frameworks: tuple[FrameworkPaths, ...]


# What no array exceeds: NumPy's and PyTorch's dimensions, and sizes whose bytes can be counted in 64 bits.
_MOST_DIMENSIONS = 64
_MOST_ELEMENTS = 2**60


def parse_shape(text: str) -> tuple[int, ...]:
    """``64x1000`` as (64, 1000).  Raises ExplainError, for what no array can have too."""
    shown = text if len(text) <= 60 else f"{text[:40]}... ({len(text)} characters)"
    if not re.fullmatch(r"0*[1-9][0-9]*([x,]0*[1-9][0-9]*)*", text):
        raise ExplainError(f"--shape {shown!r} is no shape; write sizes of 1 or more with x between them, as 64x1000")
    words = [word.lstrip("0") for word in re.split("[x,]", text)]
    if len(words) > _MOST_DIMENSIONS:
        raise ExplainError(f"--shape {shown!r} has {len(words)} sizes; an array has {_MOST_DIMENSIONS} at most")
    if max(map(len, words)) > 19 or math.prod(sizes := tuple(map(int, words))) > _MOST_ELEMENTS:
        raise ExplainError(
            f"--shape {shown!r} has more than 2^60 elements, which no array can have; give smaller sizes"
        )
    return sizes


def explained_paths(
    shape: tuple[int, ...],
    axis: int,
    format: str,
    quantities: Iterable[str] = (),
    operations: Iterable[str] = (),
    frameworks: Iterable[str] = (),
) -> PathExplanation:
    """What runs for a contiguous array; of what is not installed by the registry alone.

    Raises ExplainError or FormatError for an axis or a format that can't be had.
    """
    if format not in FORMATS:
        raise FormatError(f"unknown format {format!r}; known are {', '.join(FORMATS)}")
    try:
        place = Place.contiguous(shape, axis)
    except ValueError as error:
        raise ExplainError(f"--axis: {error}") from None
    wanted, asked = tuple(quantities) or _USUAL, tuple(operations) or OPERATIONS
    chosen = tuple(frameworks) or tuple(dict.fromkeys(i.framework for i in CATALOGUE.values()))
    return PathExplanation(format, place, tuple(_of_framework(f, format, place, wanted, asked) for f in chosen))


def _of_framework(
    framework: str, format: str, place: Place, quantities: tuple[str, ...], operations: tuple[str, ...]
) -> FrameworkPaths:
    reason, read = why_not_measured(framework), registry().read[framework]
    settings = registry().assumed[framework] if reason else settings_of(framework)
    version = None if reason else versions_of(framework).get(framework)
    notes = [f"{reason}: by the registry alone, with settings that are assumed"] if reason else []
    if version and version.partition("+")[0] != read:
        notes.append(f"the registry was read and observed in {framework} {read}, this is {version}")
    calls = [
        Taken(i.name, i.calls[operation], operation, quantity, steps)
        for i in CATALOGUE.values()
        if i.framework == framework
        for operation in operations
        for quantity in quantities
        if i.supports(operation, quantity, format)
        if (steps := _steps(i, operation, quantity, format, place, settings))
    ]
    paths = dict.fromkeys(step.path for taken in calls for step in taken.steps)
    told = tuple(_told(path, format, place, settings) for path in paths)
    return FrameworkPaths(framework, version, dict(settings), tuple(notes), tuple(calls), told)


def _steps(
    implementation: Implementation, operation: str, quantity: str, format: str, place: Place, settings: Settings
) -> tuple[Step, ...]:
    try:
        return path_of(implementation.name, operation, quantity, format, place, settings)
    except NoPath:
        return ()


def _told(path: Path, format: str, place: Place, settings: Settings) -> PathAtShape:
    known = quantities_of(path.framework, format, place, settings)
    lanes = min(int(known.get("lanes", 1)), int(known.get("float_lanes", 1)))
    tree, order = bool(known.get("tree")), ORDERS.get(path.order)
    boundaries = tuple(
        (b.of, tuple(int(evaluate(at, known)) for at in b.at), int(evaluate(b.of, known)), b.why)
        for b in path.boundaries
    )
    words = order.in_words(tree) if order else ""
    return PathAtShape(path, words, order.depth(place.n, lanes, tree) if order else None, boundaries)


# -- showing ---------------------------------------------------------------------------------------------------------


def tables(explanation: PathExplanation) -> list[Table | Text]:
    """For each framework a table of calls and the paths they take, and then a paragraph on each path."""
    place = explanation.place
    array = f"{' x '.join(map(str, place.shape))}, axis {place.axis}, {explanation.format}"
    parts: list[Table | Text] = []
    for found in explanation.frameworks:
        chosen = "; ".join(f"{name} {value}" for name, value in found.settings.items() if value)
        title = f"{found.framework} {found.version or '(not installed)'} ({chosen}): {array}"
        table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
        table.add_column("what is called", no_wrap=True)
        table.add_column("quantity", no_wrap=True)
        table.add_column("what runs")
        for taken in found.calls:
            steps = "\n".join(f"{s.path.id}: {s.where}" if s.where else s.path.id for s in taken.steps)
            table.add_row(taken.call, taken.quantity, steps)
        parts += [table if found.calls else plain(f"{title}: no call of it has this format and quantity").append("\n")]
        parts += [plain(f"Note: {note}.").append("\n") for note in found.notes]
        parts += [_paragraph(told) for told in found.paths]
    return parts


def _paragraph(told: PathAtShape) -> Table:
    table = Table(
        title=told.path.id, title_justify="left", title_style="bold", box=None, show_header=False, padding=(0, 2)
    )
    for row in facts_of(told):
        table.add_row(*row)
    table.add_row("")
    return table


def facts_of(told: PathAtShape) -> list[tuple[str, str]]:
    """What there is to say of a path, as (name, text)."""
    path = told.path
    bound = f" (bound {', '.join(path.bound)})" if path.bound else ""
    depth = f"; depth {told.depth}" if told.depth is not None else ""
    sizes = [f"{of} = {', '.join(map(str, at))} (here {here}): {why}" for of, at, here, why in told.boundaries]
    known = (
        f"{path.evidence} by {', '.join(path.observed_by)}" if path.observed_by else "read in the source, not observed"
    )
    facts = [
        ("runs", path.runs),
        ("source", f"{path.source}: {path.function}"),
        ("when", path.condition),
        ("algorithm", path.algorithm + bound),
        ("summation", told.summation + depth),
        *(("boundary", size) for size in sizes),
        ("known", known),
    ]
    return [(name, value) for name, value in facts if value]


def as_json(explanation: PathExplanation) -> dict[str, Any]:
    """The same as plain values."""

    def of_path(told: PathAtShape) -> dict[str, Any]:
        names = ("framework", "device", "runs", "source", "function", "condition", "when", "algorithm", "evidence")
        return {
            **{name: getattr(told.path, name) for name in names},
            "bound": list(told.path.bound),
            "summation": told.summation or None,
            "depth": told.depth,
            "boundaries": [{"of": of, "at": list(at), "here": here, "why": w} for of, at, here, w in told.boundaries],
            "observed_by": list(told.path.observed_by),
        }

    def of_framework(found: FrameworkPaths) -> dict[str, Any]:
        calls = [
            {
                **{name: value for name, value in asdict(taken).items() if name != "steps"},
                "paths": [{"id": step.path.id, "where": step.where or None} for step in taken.steps],
            }
            for taken in found.calls
        ]
        return {
            "framework": found.framework,
            "version": found.version,
            "settings": found.settings,
            "notes": list(found.notes),
            "calls": calls,
            "paths": {told.path.id: of_path(told) for told in found.paths},
        }

    return {
        "format": explanation.format,
        "shape": list(explanation.place.shape),
        "axis": explanation.place.axis,
        "frameworks": [of_framework(found) for found in explanation.frameworks],
    }
