"""Accepted changes: a TOML file whose entries each name cells, the change that is accepted, the reason and an end."""

from __future__ import annotations

import datetime
import reprlib
import tomllib
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from references.verdict.ladder import at_least
from references.vocabulary import VERDICTS
from reports.compare.evidence import Drift
from reports.compare.judgement import BROKEN, CHANGED, IMPROVED, NOT_COMPARABLE, REMOVED, WORSE, Change
from reports.console.usage import UsageError
from reports.run.regular import Unreadable, content_of

# What an entry may accept; ``drift`` is a line of cells whose typical row moved.
DRIFT = "drift"
ACCEPTABLE = (WORSE, BROKEN, DRIFT, CHANGED, IMPROVED, REMOVED, NOT_COMPARABLE)

_SELECTORS = ("framework", "implementation", "operation", "quantity", "format", "layout", "family", "row_length")
# Of a file of entries; people write it.
_MOST_BYTES = 1 << 22

_OTHERS = ("change", "reason", "expires", "verdict")


@dataclass(frozen=True)
class AllowedChange:
    """One entry.  ``verdict`` is the lowest verdict that it accepts; ``expires`` is its last day."""

    name: str
    change: tuple[str, ...]
    reason: str
    expires: datetime.date
    verdict: str | None
    selectors: dict[str, tuple[str, ...]]

    def accepts(self, change: Change) -> bool:
        if change.word not in self.change or (self.verdict and not at_least(change.side.verdict, self.verdict)):
            return False
        return self._selects({"framework": change.side.framework, **_fields(change.cell)})

    def accepts_drift(self, drift: Drift) -> bool:
        return DRIFT in self.change and self._selects(drift.line._asdict())

    def _selects(self, fields: dict[str, Any]) -> bool:
        return all(name in fields and str(fields[name]) in values for name, values in self.selectors.items())


def _fields(cell: Any) -> dict[str, Any]:
    return {name: getattr(cell, name) for name in _SELECTORS if name != "framework"}


@dataclass(frozen=True)
class Accepted:
    """Changes and drifts with the reasons for which they are accepted, and what is wrong with the entries."""

    changes: list[Change]
    drifts: list[Drift]
    problems: tuple[str, ...]


def accepted(
    entries: list[AllowedChange], changes: list[Change], drifts: list[Drift], today: datetime.date
) -> Accepted:
    """Hold the entries against what was found.  One that has expired accepts nothing, and is a problem; so is one that
    matches nothing."""
    met: Counter[str] = Counter()
    valid = [entry for entry in entries if entry.expires >= today]
    new_changes, new_drifts = list(changes), list(drifts)
    for number, change in enumerate(changes):
        entry = next((e for e in valid if e.accepts(change)), None)
        if entry:
            new_changes[number] = replace(change, accepted=entry.reason)
        met.update(e.name for e in entries if e.accepts(change))
    for number, drift in enumerate(drifts):
        entry = next((e for e in valid if e.accepts_drift(drift)), None)
        if entry:
            new_drifts[number] = replace(drift, accepted=entry.reason)
        met.update(e.name for e in entries if e.accepts_drift(drift))
    problems = [f"{e.name} has expired on {e.expires}" for e in entries if e not in valid]
    problems += [f"{e.name} matches nothing; remove it" for e in valid if not met[e.name]]
    return Accepted(new_changes, new_drifts, tuple(problems))


# -- reading ---------------------------------------------------------------------------------------------------------


def read_entries(file: Path) -> list[AllowedChange]:
    """The entries of a file.  Raises UsageError."""
    try:
        data = tomllib.loads(content_of(file, most=_MOST_BYTES).decode("utf-8"))
    except FileNotFoundError:
        raise UsageError(f"--allow {file} can't be read: it is not there") from None
    except (Unreadable, ValueError) as error:
        raise UsageError(f"--allow {file} can't be read: {error}") from None
    except RecursionError:
        raise UsageError(f"--allow {file} can't be read: nested too deep") from None
    entries = data.pop("allow", [])
    if data or not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise UsageError(f"--allow {file}: every entry begins with [[allow]], not with [{next(iter(data), 'allow')}]")
    return [_entry(entry, f"{file.name}, entry {number}") for number, entry in enumerate(entries, start=1)]


def _entry(entry: dict[str, Any], name: str) -> AllowedChange:
    unknown = [key for key in entry if key not in _SELECTORS + _OTHERS]
    if unknown:
        raise UsageError(f"{name}: unknown field {unknown[0]!r}; known are {', '.join(_SELECTORS + _OTHERS)}")
    selectors = {key: _words(entry[key], f"{name}: {key}") for key in _SELECTORS if key in entry}
    change, reason, expires = (
        _words(entry.get("change", []), f"{name}: change"),
        entry.get("reason"),
        entry.get("expires"),
    )
    for word in change:
        if word not in ACCEPTABLE:
            raise UsageError(f"{name}: unknown change {word!r}; known are {', '.join(ACCEPTABLE)}")
    verdict = entry.get("verdict")
    if verdict is not None and verdict not in VERDICTS:
        raise UsageError(f"{name}: unknown verdict {verdict!r}; known are {', '.join(VERDICTS)}")
    if not change or not isinstance(reason, str) or not reason.strip():
        raise UsageError(f"{name} needs a change (such as 'worse') and a reason")
    if not isinstance(expires, datetime.date) or isinstance(expires, datetime.datetime):
        raise UsageError(f"{name} needs a date on which it expires, such as expires = 2030-01-31")
    if not {"framework", "implementation"} & set(selectors):
        raise UsageError(f"{name} needs a framework or an implementation")
    return AllowedChange(name, change, " ".join(reason.split()), expires, verdict, selectors)


def _words(value: Any, name: str) -> tuple[str, ...]:
    """One word or number, or a list of some.  Raises UsageError."""
    words = value if isinstance(value, list) else [value]
    if not all(isinstance(word, (str, int)) and not isinstance(word, bool) for word in words):
        raise UsageError(f"{name} is a word, a whole number or a list of them, not {reprlib.repr(value)}")
    return tuple(str(word) for word in words)
