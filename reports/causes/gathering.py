"""Changed cells gathered by what they share: those with the same evidence in one group, described by what varies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from reports.causes.finding import BECAUSE, WHERE, Finding
from reports.causes.view import CellPlace, ChangedPart, Seen, View
from reports.compare.judgement import WORDS, Change
from reports.wording import PAGE_ORDER, count, lengths, listing, whole

# What slices are joined along, one after the other; the framework never is.
AXES = ("format", "quantity", "operation", "profile", "implementation")

UNEXPLAINED = "unexplained"

Findings = frozenset[Finding]


@dataclass(frozen=True)
class CauseGroup:
    """Changed cells with the same evidence: every combination of what ``axes`` name, each of which has some.

    ``paths`` are those of the newer run.  ``compared`` counts the cells of these slices, changed or not.
    """

    framework: str
    axes: Mapping[str, tuple[str, ...]]
    paths: tuple[str, ...]
    findings: Findings
    changes: tuple[Change, ...]
    compared: int
    description: str

    @property
    def because(self) -> tuple[Finding, ...]:
        return tuple(sorted(f for f in self.findings if f.side == BECAUSE))

    @property
    def where(self) -> tuple[Finding, ...]:
        return tuple(sorted(f for f in self.findings if f.side == WHERE))

    @property
    def because_text(self) -> str:
        """What moved the cells."""
        return _told(self.because)

    @property
    def where_text(self) -> str:
        """Where in the framework the bits are made that moved."""
        return _told(self.where)

    @property
    def words_text(self) -> str:
        return ", ".join(f"{whole(number)} {word}" for word, number in self.words)

    @property
    def words(self) -> tuple[tuple[str, int], ...]:
        """What became of the cells, what stops an upgrade first."""
        found = [(word, sum(c.word == word for c in self.changes)) for word in WORDS]
        return tuple((word, number) for word, number in found if number)


@dataclass(frozen=True)
class _Box:
    framework: str
    axes: Mapping[str, frozenset[str]]
    findings: Findings
    parts: tuple[ChangedPart, ...]


def groups_of(view: View, evidence: Iterable[tuple[ChangedPart, Findings]]) -> tuple[CauseGroup, ...]:
    """The groups, the largest first within the worst words."""
    boxes = _joined([_box(part, findings) for part, findings in evidence])
    return tuple(sorted((_group(box, view) for box in boxes), key=_weight))


def _box(part: ChangedPart, findings: Findings) -> _Box:
    axes = {axis: frozenset([getattr(part.slice, axis)]) for axis in AXES}
    return _Box(part.slice.framework, axes, findings, (part,))


def _joined(boxes: list[_Box]) -> list[_Box]:
    """Boxes with the same evidence joined: those that agree everywhere, then those that differ along one axis only."""
    boxes = _joined_along(boxes, None)
    number = 0
    while number != len(boxes):
        number = len(boxes)
        for axis in AXES:
            boxes = _joined_along(boxes, axis)
    return boxes


def _joined_along(boxes: list[_Box], axis: str | None) -> list[_Box]:
    alike: dict[object, _Box] = {}
    for box in boxes:
        key = box.framework, box.findings, *(box.axes[a] for a in AXES if a != axis)
        other = alike.get(key)
        if other is None:
            alike[key] = box
        else:
            axes = {a: other.axes[a] | box.axes[a] for a in AXES}
            alike[key] = replace(other, axes=axes, parts=other.parts + box.parts)
    return list(alike.values())


def _group(box: _Box, view: View) -> CauseGroup:
    changes = tuple(sorted((c for part in box.parts for c in part.changes), key=lambda c: c.cell.key))
    slices = list(dict.fromkeys(part.slice for part in box.parts))
    cells = [seen for of in slices for seen in view.slices[of].values()]
    paths = tuple(dict.fromkeys(p for part in box.parts for p in part.after))
    axes = {axis: tuple(sorted(box.axes[axis])) for axis in AXES}
    return CauseGroup(
        framework=box.framework,
        axes=axes,
        paths=paths,
        findings=box.findings,
        changes=changes,
        compared=len(cells),
        description=_description(box.framework, axes, changes, cells, view),
    )


def _weight(group: CauseGroup) -> tuple[object, ...]:
    place = PAGE_ORDER.index(group.framework) if group.framework in PAGE_ORDER else len(PAGE_ORDER)
    return WORDS.index(group.words[0][0]), -len(group.changes), place, group.description


def _told(findings: tuple[Finding, ...]) -> str:
    said = "; ".join(finding.statement for finding in findings)
    if any(finding.explains for finding in findings):
        return said
    return f"{UNEXPLAINED}: {said}" if said else UNEXPLAINED


# -- in words --------------------------------------------------------------------------------------------------------


def _description(
    framework: str, axes: Mapping[str, tuple[str, ...]], changes: tuple[Change, ...], cells: list[Seen], view: View
) -> str:
    """``jax/jit, vjp, binary16; n >= 1000: 12 of 40 cells``: what is common, and what was compared beside it."""
    everything = {axis: {getattr(s, axis) for s in view.slices if s.framework == framework} for axis in AXES}
    parts = [_implementations(axes["implementation"], everything["implementation"], framework)]
    parts += [
        listing(axes[axis]) for axis in ("operation", "quantity", "format") if set(axes[axis]) != everything[axis]
    ]
    if set(axes["profile"]) != everything["profile"]:
        parts.append(f"profile {listing(axes['profile'])}")
    text = ", ".join(parts)
    changed = {change.cell.key for change in changes}
    same = [seen.place for seen in cells if seen.cell.key not in changed]
    found = [CellPlace(c.cell.layout, c.cell.family, c.cell.row_length) for c in changes]
    extent = [
        words for words in (_lengths(found, same), _few(found, same, "layout"), _few(found, same, "family")) if words
    ]
    if extent:
        text += f"; {', '.join(extent)}"
    return f"{text}: {whole(len(changes))} of {count(len(cells), 'cell')}"


def _implementations(chosen: tuple[str, ...], known: set[str], framework: str) -> str:
    if len(known) > 1 and set(chosen) == known:
        return f"every implementation of {framework}"
    return listing(chosen)


def _lengths(changed: list[CellPlace], same: list[CellPlace]) -> str:
    mine, others = ({p.row_length for p in places} for places in (changed, same))
    if others and max(others) < min(mine):
        return f"n ≥ {min(mine)}"
    if others and max(mine) < min(others):
        return f"n ≤ {max(mine)}"
    return lengths(mine)


def _few(changed: list[CellPlace], same: list[CellPlace], field: str) -> str:
    """The layouts or families, where some others were compared and none of those changed."""
    mine, others = ({str(getattr(p, field)) for p in places} for places in (changed, same))
    if not others - mine:
        return ""
    noun = {"layout": ("layout", "layouts"), "family": ("family", "families")}[field][len(mine) > 1]
    return f"{noun} {listing(sorted(mine))}" if len(mine) <= 4 else ""
