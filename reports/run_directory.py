"""Run directories on disk: written so that an interruption loses nothing, read so that damage is noticed."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from reports.records import (
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
    finite,
)
from suites.laws.unpromised import Observation
from suites.plan import Cell

OBSERVATIONS = "observations.jsonl"

# Row maxima kept of a cell.
MOST_ROWS = 64

Made = TypeVar("Made")

# -- writing ---------------------------------------------------------------------------------------------------------


# What has to be equal for a run to go on: anything else would mix records of two measurements.
_SAME = ("tier", "selection", "implementations", "packages", "python", "gpu", "settings", "environment", "git_commit")


class RunWriter:
    """A run directory being filled: finished cells are on disk at once, the order is mended at the end.

    Raises RunError where the directory can't be written, or holds a run of something else.
    """

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path, self.manifest = path, manifest
        self.rows = path / "rows"
        try:
            self.rows.mkdir(parents=True, exist_ok=True)
            self.done = self._resume() if (path / "manifest.json").exists() else {}
            (path / "lost.jsonl").unlink(missing_ok=True)  # they are tried again
            self.observed = dict(_undamaged(path / OBSERVATIONS, lambda line: Observation(**json.loads(line)).key))
            if self.observed:
                _replace_lines(path / OBSERVATIONS, self.observed.values())
            self._write_manifest(self.manifest)
            self._cells = (path / "cells.jsonl").open("a", encoding="utf-8")
            self._maxima = (self.rows / "maxima.jsonl").open("a", encoding="utf-8")
        except OSError as error:
            raise RunError(f"{path} can't be written: {error.strerror or error}; choose another --out") from None

    def _resume(self) -> dict[str, str]:
        """The cells that are there, by key, after dropping what an interruption cut off or anything has damaged."""
        old = read_manifest(self.path)
        for name in _SAME:
            if getattr(old, name) != getattr(self.manifest, name):
                raise RunError(f"{self.path} holds a run with another {name}; choose another --out, or remove it")
        for profile in old.profiles:
            mine = next((p for p in self.manifest.profiles if _identity(p) == _identity(profile)), profile)
            if mine != profile:
                raise RunError(
                    f"{self.path} holds a run whose profile {profile.name} of {profile.framework} selected something "
                    "else; choose another --out, or remove it"
                )
            self._keep(profile)
        # Maxima are written before their record, so a record always has them.
        cells = dict(_undamaged(self.path / "cells.jsonl", lambda line: _parsed(line).key))
        maxima = dict(_undamaged(self.rows / "maxima.jsonl", lambda line: str(json.loads(line)["key"])))
        done = {key: line for key, line in cells.items() if key in maxima}
        _replace_lines(self.path / "cells.jsonl", done.values())
        _replace_lines(self.rows / "maxima.jsonl", (maxima[key] for key in done))
        return done

    def add(self, record: Record, maxima: list[float | None]) -> None:
        """Write one cell; it is safe once this returns.  Raises RunError where it can't be written."""
        row = {"key": record.key, "max_ulp": [finite(m) for m in maxima[:MOST_ROWS]]}
        with self._told():
            for file, value in ((self._maxima, row), (self._cells, dataclasses.asdict(record))):
                file.write(json.dumps(value, allow_nan=False) + "\n")
                file.flush()

    def lose(self, lost: LostCell) -> None:
        """Write down a cell that could not be measured.  Raises RunError where it can't be written."""
        with self._told(), (self.path / "lost.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(dataclasses.asdict(lost), allow_nan=False) + "\n")

    def observe(self, observation: Observation) -> None:
        """Write down whether bits changed, once.  Raises RunError where it can't be written."""
        if observation.key in self.observed:
            return
        line = json.dumps(dataclasses.asdict(observation), allow_nan=False)
        with self._told(), (self.path / OBSERVATIONS).open("a", encoding="utf-8") as file:
            file.write(line + "\n")
        self.observed[observation.key] = line

    def note(self, profile: MeasuredProfile) -> None:
        """Write down a profile that was started, once.  Raises RunError where it can't be written."""
        if profile not in self.manifest.profiles:
            self._keep(profile)
            self._write_manifest(self.manifest)

    def _keep(self, profile: MeasuredProfile) -> None:
        others = [p for p in self.manifest.profiles if _identity(p) != _identity(profile)]
        self.manifest = dataclasses.replace(self.manifest, profiles=sorted([*others, profile], key=_identity))

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise RunError(
                f"{self.path} can't be written: {error.strerror or error}; free space and run again"
            ) from None

    def finish(self, **changes: Any) -> None:
        """Sort the lines by key and write the manifest with the last facts, a fingerprint of all inputs among them."""
        self.close()
        cells = _sorted_lines(self.path / "cells.jsonl", _key_of)
        _sorted_lines(self.rows / "maxima.jsonl", lambda line: str(line["key"]))
        if (self.path / "lost.jsonl").exists():
            _sorted_lines(self.path / "lost.jsonl", lambda line: str(line["key"]))
        if self.observed:
            _replace_lines(self.path / OBSERVATIONS, (self.observed[key] for key in sorted(self.observed)))
        digest = hashlib.sha256("".join(sorted({cell["input_sha256"] for cell in cells})).encode()).hexdigest()
        self._write_manifest(dataclasses.replace(self.manifest, inputs_sha256=digest, **changes))

    def close(self) -> None:
        """Close the files; a line that could not be flushed was told when it was added."""
        for file in (self._cells, self._maxima):
            with contextlib.suppress(OSError):
                file.close()

    def _write_manifest(self, manifest: Manifest) -> None:
        write_atomically(self.path / "manifest.json", json.dumps(dataclasses.asdict(manifest), indent=1) + "\n")


def _identity(profile: MeasuredProfile) -> tuple[str, str]:
    return profile.framework, profile.name


def write_atomically(path: Path, text: str | Iterable[str]) -> None:
    """Replace a file as a whole, so that a reader sees the old text or the new; a long one may come in parts.

    Raises RunError.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.writelines([text] if isinstance(text, str) else text)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise RunError(f"{path} can't be written: {error.strerror or error}; choose another place") from None


def _replace_lines(path: Path, lines: Iterable[str]) -> None:
    write_atomically(path, "".join(f"{line}\n" for line in lines))


def _sorted_lines(path: Path, key: Callable[[dict[str, Any]], str]) -> list[dict[str, Any]]:
    lines = sorted(((json.loads(line), line) for line in _whole_lines(path)), key=lambda pair: key(pair[0]))
    _replace_lines(path, (line for _, line in lines))
    return [parsed for parsed, _ in lines]


def _whole_lines(path: Path) -> Iterator[str]:
    """The lines that were written to their end; a cut last one is left out."""
    if not path.exists():
        return
    text = path.read_text(encoding="utf-8", errors="replace")
    for line in text.splitlines(keepends=True):
        if line.endswith("\n"):
            try:
                json.loads(line)
            except ValueError:
                continue
            yield line.rstrip("\n")


def _undamaged(path: Path, key: Callable[[str], str]) -> Iterator[tuple[str, str]]:
    """Key and line of the lines that can be read."""
    for line in _whole_lines(path):
        try:
            yield key(line), line
        except _DAMAGE:
            continue


def _key_of(line: dict[str, Any]) -> str:
    names = [f.name for f in dataclasses.fields(Cell)]
    return Cell(**{name: line[name] for name in names}).key


# -- reading ---------------------------------------------------------------------------------------------------------


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
_DAMAGE = (ValueError, KeyError, TypeError)


def _parsed(line: str) -> Record:
    """The record of a line.  Raises what _DAMAGE names."""
    return _record(json.loads(line))


def _record(data: dict[str, Any]) -> Record:
    data["worst"] = Worst(**data["worst"])
    return Record(**data)


def read_run(path: Path) -> Run:
    """A run directory.  Raises RunError for another schema, a line that was cut off or damaged, or missing files."""
    manifest = read_manifest(path)
    return Run(path, manifest, sorted(read_lines(path, "cells.jsonl", _record), key=lambda r: r.key))


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
    except _DAMAGE as error:
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
