"""The comparison of two runs: every cell's change, the lines that drift, and what it all amounts to."""

from __future__ import annotations

import datetime
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from references.verdict.ladder import rank
from reports.compare.allowed import AllowedChange, accepted
from reports.compare.demand import Demand
from reports.compare.differences import ManifestDifference, differences, notes
from reports.compare.evidence import Drift, Evidence
from reports.compare.figures import Figures
from reports.compare.judgement import (
    ADDED,
    CHANGED,
    COMPARED,
    IDENTICAL,
    NOT_COMPARABLE,
    REMOVED,
    WORDS,
    Change,
    Rows,
    why_not_comparable,
    word_of,
)
from reports.compare.pairing import Side, Stored, paired, stored
from reports.compare.rejudged import other_figure, same_judge
from reports.compare.signoff import NOT_SIGNED_OFF, OPEN, SIGNED_OFF, CellGroup, GroupKey, groups_of, key_of, overall
from reports.console.exits import INCOMPLETE, NOTHING_COMPARED, OK, WORSE
from reports.run.records import RunError
from suites.plan.cell import Cell
from suites.scoring.output import TOUCHED


@dataclass(frozen=True, slots=True)
class Same:
    """A cell that has the same bits in both runs: what causes of change are held against."""

    cell: Cell
    framework: str
    path: tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """Two runs held against each other.  ``changes`` has every cell that is not identical, the worst words first, then
    by key; ``same`` has those that are, without their figures; ``problems`` says which entries of --allow are stale."""

    old: Stored
    new: Stored
    demand: Demand
    differences: tuple[ManifestDifference, ...]
    notes: tuple[str, ...]
    changes: list[Change]
    drifts: list[Drift]
    groups: tuple[CellGroup, ...]
    rejudged: int
    problems: tuple[str, ...]
    same: list[Same]

    @property
    def counts(self) -> Counter[str]:
        """How many cells have each word."""
        total: Counter[str] = Counter()
        for group in self.groups:
            total.update(group.counts)
        return total

    @property
    def compared(self) -> int:
        return sum(self.counts[word] for word in COMPARED)

    @property
    def failing(self) -> list[Change]:
        return [change for change in self.changes if self.demand.fails(change)]

    @property
    def failing_drifts(self) -> list[Drift]:
        return [drift for drift in self.drifts if self.demand.fails_drift(drift)]

    @property
    def open(self) -> bool:
        """Whether some cell that OLD has, or should have, is left without an answer."""
        unfinished = not (self.old.manifest.finished and self.new.manifest.finished)
        return unfinished or any(map(self.demand.leaves_open, self.changes))

    @property
    def status(self) -> str:
        code = self.exit_code
        if code == NOTHING_COMPARED:
            return "nothing compared"
        return {OK: SIGNED_OFF, INCOMPLETE: OPEN}.get(code, NOT_SIGNED_OFF)

    @property
    def sentence(self) -> str:
        """The one sentence over all."""
        return overall(self.groups, self.status)

    @property
    def exit_code(self) -> int:
        """What is worse stays worse whatever is missing; what is missing is never signed off."""
        if self.failing or self.failing_drifts:
            return WORSE
        if not self.compared:
            return NOTHING_COMPARED
        if self.open:
            return INCOMPLETE
        return WORSE if self.problems else OK


def compare_runs(
    old_path: Path,
    new_path: Path,
    demand: Demand | None = None,
    *,
    allow: list[AllowedChange] | None = None,
    wanted: Callable[[Side], bool] = lambda side: True,
    today: datetime.date | None = None,
) -> Comparison:
    """Compare two run directories, of all their cells those ``wanted``.

    Takes time in proportion to the cells, and memory for the figures of those that differ.  Raises RunError.
    """
    old, new, demand = stored(old_path), stored(new_path), demand or Demand()
    evidence = Evidence()
    identical: Counter[GroupKey] = Counter()
    changes: list[Change] = []
    same: list[Same] = []
    numbers: list[int | None] = []
    versions: dict[GroupKey, tuple[str | None, str | None]] = {}
    rejudged = 0
    for before, after in paired(old, new):
        side = after or before
        assert side is not None
        if not wanted(side):
            continue
        change, number = _change(before, after, evidence)
        if change.word == IDENTICAL:
            rejudged += _rejudged(old, new, *change.both, key=change.cell.key)
        key = key_of(change)
        versions[key] = _versions(change, *versions.get(key, (None, None)))
        if change.word == IDENTICAL:
            identical[key] += 1
            same.append(Same(change.cell, change.side.framework, change.side.path))
        else:
            changes.append(change)
            numbers.append(number)
    rows = evidence.cells()
    changes = [
        _judged(change, None if number is None else rows[number], demand.allowed)
        for change, number in zip(changes, numbers, strict=True)
    ]
    held = accepted(allow or [], changes, evidence.drifts(), today or datetime.date.today())
    held.changes.sort(key=lambda change: (WORDS.index(change.word), change.cell.key))
    found = differences(old.manifest, new.manifest)
    return Comparison(
        old=old,
        new=new,
        demand=demand,
        differences=found,
        notes=tuple(notes(old, new, found)),
        changes=held.changes,
        drifts=held.drifts,
        groups=groups_of(held.changes, held.drifts, identical, versions, demand),
        rejudged=rejudged,
        problems=held.problems,
        same=same,
    )


def _change(before: Side | None, after: Side | None, evidence: Evidence) -> tuple[Change, int | None]:
    """The change of a cell as far as it is known before all are seen, and the number of its evidence."""
    if before is None:
        assert after is not None
        return Change(after.cell, ADDED, (), None, after.figures), None
    if after is None:
        return Change(before.cell, REMOVED, (), before.figures, None), None
    cell, old, new = after.cell, before.figures, after.figures
    reason = why_not_comparable(old, new)
    if reason:
        return Change(cell, NOT_COMPARABLE, (reason,), old, new), None
    # Memory that is touched is none of the output's.
    if old.output_sha256 == new.output_sha256 and old.outcomes.get(TOUCHED) == new.outcomes.get(TOUCHED):
        return Change(cell, IDENTICAL, (), old, new), None
    number = None
    if before.maxima and after.maxima:
        number = evidence.add(cell, new, before.maxima, after.maxima)
    return Change(cell, CHANGED, (), old, new), number


def _rejudged(old: Stored, new: Stored, before: Figures, after: Figures, *, key: str) -> bool:
    """Whether the same bits got another verdict.  Raises RunError where one judge gave them other figures: then one of
    the two records was not measured."""
    if before.flushes == after.flushes and same_judge(old.manifest, new.manifest):
        name = other_figure(before, after)
        if name is not None:
            values = (side.figure(name) for side in (before, after))
            raise RunError(
                f"{new.path}: {key} has the input and the output of {old.path}, and another {name}: "
                f"{' and '.join(map(str, values))}; 'report --verify' finds out which of them is right"
            )
    return before.verdict != after.verdict


def _versions(change: Change, old: str | None, new: str | None) -> tuple[str | None, str | None]:
    """The versions before and after, of which a cell that only one run has adds one."""
    return change.old.version if change.old else old, change.new.version if change.new else new


def _judged(change: Change, rows: Rows | None, allowed: str) -> Change:
    if change.word != CHANGED:
        return change
    word, reasons = word_of(change.cell, *change.both, rows, allowed)
    return replace(change, word=word, reasons=reasons, rows=rows)


def worst_first(change: Change) -> tuple[object, ...]:
    """Not accepted before accepted; then by how far the verdict moved, then the worst error against its bound."""
    old, new = change.both
    moved = abs(rank(new.verdict) - rank(old.verdict))
    return change.accepted is not None, -moved, -_factor(old.bound_ratio, new.bound_ratio), change.cell.key


def _factor(old: float | None, new: float | None) -> float:
    """By which factor two ratios differ; 1 where there is nothing to say."""
    if old is None or new is None or old == new:
        return 1.0
    low, high = sorted((old, new))
    return high / low if low else math.inf
