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
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reports.compare.figures import Figures
from reports.compare.pairing import Side, Stored, stored
from reports.exits import INCOMPLETE, OK
from reports.facts.tally import LADDER
from reports.outputs import check_outputs
from reports.run.records import Manifest, RunError
from reports.writing import write_page
from suites.plan import Cell

SCHEMA = 1

# Of a sha256; enough to tell some hundred inputs apart.
_DIGITS = 12


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
    yield json.dumps(head, ensure_ascii=False) + "\n"
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


def baseline_verb(run_path: Path, out: Path) -> int:
    """Write the baseline of a run; 3 where the run is incomplete."""
    check_outputs([out], runs=[run_path])
    run = stored(run_path)
    write_page(out, baseline_lines(run))
    if not run.manifest.finished:
        print(f"{run_path} is incomplete, and so is its baseline", file=sys.stderr)
        return INCOMPLETE
    return OK


# -- reading ---------------------------------------------------------------------------------------------------------


def read_baseline(path: Path) -> Baseline:
    """A baseline file, or a run directory with all that it keeps.  Raises RunError."""
    if path.is_dir():
        run = stored(path)
        return Baseline(path, run.manifest.tier, _measured_on(run.manifest), dict(run.sides()))
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise RunError(f"{path} can't be read ({error}); make it with 'baseline RUN --out {path}'") from None
    number = 1
    try:
        head = json.loads(lines[0])
        if head["schema"] != SCHEMA:
            raise ValueError(f"schema version {head['schema']}, this program reads {SCHEMA}")
        inputs: dict[str, str] = {}
        sides: dict[str, Side] = {}
        for text in lines[1:]:
            number += 1
            line = json.loads(text)
            if "input" in line:
                inputs |= {f"{line['input']}/{length}": sha256 for length, sha256 in line["sha256"].items()}
            else:
                sides |= {side.cell.key: side for side in _sides(line, head, inputs)}
        return Baseline(path, head["tier"], dict(head["measured_on"]), sides)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        remedy = f"make it with 'baseline RUN --out {path}'"
        raise RunError(f"{path}, line {number} is no line of a baseline ({error}); {remedy}") from None


def _sides(line: dict[str, Any], head: dict[str, Any], inputs: dict[str, str]) -> Iterator[Side]:
    # An implementation's name may have slashes of its own.
    implementation, profile, operation, quantity, format, family = line.pop("cells").rsplit("/", 5)
    framework = _framework(implementation, head)
    for layout, by_length in line.items():
        for length, (verdict, max_ulp, ratio, *off) in by_length.items():
            if verdict not in LADDER:
                raise ValueError(f"unknown verdict {verdict!r}")
            figures = Figures(
                framework=framework,
                version=head["versions"].get(framework, ""),
                device="",
                verdict=verdict,
                max_ulp=max_ulp,
                p99_ulp=None,
                bias_ulp=None,
                bound_ratio=math.inf if ratio == "inf" else ratio,
                off=off[0] if off else 0,
                outcomes={},
                flushes=framework in head["flushes"],
                input_sha256=inputs[f"{format}/{family}/{length}"],
                output_sha256="",
                worst="",
            )
            cell = Cell(implementation, profile, operation, quantity, format, layout, family, int(length))
            yield Side(cell, figures, None)


def _framework(implementation: str, head: dict[str, Any]) -> str:
    """The catalogue's names begin with their framework; a user's own doesn't, and belongs to the only one there is."""
    name = implementation.partition("/")[0]
    return name if name in head["versions"] else next(iter(head["versions"]), name)
