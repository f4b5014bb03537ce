"""A run directory being read: what is damaged, forged or of another version is refused, by file, line and field."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from reports.run.consistent import contradiction
from reports.run.observed import observation_of
from reports.run.records import (
    MOST_ROWS,
    OBSERVATIONS,
    SCHEMA,
    LostCell,
    Manifest,
    Record,
    RowMaxima,
    Run,
    RunError,
)
from reports.run.regular import Unreadable, content_of, lines_in
from reports.run.strict import DAMAGE as DAMAGE
from reports.run.strict import made, parsed
from suites.laws.observations import Observation

Made = TypeVar("Made")


# -- the manifest ----------------------------------------------------------------------------------------------------


def read_manifest(path: Path) -> Manifest:
    """The manifest of a run directory.  Raises RunError."""
    file = path / "manifest.json"
    try:
        data = parsed(content_of(file).decode("utf-8"))
    except FileNotFoundError:
        raise RunError(f"{path} is no run directory: it has no manifest.json; make one with 'measure --out'") from None
    except (Unreadable, ValueError) as error:
        raise RunError(f"{file} can't be read ({error}); measure again") from None
    found = data.get("schema") if isinstance(data, dict) else None
    if found != SCHEMA or isinstance(found, bool):
        number = found if isinstance(found, int) and abs(found) < 1e9 else "None" if found is None else "of no number"
        raise RunError(f"{file} has schema version {number}, this program reads {SCHEMA}; measure again")
    try:
        manifest = made(Manifest, data)
        _check_names(manifest)
    except DAMAGE as error:
        raise RunError(f"{file} is not a manifest of schema {SCHEMA} ({error}); measure again") from None
    return manifest


def _check_names(manifest: Manifest) -> None:
    for what, names in (
        ("implementations", manifest.implementations),
        ("profiles", [f"{p.name} of {p.framework}" for p in manifest.profiles]),
    ):
        twice = next((name for number, name in enumerate(names) if name in names[:number]), None)
        if twice is not None:
            raise ValueError(f"{what}: {twice!r} is there twice")


def check_complete(path: Path, manifest: Manifest, cells: int, inputs: Iterable[str]) -> None:
    """Raises RunError where the cells that were read are not those that the manifest speaks of."""
    if cells > manifest.planned:
        raise RunError(f"{path} has {cells} cells, and its manifest says planned: {manifest.planned}; measure again")
    if manifest.finished and cells < manifest.planned:
        raise RunError(
            f"{path} has {cells} of {manifest.planned} cells, and its manifest says finished: lines are missing from "
            f"{path / 'cells.jsonl'}; run 'measure --out {path}' again to complete it"
        )
    if manifest.finished and manifest.inputs_sha256 != fingerprint_of(inputs):
        file = path / "manifest.json"
        raise RunError(f"{file}: inputs_sha256 is not the fingerprint of the inputs in cells.jsonl; measure again")


def fingerprint_of(inputs: Iterable[str]) -> str:
    """One sha256 for all inputs of a run, by theirs."""
    return hashlib.sha256("".join(sorted(set(inputs))).encode()).hexdigest()


# -- lines -----------------------------------------------------------------------------------------------------------


def record_in(line: str) -> Record:
    """The record of a line.  Raises what DAMAGE names."""
    return record_of_line(parsed(line))


def record_of_line(data: Any) -> Record:
    """The record of what a line holds.  Raises what DAMAGE names: for a field that can't have its value, and for one
    that contradicts the others."""
    if isinstance(data, dict):
        data.setdefault("path", [])  # the first records had none
    record = made(Record, data)
    wrong = contradiction(record)
    if wrong:
        raise ValueError(f"{record.key}: {wrong}")
    return record


def maxima_of_line(data: Any) -> RowMaxima:
    """The row maxima of what a line holds.  Raises what DAMAGE names."""
    maxima = made(RowMaxima, data)
    if not 1 <= len(maxima.max_ulp) <= MOST_ROWS:
        raise ValueError(f"max_ulp: {len(maxima.max_ulp)} rows, and {MOST_ROWS} at most are kept of a cell")
    return maxima


def read_lines(path: Path, name: str, made: Callable[[Any], Made]) -> Iterator[Made]:
    """What ``made`` makes of each line of a file of a run directory, one line at a time.

    Raises RunError for a line that was cut off or damaged, and a file that can't be read.
    """
    number = 1
    try:
        for line in lines_in(path / name):
            if not line.endswith("\n"):
                raise ValueError("cut off")
            yield made(parsed(line))
            number += 1
    except DAMAGE as error:
        remedy = f"run 'measure --out {path}' again to complete it"
        raise RunError(f"{path / name}, line {number} is damaged ({error}); {remedy}") from None
    except FileNotFoundError:
        raise RunError(f"{path / name} can't be read (it is not there); measure again") from None
    except Unreadable as error:
        raise RunError(f"{path / name} can't be read ({error}); measure again") from None


def read_run(path: Path) -> Run:
    """A run directory.  Raises RunError for another schema, a line that is cut off, damaged or contradicts itself, a
    cell that is there twice, cells that the manifest doesn't speak of, and missing files."""
    manifest = read_manifest(path)
    records = sorted(read_lines(path, "cells.jsonl", record_of_line), key=lambda r: r.key)
    for before, after in zip(records, records[1:], strict=False):
        if before.key == after.key:
            raise RunError(f"{path / 'cells.jsonl'} has {after.key} twice; measure again")
    check_complete(path, manifest, len(records), (r.input_sha256 for r in records))
    return Run(path, manifest, records)


def read_observations(path: Path) -> list[Observation]:
    """Whether bits changed; none in a run that didn't look.  Raises RunError for a file that is damaged."""
    return list(_optional(path, OBSERVATIONS, observation_of))


def read_lost(path: Path) -> list[LostCell]:
    """The cells that a run could not measure.  Raises RunError for a file that is damaged."""
    return list(_optional(path, "lost.jsonl", lambda data: made(LostCell, data)))


def _optional(path: Path, name: str, of_line: Callable[[Any], Made]) -> Iterator[Made]:
    return read_lines(path, name, of_line) if is_there(path / name) else iter(())


def is_there(file: Path) -> bool:
    """Whether there is anything by a name, a link that leads nowhere too: what can't be read is not left out."""
    try:
        file.lstat()
    except FileNotFoundError:
        return False
    except (OSError, ValueError):
        return True
    return True
