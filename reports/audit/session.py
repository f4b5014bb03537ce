"""The order of an audit: what is measured goes into OUT/old and OUT/new, and the same command goes on from there."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from reports.audit.sides import Side
from reports.files import write_atomically
from reports.losses import say_lost
from reports.measuring import run_measurements
from reports.run.reader import is_there
from reports.run.records import RunError
from reports.run.regular import Unreadable, content_of
from reports.run.strict import parsed
from reports.telling import cell_progress, foretell, say
from suites.implementations.catalogue import Implementation
from suites.plan import Selection

SCHEMA = 1
_MANIFEST = "audit.json"


def begin(out: Path, sides: tuple[Side, Side]) -> None:
    """Write down what an audit is of; one that was begun goes on if it is of the same.  Raises RunError."""
    file = out / _MANIFEST
    mine = {"schema": SCHEMA, **{side.name: asdict(side) | {"frameworks": list(side.frameworks)} for side in sides}}
    if file.is_symlink() or (file.exists() and not file.is_file()):
        raise RunError(f"{file} is no plain file; choose another --out, or remove it")
    try:
        held = parsed(content_of(file).decode("utf-8")) if is_there(file) else None
    except (OSError, Unreadable, ValueError) as error:
        raise RunError(f"{file} can't be read ({error}); choose another --out, or remove {out}") from None
    if held is not None and held != mine:
        raise RunError(f"{out} holds an audit of {_told(held)}; choose another --out, or remove it")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{out} can't be written: {error.strerror or error}; choose another --out") from None
    write_atomically(file, json.dumps(mine, indent=1) + "\n", durable=True)


def _told(held: object) -> str:
    """What an audit on disk is of."""
    try:
        assert isinstance(held, dict)
        old, new = held["old"], held["new"]
        words = [
            f"{side['asked']} ({', '.join(f'{n} {v}' for n, v in side['packages'].items())})" for side in (old, new)
        ]
    except (AssertionError, KeyError, TypeError, AttributeError):
        return "something else"
    return " against ".join(words)


def measure_side(out: Path, side: Side, implementations: list[Implementation], selection: Selection) -> Path:
    """Measure what is not there yet of one side and return its run directory; lost cells are told.

    Raises what run_measurements raises.
    """
    path = out / side.name
    say(f"measuring {side.asked} into {path}")
    with cell_progress() as show:
        outcome = run_measurements(
            path,
            implementations,
            selection,
            show,
            timing=False,
            interpreter=side.interpreter,
            foretell=foretell if selection.tier == "deep" else None,
        )
    say_lost(outcome)
    return path
