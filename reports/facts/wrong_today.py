"""What is wrong today: the known defects that a run shows, failures that none of them covers, and broken laws."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from references.verdict.ladder import at_least
from references.vocabulary import VERDICTS
from reports.facts.summary import is_written_out
from reports.run.records import Record, Run
from reports.wording import count, lengths, listing, significant
from suites.known_defects import REQUIRED, Defect, defect_of
from suites.laws.known_law_defects import LawDefect, law_defects

# Names that a line has at most; the rest is counted.
_MOST_NAMES = 4


class Issue(NamedTuple):
    """Where something was reported upstream."""

    name: str
    url: str


@dataclass(frozen=True)
class Wrong:
    """One line of failing cells: what is wrong, by which law (docs/laws.md), how badly, and in which code paths."""

    title: str
    issue: Issue | None
    law: str
    where: str
    cells: str
    verdict: str
    errors: str
    paths: str


@dataclass(frozen=True)
class BrokenLaws:
    """One line on laws that the measured versions break, as recorded; the tests assert it, a run does not."""

    title: str
    issue: Issue | None
    laws: str
    where: str
    size: str


@dataclass(frozen=True)
class WrongToday:
    """The worst first: ``unknown`` failures, which no entry covers; those of what frameworks offer; and those of
    formulas that people write, ``written_out`` to be compared.  ``laws`` are of what frameworks offer."""

    unknown: tuple[Wrong, ...]
    offered: tuple[Wrong, ...]
    written_out: tuple[Wrong, ...]
    laws: tuple[BrokenLaws, ...]

    @property
    def nothing(self) -> bool:
        return not (self.unknown or self.offered or self.written_out or self.laws)


def wrong_today(run: Run) -> WrongToday:
    """The failures of a run by the entries of known_defects.toml, whatever the profile."""
    covered: dict[str, tuple[Defect, list[Record]]] = {}
    others: dict[tuple[str, ...], list[Record]] = {}
    for record in run.records:
        if at_least(record.verdict, REQUIRED):
            continue
        defect = defect_of(record.cell, _version(run, record.framework))
        if defect is not None:
            covered.setdefault(defect.id, (defect, []))[1].append(record)
        else:
            kind = record.implementation, record.operation, record.quantity, record.format
            others.setdefault(kind, []).append(record)
    unknown = [_wrong("new: no entry of known_defects.toml covers it", None, "", r) for r in others.values()]
    known = {
        kind: [_wrong(d.title, d.issue, d.law, r) for d, r in covered.values() if _is_written_out(r) == kind]
        for kind in (False, True)
    }
    return WrongToday(_ranked(unknown), _ranked(known[False]), _ranked(known[True]), _laws(run))


def _version(run: Run, framework: str) -> str:
    return run.manifest.packages.get(framework, "0")


def _is_written_out(records: list[Record]) -> bool:
    return all(is_written_out(r.implementation) for r in records)


def _ranked(found: list[Wrong]) -> tuple[Wrong, ...]:
    return tuple(sorted(found, key=lambda wrong: (VERDICTS.index(wrong.verdict), wrong.title, wrong.where)))


def _issue(url: str | None) -> Issue | None:
    """``numpy/numpy#15785`` for what GitHub has; the address itself elsewhere."""
    if url is None:
        return None
    found = re.fullmatch(r"https://github\.com/([^/]+/[^/]+)/(?:issues|pull)/(\d+)", url)
    return Issue(f"{found[1]}#{found[2]}" if found else url, url)


def _wrong(title: str, issue: str | None, law: str, records: list[Record]) -> Wrong:
    profiles = [p for p in dict.fromkeys(r.profile for r in records) if p != "default"]
    names = ("implementation", "operation", "quantity", "format", "family")
    where = [_some(str(getattr(r, name)) for r in records) for name in names]
    where += [lengths(r.row_length for r in records), *([f"in {_some(profiles)} too"] if profiles else [])]
    return Wrong(
        title=title,
        issue=_issue(issue),
        law=law,
        where="; ".join(where),
        cells=count(len(records), "cell"),
        verdict=min((r.verdict for r in records), key=VERDICTS.index),
        errors=_errors(records),
        paths=_some(path for r in records for path in r.path),
    )


def _errors(records: list[Record]) -> str:
    """The range of the errors over their bounds, and whether some have none."""
    ratios = [r.bound_ratio for r in records if r.bound_ratio is not None]
    ends = list(dict.fromkeys(significant(f(ratios)) for f in (min, max))) if ratios else []
    infinite = ["some infinite"] if any(r.infinite_ratios for r in records) else []
    return ", ".join([" to ".join(ends), *infinite] if ends else infinite) or "no bound"


def _some(names: Iterable[str]) -> str:
    found = list(dict.fromkeys(names))
    if len(found) > _MOST_NAMES:
        return f"{', '.join(found[:_MOST_NAMES])} and {len(found) - _MOST_NAMES} more"
    return listing(found)


def _laws(run: Run) -> tuple[BrokenLaws, ...]:
    offered = {name for name in run.manifest.implementations if not is_written_out(name)}
    found = [_broken(d) for d in law_defects() if _is_of(d, offered, run.manifest.packages)]
    return tuple(sorted(found, key=lambda broken: broken.title))


def _is_of(defect: LawDefect, implementations: set[str], packages: Mapping[str, str]) -> bool:
    version = packages.get(defect.framework)
    return (
        version is not None
        and defect.applies_to(version)
        and not implementations.isdisjoint(defect.selectors["implementation"])
    )


def _broken(defect: LawDefect) -> BrokenLaws:
    sizes = dict.fromkeys(map(significant, defect.size))
    places = [
        defect.selectors[name]
        for name in ("implementation", "operation", "quantity", "format")
        if name in defect.selectors
    ]
    return BrokenLaws(
        title=defect.title,
        issue=_issue(defect.issue),
        laws=_some(defect.selectors["law"]),
        where="; ".join(map(_some, places)),
        size=" to ".join(sizes),
    )
