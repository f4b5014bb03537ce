"""The sign-off: one sentence for each framework, device, format and operation, and one over all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from references.formats import FORMATS
from references.verdict.ladder import rank
from references.vocabulary import OPERATIONS
from reports.compare.demand import Demand
from reports.compare.evidence import Drift
from reports.compare.judgement import COMPARED, DIFFERENT, IDENTICAL, WORDS, Change
from reports.wording import PAGE_ORDER, count, listing, whole

SIGNED_OFF = "signed off"
NOT_SIGNED_OFF = "not signed off"
OPEN = "open"


class GroupKey(NamedTuple):
    framework: str
    device: str
    format: str
    operation: str


@dataclass(frozen=True)
class CellGroup:
    """The cells of one framework, device, format and operation.

    ``versions`` are those before and after, None where there are none; ``failing`` counts cells and drifts,
    ``unanswered`` the cells that are gone or can't be compared, ``accepted`` what an entry of --allow accepts;
    ``lower`` and ``higher`` count the cells with other bits whose verdict is another.
    """

    key: GroupKey
    versions: tuple[str | None, str | None]
    counts: Counter[str]
    failing: int
    unanswered: int
    accepted: int
    lower: int
    higher: int
    drifts: tuple[Drift, ...]

    @property
    def cells(self) -> int:
        return self.counts.total()

    @property
    def ordered(self) -> tuple[tuple[str, int], ...]:
        """Words and how many cells have them, what stops an upgrade first."""
        return tuple((word, self.counts[word]) for word in WORDS if self.counts[word])

    @property
    def status(self) -> str:
        if self.failing:
            return NOT_SIGNED_OFF
        return OPEN if self.unanswered or not any(self.counts[word] for word in COMPARED) else SIGNED_OFF

    @property
    def sentence(self) -> str:
        framework, device, format, operation = self.key
        text = f"{framework} {versions_text(self.versions)}, {device}, {format} {operation}: {self.status}"
        text += f"; {counts_text(self.counts)}"
        moved = [f"{whole(n)} {word}" for n, word in ((self.lower, "lower"), (self.higher, "higher")) if n]
        if moved:
            text += f"; verdicts: {', '.join(moved)}"
        if self.accepted:
            text += f"; {whole(self.accepted)} accepted"
        drifts = [f"{d.line.implementation} {d.line.quantity} ({d.line.layout})" for d in self.drifts if d.grows]
        return f"{text}; errors drift upwards in {listing(drifts)}." if drifts else f"{text}."


def key_of(change: Change) -> GroupKey:
    side = change.side
    return GroupKey(side.framework, side.device, change.cell.format, change.cell.operation)


def groups_of(
    changes: Iterable[Change],
    drifts: Iterable[Drift],
    identical: Counter[GroupKey],
    versions: dict[GroupKey, tuple[str | None, str | None]],
    demand: Demand,
) -> tuple[CellGroup, ...]:
    """The groups in the order of a report; ``versions`` names them all, ``identical`` counts what is not in changes."""
    gathered = {key: _GroupCells(Counter({IDENTICAL: identical[key]})) for key in versions}
    for change in changes:
        group = gathered[key_of(change)]
        group.counts[change.word] += 1
        group.failing += demand.fails(change)
        group.unanswered += demand.leaves_open(change)
        group.accepted += change.accepted is not None
        if change.word in DIFFERENT:
            moved = rank(change.both[1].verdict) - rank(change.both[0].verdict)
            group.lower += moved < 0
            group.higher += moved > 0
    for drift in drifts:
        line = drift.line
        group = gathered[GroupKey(line.framework, line.device, line.format, line.operation)]
        group.drifts.append(drift)
        group.failing += demand.fails_drift(drift)
        group.accepted += drift.accepted is not None
    return tuple(
        CellGroup(key, versions[key], **{**vars(gathered[key]), "drifts": tuple(gathered[key].drifts)})
        for key in sorted(versions, key=_place)
    )


@dataclass
class _GroupCells:
    counts: Counter[str]
    failing: int = 0
    unanswered: int = 0
    accepted: int = 0
    lower: int = 0
    higher: int = 0
    drifts: list[Drift] = field(default_factory=list)


def _place(key: GroupKey) -> tuple[int, str, str, int, int]:
    """Frameworks in the order of the pages, NumPy's written-out formulas last."""
    first = PAGE_ORDER.index(key.framework if key.framework in PAGE_ORDER else "")
    return first, key.framework, key.device, list(FORMATS).index(key.format), OPERATIONS.index(key.operation)


def overall(groups: tuple[CellGroup, ...], status: str) -> str:
    """The sentence over all groups: which versions, the status, how many cells of each kind."""
    total: Counter[str] = Counter()
    for group in groups:
        total.update(group.counts)
    subjects = dict.fromkeys(f"{group.key.framework} {versions_text(group.versions)}" for group in groups)
    accepted = sum(group.accepted for group in groups)
    drifting = sum(drift.grows for group in groups for drift in group.drifts)
    text = f"{listing(subjects) or 'nothing'}: {status}; {counts_text(total)}"
    text += f"; errors drift upwards in {count(drifting, 'line')}" if drifting else ""
    return f"{text}; {whole(accepted)} accepted." if accepted else f"{text}."


def versions_text(versions: tuple[str | None, str | None]) -> str:
    """``1.0 → 1.1``, or one version where it is the same or there is only one."""
    old, new = versions
    return f"{old} → {new}" if old and new and old != new else new or old or ""


def counts_text(counts: Counter[str]) -> str:
    """``12 cells: 1 worse, 11 identical``."""
    parts = [f"{whole(counts[word])} {word}" for word in WORDS if counts[word]]
    return f"{count(counts.total(), 'cell')}: {', '.join(parts)}" if parts else "no cells"
