"""Observations as they are kept in a run: what the fields of suites.laws.observations may hold there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from reports.run.fields import (
    ONLY_KNOWN,
    Count,
    FormatName,
    Framework,
    Implementation,
    Layout,
    Magnitude,
    Operation,
    Quantity,
    Size,
    Text,
    Word,
)
from reports.run.strict import made
from suites.laws.observations import Observation


@dataclass(frozen=True)
class _RecordedObservation(Observation):
    """The same fields in the same order, each with what it may hold."""

    __pydantic_config__ = ONLY_KNOWN

    what: Text
    framework: Framework
    implementation: Implementation
    profile: Word
    operation: Operation
    quantity: Quantity
    format: FormatName
    layout: Layout
    row_length: Size
    paths: list[Word]
    elements: Size
    changed: Count
    max_ulp: Magnitude | None
    max_row_ulp: Magnitude | None


def observation_of(data: Any) -> Observation:
    """The observation of what a line holds.  Raises ValueError, in one line, which names the first bad field."""
    found = made(_RecordedObservation, data)
    if found.changed > found.elements:
        raise ValueError(f"changed: {found.changed} is more than the {found.elements} elements")
    if not found.changed and (found.max_ulp or found.max_row_ulp):
        raise ValueError("changed: it is 0, and max_ulp says that bits did")
    return Observation(**vars(found))
