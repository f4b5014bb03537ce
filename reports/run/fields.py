"""What the fields of a run's files may hold: types that are taken as they stand, ranges, known words, patterns."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field, GetPydanticSchema, Strict, StringConstraints
from pydantic_core import core_schema

from references.bulk.exact_pairs import TIERS as REFERENCE_TIERS
from references.verdict.errors import OUTCOMES
from references.vocabulary import EVERY_FORMAT, NOT_APPLICABLE, VERDICTS
from references.vocabulary import OPERATIONS as _OPERATIONS
from references.vocabulary import QUANTITIES as _QUANTITIES
from suites.implementations.catalogue import FRAMEWORKS
from suites.scoring.output import TOUCHED
from suites.vocabulary import EVERY_FAMILY, LAYOUTS, TIERS

# For __pydantic_config__: a field that isn't known is an error, not something to be left out.
ONLY_KNOWN = ConfigDict(extra="forbid")


def _among(words: Iterable[str]) -> GetPydanticSchema:
    known = list(words)
    return GetPydanticSchema(lambda _source, _handler: core_schema.literal_schema(known))


def _date(text: str) -> str:
    datetime.datetime.fromisoformat(text)
    return text


_MOST = 2**63 - 1

Count = Annotated[int, Strict(), Field(ge=0, le=_MOST)]
Size = Annotated[int, Strict(), Field(ge=1, le=_MOST)]
Truth = Annotated[bool, Strict()]
Number = Annotated[float, Strict(), Field(allow_inf_nan=False)]
Magnitude = Annotated[float, Strict(), Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Strict(), Field(ge=0, le=1, allow_inf_nan=False)]

# Text of one line: no control, format or unassigned characters, which a terminal would obey.
Text = Annotated[str, StringConstraints(pattern=r"^[^\p{C}\p{Zl}\p{Zp}]*$", max_length=2000)]
# Part of a key: what a path or a shell would read otherwise isn't there.
Word = Annotated[str, StringConstraints(pattern=r"^[\p{L}\p{N}_.:+\-]+$", max_length=200)]
Implementation = Annotated[
    str, StringConstraints(pattern=r"^[\p{L}\p{N}_.:+\-]+(/[\p{L}\p{N}_.:+\-]+)*$", max_length=400)
]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Date = Annotated[str, AfterValidator(_date)]

Framework = Annotated[str, _among(FRAMEWORKS)]
Operation = Annotated[str, _among(_OPERATIONS)]
Quantity = Annotated[str, _among(_QUANTITIES)]
FormatName = Annotated[str, _among(EVERY_FORMAT)]
Layout = Annotated[str, _among(LAYOUTS)]
Family = Annotated[str, _among(EVERY_FAMILY)]
Verdict = Annotated[str, _among([*VERDICTS, NOT_APPLICABLE])]
Evidence = Annotated[str, _among(("exhaustive", "sampled", "searched"))]
Outcome = Annotated[str, _among([*OUTCOMES, TOUCHED])]
ReferenceTier = Annotated[str, _among(REFERENCE_TIERS)]
Tier = Annotated[str, _among(TIERS)]

# A decimal number, or what stands for none; digits and nothing else.
Decimal = Annotated[str, StringConstraints(pattern=r"^(-?([0-9]+(\.[0-9]*)?(e[+-]?[0-9]+)?|inf)|nan)$", max_length=60)]
HexBits = Annotated[str, StringConstraints(pattern=r"^0x[0-9a-f]{2,16}$")]

# A vector is a list of bit strings, or is kept in rows/ and named: {"file": ..., "length": ...}.  Its type stays open,
# for whoever uses one asks first which of the two it is.
_FIELD = core_schema.typed_dict_field
_VECTOR = core_schema.union_schema(
    [
        core_schema.list_schema(core_schema.str_schema(pattern=r"^0x[0-9a-f]{2,16}$"), min_length=1),
        core_schema.typed_dict_schema(
            {
                "file": _FIELD(core_schema.str_schema(pattern=r"^[0-9a-f]{16}\.npy$")),
                "length": _FIELD(core_schema.int_schema(strict=True, ge=1, le=_MOST)),
            },
            extra_behavior="forbid",
        ),
    ]
)
Vector = Annotated[Any, GetPydanticSchema(lambda _source, _handler: _VECTOR)]
VectorOrNone = Annotated[Any, GetPydanticSchema(lambda _source, _handler: core_schema.nullable_schema(_VECTOR))]
