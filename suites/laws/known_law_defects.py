"""Known breaches of laws: the [[law_defect]] entries of known_defects.toml, read as strict expected failures.

An entry selects laws and subjects by lists of names.  On the machine that it was measured on, the sizes of the breaches
have to lie in its range, and in a complete session there have to be as many as it says, the same ones; elsewhere only
that one is left is asserted.
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

from suites.driver.profiles import DEFAULT
from suites.known_defects import FILE, DefectError, contains
from suites.laws.catalogue import UnknownLaw, law_named
from suites.laws.trials import Broken, Trial

TABLE = "law_defect"

_SELECTORS = ("law", "implementation", "on", "operation", "quantity", "format", "layout")
_NEEDED = ("law", "implementation")
_ROOM = 1e-6


@dataclass(frozen=True)
class LawDefect:
    """One entry; ``size`` is the range of its breaches' sizes, ``breaches`` how many there are.

    Its figures are those of ``versions``; in the versions of ``also`` the same law is broken, more or less badly.
    ``crash``: the framework ends the process, not each time that it could, so no figure is held.
    """

    id: str
    title: str
    framework: str
    versions: str
    profile: str
    size: tuple[float, float]
    breaches: int
    fingerprint: str
    selectors: dict[str, tuple[str, ...]]
    issue: str | None = None
    also: str | None = None
    crash: bool = False

    def selects(self, broken: Broken) -> bool:
        """Whether the entry speaks of a subject that breaks a law; of one without a result, where it is a crash."""
        if broken.lost and not (self.crash and broken.crashed):
            return False
        subject = broken.subject
        names = {
            "law": broken.law,
            "implementation": subject.implementation.name,
            "on": subject.profile.name,
            "operation": subject.operation,
            "quantity": subject.quantity,
            "format": subject.format_name,
            "layout": subject.layout,
        }
        return all(names[name] in chosen for name, chosen in self.selectors.items())

    def may_select(self, trial: Trial) -> bool:
        """Whether it can speak of any subject of a trial."""
        names = {"law": trial.law, "implementation": trial.implementation, "operation": trial.operation}
        return all(value in self.selectors.get(name, (value,)) for name, value in names.items())

    def applies_to(self, version: str) -> bool:
        """Whether the entry speaks of this version of the framework."""
        return self.has_figures_of(version) or (self.also is not None and contains(self.also, version))

    def has_figures_of(self, version: str) -> bool:
        """Whether the figures were measured with this version of the framework."""
        return contains(self.versions, version)

    def contradictions(self, broken: list[Broken], profile: str, *, complete: bool) -> list[str]:
        """How the breaches that the entry selects differ from what it says; empty if they don't.

        ``complete`` says that all laws were tried in the standard tier, not a selection of them.
        """
        if complete and not broken:
            return [f"{self.id}: nothing breaks the law any more; remove the entry"]
        if profile != self.profile or self.crash:
            return []
        low, high = self.size
        found = [
            f"{self.id}: {b.breach.size:.6g} {b.breach.unit} is outside [{low:.6g}, {high:.6g}]: {b.key}"
            for b in broken
            if not low * (1 - _ROOM) <= b.breach.size <= high * (1 + _ROOM)
        ]
        if complete and (len(broken), fingerprint(broken)) != (self.breaches, self.fingerprint):
            found.append(
                f"{self.id}: {len(broken)} breaches, not the {self.breaches} that it was measured with, or others"
            )
        return found


def fingerprint(broken: Iterable[Broken]) -> str:
    """Twelve hexadecimal digits that stand for a set of breaches."""
    return hashlib.sha256("\n".join(sorted(b.key for b in broken)).encode()).hexdigest()[:12]


@cache
def law_defects(file: Path = FILE) -> tuple[LawDefect, ...]:
    """The entries of known_defects.toml.  Raises DefectError."""
    try:
        entries = tomllib.loads(file.read_text(encoding="utf-8")).get(TABLE, [])
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise DefectError(f"{file} can't be read: {error}") from None
    found = tuple(_entry(dict(entry), number, file) for number, entry in enumerate(entries, start=1))
    ids = [defect.id for defect in found]
    for name in ids:
        if ids.count(name) > 1:
            raise DefectError(f"{file}: two entries are called {name!r}")
    return found


def _entry(fields: dict[str, Any], number: int, file: Path) -> LawDefect:
    name = fields.get("id", f"number {number}")
    selectors = {s: _names(fields.pop(s)) for s in _SELECTORS if s in fields}
    selectors.setdefault("on", (DEFAULT,))
    try:
        low, high = (float(v) for v in fields.pop("size"))
        SpecifierSet(str(fields["versions"]))
        SpecifierSet(str(fields.get("also", "")))
        for law in selectors.get("law", ()):
            law_named(law)
        if not low <= high or not set(_NEEDED) <= set(selectors):
            raise ValueError("it needs a range of sizes, a law and an implementation")
        return LawDefect(size=(low, high), selectors=selectors, **fields)
    except (TypeError, KeyError, ValueError, InvalidSpecifier, UnknownLaw) as error:
        raise DefectError(f"{file}: law_defect {name!r} is not understood: {error}") from None


def _names(value: Any) -> tuple[str, ...]:
    return tuple(str(v) for v in (value if isinstance(value, list) else [value]))


def law_defect_of(broken: Broken, version: str) -> LawDefect | None:
    """The entry that selects a breach of this version, if one does."""
    return next((d for d in law_defects() if d.selects(broken) and d.applies_to(version)), None)
