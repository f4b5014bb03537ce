"""The order of an audit: what is measured goes into OUT/old and OUT/new, and the same command goes on from there."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from reports.audit.environments import is_kept, what_changed
from reports.audit.sides import AuditSide
from reports.audit.state import LINE, WORDS, Check, Damaged, check_fields, is_packages, of_pattern, read_object
from reports.files import write_atomically
from reports.measure.losses import say_lost
from reports.measure.messages import cell_progress, say, say_estimate
from reports.measure.run import run_measurements
from reports.run.records import Run, RunError
from suites.implementations.catalogue import FRAMEWORKS, Implementation
from suites.plan.cell import Cell, Selection

SCHEMA = 1
_MANIFEST = "audit.json"


def begin(out: Path, sides: tuple[AuditSide, AuditSide]) -> None:
    """Write down what an audit is of; one that was begun goes on if it is of the same.  Raises RunError."""
    file = out / _MANIFEST
    mine = {"schema": SCHEMA, **{side.name: asdict(side) | {"frameworks": list(side.frameworks)} for side in sides}}
    try:
        held = _read(file)
    except FileNotFoundError:
        held = None
    except Damaged as reason:
        raise RunError(f"{file} can't be read: {reason}; choose another --out, or remove {out}") from None
    if held is not None and held != mine:
        raise RunError(f"{out} holds an audit of {_told(held)}; choose another --out, or remove it")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{out} can't be written: {error.strerror or error}; choose another --out") from None
    write_atomically(file, json.dumps(mine, indent=1) + "\n", durable=True)


def _read(file: Path) -> dict[str, Any]:
    """What an audit on disk is of.  Raises FileNotFoundError, Damaged."""
    is_object: Check = lambda value: isinstance(value, dict)  # noqa: E731
    held = read_object(file, {"schema": lambda value: type(value) is int, "old": is_object, "new": is_object})
    if held["schema"] != SCHEMA:
        raise Damaged(f"it has schema version {held['schema']}, this program reads {SCHEMA}")
    for name in ("old", "new"):
        try:
            check_fields(held[name], _SIDE | {"name": lambda value, name=name: value == name})
        except Damaged as reason:
            raise Damaged(f"{name}: {reason}") from None
    return held


def _are_frameworks(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 0 and all(word in FRAMEWORKS for word in value)


_SIDE: dict[str, Check] = {
    "name": of_pattern(LINE),
    "asked": of_pattern(WORDS),
    "interpreter": of_pattern(LINE),
    "packages": is_packages,
    "frameworks": _are_frameworks,
}


def _told(held: dict[str, Any]) -> str:
    """What an audit on disk is of."""
    return " against ".join(
        f"{side['asked']} ({', '.join(f'{name} {version}' for name, version in side['packages'].items())})"
        for side in (held["old"], held["new"])
    )


def measure_side(
    out: Path, side: AuditSide, implementations: list[Implementation], selection: Selection, planned: Sequence[Cell]
) -> Path:
    """Measure what is not there yet of one side and return its run directory; lost cells are printed.

    ``planned`` are the cells of the selection.
    Raises what run_measurements raises, and RunError where the packages are not what they were: then nobody knows what
    was measured.
    """
    path = out / side.name
    say(f"measuring {side.asked} into {path}")
    with cell_progress() as show:
        outcome = run_measurements(
            path,
            implementations,
            selection,
            show,
            planned=planned,
            timing=False,
            interpreter=side.interpreter,
            on_estimate=say_estimate if selection.tier == "deep" else None,
        )
    say_lost(outcome)
    changed = _what_changed(side, outcome.run)
    if changed:
        raise RunError(f"{side.asked} changed while it was measured ({changed}); {_put_aside(path)}")
    return path


def _what_changed(side: AuditSide, run: Run) -> str | None:
    """How the packages of a side, or those that its workers had, differ from what is audited, in words."""
    python = Path(side.interpreter)
    if not (side.interpreter == side.asked or is_kept(python)):
        return None
    for profile in run.manifest.profiles:
        for name, version in profile.packages.items():
            audited = side.packages.get(name.lower().replace("_", "-"), version)
            if audited != version:
                return f"{name} was {audited}, and {version} in profile {profile.name} of {profile.framework}"
    return what_changed(python, side.packages)


def _put_aside(path: Path) -> str:
    """Take a run out of the way of the next one, and say so."""
    aside = next(
        name for k in itertools.count(1) if not os.path.lexists(name := path.with_name(f"{path.name}-changed-{k}"))
    )
    try:
        path.rename(aside)
    except OSError as error:
        return f"remove {path} ({error.strerror or error} when it was to be moved), and give the command again"
    return f"{aside} has what was measured and counts for nothing; give the command again"
