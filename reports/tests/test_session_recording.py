"""pytest --record: what a session measured replaces what stood there, and only a whole one is finished."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from reports.run.reader import read_run
from reports.run.records import RunError
from reports.session.recording import CellRecorder, Recording
from suites.driver.pool import stop_workers
from suites.driver.tasks import Loss
from suites.implementations.catalogue import CATALOGUE
from suites.laws.observations import Observation
from suites.plan.cell import Cell, Selection
from suites.session import LostEvaluation, Session

SELECTION = Selection("smoke", formats=("binary32",), families=("gauss1",), layouts=("last",), operations=("softmax",))


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    yield Session([CATALOGUE["numpy/shifted"]], SELECTION)
    stop_workers()


def recorded(session: Session, directory: Path, tell: Callable[[CellRecorder], None], *, whole: bool = True) -> None:
    """A session in which the tests tell of their cells, from the first line to the last."""
    recording = Recording(directory, session)
    tell(CellRecorder(session, directory, recording.take))
    recording.finish(whole=whole)


def measure(session: Session, *cells: Cell) -> Callable[[CellRecorder], None]:
    def tell(recorder: CellRecorder) -> None:
        for cell in cells or session.cells():
            recorder.measured(session.measure(cell))

    return tell


def lose(cell: Cell, loss: Loss) -> Callable[[CellRecorder], None]:
    def tell(recorder: CellRecorder) -> None:
        with pytest.raises(LostEvaluation), recorder.losses_of(cell):
            raise LostEvaluation(cell.key, loss)

    return tell


def finished(directory: Path) -> bool:
    return read_run(directory).manifest.finished


def test_a_session_that_measured_all_its_cells_is_finished(session: Session, tmp_path: Path) -> None:
    recorded(session, tmp_path, measure(session))
    run = read_run(tmp_path)
    assert [r.key for r in run.records] == sorted(cell.key for cell in session.cells())
    assert (run.manifest.finished, run.manifest.planned) == (True, len(session.cells()))


def test_a_part_is_not_finished_even_if_an_earlier_session_measured_the_rest(session: Session, tmp_path: Path) -> None:
    first, *rest = session.cells()
    assert rest
    recorded(session, tmp_path, measure(session, *rest))
    assert not finished(tmp_path)
    recorded(session, tmp_path, measure(session, first))
    assert not finished(tmp_path)
    recorded(session, tmp_path, measure(session))
    assert finished(tmp_path)
    recorded(session, tmp_path, measure(session, first))
    assert not finished(tmp_path)


def test_a_session_that_was_cut_short_is_not_finished(session: Session, tmp_path: Path) -> None:
    recorded(session, tmp_path, measure(session), whole=False)
    assert not finished(tmp_path)


def test_what_is_measured_now_replaces_what_stood_there(session: Session, tmp_path: Path) -> None:
    recorded(session, tmp_path, measure(session))
    (changed, *_) = session.cells()

    def otherwise(recorder: CellRecorder) -> None:
        for cell in session.cells():
            found = session.measure(cell)
            recorder.measured(found.marred(1) if cell == changed else found)

    recorded(session, tmp_path, otherwise)
    run = read_run(tmp_path)
    assert {r.key: r.verdict == "wrong" for r in run.records} == {c.key: c == changed for c in session.cells()}
    assert len((tmp_path / "rows" / "maxima.jsonl").read_text().splitlines()) == len(run.records)


def test_an_observation_of_now_replaces_an_older_one(session: Session, tmp_path: Path) -> None:
    of = Observation(
        "the size of the batch", "numpy", "numpy/shifted", "default", "softmax", "forward", "binary32", "last", 33, [],
        *(36, 0, 0.0, 0.0),
    )  # fmt: skip
    recorded(session, tmp_path, lambda recorder: recorder.observed(of))
    recorded(session, tmp_path, lambda recorder: recorder.observed(replace(of, changed=5, max_ulp=2.0)))
    (line,) = (tmp_path / "observations.jsonl").read_text().splitlines()
    assert json.loads(line)["changed"] == 5


def test_a_lost_cell_is_written_down_with_its_reason_and_leaves_the_run_unfinished(
    session: Session, tmp_path: Path
) -> None:
    lost, *rest = session.cells()

    def tell(recorder: CellRecorder) -> None:
        measure(session, *rest)(recorder)
        lose(lost, Loss("the worker exited with 0", log="last words"))(recorder)

    recorded(session, tmp_path, tell)
    assert not finished(tmp_path)
    (line,) = (tmp_path / "lost.jsonl").read_text().splitlines()
    written = json.loads(line)
    assert (written["key"], written["reason"], written["log"]) == (lost.key, "the worker exited with 0", "last words")


def test_a_cell_that_is_lost_now_keeps_no_older_record(session: Session, tmp_path: Path) -> None:
    recorded(session, tmp_path, measure(session))
    lost, *rest = session.cells()

    def tell(recorder: CellRecorder) -> None:
        measure(session, *rest)(recorder)
        lose(lost, Loss("the worker exited with 0"))(recorder)

    recorded(session, tmp_path, tell)
    assert [r.key for r in read_run(tmp_path).records] == sorted(cell.key for cell in rest)
    assert not finished(tmp_path)


def test_what_a_framework_has_not_and_what_is_missing_here_are_nobody_s_fault(session: Session, tmp_path: Path) -> None:
    unsupported, missing, *rest = session.cells()
    assert rest

    def tell(recorder: CellRecorder) -> None:
        lose(unsupported, Loss("NotImplementedError", unsupported=True))(recorder)
        recorder.missing(missing)
        measure(session, *rest)(recorder)

    recorded(session, tmp_path, tell)
    manifest = read_run(tmp_path).manifest
    assert (manifest.finished, manifest.planned) == (True, len(rest))


def test_a_directory_with_a_run_of_something_else_is_refused(session: Session, tmp_path: Path) -> None:
    recorded(session, tmp_path, measure(session))
    other = Session(session.implementations, replace(SELECTION, families=("equal",)))
    with pytest.raises(RunError, match="holds a run with another selection"):
        Recording(tmp_path, other)


def test_without_a_directory_nothing_is_reported(session: Session) -> None:
    told: list[str] = []
    recorder = CellRecorder(session, None, lambda word, text: told.append(word))
    cell = session.cells()[0]
    measure(session, cell)(recorder)
    lose(cell, Loss("gone"))(recorder)
    recorder.missing(cell)
    assert told == []
