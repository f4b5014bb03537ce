"""The one definition of a record and of a run directory; every writer and reader imports it.

The fields say what they may hold (``reports.run.fields``): the reader refuses everything else.

RUN/manifest.json     what was measured, where and with which versions (``Manifest``)
RUN/cells.jsonl       one ``Record`` a line, sorted by key once the run is finished
RUN/lost.jsonl        one ``LostCell`` a line, for the cells that could not be measured; not there if there are none
RUN/observations.jsonl whether bits change with threads, layout and the like (suites/laws/observations.py), one a line
RUN/rows/maxima.jsonl the largest ulp error of each row of each cell, for paired tests
RUN/rows/*.npy        the bits of worst rows that are too long for their record, named by content

There is no NaN or infinity in the JSON: null, and a count (``outcomes``, ``infinite_ratios``) in its place.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from references.formats import Bits, Format
from reports.files import RunError as RunError
from reports.run.fields import (
    ONLY_KNOWN,
    Count,
    Date,
    Decimal,
    Evidence,
    Family,
    FormatName,
    Framework,
    HexBits,
    Implementation,
    Layout,
    Magnitude,
    Number,
    Operation,
    Outcome,
    Quantity,
    ReferenceTier,
    Sha256,
    Share,
    Size,
    Text,
    Tier,
    Truth,
    Vector,
    VectorOrNone,
    Verdict,
    Word,
)
from reports.run.rows import read_row
from suites.driver.profiles import DEFAULT
from suites.plan.cell import Cell

SCHEMA = 1

OBSERVATIONS = "observations.jsonl"

# Worst rows longer than this are kept in rows/, by reference.
LONGEST_INLINE = 32

# Row maxima kept of a cell.
MOST_ROWS = 64


@dataclass(frozen=True)
class Worst:
    """A cell's worst element.  Vectors are hex bit strings, or {"file": ..., "length": n} below the run directory.

    ``attribution``: part of the bound -> what it may have contributed, in ulps, and ``excess``; None without a bound.
    """

    __pydantic_config__ = ONLY_KNOWN

    row: Count
    index: Count
    logits: Vector
    cotangent: VectorOrNone
    tangent: VectorOrNone
    vector_kind: Text | None
    computed: HexBits
    computed_value: Decimal
    exact: Decimal
    ulp_error: Magnitude | None
    bound_ratio: Magnitude | None
    outcome: Outcome
    attribution: dict[Text, Magnitude] | None = None


@dataclass(frozen=True)
class Record:
    """One cell's result; the fields that identify it come first, in the order of its key (framework, version and device
    aside, which the profile implies).  ``path`` has the ids of the code paths in the order in which they ran.
    ``elements_by_tier`` counts the elements that each reference judged, and ``oracle`` says the same in words.
    It and ``rows_without_bound`` are None in the records of a version that didn't count them."""

    __pydantic_config__ = ONLY_KNOWN

    implementation: Implementation
    framework: Framework
    version: Text
    profile: Word
    device: Text
    operation: Operation
    quantity: Quantity
    format: FormatName
    layout: Layout
    family: Family
    row_length: Size
    path: list[Word]
    call: Text
    rows: Size
    elements: Size
    max_ulp: Magnitude | None
    p99_ulp: Magnitude | None
    mean_ulp: Magnitude | None
    bias_ulp: Number | None
    correctly_rounded_share: Share
    faithful_share: Share
    bound_ratio: Magnitude | None
    storage_ratio: Magnitude | None
    conditioning_ratio: Magnitude | None
    infinite_ratios: Count
    order_assumed: Truth
    max_abs: Magnitude | None
    max_rel: Magnitude | None
    row_sum_error: Magnitude | None
    outcomes: dict[Outcome, Count]
    input_sha256: Sha256
    output_sha256: Sha256
    verdict: Verdict
    evidence: Evidence
    oracle: Text
    reference_error_ulps: Magnitude
    flushes: Truth
    worst: Worst
    rows_without_bound: Count | None = None
    elements_by_tier: dict[ReferenceTier, Count] | None = None

    @property
    def cell(self) -> Cell:
        return Cell(
            self.implementation,
            self.profile,
            self.operation,
            self.quantity,
            self.format,
            self.layout,
            self.family,
            self.row_length,
        )

    @property
    def key(self) -> str:
        return self.cell.key


@dataclass(frozen=True)
class Unmeasured:
    """A framework, one profile of it or one implementation, of which nothing was measured, and why."""

    __pydantic_config__ = ONLY_KNOWN

    framework: str
    reason: str
    profile: str | None = None
    implementation: str | None = None

    @property
    def name(self) -> str:
        return self.implementation or (f"{self.framework} {self.profile}" if self.profile else self.framework)


@dataclass(frozen=True)
class LostCell:
    """A cell that could not be measured: what was raised, or how its worker ended, and what it had printed last.

    ``unsupported``: this version of the framework has no such function, format or argument.
    """

    __pydantic_config__ = ONLY_KNOWN

    key: Text
    reason: str
    signal: str | None
    input_sha256: str
    log: str
    unsupported: Truth = False


@dataclass(frozen=True)
class MeasuredProfile:
    """A profile as its worker reported it: what was ``asked`` of it, and what it ``selected``, which is read back."""

    __pydantic_config__ = ONLY_KNOWN

    name: Word
    framework: str
    device: str
    interpreter: str
    python: str
    packages: dict[str, str]
    asked: dict[str, str]
    selected: dict[str, str]
    card: str | None


@dataclass(frozen=True)
class RowMaxima:
    """The largest ulp error of each row of a cell, MOST_ROWS of them at most."""

    __pydantic_config__ = ONLY_KNOWN

    key: Text
    max_ulp: list[Magnitude | None]


def lane_name(framework: str, profile: str) -> str:
    """A framework in one of its profiles, in words; the default one goes without saying."""
    return framework if profile == DEFAULT else f"{framework} {profile}"


@dataclass(frozen=True)
class Timing:
    """log(softmax(x)) against log_softmax(x): ``ratio`` is the median of paired time ratios, with their quartiles."""

    __pydantic_config__ = ONLY_KNOWN

    framework: str
    mode: str
    quantity: str
    shape: list[Size]
    ratio: Magnitude
    lower_quartile: Magnitude
    upper_quartile: Magnitude
    microseconds: Magnitude


@dataclass(frozen=True)
class Manifest:
    """What a run is of; ``planned`` counts its cells and ``finished`` says that all of them are there.

    Cells that this version of a framework doesn't support are not among those planned, once that is known.
    ``content`` has the sha256 of what was measured and of what judged (reports/run/content.py); None in a run of an
    older version, which doesn't say.
    """

    __pydantic_config__ = ONLY_KNOWN

    schema: Count
    created: Date
    tier: Tier
    selection: dict[str, list[str]]
    implementations: list[str]
    planned: Count
    finished: Truth
    packages: dict[str, str]
    python: str
    platform: str
    cpu: str
    gpu: str | None
    settings: dict[str, dict[str, str]]
    environment: dict[str, str]
    seed: str
    git_commit: str | None
    inputs_sha256: Sha256 | None
    unmeasured: list[Unmeasured]
    profiles: list[MeasuredProfile] = field(default_factory=list)
    timings: list[Timing] = field(default_factory=list)
    seconds: dict[str, Magnitude] = field(default_factory=dict)
    content: dict[str, str] | None = None

    @property
    def conditions(self) -> dict[str, dict[str, str]]:
        """What the figures of each profile depend on, by ``lane_name``: settings, and what was asked of the profile."""
        found = dict(self.settings)
        for profile in self.profiles:
            if profile.name != DEFAULT:
                names = self.settings.get(profile.framework, profile.selected)
                read_back = {name: profile.selected[name] for name in names if name in profile.selected}
                found[lane_name(profile.framework, profile.name)] = {**read_back, **profile.asked}
        return found


@dataclass(frozen=True)
class Run:
    """A run as it was read: records sorted by key."""

    path: Path
    manifest: Manifest
    records: list[Record]

    def named(self, cell: str) -> Record:
        """The record of a key, or of a unique prefix of its sha256.  Raises RunError."""
        found = [r for r in self.records if r.key == cell] or [
            r for r in self.records if len(cell) >= 4 and r.cell.digest.startswith(cell.lower())
        ]
        if len(found) != 1:
            what = "names no cell" if not found else f"names {len(found)} cells"
            raise RunError(f"{cell!r} {what} of {self.path}; give a key from cells.jsonl or more of its sha256")
        return found[0]

    def bits(self, vector: Any, format: Format) -> Bits:
        """The bit patterns of a vector of a ``Worst``, from the record or from rows/.  Raises RunError."""
        if isinstance(vector, list):
            return np.array([int(b, 16) for b in vector], dtype=format.bits_dtype)
        return read_row(self.path / "rows", vector["file"], vector["length"], format)


def finite(value: float | None) -> float | None:
    """A number, or None in place of NaN and infinity."""
    return None if value is None or not np.isfinite(value) else float(value)
