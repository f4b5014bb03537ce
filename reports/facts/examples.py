"""The smallest failing example among some records."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from references.formats import FORMATS, format_named
from references.verdict.ladder import BELOW_STABLE, FAILED, rank
from reports.facts.worst_cases import replay_line
from reports.run.records import Record, Run
from reports.wording import outcome_words, shortened, vector_text

# An example beyond the first has to be this far beyond its bound.
_CLEARLY = 2.0

_FORMATS = ("binary32", *(name for name in FORMATS if name != "binary32"))


@dataclass(frozen=True)
class Example:
    """One element of one row, in decimals that round to its bits."""

    quantity: str
    format: str
    family: str
    logits: str
    vector: str | None
    index: int
    computed: str
    exact: str
    verdict: str
    outcome: str
    replay: str


def smallest_failures(run: Run, records: Iterable[Record], most: int = 2) -> tuple[Example, ...]:
    """The smallest failing example, and clear ones of two logits with another outcome; binary32 goes first."""
    failed = sorted((r for r in records if r.verdict in FAILED), key=_size)
    by_outcome = {r.worst.outcome: r for r in reversed(failed)}
    chosen = sorted(by_outcome.values(), key=_size)[:most]
    return tuple(example_of(run, r) for r in chosen if r is chosen[0] or (r.row_length == 2 and _is_clear(r)))


def _is_clear(record: Record) -> bool:
    return record.worst.bound_ratio is None or record.worst.bound_ratio > _CLEARLY


def smallest_with(run: Run, records: Iterable[Record], verdict: str) -> Example | None:
    """The smallest example among the cells of one verdict."""
    found = sorted((r for r in records if r.verdict == verdict), key=_size)
    return example_of(run, found[0]) if found else None


def _size(record: Record) -> tuple[bool, int, int, int, bool, str]:
    r = record
    return r.row_length != 2, r.row_length, rank(r.verdict), _FORMATS.index(r.format), r.layout != "last", r.key


def example_of(run: Run, record: Record) -> Example:
    worst, format = record.worst, format_named(record.format)
    vector = worst.cotangent if worst.cotangent is not None else worst.tangent
    return Example(
        quantity=record.quantity,
        format=record.format,
        family=record.family,
        logits=vector_text(worst.logits, format),
        vector=None if vector is None else vector_text(vector, format),
        index=worst.index,
        computed=shortened(worst.computed_value),
        exact=shortened(worst.exact),
        verdict=record.verdict,
        outcome=outcome_words(worst.outcome, record.verdict not in BELOW_STABLE),
        replay=replay_line(run, record),
    )
