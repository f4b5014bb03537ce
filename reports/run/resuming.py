"""What a run directory holds already, and whether a run may go on from it: decided before anything is measured."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from pathlib import Path

from references.formats import format_named
from reports.run.content import OWN, changed, described, files_read
from reports.run.lines import count_of, rows_in, undamaged
from reports.run.observed import observation_of
from reports.run.reader import maxima_of_line, read_manifest, record_in
from reports.run.records import MOST_ROWS, OBSERVATIONS, Manifest, MeasuredProfile, RunError
from reports.run.rows import is_whole
from reports.run.strict import parsed
from suites.implementations.catalogue import CATALOGUE

MANIFEST, CELLS, LOST, MAXIMA, LOCK = "manifest.json", "cells.jsonl", "lost.jsonl", "rows/maxima.jsonl", ".lock"

# What has to be equal for a run to go on: anything else would mix records of two measurements.
_SAME = (
    *("tier", "selection", "implementations", "packages", "python"),
    *("platform", "cpu", "gpu", "settings", "environment"),
)

_REMEDY = "choose another --out, or remove it"


@dataclass(frozen=True)
class Held:
    """What a run directory holds and may keep: lines by key, each record with its row maxima.

    ``manifest`` is None in a new one.  ``anew`` names a user's files that have changed: nothing of theirs is kept.
    ``dropped``: something of the run was cut off, damaged or out of date.
    """

    manifest: Manifest | None = None
    cells: dict[str, str] = field(default_factory=dict)
    maxima: dict[str, str] = field(default_factory=dict)
    observed: dict[str, str] = field(default_factory=dict)
    anew: tuple[str, ...] = ()
    dropped: bool = False


def begun(path: Path, wanted: Manifest) -> tuple[Manifest, tuple[str, ...]] | None:
    """The run that was begun in a directory, and the user's files that have changed since; None where none was.

    Raises RunError for another run, and for a place that holds something of a run's names and is no run, or has them as
    no plain files.  It reads the manifest alone, and writes nothing: a directory that is refused stays as it is.
    """
    there = [name for name in (MANIFEST, CELLS, LOST, OBSERVATIONS, MAXIMA, LOCK) if _is_there(path / name)]
    for name in there:
        if not stat.S_ISREG((path / name).lstat().st_mode):
            raise RunError(f"{path / name} is no plain file; {_REMEDY}")
    if MANIFEST not in there:
        if set(there) - {LOCK}:
            raise RunError(f"{path} has {there[0]} and no {MANIFEST}, which says what was measured; {_REMEDY}")
        return None
    try:
        old = read_manifest(path)
    except RunError as error:
        raise RunError(f"{path} can't be gone on with ({error}); {_REMEDY}") from None
    return old, _anew(path, old, wanted)


def _is_there(file: Path) -> bool:
    return file.exists() or file.is_symlink()


def held(path: Path, wanted: Manifest, planned: Collection[str] | None) -> Held:
    """What can be kept of a run directory for the run of this manifest, and of the planned cells.

    Raises RunError where it holds another run, or cells beside those planned.
    """
    found = begun(path, wanted)
    if found is None:
        return Held()
    old, anew = found
    keeps = _catalogued if anew else _everything
    cells = {k: line for k, line in undamaged(path / CELLS, _key_of_intact(path / "rows")) if keeps(k)}
    # Maxima are written before their record, so a record always has them.
    maxima, twice = dict[str, str](), set[str]()
    for key, line in undamaged(path / MAXIMA, lambda line: maxima_of_line(parsed(line)).key):
        if maxima.setdefault(key, line) != line:
            twice.add(key)
    fits = {key: key in maxima and key not in twice and _are_of(maxima[key], line) for key, line in cells.items()}
    cells = {key: line for key, line in cells.items() if fits[key]}
    beside = cells.keys() - set(planned) if planned is not None else ()
    if beside:
        raise RunError(f"{path} holds {min(beside)}, which is not planned here now; {_REMEDY}")
    observed = {k: line for k, line in undamaged(path / OBSERVATIONS, _key_of_observation) if keeps(_cell_in(k))}
    kept = Held(old, cells, {key: maxima[key] for key in cells}, observed, anew)
    counted = count_of(path / CELLS), count_of(path / MAXIMA), count_of(path / OBSERVATIONS)
    return replace(kept, dropped=counted != (len(cells), len(cells), len(observed)))


def _anew(path: Path, old: Manifest, wanted: Manifest) -> tuple[str, ...]:
    """A user's files that have changed since.  Raises RunError where anything else has."""
    for name in _SAME:
        if getattr(old, name) != getattr(wanted, name):
            raise RunError(f"{path} holds a run with another {name}; {_REMEDY}")
    for profile in old.profiles:
        mine = next((p for p in wanted.profiles if identity(p) == identity(profile)), profile)
        if mine != profile:
            raise RunError(
                f"{path} holds a run whose profile {profile.name} of {profile.framework} selected something "
                f"else; {_REMEDY}"
            )
    if (old.content is None) != (wanted.content is None):
        raise RunError(f"{path} holds a run that doesn't say by content what it measured; {_REMEDY}")
    other = list(changed(old.content or {}, wanted.content or {}))
    for name in other:
        if not name.startswith(OWN):
            raise RunError(f"{path} holds a run begun before {described(name, old.packages)} changed; {_REMEDY}")
    return tuple(described(name, old.packages) for name in other)


def identity(profile: MeasuredProfile) -> tuple[str, str]:
    """What a profile goes by within a run."""
    return profile.framework, profile.name


def _key_of_intact(rows: Path) -> Callable[[str], str]:
    """The key of a record whose rows are there as they were; any other is as good as lost."""

    def key(line: str) -> str:
        record = record_in(line)
        for name, length in rows_in(json.loads(line)):
            if length != record.row_length or not is_whole(rows, name, length, format_named(record.format)):
                raise ValueError(f"{name} is not what was kept")
        return record.key

    return key


def _are_of(maxima: str, record: str) -> bool:
    """Whether row maxima are those of a record, as far as that is known where more rows were there than are kept."""
    rows = maxima_of_line(parsed(maxima)).max_ulp
    largest = max((m for m in rows if m is not None), default=None)
    return len(rows) == MOST_ROWS or largest == record_in(record).max_ulp


def _key_of_observation(line: str) -> str:
    return observation_of(parsed(line)).key


def read_before(path: Path) -> tuple[str, ...]:
    """What a user's function has read in the run that is to go on, if one is; whether it may, the writer decides."""
    try:
        return files_read(read_manifest(path))
    except RunError:
        return ()


def _cell_in(observation: str) -> str:
    """The part of an observation's key that begins with the implementation."""
    return observation.partition(": ")[2]


def _catalogued(key: str) -> bool:
    """Whether a key is of one of the suite's implementations, and none of a user's."""
    return any(key.startswith(f"{name}/") for name in CATALOGUE)


def _everything(key: str) -> bool:
    return True
