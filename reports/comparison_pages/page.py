"""What is shown of a comparison, as data: computed once, rendered for the terminal, as Markdown and as HTML alike."""

from __future__ import annotations

import shlex
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from reports.causes.causes import Causes
from reports.causes.gathering import CauseGroup
from reports.compare.comparison import Comparison, worst_first
from reports.compare.differences import ManifestDifference
from reports.compare.evidence import Drift
from reports.compare.figures import Figures
from reports.compare.judgement import (
    ADDED,
    BROKEN,
    CHANGED,
    DIFFERENT,
    IMPROVED,
    NOT_COMPARABLE,
    REMOVED,
    WORSE,
    Change,
)
from reports.compare.signoff import CellGroup
from reports.run.records import Manifest
from reports.wording import OUTCOMES, count, lengths, listing, significant, whole
from suites.inputs import special

# Cells that a page shows of one kind before it counts the rest.
MOST_SHOWN = 60

_MEANINGS = {
    BROKEN: "An element is off its contract, or a verdict fell below the allowed.",
    WORSE: "An error left the bound that all kept to, the worst one grew fourfold, or the rows grew beyond chance.",
    IMPROVED: "An error is back on its contract or within its bound, or a quarter of what it was, or the rows shrank.",
    CHANGED: "Other bits; the errors are no larger or smaller than chance explains.",
}


@dataclass(frozen=True)
class ChangeLine:
    """A changed cell; the figures are texts of the form ``before → after``."""

    key: str
    implementation: str
    cell: str
    where: str
    verdicts: tuple[str, str]
    max_ulp: str
    p99_ulp: str
    bias_ulp: str
    bound_ratio: str
    reasons: str
    worst: str
    replay: str
    accepted: str | None


@dataclass(frozen=True)
class Section:
    """The cells of one word, those that matter most first; ``left_out`` are not shown."""

    word: str
    meaning: str
    cells: int
    lines: tuple[ChangeLine, ...]
    left_out: int


@dataclass(frozen=True)
class Contract:
    """A special-value cell that answers otherwise: for each class of outcome how many elements, before and after."""

    key: str
    cell: str
    word: str
    outcomes: tuple[tuple[str, str], ...]
    verdicts: tuple[str, str]
    replay: str


@dataclass(frozen=True)
class Gap:
    """Cells that were not compared, gathered by why."""

    word: str
    cells: str
    reason: str
    accepted: str | None


@dataclass(frozen=True)
class ComparePage:
    title: str
    sentence: str
    status: str
    old: str
    new: str
    differences: tuple[ManifestDifference, ...]
    notes: tuple[str, ...]
    problems: tuple[str, ...]
    groups: tuple[CellGroup, ...]
    drifts: tuple[tuple[str, Drift], ...]
    causes: Causes
    causes_shown: tuple[CauseGroup, ...]
    stopping: tuple[Section, ...]
    contracts: tuple[Contract, ...]
    contracts_alike: int
    contracts_left_out: int
    sections: tuple[Section, ...]
    gaps: tuple[Gap, ...]


def page_of(comparison: Comparison, causes: Causes) -> ComparePage:
    changes = comparison.changes
    contracts = [c for c in changes if c.cell.family == special.FAMILY and c.word in DIFFERENT]
    moved = [c for c in contracts if c.word != CHANGED or _answers(c.both[0]) != _answers(c.both[1])]

    def sections(*words: str) -> tuple[Section, ...]:
        return tuple(
            _section(word, [c for c in changes if c.word == word and c.cell.family != special.FAMILY], comparison)
            for word in words
        )

    return ComparePage(
        title="Accuracy of softmax and log_softmax, compared",
        sentence=comparison.sentence,
        status=comparison.status,
        old=str(comparison.old.path),
        new=str(comparison.new.path),
        differences=comparison.differences,
        notes=tuple(_notes(comparison)),
        problems=comparison.problems,
        groups=comparison.groups,
        drifts=tuple((drift_text(drift), drift) for drift in comparison.drifts),
        causes=causes,
        causes_shown=causes.groups[:MOST_SHOWN],
        stopping=sections(BROKEN, WORSE),
        contracts=tuple(_contract(c, comparison) for c in moved[:MOST_SHOWN]),
        contracts_alike=len(contracts) - len(moved),
        contracts_left_out=max(0, len(moved) - MOST_SHOWN),
        sections=sections(IMPROVED, CHANGED),
        gaps=tuple(_gaps(c for c in changes if c.word in (NOT_COMPARABLE, REMOVED, ADDED))),
    )


def _notes(comparison: Comparison) -> Iterable[str]:
    yield from comparison.notes
    if comparison.rejudged:
        yield (
            f"{count(comparison.rejudged, 'identical cell')} got another verdict for the same bits: the suite that "
            "judged them has changed."
        )


# -- cells -----------------------------------------------------------------------------------------------------------


def _section(word: str, changes: list[Change], comparison: Comparison) -> Section:
    ordered = sorted(changes, key=worst_first)
    shown = tuple(line_of(change, comparison) for change in ordered[:MOST_SHOWN])
    return Section(word, _MEANINGS[word], len(changes), shown, len(changes) - len(shown))


def line_of(change: Change, comparison: Comparison) -> ChangeLine:
    """A cell in words.  Only for one that both runs have."""
    cell, (old, new) = change.cell, change.both
    return ChangeLine(
        key=cell.key,
        implementation=cell.implementation,
        cell=f"{cell.operation} {cell.quantity}, {cell.format}",
        where=f"{cell.family}, {cell.layout}, n = {cell.row_length}",
        verdicts=(old.verdict, new.verdict),
        max_ulp=_arrow(old.max_ulp, new.max_ulp),
        p99_ulp=_arrow(old.p99_ulp, new.p99_ulp),
        bias_ulp=_arrow(old.bias_ulp, new.bias_ulp),
        bound_ratio=_arrow(old.bound_ratio, new.bound_ratio),
        reasons="; ".join(change.reasons),
        worst=new.worst,
        replay=replay_line(change, comparison),
        accepted=change.accepted,
    )


def _arrow(old: float | None, new: float | None) -> str:
    before, after = significant(old), significant(new)
    return before if before == after else f"{before} → {after}"


def replay_line(change: Change, comparison: Comparison) -> str:
    """The command that runs the worst input of the newer side again."""
    run = comparison.new if change.new else comparison.old
    words = ["softmax-accuracy", "replay", str(run.path), change.cell.digest[:12], *_interpreter(change, run.manifest)]
    return shlex.join(words)


def _interpreter(change: Change, manifest: Manifest) -> list[str]:
    """The Python that a cell was measured with, where that is another one than this and is still there."""
    lane = change.side.framework, change.cell.profile
    for profile in manifest.profiles:
        if (profile.framework, profile.name) == lane:
            other = profile.interpreter != sys.executable and Path(profile.interpreter).exists()
            return ["--python", profile.interpreter] if other else []
    return []


def drift_text(drift: Drift) -> str:
    """A line that drifts, in one sentence."""
    line, rows = drift.line, drift.rows
    name = f"{line.implementation} {line.operation} {line.quantity}, {line.format}, {line.layout}"
    way, most = ("grew", rows.grew) if drift.grows else ("shrank", rows.shrank)
    total = rows.grew + rows.shrank + rows.stayed
    return (
        f"{name}: errors {way} in {whole(most)} of {whole(total)} rows of {count(drift.cells, 'changed cell')}, "
        f"typically {significant(rows.typical)} times (p = {significant(rows.p_value, 1)})"
    )


# -- special values and gaps -----------------------------------------------------------------------------------------


def _answers(figures: Figures) -> tuple[str, dict[str, int]]:
    return figures.verdict, figures.outcomes


def _contract(change: Change, comparison: Comparison) -> Contract:
    cell, (old, new) = change.cell, change.both
    names = [name for name in OUTCOMES if name in old.outcomes or name in new.outcomes]
    return Contract(
        key=cell.key,
        cell=f"{cell.implementation} {cell.operation} {cell.quantity}, {cell.format}, {cell.layout}, "
        f"n = {cell.row_length}",
        word=change.word,
        outcomes=tuple((OUTCOMES[name], _counts(old, new, name)) for name in names),
        verdicts=(old.verdict, new.verdict),
        replay=replay_line(change, comparison),
    )


def _counts(old: Figures, new: Figures, name: str) -> str:
    before, after = old.outcomes.get(name, 0), new.outcomes.get(name, 0)
    return whole(before) if before == after else f"{whole(before)} → {whole(after)}"


def _gaps(changes: Iterable[Change]) -> Iterable[Gap]:
    gathered: dict[tuple[str, str, str, str | None], list[Change]] = {}
    for change in changes:
        cell = change.cell
        place = f"{cell.implementation} {cell.operation} {cell.quantity}, {cell.format}"
        reason = "; ".join(change.reasons) or {REMOVED: "only in OLD", ADDED: "only in NEW"}[change.word]
        gathered.setdefault((change.word, place, reason, change.accepted), []).append(change)
    for (word, place, reason, accepted), found in gathered.items():
        families = Counter(change.cell.family for change in found)
        shown = listing([*list(families)[:4], *([f"{len(families) - 4} more"] if len(families) > 4 else [])])
        where = f"{place}: {count(len(found), 'cell')} ({shown}; {lengths(c.cell.row_length for c in found)})"
        yield Gap(word, where, reason, accepted)
