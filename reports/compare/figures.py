"""The figures of a cell that are compared: what a line of cells.jsonl holds, without the vectors of its worst case."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import Any

from references.errors import OUTCOMES
from suites.measure import Measurement
from suites.plan import Cell

# What no bound excuses.  Overflow can lie within the bound next to the largest number; then its cell is not wrong.
_OFF = tuple(name for name in OUTCOMES if name not in ("ordinary", "underflow", "flipped"))


@dataclass(frozen=True, slots=True)
class Figures:
    """A cell's figures; ``bound_ratio`` is inf where some element's is, None where there is no bound.

    ``off`` counts the elements off their contract, 0 in a cell that is not wrong.  ``output_sha256`` is empty where
    only rounded figures were kept.  ``path`` has the ids of the code paths, none where they are not known.
    """

    framework: str
    version: str
    device: str
    verdict: str
    max_ulp: float | None
    p99_ulp: float | None
    bias_ulp: float | None
    bound_ratio: float | None
    off: int
    outcomes: dict[str, int]
    flushes: bool
    input_sha256: str
    output_sha256: str
    worst: str
    storage_ratio: float | None = None
    path: tuple[str, ...] = ()


# Most cells have none, and thousands of them share one.
_ORDINARY: dict[str, int] = {}


def _off(verdict: str, outcomes: dict[str, int]) -> int:
    return sum(outcomes.get(name, 0) for name in _OFF) if verdict == "wrong" else 0


def figures_of_line(line: dict[str, Any]) -> Figures:
    """The figures of a line of cells.jsonl.  Raises KeyError and TypeError for one that is no record."""
    worst = line["worst"]
    return Figures(
        framework=sys.intern(line["framework"]),
        version=sys.intern(line["version"]),
        device=sys.intern(line["device"]),
        verdict=sys.intern(line["verdict"]),
        max_ulp=line["max_ulp"],
        p99_ulp=line["p99_ulp"],
        bias_ulp=line["bias_ulp"],
        bound_ratio=math.inf if line["infinite_ratios"] else line["bound_ratio"],
        off=_off(line["verdict"], line["outcomes"]),
        outcomes=line["outcomes"] or _ORDINARY,
        flushes=line["flushes"],
        input_sha256=line["input_sha256"],
        output_sha256=line["output_sha256"],
        worst=f"{worst['computed_value']} for {worst['exact']}",
        storage_ratio=line["storage_ratio"],
        path=tuple(map(sys.intern, line.get("path", ()))),
    )


def cell_of_line(line: dict[str, Any]) -> Cell:
    """The cell of a line of cells.jsonl."""
    return Cell(
        implementation=sys.intern(line["implementation"]),
        profile=sys.intern(line["profile"]),
        operation=sys.intern(line["operation"]),
        quantity=sys.intern(line["quantity"]),
        format=sys.intern(line["format"]),
        layout=sys.intern(line["layout"]),
        family=sys.intern(line["family"]),
        row_length=line["row_length"],
    )


def figures_of_measurement(measurement: Measurement, version: str, device: str) -> Figures:
    """The figures of a cell that was measured just now."""
    statistics, ratio, worst = measurement.statistics, measurement.judgement.bound_ratio, measurement.worst
    return Figures(
        framework=measurement.framework,
        version=version,
        device=device,
        verdict=measurement.judgement.verdict,
        max_ulp=statistics.max_ulp,
        p99_ulp=statistics.p99_ulp,
        bias_ulp=statistics.bias_ulp,
        bound_ratio=ratio,
        off=_off(measurement.judgement.verdict, statistics.outcomes),
        outcomes=statistics.outcomes,
        flushes=measurement.flushes,
        input_sha256=measurement.input_sha256,
        output_sha256=measurement.output_sha256,
        worst=f"{worst.computed_value!r} for {worst.exact}",
        storage_ratio=measurement.judgement.storage_ratio,
        path=tuple(measurement.path),
    )
