"""What the lines of a baseline may hold; ``reports.compare.baseline`` says what they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, GetPydanticSchema, StringConstraints
from pydantic_core import core_schema

from reports.run.fields import (
    ONLY_KNOWN,
    Count,
    Family,
    FormatName,
    Framework,
    Implementation,
    Layout,
    Operation,
    Quantity,
    Size,
    Text,
    Tier,
    Verdict,
    Word,
)

Length = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,17}$")]
ShortSha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{12}$")]

_MAGNITUDE = core_schema.float_schema(strict=True, ge=0, allow_inf_nan=False)
_RATIO = core_schema.union_schema([_MAGNITUDE, core_schema.literal_schema(["inf"])])


def _entry(_source: Any, handler: Any) -> core_schema.CoreSchema:
    """Verdict, largest error, ratio, and how many elements are off their contract where any are."""
    return core_schema.tuple_schema(
        [
            handler(Verdict),
            core_schema.nullable_schema(_MAGNITUDE),
            core_schema.nullable_schema(_RATIO),
            core_schema.with_default_schema(handler(Size), default=0),
        ]
    )


Entry = Annotated[Any, GetPydanticSchema(_entry)]


@dataclass(frozen=True)
class Head:
    """The first line."""

    __pydantic_config__ = ONLY_KNOWN

    schema: Count
    tier: Tier
    versions: dict[Framework, Text]
    measured_on: dict[Text, str]
    flushes: list[Framework]


@dataclass(frozen=True)
class Inputs:
    """The inputs of a format and a family, by their length."""

    __pydantic_config__ = ONLY_KNOWN

    input: Text
    sha256: Annotated[dict[Length, ShortSha256], Field(min_length=1)]


@dataclass(frozen=True)
class Cells:
    """The cells of a line, by layout and length."""

    __pydantic_config__ = ONLY_KNOWN

    cells: Text
    layouts: Annotated[dict[Layout, dict[Length, Entry]], Field(min_length=1)]


@dataclass(frozen=True)
class CellNames:
    """The names of a cell, its length aside."""

    implementation: Implementation
    profile: Word
    operation: Operation
    quantity: Quantity
    format: FormatName
    layout: Layout
    family: Family


CELL = tuple(CellNames.__dataclass_fields__)
