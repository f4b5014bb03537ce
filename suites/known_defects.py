"""Known defects: what the suite has found in released frameworks, read from known_defects.toml as expected failures.

An entry selects cells by lists of names, and has figures for each profile in which some of them fail.  On the machine
that they were measured on, exactly the recorded cells fail, as badly as recorded; on another machine some cell of it
still fails.  A cell below the required verdict that no entry selects is a new finding, and a failure.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from references.vocabulary import VERDICTS
from suites.driver.profiles import DEFAULT
from suites.plan.cell import Cell

FILE = Path(__file__).with_name("known_defects.toml")

# The verdict that every cell has to reach unless an entry says otherwise.
REQUIRED = "storage-stable"

# Relative room for figures that are recomputed: they are the same bits on the same profile.
_ROOM = 1e-6

_SELECTORS = ("implementation", "operation", "quantity", "format", "layout", "family", "row_length")


class DefectError(ValueError):
    """known_defects.toml has an entry that can't be understood; the message names it."""


@dataclass(frozen=True)
class Failing:
    """A cell that was measured below the required verdict."""

    cell: Cell
    verdict: str
    bound_ratio: float


@dataclass(frozen=True)
class Defect:
    """One entry in the profile ``on``; ``profile`` names the machine that its figures were measured on.

    Its figures are those of ``versions``; in the versions of ``also`` the same law is violated, as much or less.
    ``bound_ratio`` is the measured range over its failing cells, ``fingerprint`` that of their keys.  ``law`` is the
    property violated (docs/laws.md), ``verdict`` the worst one met, ``issue`` the upstream report.
    ``crash``: the framework ends the process, not each time that it could; such cells count as wrong, and no figure is
    held.
    """

    id: str
    title: str
    law: str
    framework: str
    versions: str
    profile: str
    verdict: str
    bound_ratio: tuple[float, float]
    cells: int
    fingerprint: str
    issue: str | None
    selectors: dict[str, tuple[str, ...]]
    on: str = DEFAULT
    also: str | None = None
    crash: bool = False

    @property
    def name(self) -> str:
        """The id, and the profile where it isn't the default one."""
        return self.id if self.on == DEFAULT else f"{self.id} on {self.on}"

    def selects(self, cell: Cell) -> bool:
        if cell.profile != self.on:
            return False
        return all(str(getattr(cell, name)) in names for name, names in self.selectors.items())

    def applies_to(self, version: str) -> bool:
        """Whether the entry speaks of this version of the framework."""
        return self.has_figures_of(version) or (self.also is not None and contains(self.also, version))

    def has_figures_of(self, version: str) -> bool:
        """Whether the figures were measured with this version of the framework."""
        return contains(self.versions, version)

    def contradictions(self, failing: list[Failing], profile: str, *, complete: bool) -> list[str]:
        """How the failing cells among those that the entry selects differ from what it says; empty if they don't.

        ``complete`` says that all cells of the standard tier were measured, not a selection of them.
        """
        found = []
        worst = min((f.verdict for f in failing), key=VERDICTS.index, default=None)
        if complete and not failing:
            return [f"{self.name}: no cell fails any more; remove the entry"]
        if worst is not None and VERDICTS.index(worst) < VERDICTS.index(self.verdict):
            found.append(f"{self.name}: a cell is {worst}, the entry says {self.verdict}: {_first(failing, worst)}")
        if profile != self.profile or self.crash:
            return found
        low, high = self.bound_ratio
        for f in failing:
            if not low * (1 - _ROOM) <= f.bound_ratio <= high * (1 + _ROOM):
                recorded = f"[{low:.6g}, {high:.6g}]"
                found.append(f"{self.name}: bound ratio {f.bound_ratio:.6g} is outside {recorded}: {f.cell.key}")
        if complete and (len(failing), fingerprint(f.cell for f in failing)) != (self.cells, self.fingerprint):
            found.append(
                f"{self.name}: {len(failing)} cells fail, not the {self.cells} that the entry was measured with"
            )
        return found


def contains(versions: str, version: str) -> bool:
    """Whether a version is in a range of them, pre-releases included."""
    return SpecifierSet(versions).contains(version, prereleases=True)


def _first(failing: list[Failing], verdict: str) -> str:
    return next(f.cell.key for f in failing if f.verdict == verdict)


def fingerprint(cells: Iterable[Cell]) -> str:
    """Twelve hexadecimal digits that stand for a set of cells."""
    return hashlib.sha256("\n".join(sorted(cell.key for cell in cells)).encode()).hexdigest()[:12]


@cache
def known_defects(file: Path = FILE) -> tuple[Defect, ...]:
    """The entries of known_defects.toml.  Raises DefectError."""
    try:
        data = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise DefectError(f"{file} can't be read: {error}") from None
    entries = data.pop("defect", [])
    data.pop("law_defect", None)  # suites/laws/known_law_defects.py reads them
    if data or not isinstance(entries, list):
        raise DefectError(f"{file}: every entry begins with [[defect]], not with [{next(iter(data), 'defect')}]")
    names = [entry.get("id") for entry in entries]
    for name in names:
        if name is not None and names.count(name) > 1:
            raise DefectError(f"{file}: two entries are called {name!r}")
    return tuple(d for number, entry in enumerate(entries, start=1) for d in _defects(entry, number, file))


# What is measured for each profile.
_FIGURES = ("verdict", "bound_ratio", "cells", "fingerprint")


def _defects(entry: dict[str, Any], number: int, file: Path) -> list[Defect]:
    """One for the default profile, if there are figures of it, and one for each of those under ``on``."""
    name = entry.get("id", f"number {number}")
    selectors = {s: _names(entry.pop(s)) for s in _SELECTORS if s in entry}
    figures = {DEFAULT: {f: entry.pop(f) for f in _FIGURES if f in entry}}
    try:
        figures.update(entry.pop("on", {}))
        if not figures[DEFAULT] and len(figures) > 1:
            del figures[DEFAULT]
        return [_defect({**entry, **found, "on": on}, selectors) for on, found in figures.items()]
    except (TypeError, KeyError, ValueError, InvalidSpecifier) as error:
        raise DefectError(f"{file}: entry {name!r} is not understood: {error}") from None


def _defect(fields: dict[str, Any], selectors: dict[str, tuple[str, ...]]) -> Defect:
    """Raises KeyError, TypeError or ValueError for fields that make no sense."""
    low, high = (float(v) for v in _list(fields.pop("bound_ratio")))
    SpecifierSet(str(fields["versions"]))
    SpecifierSet(str(fields.get("also", "")))
    defect = Defect(bound_ratio=(low, high), issue=fields.pop("issue", None), selectors=selectors, **fields)
    if defect.verdict not in VERDICTS or not low <= high or "implementation" not in selectors:
        raise ValueError("it needs a verdict, a range and an implementation")
    return defect


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _names(value: Any) -> tuple[str, ...]:
    return tuple(str(v) for v in _list(value))


def defect_of(cell: Cell, version: str) -> Defect | None:
    """The entry that selects a cell of this version, if one does."""
    return next((d for d in known_defects() if d.selects(cell) and d.applies_to(version)), None)
