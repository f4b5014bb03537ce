"""Where two frameworks disagree, which of them is nearer to the exact values: by cells on the same input."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

from references.vocabulary import OPERATIONS
from reports.facts.formulas import VALUES_AND_GRADIENTS
from reports.facts.summary import is_written_out
from reports.facts.tally import Tally, ratio_of
from reports.run.records import Record


@dataclass(frozen=True)
class Disagreement:
    """Two implementations on the inputs that both have: in how many cells their bits are the same, and, among the
    others, in how many the largest error over the bound is smaller for the ``first``, for the ``second``, or equal."""

    heading: str
    first: str
    second: str
    shared: int
    same: int
    first_nearer: int
    second_nearer: int
    as_near: int


def disagreements_of(tally: Tally) -> tuple[Disagreement, ...]:
    """Every pair of frameworks, each by its first implementation that is not a formula written out to be compared."""
    frameworks = {record.implementation: record.framework for record in tally.records}
    firsts: dict[str, str] = {}
    for name in tally.implementations:
        if not is_written_out(name):
            firsts.setdefault(frameworks[name], name)
    return tuple(line for pair in itertools.combinations(firsts.values(), 2) for line in _lines(tally, *pair))


def _lines(tally: Tally, first: str, second: str) -> Iterable[Disagreement]:
    for operation in OPERATIONS:
        for heading, quantities in VALUES_AND_GRADIENTS:
            sides = [{_question(r): r for r in tally.of(name, operation, quantities)} for name in (first, second)]
            pairs = [(record, sides[1][key]) for key, record in sides[0].items() if key in sides[1]]
            if pairs:
                yield _line(f"{operation}, {heading}", first, second, pairs)


def _question(record: Record) -> tuple[str, str, str, str]:
    """What a cell was asked: the same for two implementations that got the same bits, laid out alike."""
    return record.quantity, record.format, record.layout, record.input_sha256


def _line(heading: str, first: str, second: str, pairs: list[tuple[Record, Record]]) -> Disagreement:
    differing = [(a, b) for a, b in pairs if a.output_sha256 != b.output_sha256]
    errors = [(_error(a), _error(b)) for a, b in differing]
    return Disagreement(
        heading=heading,
        first=first,
        second=second,
        shared=len(pairs),
        same=len(pairs) - len(differing),
        first_nearer=sum(a < b for a, b in errors),
        second_nearer=sum(b < a for a, b in errors),
        as_near=sum(a == b for a, b in errors),
    )


def _error(record: Record) -> float:
    """The largest error over its bound; without a bound, as on rows that are too long for one, in ulps."""
    ratio = ratio_of(record)
    return (record.max_ulp or 0.0) if ratio is None else ratio
