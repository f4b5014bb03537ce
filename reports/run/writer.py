"""A run directory being written: an interruption loses nothing, and a run goes on only as the run that it is."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

from reports.files import write_atomically
from reports.run.reader import DAMAGE, read_manifest, record_in
from reports.run.records import (
    MOST_ROWS,
    OBSERVATIONS,
    LostCell,
    Manifest,
    MeasuredProfile,
    Record,
    RunError,
    finite,
)
from suites.laws.unpromised import Observation
from suites.plan import Cell

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
            self.lost: set[str] = set()
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
        cells = dict(_undamaged(self.path / "cells.jsonl", lambda line: record_in(line).key))
        maxima = dict(_undamaged(self.rows / "maxima.jsonl", lambda line: str(json.loads(line)["key"])))
        done = {key: line for key, line in cells.items() if key in maxima}
        _replace_lines(self.path / "cells.jsonl", done.values())
        _replace_lines(self.rows / "maxima.jsonl", (maxima[key] for key in done))
        return done

    def add(self, record: Record, maxima: list[float | None]) -> None:
        """Write one cell; it is safe once this returns.  Raises RunError where it can't be written."""
        self.lost.discard(record.key)
        row = {"key": record.key, "max_ulp": [finite(m) for m in maxima[:MOST_ROWS]]}
        with self._told():
            for file, value in ((self._maxima, row), (self._cells, dataclasses.asdict(record))):
                file.write(json.dumps(value, allow_nan=False) + "\n")
                file.flush()

    def lose(self, lost: LostCell) -> None:
        """Write down a cell that could not be measured; an older record of it goes at the end.

        Raises RunError where it can't be written.
        """
        self.lost.add(lost.key)
        with self._told(), (self.path / "lost.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(dataclasses.asdict(lost), allow_nan=False) + "\n")

    def observe(self, observation: Observation) -> None:
        """Write down whether bits changed; it replaces an older one.  Raises RunError where it can't be written."""
        line = json.dumps(dataclasses.asdict(observation), allow_nan=False)
        if self.observed.get(observation.key) == line:
            return
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
        cells = _sorted_lines(self.path / "cells.jsonl", _key_of, self.lost)
        _sorted_lines(self.rows / "maxima.jsonl", lambda line: str(line["key"]), self.lost)
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


def _replace_lines(path: Path, lines: Iterable[str]) -> None:
    write_atomically(path, "".join(f"{line}\n" for line in lines))


def _sorted_lines(
    path: Path, key: Callable[[dict[str, Any]], str], without: Collection[str] = ()
) -> list[dict[str, Any]]:
    """Sort a file by key, the last line of each kept, and return what it holds; ``without`` are keys that go."""
    parsed = ((json.loads(line), line) for line in _whole_lines(path))
    by_key = {key(found): (found, line) for found, line in parsed}
    kept = [by_key[name] for name in sorted(by_key) if name not in without]
    _replace_lines(path, (line for _, line in kept))
    return [found for found, _ in kept]


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
        except DAMAGE:
            continue


def _key_of(line: dict[str, Any]) -> str:
    names = [f.name for f in dataclasses.fields(Cell)]
    return Cell(**{name: line[name] for name in names}).key
