"""A run directory being read: damage is noticed, and named with its file and line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from reports.run.records import (
    OBSERVATIONS,
    SCHEMA,
    LostCell,
    Manifest,
    MeasuredProfile,
    Record,
    Run,
    RunError,
    Timing,
    Unmeasured,
    Worst,
)
from suites.laws.unpromised import Observation

Made = TypeVar("Made")


def read_manifest(path: Path) -> Manifest:
    """The manifest of a run directory.  Raises RunError."""
    file = path / "manifest.json"
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunError(f"{path} is no run directory: it has no manifest.json; make one with 'measure --out'") from None
    except (OSError, ValueError) as error:
        raise RunError(f"{file} can't be read ({error}); measure again") from None
    found = data.get("schema") if isinstance(data, dict) else None
    if found != SCHEMA:
        raise RunError(f"{file} has schema version {found}, this program reads {SCHEMA}; measure again")
    try:
        data["unmeasured"] = [Unmeasured(**u) for u in data["unmeasured"]]
        data["timings"] = [Timing(**t) for t in data["timings"]]
        data["profiles"] = [MeasuredProfile(**p) for p in data.get("profiles", [])]
        return Manifest(**data)
    except (KeyError, TypeError) as error:
        raise RunError(f"{file} is not a manifest of schema {SCHEMA} ({error}); measure again") from None


# What a line that is no record raises.
DAMAGE = (ValueError, KeyError, TypeError)


def record_in(line: str) -> Record:
    """The record of a line.  Raises what DAMAGE names."""
    return record_of_line(json.loads(line))


def record_of_line(data: dict[str, Any]) -> Record:
    data["worst"] = Worst(**data["worst"])
    return Record(**data)


def read_run(path: Path) -> Run:
    """A run directory.  Raises RunError for another schema, a line that was cut off or damaged, or missing files."""
    manifest = read_manifest(path)
    return Run(path, manifest, sorted(read_lines(path, "cells.jsonl", record_of_line), key=lambda r: r.key))


def read_lines(path: Path, name: str, made: Callable[[dict[str, Any]], Made]) -> Iterator[Made]:
    """What ``made`` makes of each line of a file of a run directory, one line at a time.

    Raises RunError for a line that was cut off or damaged, and a file that can't be read.
    """
    number = 1
    try:
        with (path / name).open(encoding="utf-8") as file:
            for line in file:
                if not line.endswith("\n"):
                    raise ValueError("cut off")
                yield made(json.loads(line))
                number += 1
    except DAMAGE as error:
        remedy = f"run 'measure --out {path}' again to complete it"
        raise RunError(f"{path / name}, line {number} is damaged ({error}); {remedy}") from None
    except OSError as error:
        raise RunError(f"{path / name} can't be read ({error}); measure again") from None


def read_observations(path: Path) -> list[Observation]:
    """Whether bits changed; none in a run that didn't look.  Raises RunError for a file that is damaged."""
    if not (path / OBSERVATIONS).exists():
        return []
    return list(read_lines(path, OBSERVATIONS, lambda data: Observation(**data)))


def read_lost(path: Path) -> list[LostCell]:
    """The cells that a run could not measure.  Raises RunError for a file that is damaged."""
    file = path / "lost.jsonl"
    try:
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        return [LostCell(**json.loads(line)) for line in lines]
    except (OSError, ValueError, TypeError) as error:
        raise RunError(f"{file} can't be read ({error}); measure again") from None
