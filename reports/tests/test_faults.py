"""A small run whose disk fails at each of its calls in turn: nothing is lost, and nothing false is left."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

import pytest

from reports.measure.run import run_measurements
from reports.run.reader import read_run
from reports.run.records import Run, RunError
from reports.tests.faulty import ERROR, KINDS, SHORT, Disk, Killed, faulty
from suites.driver.pool import WorkerPool
from suites.driver.tasks import Task
from suites.implementations.catalogue import CATALOGUE
from suites.plan.cell import Selection

# Cells with short and with long worst rows, so that files are written below rows/ too.
SELECTION = Selection("smoke", quantities=("forward",), formats=("binary32",), families=("gauss1",), layouts=("last",))
IMPLEMENTATIONS = [CATALOGUE["numpy/shifted"], CATALOGUE["numpy/naive"]]

# What of a manifest is another with each run.
_MOMENTARY = ("created", "seconds")


class Remembered(Executor):
    """Answers what has been asked before without a worker, so that a run takes a moment."""

    def __init__(self, engine: Executor) -> None:
        self._engine, self._answers = engine, {}  # type: ignore[var-annotated]

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        key = function.__name__, repr(arguments[0]) if not isinstance(arguments[0], Task) else _key(arguments[0])
        if key not in self._answers:
            self._answers[key] = self._engine.submit(function, *arguments, **named).result()
        future: Future[Any] = Future()
        future.set_result(self._answers[key])
        return future


def _key(task: Task) -> object:
    return repr(task.profile), task.format, task.logits.tobytes(), task.requests


def measured(path: Path, engine: Executor) -> Run:
    return run_measurements(path, IMPLEMENTATIONS, SELECTION, lambda *_: None, timing=False, engine=engine).run


def content(path: Path) -> dict[str, object]:
    """The files of a run, but for what is another each time."""
    found: dict[str, object] = {}
    for file in sorted(path.rglob("*")):
        if file.is_file() and not file.name.startswith("."):
            found[str(file.relative_to(path))] = file.read_bytes()
    manifest = json.loads((path / "manifest.json").read_text())
    found["manifest.json"] = {name: value for name, value in manifest.items() if name not in _MOMENTARY}
    return found


@pytest.fixture(scope="module")
def engine() -> Iterator[Executor]:
    with WorkerPool() as pool:
        yield Remembered(pool)


@pytest.fixture(scope="module")
def whole(engine: Executor, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The same run on a disk that doesn't fail."""
    return measured(tmp_path_factory.mktemp("whole") / "run", engine)


def calls_of_a_run(engine: Executor, path: Path) -> list[str]:
    with faulty(Disk(path)) as disk:
        measured(path, engine)
    return disk.calls


def test_a_run_touches_its_directory_in_the_ways_that_are_tried(engine: Executor, whole: Run, tmp_path: Path) -> None:
    calls = calls_of_a_run(engine, tmp_path / "run")
    kinds = {call.split()[0] for call in calls}
    assert {"open", "write", "replace", "mkdir", "fsync"} <= kinds
    assert len(calls) > 3 * len(whole.records)
    assert content(tmp_path / "run") == content(whole.path)


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_call_fails_nothing_is_lost_and_nothing_false_is_left(
    engine: Executor, whole: Run, tmp_path: Path, kind: str
) -> None:
    """Cut at every call: what is left reads as a part of the run or is refused, and the same command completes it."""
    known = {record.key: record for record in whole.records}
    survived = 0
    for at in range(len(calls_of_a_run(engine, tmp_path / "counted"))):
        path = tmp_path / f"{at}"
        told: BaseException | None = None
        with faulty(Disk(path, at, kind)) as disk:
            try:
                measured(path, engine)
            except (RunError, Killed) as error:
                told = error
        assert disk.calls, "the disk was not touched"
        call = disk.calls[at]
        assert isinstance(told, Killed) == (kind not in (ERROR, SHORT)), call
        if told is None:  # a call that may fail, such as one that tidies up
            assert content(path) == content(whole.path), call
        left = _what_is_left(path)
        if left is not None:
            assert all(known[record.key] == record for record in left.records), call
            assert not left.manifest.finished or len(left.records) == len(known), call
            survived += len(left.records)
        assert content(measured(path, engine).path) == content(whole.path), call
    assert survived > len(known)


def _what_is_left(path: Path) -> Run | None:
    try:
        return read_run(path)
    except RunError:
        return None
