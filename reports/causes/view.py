"""The cells that both runs have on the same input, changed and not, arranged by what they share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from reports.compare.comparison import Comparison
from reports.compare.judgement import Change
from reports.run.records import Manifest, MeasuredProfile
from suites.plan.cell import Cell

Paths = tuple[str, ...]


class Slice(NamedTuple):
    """Cells that differ in layout, family and row length only."""

    framework: str
    implementation: str
    profile: str
    operation: str
    quantity: str
    format: str


class CellPlace(NamedTuple):
    """Where a cell lies in its slice."""

    layout: str
    family: str
    row_length: int


@dataclass(frozen=True, slots=True)
class Seen:
    """A cell of both runs; ``change`` is None where the bits are the same.  ``path`` is that of the newer run."""

    cell: Cell
    framework: str
    path: Paths
    change: Change | None

    @property
    def slice(self) -> Slice:
        cell = self.cell
        return Slice(self.framework, cell.implementation, cell.profile, cell.operation, cell.quantity, cell.format)

    @property
    def place(self) -> CellPlace:
        return CellPlace(self.cell.layout, self.cell.family, self.cell.row_length)


@dataclass(frozen=True, eq=False)
class ChangedPart:
    """The changed cells of a slice that took the same paths before, and the same ones after."""

    slice: Slice
    before: Paths
    after: Paths
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class View:
    """All cells by slice, and what the two runs say of where they were made."""

    old: Manifest
    new: Manifest
    slices: dict[Slice, dict[CellPlace, Seen]] = field(default_factory=dict)

    def parts(self) -> Iterator[ChangedPart]:
        """The changed cells, slice by slice."""
        for of, places in self.slices.items():
            parts: dict[tuple[Paths, Paths], list[Change]] = {}
            for seen in places.values():
                if seen.change:
                    old, new = seen.change.both
                    parts.setdefault((old.path, new.path), []).append(seen.change)
            for (before, after), changes in parts.items():
                yield ChangedPart(of, before, after, tuple(changes))

    def split(self, of: Slice) -> tuple[list[Seen], list[Seen]]:
        """The changed cells of a slice, and those with the same bits."""
        places = self.slices[of].values()
        return [s for s in places if s.change], [s for s in places if not s.change]

    @cached_property
    def profiles(self) -> tuple[dict[tuple[str, str], MeasuredProfile], ...]:
        """The profiles of OLD and of NEW, by framework and name."""
        return tuple({(p.framework, p.name): p for p in m.profiles} for m in (self.old, self.new))

    def selected(self, framework: str, profile: str) -> tuple[dict[str, str], dict[str, str]]:
        """What was read back of a profile before and after: of the settings that both versions report."""
        found = []
        for manifest, profiles in zip((self.old, self.new), self.profiles, strict=True):
            known = profiles.get((framework, profile))
            found.append(known.selected if known else manifest.settings.get(framework, {}))
        old, new = found
        return {k: v for k, v in old.items() if k in new}, {k: v for k, v in new.items() if k in old}

    def told_alike(self, framework: str, profile: str) -> bool:
        """Whether both versions report the same settings, so that the paths derived from them bear comparison."""
        known = [p.get((framework, profile)) for p in self.profiles]
        return all(known) and known[0].selected.keys() == known[1].selected.keys()  # type: ignore[union-attr]

    def packages(self, framework: str, profile: str) -> tuple[dict[str, str], dict[str, str]]:
        """The packages of the environment that a profile was measured in, before and after."""
        found = []
        for manifest, profiles in zip((self.old, self.new), self.profiles, strict=True):
            known = profiles.get((framework, profile))
            found.append(known.packages if known else manifest.packages)
        return found[0], found[1]


def view_of(comparison: Comparison) -> View:
    """Every cell with the same input on both sides; those of which one side has no bits are left out."""
    view = View(comparison.old.manifest, comparison.new.manifest)
    for same in comparison.same:
        _put(view, Seen(same.cell, same.framework, same.path, None))
    for change in comparison.changes:
        if has_other_bits(change):
            _put(view, Seen(change.cell, change.side.framework, change.side.path, change))
    return view


def has_other_bits(change: Change) -> bool:
    """Whether the same input led to other bits, comparable or not."""
    old, new = change.old, change.new
    if old is None or new is None or not old.output_sha256 or not new.output_sha256:
        return False
    return old.input_sha256 == new.input_sha256 and old.output_sha256 != new.output_sha256


def _put(view: View, seen: Seen) -> None:
    view.slices.setdefault(seen.slice, {})[seen.place] = seen
