"""What a replay script is made of: the fields of a record, each of them known to be what it has to be.

A script is run by whoever reads a bug report, so no text of a record goes into it: words are looked up among ours, and
numbers and bits are read, and written anew.
"""

from __future__ import annotations

import math
import re
from dataclasses import astuple, dataclass
from typing import Any

from references.formats import FORMATS, Format, format_named
from references.functions import needs_cotangent, needs_tangent
from references.vocabulary import OPERATIONS, QUANTITIES
from reports.run.records import Record, Run, RunError
from suites.implementations.catalogue import CATALOGUE, Implementation, means_something_to
from suites.printable import printable
from suites.vocabulary import LAYOUTS

# More rows, or a longer one, than any machine holds.
_MOST = 2**40

_VERSION = re.compile(r"[0-9][0-9A-Za-z.+!_-]*(?: [0-9][0-9A-Za-z.+!_-]*)?", re.ASCII)
_DECIMAL = re.compile(r"[+-]?(?:\d+(?:\.\d*)?(?:e[+-]?\d+)?|inf|nan)", re.ASCII)
_FILE = re.compile(r"[0-9a-f]+\.npy", re.ASCII)
_LONGEST = 100


@dataclass(frozen=True)
class ScriptCase:
    """A record that may be made a script of.  ``call`` is the catalogue's; ``vectors`` are bit patterns by role."""

    implementation: Implementation
    version: str
    operation: str
    quantity: str
    format: Format
    layout: str
    call: str
    rows: int
    row_length: int
    row: int
    index: int
    vectors: dict[str, list[int]]
    computed: int
    computed_value: str
    exact: str
    ulp_error: float | None

    @property
    def name(self) -> str:
        return self.implementation.name

    @property
    def framework(self) -> str:
        return self.implementation.framework


def script_case(run: Run, record: Record) -> ScriptCase:
    """Raises RunError for a user's own implementation, and for a field that isn't what ``measure`` writes."""
    implementation = catalogued(record)
    worst = record.worst
    of = _Fields(run, record)
    operation = of.word("operation", record.operation, OPERATIONS)
    quantity = of.word("quantity", record.quantity, QUANTITIES)
    format = format_named(of.word("format", record.format, FORMATS))
    layout = of.word("layout", record.layout, LAYOUTS)
    if not implementation.supports(operation, quantity, format.name) or not means_something_to(
        implementation.framework, layout
    ):
        raise of.refused("quantity", quantity, f"{implementation.name} has no such cell")
    of.word("framework", record.framework, (implementation.framework,))
    rows, length = of.number("rows", record.rows, 1, _MOST), of.number("row_length", record.row_length, 1, _MOST)
    return ScriptCase(
        implementation=implementation,
        version=of.matching("version", record.version, _VERSION),
        operation=operation,
        quantity=quantity,
        format=format,
        layout=layout,
        call=of.word("call", record.call, (implementation.calls[operation],)),
        rows=rows,
        row_length=length,
        row=of.number("worst.row", worst.row, 0, rows - 1),
        index=of.number("worst.index", worst.index, 0, length - 1),
        vectors={role: of.vector(role, getattr(worst, role), format, length) for role in _roles(quantity)},
        computed=of.bits("worst.computed", worst.computed, format),
        computed_value=of.matching("worst.computed_value", worst.computed_value, _DECIMAL),
        exact=of.matching("worst.exact", worst.exact, _DECIMAL),
        ulp_error=of.error("worst.ulp_error", worst.ulp_error),
    )


def catalogued(record: Record) -> Implementation:
    """The implementation of a record.  Raises RunError for a user's own."""
    name = record.implementation
    if not isinstance(name, str) or name not in CATALOGUE:
        raise RunError(f"{name} is your own; replay it with measure --implementation FILE.py:NAME")
    return CATALOGUE[name]


def _roles(quantity: str) -> list[str]:
    """The vectors that a quantity has."""
    asked = {"cotangent": needs_cotangent(quantity), "tangent": needs_tangent(quantity)}
    return ["logits", *(role for role, needed in asked.items() if needed)]


class _Fields:
    """The fields of one record, read with suspicion.  Every method raises RunError, which names the field."""

    def __init__(self, run: Run, record: Record) -> None:
        self._run, self._record = run, record

    def refused(self, field: str, value: object, why: str) -> RunError:
        cell = "/".join(map(str, astuple(self._record.cell)))  # its key, had every field the type that it should have
        shown = printable(repr(value), _LONGEST)
        complaint = f"{printable(cell, 3 * _LONGEST)}: {field} {shown} {why}"
        return RunError(f"{complaint}; no script is made of it: measure again")

    def word(self, field: str, value: Any, known: Any) -> str:
        """One of the words that are known, and ours, not the record's."""
        for word in known:
            if isinstance(value, str) and value == word:
                return str(word)
        only = list(known)
        raise self.refused(field, value, f"is not {only[0]!r}" if len(only) == 1 else "is none that is known")

    def matching(self, field: str, value: Any, pattern: re.Pattern[str]) -> str:
        if not isinstance(value, str) or len(value) > _LONGEST or not pattern.fullmatch(value):
            raise self.refused(field, value, "is not what a run writes there")
        return value

    def number(self, field: str, value: Any, least: int, most: int) -> int:
        if type(value) is not int or not least <= value <= most:
            raise self.refused(field, value, f"is no number from {least} to {most}")
        return value

    def error(self, field: str, value: Any) -> float | None:
        if value is None or (type(value) in (int, float) and math.isfinite(value)):
            return None if value is None else float(value)
        raise self.refused(field, value, "is no finite number")

    def bits(self, field: str, value: Any, format: Format) -> int:
        digits = format.width // 4
        if not isinstance(value, str) or not re.fullmatch(f"0x[0-9a-f]{{{digits}}}", value):
            raise self.refused(field, value, f"is no bit pattern of {format.name}")
        return int(value, 16)

    def vector(self, role: str, value: Any, format: Format, length: int) -> list[int]:
        if isinstance(value, list):
            found = [self.bits(f"worst.{role}", bits, format) for bits in value]
        elif isinstance(value, dict):
            self.matching(f"worst.{role}.file", value.get("file"), _FILE)
            found = [int(bits) for bits in self._run.bits(value, format).tolist()]
        else:
            raise self.refused(f"worst.{role}", value, "is no vector")
        if len(found) != length:
            raise self.refused(f"worst.{role}", value, f"has {len(found)} numbers, not {length}")
        return found
