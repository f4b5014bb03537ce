"""Baselines: a run reduced to the figures that a later one is held against, sorted text for a git diff.

Line 1           {"schema": 1, "tier": ..., "versions": {...}, "measured_on": {...}, "flushes": [...]}
then by input    {"input": "binary16/dominant", "sha256": {"2": "151cd7430ef9", "9": ...}}
then by cells    {"cells": "jax/jit/default/softmax/vjp/binary16/dominant", "last": {"2": ["accurate",3.4,0.004]}, ...}

The cells of a line differ in layout and row length.  A list has the verdict, the largest error in ulps, and that over
its bound, both to two digits (null where there is none, "inf" where it is infinite), and last, where there are any, how
many elements are off their contract.
"""

from __future__ import annotations

import json
import math
import reprlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from references.verdict.ladder import BELOW_STABLE
from reports.compare.figures import Figures
from reports.compare.pairing import Side, Stored, stored
from reports.run.baseline_lines import CELL, CellNames, Cells, Head, Inputs
from reports.run.records import Manifest, RunError
from reports.run.regular import Unreadable, lines_in
from reports.run.strict import DAMAGE, made, parsed
from suites.plan.cell import Cell

SCHEMA = 1

# Of a sha256; enough to distinguish some hundred inputs.
_DIGITS = 12

Made = TypeVar("Made")


@dataclass(frozen=True)
class Baseline:
    """What a run is held against: its cells by key, and what the figures of each framework and profile were measured on
    (by ``lane_name``)."""

    path: Path
    tier: str
    measured_on: dict[str, str]
    sides: dict[str, Side]


def conditions(cpu: str, settings: dict[str, str]) -> str:
    """What figures depend on beside the version, in one line: the processor and what was read back."""
    return "; ".join([cpu, *(f"{name} {value}" for name, value in settings.items() if value)])


def _measured_on(manifest: Manifest) -> dict[str, str]:
    return {name: conditions(manifest.cpu, settings) for name, settings in sorted(manifest.conditions.items())}


# -- writing ---------------------------------------------------------------------------------------------------------


def baseline_lines(run: Stored) -> Iterator[str]:
    """The lines of a run's baseline.  Raises RunError."""
    versions: dict[str, str] = {}
    flushes: set[str] = set()
    inputs: dict[str, dict[int, str]] = {}
    cells: dict[str, dict[str, dict[int, str]]] = {}
    for _, side in run.sides():
        cell, figures = side.cell, side.figures
        versions[figures.framework] = figures.version
        flushes |= {figures.framework} if figures.flushes else set()
        sha256 = json.dumps(figures.input_sha256[:_DIGITS])
        inputs.setdefault(f"{cell.format}/{cell.family}", {})[cell.row_length] = sha256
        cells.setdefault(_name(cell), {}).setdefault(cell.layout, {})[cell.row_length] = _entry(figures)
    head = {
        "schema": SCHEMA,
        "tier": run.manifest.tier,
        "versions": dict(sorted(versions.items())),
        "measured_on": _measured_on(run.manifest),
        "flushes": sorted(flushes),
    }
    yield json.dumps(head) + "\n"
    for name, by_length in sorted(inputs.items()):
        yield f'{{"input": {json.dumps(name)}, "sha256": {_object(by_length)}}}\n'
    for name, by_layout in sorted(cells.items()):
        layouts = (f"{json.dumps(layout)}: {_object(by_length)}" for layout, by_length in sorted(by_layout.items()))
        yield f'{{"cells": {json.dumps(name)}, {", ".join(layouts)}}}\n'


def _name(cell: Cell) -> str:
    return "/".join((cell.implementation, cell.profile, cell.operation, cell.quantity, cell.format, cell.family))


def _object(values: dict[int, str]) -> str:
    """A JSON object whose keys are numbers in their order."""
    return "{" + ", ".join(f'"{length}": {value}' for length, value in sorted(values.items())) + "}"


def _entry(figures: Figures) -> str:
    parts = [json.dumps(figures.verdict), _number(figures.max_ulp), _number(figures.bound_ratio)]
    return f"[{','.join([*parts, *([str(figures.off)] if figures.off else [])])}]"


def _number(value: float | None) -> str:
    """Two digits, so that what moves by less makes no difference to be read: 3.4, 0.004, 1.6e7."""
    if value is None:
        return "null"
    if math.isinf(value):
        return '"inf"'
    mantissa, e, exponent = f"{value:.2g}".partition("e")
    return f"{mantissa}e{int(exponent)}" if e else mantissa


# -- reading ---------------------------------------------------------------------------------------------------------


def read_baseline(path: Path) -> Baseline:
    """A baseline file, or a run directory with all that it keeps.  Raises RunError."""
    if path.is_dir():
        run = stored(path)
        return Baseline(path, run.manifest.tier, _measured_on(run.manifest), dict(run.sides()))
    remedy = f"make it with 'baseline RUN --out {path}'"
    number, read = 0, _Reader()
    try:
        for text in lines_in(path):
            number += 1
            read.line(parsed(text))
        if read.head is None:
            raise ValueError("empty")
    except FileNotFoundError:
        raise RunError(f"{path} can't be read (it is not there); {remedy}") from None
    except Unreadable as error:
        raise RunError(f"{path} can't be read ({error}); {remedy}") from None
    except DAMAGE as error:
        raise RunError(f"{path}, line {max(number, 1)} is no line of a baseline ({error}); {remedy}") from None
    return Baseline(path, read.head.tier, dict(read.head.measured_on), read.sides)


class _Reader:
    """What the lines of a baseline have said so far."""

    def __init__(self) -> None:
        self.head: Head | None = None
        self.inputs: dict[str, str] = {}
        self.sides: dict[str, Side] = {}

    def line(self, data: Any) -> None:
        """Take in a line.  Raises ValueError, which names what is wrong."""
        if self.head is None:
            self.head = _head_of(data)
        elif isinstance(data, dict) and "input" in data:
            given = made(Inputs, data)
            for length, sha256 in given.sha256.items():
                _add(self.inputs, f"{given.input}/{length}", sha256)
        else:
            for side in _sides(data, self.head, self.inputs):
                _add(self.sides, side.cell.key, side)


def _head_of(data: Any) -> Head:
    schema = data.get("schema") if isinstance(data, dict) else None
    if schema != SCHEMA or isinstance(schema, bool):
        raise ValueError(f"schema version {reprlib.repr(schema)}, this program reads {SCHEMA}")
    return made(Head, data)


def _add(found: dict[str, Made], name: str, value: Made) -> None:
    if name in found:
        raise ValueError(f"{name} is there twice")
    found[name] = value


def _sides(data: Any, head: Head, inputs: dict[str, str]) -> Iterator[Side]:
    if not isinstance(data, dict):
        raise ValueError("no object with cells")
    layouts = {name: by_length for name, by_length in data.items() if name != "cells"}
    given = made(Cells, {"cells": data.get("cells"), "layouts": layouts})
    # An implementation's name may have slashes of its own.
    names = given.cells.rsplit("/", 5)
    if len(names) != 6:
        raise ValueError(f"cells: {given.cells} has not all of a cell's names")
    implementation, profile, operation, quantity, format, family = names
    framework = _framework(implementation, head)
    for layout, by_length in given.layouts.items():
        for length, (verdict, max_ulp, ratio, *off) in by_length.items():
            name = f"{format}/{family}/{length}"
            if name not in inputs:
                raise ValueError(f"cells: there is no input {name}")
            # The names are those of a cell: a key that is none doesn't become one.
            cell = made(
                CellNames,
                dict(zip(CELL, (implementation, profile, operation, quantity, format, layout, family), strict=True)),
            )
            bound_ratio = math.inf if ratio == "inf" else None if ratio is None else float(ratio)
            wrong = _contradiction(verdict, max_ulp, bound_ratio, off[0] if off else 0)
            if wrong:
                raise ValueError(f"{given.cells}, {layout}, {length}: {wrong}")
            figures = Figures(
                framework=framework,
                version=head.versions.get(framework, ""),
                device="",
                verdict=verdict,
                max_ulp=max_ulp,
                p99_ulp=None,
                bias_ulp=None,
                bound_ratio=bound_ratio,
                off=off[0] if off else 0,
                outcomes={},
                flushes=framework in head.flushes,
                input_sha256=inputs[name],
                output_sha256="",
                worst="",
            )
            yield Side(Cell(**vars(cell), row_length=int(length)), figures, None)


# Two digits of a number, which the half of a digit may take to either side of a limit.
_ROUNDED = 1.06


def _contradiction(verdict: str, max_ulp: float | None, ratio: float | None, off: int) -> str | None:
    """What the figures say otherwise than the verdict, as far as two digits show."""
    if off and verdict != "wrong":
        return f"it says {verdict}; its figures say wrong"
    if ratio is not None and ratio > _ROUNDED and verdict not in BELOW_STABLE:
        return f"it says {verdict}; a ratio of {ratio} says that it is beyond its bound"
    if verdict in ("unstable", "storage-stable") and (ratio is None or ratio < 1 / _ROUNDED):
        return f"it says {verdict}; a ratio of {ratio} says that it is within its bound"
    limit = {"correctly rounded": 0.5, "faithful": 1.0}.get(verdict)
    if limit is not None and max_ulp is not None and max_ulp > limit * _ROUNDED:
        return f"it says {verdict}; an error of {max_ulp} ulp says that it is not"
    return None


def _framework(implementation: str, head: Head) -> str:
    """The catalogue's names begin with their framework; a user's own doesn't, and belongs to the only one there is."""
    name = implementation.partition("/")[0]
    return name if name in head.versions else next(iter(head.versions), name)
