"""The figures of a cell that are compared: what its record holds, without the vectors of its worst case."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass

from references.verdict.errors import OUTCOMES
from reports.run.records import Record
from suites.plan.cell import Cell
from suites.scoring.cell import Measurement

# What no bound excuses.  Overflow can lie within the bound next to the largest number; then its cell is not wrong.
_OFF = tuple(name for name in OUTCOMES if name not in ("ordinary", "underflow", "flipped"))


@dataclass(frozen=True, slots=True)
class Figures:
    """A cell's figures; ``bound_ratio`` is inf where some element's is, None where there is no bound.

    ``off`` counts the elements off their contract, 0 in a cell that is not wrong.  ``output_sha256`` is empty where
    only rounded figures were kept.  ``path`` has the ids of the code paths, none where they are not known.  ``rest``
    are the other figures of a record, which one judge has to give alike for the same bits; none where they aren't kept.
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
    rest: tuple[float | None, ...] = ()

    def figure(self, name: str) -> object:
        """A figure by its name in a record."""
        return self.rest[REST.index(name)] if name in REST else getattr(self, name)


REST = (
    *("mean_ulp", "correctly_rounded_share", "faithful_share", "conditioning_ratio"),
    *("max_abs", "max_rel", "row_sum_error", "reference_error_ulps"),
)

# Most cells have none, and thousands of them share one.
_ORDINARY: dict[str, int] = {}


def _off(verdict: str, outcomes: dict[str, int]) -> int:
    return sum(outcomes.get(name, 0) for name in _OFF) if verdict == "wrong" else 0


def figures_of_record(record: Record) -> Figures:
    """The figures of a record."""
    worst = record.worst
    return Figures(
        framework=sys.intern(record.framework),
        version=sys.intern(record.version),
        device=sys.intern(record.device),
        verdict=sys.intern(record.verdict),
        max_ulp=record.max_ulp,
        p99_ulp=record.p99_ulp,
        bias_ulp=record.bias_ulp,
        bound_ratio=math.inf if record.infinite_ratios else record.bound_ratio,
        off=_off(record.verdict, record.outcomes),
        outcomes=record.outcomes or _ORDINARY,
        flushes=record.flushes,
        input_sha256=record.input_sha256,
        output_sha256=record.output_sha256,
        worst=f"{worst.computed_value} for {worst.exact}",
        storage_ratio=record.storage_ratio,
        path=tuple(map(sys.intern, record.path)),
        rest=tuple(getattr(record, name) for name in REST),
    )


def cell_of_record(record: Record) -> Cell:
    """The cell of a record; thousands of them share their words."""
    return Cell(
        implementation=sys.intern(record.implementation),
        profile=sys.intern(record.profile),
        operation=sys.intern(record.operation),
        quantity=sys.intern(record.quantity),
        format=sys.intern(record.format),
        layout=sys.intern(record.layout),
        family=sys.intern(record.family),
        row_length=record.row_length,
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
