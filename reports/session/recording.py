"""A run directory filled by a pytest session: its tests report their cells as text, one process gathers and writes."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from reports.run.content import ContentUnknown, content_of_run, files_read
from reports.run.from_measurement import measured_profile, recorded
from reports.run.manifest import manifest_of
from reports.run.observed import observation_of
from reports.run.records import LostCell, MeasuredProfile, Record
from reports.run.resuming import read_before
from reports.run.strict import made
from reports.run.writer import RunWriter
from suites.driver.worker_process import WorkerDied
from suites.laws.observations import Observation
from suites.plan.cell import Cell
from suites.scoring.cell import Measurement, input_of
from suites.session import LostEvaluation, Session

# What a test reports: pytest's reports carry these names across process borders under xdist.
_MEASURED, _LOST, _MISSING, _OBSERVED = "measured", "lost", "missing", "observed"
WORDS = (_MEASURED, _LOST, _MISSING, _OBSERVED)

# Takes one of the words and JSON.
Send = Callable[[str, str], None]


class CellRecorder:
    """What a test reports of its cell: as text, for a NumPy scalar in a report is lost on the way between processes.

    Without a directory nothing is reported.
    """

    def __init__(self, session: Session, directory: Path | None, send: Send) -> None:
        self._session, self._directory, self._send = session, directory, send

    def measured(self, measurement: Measurement) -> None:
        """The record of a cell.  Raises RunError."""
        if self._directory is None:
            return
        cell, session = measurement.cell, self._session
        implementation, introduction = session.by_name[cell.implementation], session.introduction(cell)
        record = recorded(measurement, implementation, introduction, self._directory / "rows")
        profile = measured_profile(session.profile(cell), introduction)
        parts = {"record": asdict(record), "maxima": measurement.row_maxima, "profile": asdict(profile)}
        parts["read"] = session.read
        self._send(_MEASURED, json.dumps(parts))

    def missing(self, cell: Cell) -> None:
        """A cell that can't be measured here, which is nobody's fault."""
        if self._directory is not None:
            self._send(_MISSING, json.dumps(cell.key))

    @contextlib.contextmanager
    def losses_of(self, cell: Cell) -> Iterator[None]:
        """Reports why the cell was lost, if it is."""
        try:
            yield
        except (LostEvaluation, WorkerDied) as lost:
            if self._directory is not None:
                loss, sha256 = lost.loss, input_of(cell).sha256
                made = LostCell(cell.key, loss.reason, loss.signal, sha256, loss.log, loss.unsupported)
                self._send(_LOST, json.dumps(asdict(made)))
            raise

    def observed(self, observation: Observation) -> None:
        """Whether bits changed with something that nobody promises."""
        if self._directory is not None:
            self._send(_OBSERVED, json.dumps(asdict(observation)))


class Recording:
    """The run directory of a session, and which of the session's cells are answered for.

    What is measured replaces what stood there.  Raises RunError where the directory can't be written, or holds a run of
    something else.
    """

    def __init__(self, directory: Path, session: Session) -> None:
        availability = session.availability()
        reasons = {i.name: session.skipped(i) for i in session.implementations}
        skipped = {name: reason for name, reason in reasons.items() if reason}
        self._keys = {
            cell.key
            for cell in session.cells()
            if session.profile(cell) not in availability.refused and cell.implementation not in skipped
        }
        measured = [i for i in session.implementations if i.name not in skipped]
        self._content = partial(content_of_run, measured, availability.present, None)
        what = session.implementations, session.selection, len(self._keys), availability, skipped
        self._writer = RunWriter(
            directory, manifest_of(*what, content=self._content(read_before(directory))), self._keys
        )
        self._measured: set[str] = set()
        self._missing: set[str] = set()
        self._unsupported: set[str] = set()

    def take(self, word: str, text: str) -> None:
        """Write what a test has reported.  Raises RunError."""
        data: Any = json.loads(text)
        if word == _MEASURED:
            record = made(Record, data["record"])
            self._writer.note(made(MeasuredProfile, data["profile"]))
            self._writer.learn(data["read"])
            self._writer.add(record, data["maxima"])
            self._measured.add(record.key)
        elif word == _LOST:
            lost = made(LostCell, data)
            self._writer.lose(lost)
            if lost.unsupported:
                self._unsupported.add(lost.key)
        elif word == _MISSING:
            self._missing.add(data)
        else:
            self._writer.observe(observation_of(data))

    def finish(self, *, whole: bool) -> None:
        """Finished is a run whose planned cells were all measured by a session that was ``whole``: one that came to its
        end, whatever its tests said.  Raises RunError, also where what was measured has changed meanwhile."""
        try:
            with contextlib.suppress(ContentUnknown):  # the cells have reported a worker that is lost
                self._writer.confirm(self._content(files_read(self._writer.manifest)))
            self._finish(whole=whole)
        finally:
            self._writer.close()

    def _finish(self, *, whole: bool) -> None:
        planned = self._keys - self._missing - self._unsupported
        self._writer.finish(planned=len(planned), finished=whole and planned <= self._measured)
