"""Records gathered into entries: one for each implementation, operation, quantity and format, with its worst cell."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from references.formats import FORMATS
from references.verdict.ladder import BELOW_STABLE, rank
from references.vocabulary import OPERATIONS, QUANTITIES
from reports.run.records import Record, Run
from reports.wording import PAGE_ORDER
from suites.driver.profiles import DEFAULT
from suites.inputs import special

GRADIENTS = QUANTITIES[1:]


def ratio_of(record: Record) -> float | None:
    """The bound ratio of a record, which keeps infinities as a count."""
    return math.inf if record.infinite_ratios else record.bound_ratio


def severity(record: Record) -> tuple[float, ...]:
    """Sorts the worst record first: by verdict; below stable by bound ratio, else by ulps; then the shortest row."""
    ratio, ulps = -(ratio_of(record) or 0.0), -(record.max_ulp or 0.0)
    by = (ratio, ulps) if record.verdict in BELOW_STABLE else (ulps, ratio)
    return (rank(record.verdict), *by, record.row_length)


@dataclass(frozen=True)
class Entry:
    """Several cells in one: the worst verdict, the largest ulp error and bound ratio, and the worst cell itself."""

    verdict: str
    cells: int
    counts: dict[str, int]
    max_ulp: float | None
    bound_ratio: float | None
    worst: Record

    @property
    def with_verdict(self) -> int:
        """How many of the cells have the worst verdict."""
        return self.counts[self.verdict]


def entry_of(records: Iterable[Record]) -> Entry | None:
    """The entry of some records, None of none."""
    found = list(records)
    if not found:
        return None
    worst = min(found, key=severity)
    ratios = [ratio for record in found if (ratio := ratio_of(record)) is not None]
    return Entry(
        verdict=worst.verdict,
        cells=len(found),
        counts=dict(Counter(record.verdict for record in found)),
        max_ulp=max((r.max_ulp for r in found if r.max_ulp is not None), default=None),
        bound_ratio=max(ratios, default=None),
        worst=worst,
    )


Key = tuple[str, str, str, str]


class Tally:
    """The entries of some records, by implementation, operation, quantity and format."""

    def __init__(self, run: Run, records: Iterable[Record]) -> None:
        self.records = list(records)
        self.groups: dict[Key, list[Record]] = {}
        for r in self.records:
            self.groups.setdefault((r.implementation, r.operation, r.quantity, r.format), []).append(r)
        self.entries = {key: entry for key, group in self.groups.items() if (entry := entry_of(group))}
        self.implementations = _ordered({r.implementation: r.framework for r in self.records}, run)
        self.operations = [o for o in OPERATIONS if any(o == key[1] for key in self.groups)]
        self.quantities = [q for q in QUANTITIES if any(q == key[2] for key in self.groups)]
        self.formats = [f for f in FORMATS if any(f == key[3] for key in self.groups)]

    def of(
        self, implementation: str, operation: str, quantities: Iterable[str] = QUANTITIES, format: str | None = None
    ) -> list[Record]:
        """The records of an implementation and operation, in some quantities, in one format or all."""
        return [
            record
            for quantity in quantities
            for name in ([format] if format else self.formats)
            for record in self.groups.get((implementation, operation, quantity, name), [])
        ]


def _ordered(frameworks: dict[str, str], run: Run) -> list[str]:
    listed = {name: place for place, name in enumerate(run.manifest.implementations)}

    def place(name: str) -> tuple[int, int, str]:
        framework = frameworks[name] if frameworks[name] in PAGE_ORDER else ""
        return PAGE_ORDER.index(framework), listed.get(name, len(listed)), name

    return sorted(frameworks, key=place)


def main_profile(run: Run) -> str:
    """The profile that the tables are of: the default one, or the one with most cells where it was not measured."""
    counts = Counter(r.profile for r in run.records)
    return DEFAULT if DEFAULT in counts or not counts else counts.most_common(1)[0][0]


def ordinary(run: Run) -> Tally:
    """All families of the main profile but the special values, which have their own table."""
    main = main_profile(run)
    return Tally(run, (r for r in run.records if r.profile == main and r.family != special.FAMILY))


def special_values(run: Run) -> Tally:
    main = main_profile(run)
    return Tally(run, (r for r in run.records if r.profile == main and r.family == special.FAMILY))
