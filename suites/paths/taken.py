"""The paths that a call takes: an implementation, an array and the settings of its framework, by the registry."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np

from references.formats import format_named
from suites.implementations.catalogue import Implementation, framework_named, settings_of
from suites.inputs.layouts import axis_of, place
from suites.paths.conditions import Value, evaluate
from suites.paths.places import (
    Place,
    SomeElements,
    SomeRows,
    elements_in_words,
    rows_in_words,
    split_by_blocks,
    split_by_threads,
)
from suites.paths.registry import Path, Registry, registry
from suites.plan.cell import Cell
from suites.plan.cells import rows_of

Settings = Mapping[str, str]

# Layouts whose rows are evaluated one by one.
_ONE_ROW_A_CALL = ("single",)


class NoPath(LookupError):
    """An implementation that the registry doesn't know, or an array that no path of it covers."""


@dataclass(frozen=True)
class Step:
    """A path that is taken, and the rows of the array, or the elements of its rows, that its loop has.

    None where no loop divides them: then all take it.
    """

    path: Path
    rows: SomeRows | None = None
    elements: SomeElements | None = None

    @property
    def where(self) -> str:
        """The same in words; empty where no loop divides anything."""
        if self.rows:
            return rows_in_words(self.rows)
        return elements_in_words(self.elements) if self.elements else ""


def path_of(
    implementation: str,
    operation: str,
    quantity: str,
    format: str,
    array: Place,
    settings: Settings,
    *,
    known: Registry | None = None,
) -> tuple[Step, ...]:
    """The kernels and functions that run, in the order in which they are called; several where loops divide the rows.

    ``settings`` are those that were read back from the framework (``settings_of``).  Imports no framework.  Raises
    NoPath.
    """
    known = known or registry()
    steps = [
        step
        for route in known.routes_of(implementation)
        for seen in [array.rows_last() if route.rows_last else array]
        for call in route.calls_of(operation, quantity)
        for step in _steps(known.by_call[call], format, seen, settings)
    ]
    if not steps:
        where = f"{' x '.join(map(str, array.shape))}, axis {array.axis}"
        raise NoPath(f"paths.toml has no path of {implementation} for {operation}, {quantity}, {format}, {where}")
    return tuple(dict.fromkeys(steps))


def _steps(paths: tuple[Path, ...], format: str, array: Place, settings: Settings) -> Iterator[Step]:
    platform, framework, known = _platform(settings), "", {}
    for path in paths:
        if format not in path.format or path.device != platform:
            continue
        if path.framework != framework:  # the paths of one entry point are neighbours
            framework, known = path.framework, quantities_of(path.framework, format, array, settings)
        if evaluate(path.when, known):
            step = _step(path, array, known)
            if step is not None:
                yield step


def _platform(settings: Settings) -> str:
    """``cpu`` of ``cpu TFRT_CPU_0``, ``cuda`` of ``cuda:1``."""
    return re.split(r"[ :]", settings.get("device", "cpu"))[0]


def quantities_of(framework: str, format: str, array: Place, settings: Settings) -> dict[str, Value]:
    """What the conditions of a framework's paths speak of (``registry.known_facts``)."""
    size = format_named(format).bits_dtype.itemsize
    found: dict[str, Value] = {
        "n": array.n,
        "outer": array.outer,
        "inner": array.inner,
        "rows": array.outer * array.inner,
        "elements": array.outer * array.inner * array.n,
        "last": array.last,
        "fastest": array.fastest,
        "reversed": array.reversed,
        "size": size,
        "format": format,
    }
    found.update(framework_named(framework).path_values(format, size, settings))
    return found


def _step(path: Path, array: Place, quantities: Mapping[str, Value]) -> Step | None:
    """A path with its rows or elements; None where it has none."""
    lanes, float_lanes = (int(quantities.get(name, 1)) for name in ("lanes", "float_lanes"))
    kind, _, part = path.part.partition("-")
    if not kind:
        return Step(path)
    if kind == "row":
        body = array.n - array.n % float_lanes
        chosen = range(body) if part == "body" else range(body, array.n)
        return Step(path, elements=SomeElements(chosen, array.n)) if chosen else None
    split = (
        split_by_threads(array, lanes, int(quantities["threads"]))
        if kind == "threads"
        else split_by_blocks(array, lanes)
    )
    pieces = tuple(split[part == "scalar"])
    return Step(path, rows=SomeRows(pieces, array.outer * array.inner)) if pieces else None


# -- of cells --------------------------------------------------------------------------------------------------------


@cache
def _place_of(layout: str, rows: int, n: int, itemsize: int) -> Place:
    array = place(np.zeros((rows, n), f"u{itemsize}"), layout)
    return Place.of_array(array, axis_of(layout))


def place_of(cell: Cell) -> Place:
    """Where the rows of a cell lie."""
    rows = 1 if cell.layout in _ONE_ROW_A_CALL else rows_of(cell.family, cell.row_length)
    return _place_of(cell.layout, rows, cell.row_length, format_named(cell.format).bits_dtype.itemsize)


@cache
def _settings_here(framework: str) -> dict[str, str]:
    return settings_of(framework)


def path_ids(cell: Cell, implementation: Implementation, settings: Settings | None = None) -> list[str]:
    """The ids of the paths of a cell, in the order in which they run, as a record keeps them.

    ``settings`` are those of the process that evaluates the cell, by default this one.  Empty for a user's own
    function, whose code is not ours to know, and for what the registry doesn't know (a test holds it to the catalogue).
    """
    if implementation.own:
        return []
    chosen = _settings_here(implementation.framework) if settings is None else settings
    call = implementation.name, cell.operation, cell.quantity, cell.format
    return list(_ids_of(*call, place_of(cell), tuple(chosen.items())))


@lru_cache(maxsize=50_000)
def _ids_of(
    implementation: str, operation: str, quantity: str, format: str, array: Place, settings: tuple[tuple[str, str], ...]
) -> tuple[str, ...]:
    """Families of logits share a shape, and so their paths."""
    try:
        steps = path_of(implementation, operation, quantity, format, array, dict(settings))
    except NoPath:
        return ()
    return tuple(step.path.id for step in steps)
