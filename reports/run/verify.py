"""Recorded worst elements judged again, from their recorded bits, by the oracle: a record that was made up is noticed.

Needs no framework.  Records over the same function, format and length are judged together, each row once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

import numpy as np

from references.bulk.exact_pairs import Reference
from references.formats import Bits, format_named
from references.functions import Function
from references.verdict.assessment import assess
from reports.run.records import Record, Run, RunError
from suites.inputs import special
from suites.inputs.batch import Batch
from suites.scoring.cell import input_of_rows
from suites.scoring.certified_batch import Exact, exact_of
from suites.scoring.output import TOUCHED, JudgedElement, element

# What the same figure may differ by where another tier of the reference gave it.
_RELATIVE = 1e-6

# Numbers of a batch that is judged at once.
_MOST = 1 << 20

# What identifies the judgement that a record belongs to: everything that its rows share.
Group = tuple[str, str, str, int, bool]


@dataclass(frozen=True, eq=False)
class _Recorded(Batch):
    """Rows as they were recorded, each with the vectors that it had."""

    def partner(self, row: int) -> int:
        return row

    @cached_property
    def partners(self) -> Bits:
        return self.tangent


@dataclass(frozen=True)
class Verified:
    """How many records were held against the oracle, and what differs: the record and a line for each."""

    count: int
    differences: tuple[tuple[Record, str], ...]

    def demand(self, run: Run) -> None:
        """Raises RunError, with the first difference, where there is any."""
        if self.differences:
            record, text = self.differences[0]
            more = f" (and {len(self.differences) - 1} more)" if len(self.differences) > 1 else ""
            raise RunError(f"{run.path / 'cells.jsonl'}: {record.key}: {text}{more}; measure again")


def verified(run: Run, records: Iterable[Record], show: Callable[[int], None] = lambda done: None) -> Verified:
    """Judge the worst elements of records again.  ``show`` is called with how many are done.

    Raises RunError for a row that can't be read, CertificationError where the oracle contradicts the references.
    """
    ordered = sorted(records, key=_order)
    done, differences = 0, []
    for group, alike in groupby(ordered, key=_group):
        for part in _parts(list(alike)):
            found = _of_special(run, part) if part[0].family == special.FAMILY else _of_rows(run, group, part)
            differences += [(record, text) for record, text in zip(part, found, strict=True) if text]
            done += len(part)
            show(done)
    differences.sort(key=lambda found: found[0].key)
    return Verified(done, tuple(differences))


def _group(record: Record) -> Group:
    return record.operation, record.quantity, record.format, record.row_length, record.flushes


def _order(record: Record) -> tuple[object, ...]:
    of_special = record.family == special.FAMILY
    return (*_group(record), of_special, record.framework if of_special else "", record.input_sha256)


def _parts(records: list[Record]) -> Iterator[list[Record]]:
    """Special rows framework by framework, for the contracts differ; the others as many as make a batch."""
    for (of_special, _), alike in groupby(
        records, key=lambda r: (r.family == special.FAMILY, r.framework if r.family == special.FAMILY else "")
    ):
        part = list(alike)
        size = 1 if of_special else max(1, _MOST // records[0].row_length)
        yield from (part[start : start + size] for start in range(0, len(part), size))


def _bits(run: Run, record: Record) -> tuple[Bits, Bits, Bits]:
    """Logits, cotangent and tangent of the worst row, zeros for a vector that it doesn't have."""
    format, worst = format_named(record.format), record.worst
    none = np.zeros(record.row_length, format.bits_dtype)
    given = (worst.logits, worst.cotangent, worst.tangent)
    logits, cotangent, tangent = (none if vector is None else run.bits(vector, format) for vector in given)
    return logits, cotangent, tangent


def _of_rows(run: Run, group: Group, records: list[Record]) -> list[str | None]:
    """What differs in each of some records over rows of one length; what is equal is judged once."""
    operation, quantity, format_name, _, flushes = group
    places: dict[tuple[bytes, int, str], int] = {}
    rows: list[tuple[Bits, Bits, Bits]] = []
    asked: list[tuple[int, str]] = []
    row_of = []
    for record in records:
        vectors, place = _bits(run, record), (record.worst.index, record.worst.computed)
        key = (b"".join(vector.tobytes() for vector in vectors), *place)
        if key not in places:
            places[key] = len(rows)
            rows.append(vectors)
            asked.append(place)
        row_of.append(places[key])
    batch = _Recorded(
        format_named(format_name), records[0].family, *(np.stack([row[k] for row in rows]) for k in range(3))
    )
    exact, function = Exact(batch), Function(operation, quantity)
    places_of = [(row, index, int(computed, 16)) for row, (index, computed) in enumerate(asked)]
    now = _judged_again(exact, exact.reference(function), function, flushes, places_of)
    return [
        _difference(record, now[row]) or _of_input(record, rows[row])
        for record, row in zip(records, row_of, strict=True)
    ]


def _judged_again(
    exact: Exact, reference: Reference, function: Function, flushes: bool, computed: list[tuple[int, int, int]]
) -> list[JudgedElement]:
    """The judged elements at rows and columns where these bits were computed, in rows that are right elsewhere."""
    format = exact.batch.format
    output, _ = format.round_pairs(reference.hi, reference.lo, reference.exponent)
    for row, column, bits in computed:
        output[row, column] = bits
    assessed = assess(function, exact, output, reference, flushes=flushes)
    return [element(exact, assessed, (row, column)) for row, column, _ in computed]


def _of_special(run: Run, records: list[Record]) -> list[str | None]:
    """The same for special rows, which are known by their place in the table and judged by a framework's contract."""
    (record,) = records
    batch = input_of_rows(record.cell, record.rows)
    mine, row = _bits(run, record), record.worst.row
    if batch.sha256 != record.input_sha256:
        return ["the special rows have changed since it was made"]
    wrong = _of_input(record, mine)
    if wrong:
        return [wrong]
    exact, function = exact_of(batch), Function(record.operation, record.quantity)
    reference = special.apply_contract(exact.reference(function), record.framework, *function, batch.values)
    place = row, record.worst.index, int(record.worst.computed, 16)
    (now,) = _judged_again(exact, reference, function, record.flushes, [place])
    return [_difference(record, now)]


def _of_input(record: Record, vectors: tuple[Bits, Bits, Bits]) -> str | None:
    """Whether the row is that of the input that is recorded, where this version makes the same input."""
    batch = input_of_rows(record.cell, record.rows)
    if batch.sha256 != record.input_sha256:
        return None
    made = {"logits": batch.logits, **batch.vectors(record.quantity)}
    for name, vector in zip(("logits", "cotangent", "tangent"), vectors, strict=True):
        if name in made and not np.array_equal(made[name][record.worst.row], vector):
            return f"worst.{name}: these are not the numbers of row {record.worst.row} of its input"
    return None


def _difference(record: Record, now: JudgedElement) -> str | None:
    """The first figure of the worst element that is another now."""
    worst, slack = record.worst, 2 * record.reference_error_ulps
    of_ratio = slack * now.bound_ratio / now.ulp_error if now.bound_ratio and now.ulp_error else 0.0
    for name, recorded, found, room in (
        ("exact", worst.exact, now.exact, 0.0),
        ("ulp_error", worst.ulp_error, now.ulp_error, slack),
        ("bound_ratio", worst.bound_ratio, now.bound_ratio, of_ratio),
        # Memory that was touched is no property of the element.
        ("outcome", worst.outcome, worst.outcome if worst.outcome == TOUCHED else now.outcome, 0.0),
    ):
        if not _same(recorded, found, room):
            return f"worst.{name}: it says {recorded}; the oracle says {found}"
    return None


def _same(recorded: object, found: object, room: float) -> bool:
    if isinstance(recorded, (int, float)) and isinstance(found, (int, float)):
        return abs(recorded - found) <= _RELATIVE * max(abs(recorded), abs(found)) + room
    return recorded == found
