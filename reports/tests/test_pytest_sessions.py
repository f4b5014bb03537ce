"""pytest itself, on kernels that would rather not be judged: each is a failure with its cell's name."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pytest

from reports.run.reader import read_run
from suites.implementations.catalogue import CATALOGUE
from suites.plan.cell import Cell, Selection
from suites.plan.cells import cells
from suites.scoring.cell import input_of

ROOT = Path(__file__).parents[2]
LAST_WORDS = {
    "exit": "os._exit(0)",
    "hang": "while True: pass",
    "skip a test of unittest": "import unittest; raise unittest.SkipTest('not today')",
    "skip": "import pytest; pytest.skip('not today')",
    "leave": "sys.exit(0)",
    "close": "sys.stdout.close(); os.closerange(0, 64); print('gone')",
    "end pytest": "import pytest; pytest.exit('enough', returncode=0)",
}
KERNEL = """
import os, sys
import numpy as np

ACTIONS = {actions!r}

def softmax(x, axis):
    exec(ACTIONS.get(x.shape + (str(x.flat[0]) if x.size else "",), ""))
    if not x.size:
        os._exit(0)
    e = np.exp(x.astype(np.float64) - x.max(axis=axis, keepdims=True))
    return (e / e.sum(axis=axis, keepdims=True)).astype(x.dtype)
"""


def smoke_cells() -> list[Cell]:
    """The cells of a NumPy function in binary32; those of the catalogue have the same inputs."""
    mine = Selection("smoke", formats=("binary32",), operations=("softmax",))
    return [c for c in cells([CATALOGUE["numpy/shifted"]], mine) if c.quantity == "forward" and c.family != "special"]


def mark_of(cell: Cell) -> tuple[object, ...]:
    """By what a kernel knows the input of a cell: its shape, and its first number."""
    values = input_of(cell).logits.view("f4")
    shape = values.T.shape if cell.layout == "inner" else values.shape
    return (*shape, str(values.flat[0]))


def write_kernel(folder: Path, actions: Mapping[tuple[object, ...], str]) -> str:
    (folder / "kernel.py").write_text(KERNEL.format(actions=dict(actions)), encoding="utf-8")
    return f"{folder / 'kernel.py'}:softmax"


def key_of(cell: Cell) -> str:
    return f"kernel/softmax{cell.key[len(cell.implementation) :]}"


def command_of(own: str, *options: str) -> list[str]:
    what = "--framework", "numpy", "--format", "binary32", "--tier", "smoke", "--profile", "default"
    return [sys.executable, "-m", "pytest", *options, "-p", "no:cacheprovider", "--implementation", own, *what]


def run_pytest(own: str, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command_of(own, *options),
        cwd=ROOT,
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


CELLS = "suites/laws/test_differential.py"


def test_whatever_a_kernel_does_is_a_failure_of_its_cell_and_of_no_other(tmp_path: Path) -> None:
    victims = smoke_cells()[: len(LAST_WORDS)]
    assert len({mark_of(cell) for cell in victims}) == len(victims) == len(LAST_WORDS)
    own = write_kernel(tmp_path, dict(zip(map(mark_of, victims), LAST_WORDS.values(), strict=True)))
    ran = run_pytest(
        own, CELLS, "suites/laws/test_laws.py", "-k", "reaches or (degenerate and kernel)",
        "--record", str(tmp_path / "run"), "-rs", SOFTMAX_ACCURACY_CALL_SECONDS="3",
    )  # fmt: skip
    assert ran.returncode == 1, ran.stdout + ran.stderr
    for cell, action in zip(victims, LAST_WORDS, strict=True):
        assert f"LostEvaluation: {key_of(cell)}: " in ran.stdout, action
    assert (
        "kernel/softmax/default/softmax/forward/binary32/last of an array of shape (0, 3) has no result" in ran.stdout
    )
    assert f"{len(LAST_WORDS) + 1} failed, 2 passed" in ran.stdout
    assert " skipped" not in ran.stdout
    run = read_run(tmp_path / "run")
    assert not run.manifest.finished
    lost = [json.loads(line) for line in (tmp_path / "run" / "lost.jsonl").read_text().splitlines()]
    assert sorted(line["key"] for line in lost) == sorted(map(key_of, victims))
    reasons = {line["key"]: line["reason"] for line in lost}
    assert reasons[key_of(victims[0])] == "the worker exited with 0"
    assert reasons[key_of(victims[1])] == "no answer from kernel/softmax within 3 s"
    assert reasons[key_of(victims[2])] == "SkipTest: not today"
    assert reasons[key_of(victims[4])] == "SystemExit: 0"
    assert {r.key for r in run.records} == {r.key for r in run.records} - set(reasons)
    assert len(run.records) == 2


@pytest.mark.parametrize(
    ("first_line", "reason"),
    [
        ("import os; os._exit(0)", "the worker exited with 0"),
        ("import sys; sys.exit(0)", "SystemExit: 0"),
        ("while True: pass", "no answer from importing "),
        ("import unittest; raise unittest.SkipTest('not today')", "SkipTest: not today"),
        ("import pytest; pytest.skip('not today', allow_module_level=True)", "Skipped: not today"),
    ],
)
def test_a_file_that_does_something_while_it_is_imported_is_reported_and_no_test_passes(
    tmp_path: Path, first_line: str, reason: str
) -> None:
    own = write_kernel(tmp_path, {})
    file = tmp_path / "kernel.py"
    file.write_text(first_line + "\n" + file.read_text(encoding="utf-8"), encoding="utf-8")
    ran = run_pytest(own, CELLS, "-q", "-k", "reaches", SOFTMAX_ACCURACY_CALL_SECONDS="3")
    assert ran.returncode == 4
    assert f"{file} can't be imported: " in ran.stderr
    assert reason in ran.stderr


def test_a_limit_that_is_no_number_of_seconds_is_named(tmp_path: Path) -> None:
    ran = run_pytest(write_kernel(tmp_path, {}), CELLS, "-q", SOFTMAX_ACCURACY_CALL_SECONDS="soon")
    assert ran.returncode == 4
    assert "SOFTMAX_ACCURACY_CALL_SECONDS=soon is no number of seconds" in ran.stderr


# -- a session that is not whole -------------------------------------------------------------------------------------


def test_collecting_writes_nothing(tmp_path: Path) -> None:
    own, run = write_kernel(tmp_path, {}), tmp_path / "run"
    ran = run_pytest(own, CELLS, "--collect-only", "-q", "--record", str(run))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert not run.exists()


def ended(process: int) -> bool:
    """Whether a process ends within seconds; nobody may have asked yet how it did."""
    state = Path(f"/proc/{process}/stat")
    for _ in range(200):
        try:
            os.kill(process, 0)
            if state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.05)
    return False


def test_an_interrupted_session_ends_its_workers_and_is_not_finished(tmp_path: Path) -> None:
    run, sign = tmp_path / "run", tmp_path / "sign"
    hang = f"open({str(sign)!r}, 'w').write(str(os.getpid()) + chr(10))\nwhile True: pass"
    *_, last = smoke_cells()
    own = write_kernel(tmp_path, {mark_of(last): hang})
    command = command_of(own, CELLS, "-q", "-k", "reaches", "--record", str(run))
    # What a shell runs in the background ignores Ctrl-C, and so would this.
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, preexec_fn=heard) as session:
        while not (sign.exists() and sign.read_text().endswith("\n")):
            assert session.poll() is None
            time.sleep(0.05)
        session.send_signal(signal.SIGINT)
        session.communicate(timeout=120)
    assert session.returncode == 2
    assert ended(int(sign.read_text()))
    found = read_run(run)
    assert found.records
    assert not found.manifest.finished


CRASH = """
import os

def pytest_runtest_call(item):
    if {key!r} in item.nodeid:
        os._exit(0)
"""


def test_a_process_of_xdist_that_is_lost_leaves_the_run_unfinished(tmp_path: Path) -> None:
    victim, run = smoke_cells()[0], tmp_path / "run"
    (tmp_path / "crash.py").write_text(CRASH.format(key=key_of(victim)), encoding="utf-8")
    own = write_kernel(tmp_path, {})
    options = "-n", "2", "-p", "crash", "-k", "reaches", "--record", str(run)
    ran = run_pytest(own, CELLS, *options, PYTHONPATH=str(tmp_path))
    assert ran.returncode == 1, ran.stdout + ran.stderr
    found = read_run(run)
    assert not found.manifest.finished
    assert key_of(victim) not in [record.key for record in found.records]
    assert len(found.records) == 8


def test_a_directory_that_holds_another_run_is_refused_before_a_test_has_run(tmp_path: Path) -> None:
    own, run = write_kernel(tmp_path, {}), tmp_path / "run"
    assert run_pytest(own, CELLS, "-q", "-k", "equal and reaches", "--record", str(run)).returncode == 0
    before = (run / "manifest.json").read_bytes(), (run / "cells.jsonl").read_bytes()
    assert not read_run(run).manifest.finished
    ran = run_pytest(own, CELLS, "-k", "reaches", "--record", str(run), "--operation", "log_softmax")
    assert ran.returncode == 4
    assert f"--record: {run} holds a run with another " in ran.stderr
    assert "collected" not in ran.stdout
    assert ((run / "manifest.json").read_bytes(), (run / "cells.jsonl").read_bytes()) == before
