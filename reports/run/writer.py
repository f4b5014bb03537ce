"""A run directory being written: by one writer at a time, and an interruption loses nothing that was finished."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from reports.files import sync, write_atomically
from reports.run.content import OWN, Content, changed, described
from reports.run.lines import key_in, key_of, replace_lines, rows_in, sort_lines, whole_lines
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
from reports.run.resuming import CELLS, LOCK, LOST, MANIFEST, MAXIMA, begun, held, identity
from reports.run.rows import DIGITS
from reports.wording import listing
from suites.laws.observations import Observation
from suites.worker.files_read import UNSETTLED

# What a power cut may cost: the cells of so many seconds, which are measured again.
_SYNC_SECONDS = 5.0

# Facts of a manifest that are no part of what was found: a run that lacked nothing keeps its own.
_INCIDENTAL = ("created", "timings", "seconds")


class RunWriter:
    """A run directory being filled: finished cells are on disk at once, the order is mended at the end.

    ``planned`` are the keys of all cells that may be there, None where that isn't known.  ``done`` are those that are
    there; ``anew`` names the user's files that have changed since, whose cells no longer are.  Raises RunError where
    the directory can't be written, holds a run of something else, or is being written by another.
    """

    def __init__(self, path: Path, manifest: Manifest, planned: Collection[str] | None = None) -> None:
        self.path, self.manifest = path, manifest
        self.rows = path / "rows"
        self._lock = FileLock(path / LOCK, thread_local=False)
        try:
            begun(path, manifest)
            self.rows.mkdir(parents=True, exist_ok=True)
            self._lock_or_refuse()
            self._take_up(planned)
            self._open_lines()
        except OSError as error:
            self._lock.release()
            raise RunError(f"{path} can't be written: {error.strerror or error}; choose another --out") from None
        except BaseException:
            self._lock.release()
            raise
        self._replaced: dict[str, list[str]] = {}  # maxima and record, by key
        self._kept_rows: set[str] = set()
        self.lost: set[str] = set()
        self._synced = time.monotonic()

    def _lock_or_refuse(self) -> None:
        try:
            self._lock.acquire(blocking=False)
        except Timeout:
            raise RunError(
                f"{self.path} is being written by another process; wait for its end, or choose another --out"
            ) from None
        except NotImplementedError:
            raise RunError(f"{self.path} is on a file system without locks; choose another --out") from None

    def _take_up(self, planned: Collection[str] | None) -> None:
        """Go on from what is there, or begin; nothing that is out of date outlives the manifest that it belongs to."""
        kept = held(self.path, self.manifest, planned)
        self._old, self.anew = (None if kept.dropped else kept.manifest), kept.anew
        self.done: dict[str, None] = dict.fromkeys(kept.cells)
        self.observed = kept.observed
        for profile in kept.manifest.profiles if kept.manifest else ():
            if profile not in self.manifest.profiles:
                self._keep(profile)
        for leftover in (*self.path.glob("*.part"), *self.rows.glob("*.part")):
            leftover.unlink(missing_ok=True)
        if kept.manifest:
            for name, lines in ((CELLS, kept.cells), (MAXIMA, kept.maxima), (OBSERVATIONS, kept.observed)):
                if name != OBSERVATIONS or (self.path / name).exists():
                    replace_lines(self.path / name, lines.values())
        if not self.observed:
            (self.path / OBSERVATIONS).unlink(missing_ok=True)
        (self.path / LOST).unlink(missing_ok=True)  # they are tried again
        self._write_manifest(self.manifest)

    def add(self, record: Record, maxima: list[float | None]) -> None:
        """Write one cell; it outlives this process once this returns.

        A record that is there is replaced, and until that reaches the disk, within seconds, the older one stands.
        Raises RunError where it can't be written.
        """
        row = {"key": record.key, "max_ulp": [finite(m) for m in maxima[:MOST_ROWS]]}
        values = row, dataclasses.asdict(record)
        with self._told():
            lines = [json.dumps(value, allow_nan=False) for value in values]
            if record.key in self.done:
                self._replaced[record.key] = lines
            else:
                for file, line in zip((self._maxima, self._cells), lines, strict=True):
                    file.write(line + "\n")
                    file.flush()
            self.done[record.key] = None
            self.lost.discard(record.key)
            self._kept_rows.update(name for name, _ in rows_in(values[1]))
            self._old = None
            if time.monotonic() - self._synced > _SYNC_SECONDS:
                self._sync()

    def lose(self, lost: LostCell) -> None:
        """Write down a cell that could not be measured; an older record of it goes at the end.

        Raises RunError where it can't be written.
        """
        self.lost.add(lost.key)
        if lost.key in self.done:
            self._old = None
        with self._told(), (self.path / LOST).open("a", encoding="utf-8") as file:
            file.write(json.dumps(dataclasses.asdict(lost), allow_nan=False) + "\n")

    def observe(self, observation: Observation) -> None:
        """Write down whether bits changed, in place of an older one.  Raises RunError where it can't be written."""
        line, older = json.dumps(dataclasses.asdict(observation), allow_nan=False), self.observed.get(observation.key)
        if line == older:
            return
        self.observed[observation.key] = line
        self._old = None
        if older is not None:
            replace_lines(self.path / OBSERVATIONS, self.observed.values())
            return
        with self._told(), (self.path / OBSERVATIONS).open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def note(self, profile: MeasuredProfile) -> None:
        """Write down a profile that was started, once.  Raises RunError where it can't be written."""
        if profile not in self.manifest.profiles:
            self._keep(profile)
            self._write_manifest(self.manifest)

    def learn(self, read: Mapping[str, str]) -> None:
        """Note what a user's function consists of beyond what was known, before a record rests on it.

        Raises RunError where it can't be written, or something has another content than before.
        """
        known = self.manifest.content or {}
        found = {f"{OWN}{name}": sha256 for name, sha256 in read.items()}
        for name in found:
            if known.get(name, found[name]) != found[name]:
                self.confirm({**known, name: found[name]})
        if not found.keys() <= known.keys():
            self.manifest = dataclasses.replace(self.manifest, content={**known, **found})
            self._write_manifest(self.manifest)

    def confirm(self, now: Content) -> None:
        """Hold what was measured against what is there now: if it changed meanwhile, the records may be of either.

        Raises RunError then, after writing down that no run may go on from them.
        """
        before = self.manifest.content or {}
        moved = list(changed(before, now))
        if moved:
            content = {**before, **dict.fromkeys(moved, UNSETTLED)}
            self.manifest = dataclasses.replace(self.manifest, content=content)
            self._write_manifest(self.manifest)
            what = listing(described(name, self.manifest.packages) for name in moved)
            own = all(name.startswith(OWN) for name in moved)
            remedy = "run the same command again" if own else "choose another --out and run again"
            raise RunError(f"{what} changed while {self.path} was measured; {remedy}")

    def _keep(self, profile: MeasuredProfile) -> None:
        others = [p for p in self.manifest.profiles if identity(p) != identity(profile)]
        self.manifest = dataclasses.replace(self.manifest, profiles=sorted([*others, profile], key=identity))

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise RunError(
                f"{self.path} can't be written: {error.strerror or error}; free space and run again"
            ) from None

    def _sync(self) -> None:
        """Have the disk keep what is there, rows before the records that refer to them."""
        if self._replaced:
            self._put_in_place()
        for name in sorted(self._kept_rows):
            with contextlib.suppress(FileNotFoundError):
                sync(self.rows / name)
        for file in (self._maxima, self._cells):
            os.fsync(file.fileno())
        sync(self.rows)
        sync(self.path)
        self._kept_rows.clear()
        self._synced = time.monotonic()

    def _put_in_place(self) -> None:
        """Write the records that replace older ones, and their maxima, over those."""
        for place, (name, key) in enumerate(((MAXIMA, key_in), (CELLS, key_of))):
            fresh = {of: lines[place] for of, lines in self._replaced.items()}
            old = ((key(json.loads(line)), line) for line in whole_lines(self.path / name))
            replace_lines(self.path / name, [fresh.get(of, line) for of, line in old])
        self._close_lines()
        self._open_lines()
        self._replaced.clear()

    def _open_lines(self) -> None:
        self._cells = (self.path / CELLS).open("a", encoding="utf-8")
        self._maxima = (self.path / MAXIMA).open("a", encoding="utf-8")

    def _close_lines(self) -> None:
        for file in (self._cells, self._maxima):
            with contextlib.suppress(OSError):  # a line that could not be flushed was reported when it was added
                file.close()

    def finish(self, **changes: Any) -> None:
        """Sort the lines by key and write the manifest with the last facts, a fingerprint of all inputs among them.

        A finished run to which nothing was added keeps the manifest that it had.  Raises RunError where it can't be
        written.
        """
        with self._told():
            self._sync()
            cells = sort_lines(self.path / CELLS, key_of, self.lost)
            sort_lines(self.path / MAXIMA, key_in, self.lost)
            if (self.path / LOST).exists():
                sort_lines(self.path / LOST, key_in)
            if self.observed:
                replace_lines(self.path / OBSERVATIONS, (self.observed[key] for key in sorted(self.observed)))
            digest = hashlib.sha256("".join(sorted({cell["input_sha256"] for cell in cells})).encode()).hexdigest()
            self._remove_rows_but({name for cell in cells for name, _ in rows_in(cell)})
        self._write_manifest(self._last(dataclasses.replace(self.manifest, inputs_sha256=digest, **changes)))
        self.close()

    def _last(self, manifest: Manifest) -> Manifest:
        old = self._old
        if old is None or manifest != dataclasses.replace(old, **{n: getattr(manifest, n) for n in _INCIDENTAL}):
            return manifest
        return old

    def _remove_rows_but(self, names: set[str]) -> None:
        """Remove rows that no record refers to: an interruption left them, or their records were replaced."""
        for file in self.rows.glob("[0-9a-f]" * DIGITS + ".npy"):
            if file.name not in names:
                file.unlink()

    def close(self) -> None:
        """Have the disk keep what was added, and let another write here."""
        if self._cells.closed:
            return
        with contextlib.suppress(OSError, RunError):  # what can't be kept now was reported, or is measured again
            self._sync()
        self._close_lines()
        self._lock.release()

    def _write_manifest(self, manifest: Manifest) -> None:
        text = json.dumps(dataclasses.asdict(manifest), indent=1) + "\n"
        write_atomically(self.path / MANIFEST, text, durable=True)
