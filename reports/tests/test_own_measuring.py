"""Measuring one's own file: whatever it does is a line or a lost cell, and the driver computes as before."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from references.ieee.float_state import what_is_off
from reports.console.exits import INCOMPLETE, OK, USAGE
from reports.run.reader import read_lost, read_run
from reports.tests.conftest import Command
from reports.tests.test_cli import TINY
from suites.driver.own_functions import declared
from suites.driver.pool import stop_workers
from suites.implementations.implementation import Implementation

SOUND = """
import numpy as np

def softmax(x, axis):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)
"""
NARROW = ("--tier", "smoke", "--format", "binary32", "--family", "gauss1", "--quantity", "forward")


@pytest.fixture(autouse=True)
def no_worker_left() -> Iterator[None]:
    yield
    stop_workers()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("import os\nos._exit(0)\n", "can't be imported: the worker exited with 0; a file that is measured should "),
        ("raise SystemExit(0)\n", "can't be imported: SystemExit: 0 (line 1)"),
        ("raise KeyboardInterrupt\n", "can't be imported: KeyboardInterrupt (line 1)"),
        ("import os\nos.kill(os.getppid(), 9)\nos.abort()\n", "can't be imported: the worker was ended by SIG"),
        ("def softmax(x, axis:\n", "can't be imported: SyntaxError: '(' was never closed (own.py, line 1)"),
        ("print('x' * 10_000_000)\nnumber = 1\n", "has no function 'softmax'"),
    ],
)
def test_a_file_that_can_not_be_had_is_a_line_and_leaves_no_run(
    command: Command, tmp_path: Path, text: str, complaint: str
) -> None:
    (tmp_path / "own.py").write_text(text, encoding="utf-8")
    ran = command("measure", *TINY, "--implementation", "own.py:softmax", "--operation", "softmax", "--out", "run")
    assert ran.code == USAGE
    assert ran.complaint().startswith(f"{tmp_path / 'own.py'} {complaint}")
    assert ran.out == ""
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_the_frameworks_report_it_alike(command: Command, tmp_path: Path, framework: str) -> None:
    if importlib.util.find_spec(framework) is None:
        pytest.skip(f"{framework} is not installed")
    (tmp_path / "own.py").write_text("import os\nos._exit(0)\n", encoding="utf-8")
    ran = command(
        "measure",
        "--framework",
        framework,
        *NARROW,
        "--implementation",
        "own.py:softmax",
        "--operation",
        "softmax",
        "--out",
        "run",
    )
    assert ran.code == USAGE
    assert ran.complaint().startswith(f"{tmp_path / 'own.py'} can't be imported: the worker exited with 0")


def test_what_lies_beside_a_file_is_imported_and_the_projects_modules_stay_its_own(
    command: Command, tmp_path: Path
) -> None:
    (tmp_path / "beside.py").write_text(SOUND, encoding="utf-8")
    for name in ("suites", "references", "reports"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise RuntimeError('not this one')\n", encoding="utf-8")
    (tmp_path / "own.py").write_text("from beside import softmax\n", encoding="utf-8")
    ran = command("measure", *TINY, "--implementation", "own.py:softmax", "--operation", "softmax", "--out", "run")
    assert (ran.code, ran.err) == (OK, "")


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the constants of fesetround are not known")
def test_a_file_that_changes_the_rounding_changes_its_own_results_alone(command: Command, tmp_path: Path) -> None:
    upward = "import ctypes\nctypes.CDLL(None).fesetround(0x800)\n"
    (tmp_path / "own.py").write_text(upward + SOUND, encoding="utf-8")
    ran = command("measure", *TINY, "--implementation", "own.py:softmax", "--operation", "softmax", "--out", "run")
    assert what_is_off() == ""
    assert ran.code == OK
    assert ran.err == (
        "importing own.py changes the arithmetic of its process: it rounds upward; its results are judged as they are\n"
    )
    (tmp_path / "own.py").write_text(SOUND.replace("    e =", f"    import ctypes; {upward.splitlines()[1]}\n    e ="))
    ran = command("measure", *TINY, "--implementation", "own.py:softmax", "--operation", "softmax", "--out", "again")
    assert ran.code == INCOMPLETE
    assert {lost.reason.partition(";")[0] for lost in read_lost(tmp_path / "again")} == {
        "it changed the floating-point state of its process: it rounds upward"
    }


def test_a_file_that_is_edited_during_a_run_is_not_measured_as_it_was(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that has to be started anew finds another file than the run began with."""
    file = tmp_path / "own.py"
    file.write_text(SOUND, encoding="utf-8")

    def edited_by_now(*arguments: Any) -> tuple[Implementation, str]:
        found = declared(*arguments)
        stop_workers()
        file.write_text(SOUND.replace("return e", "return 0 * e"), encoding="utf-8")
        return found

    monkeypatch.setattr("reports.measure.run.declared", edited_by_now)
    ran = command("measure", *TINY, "--implementation", "own.py:softmax", "--operation", "softmax", "--out", "run")
    assert ran.code == USAGE
    assert ran.complaint() == "own.py changed while run was measured; run the same command again"
    assert read_run(tmp_path / "run").records == []
    assert {lost.reason for lost in read_lost(tmp_path / "run")} == {
        "own.py has changed since the run began; run again"
    }


def test_a_function_that_has_lost_every_cell_is_not_observed_as_well(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its evaluations would cost as many workers again."""
    observed: list[list[Implementation]] = []
    monkeypatch.setattr("reports.measure.run.observe", lambda measured, *rest: observed.append(measured))
    (tmp_path / "own.py").write_text("def softmax(x, axis):\n    raise KeyboardInterrupt\n", encoding="utf-8")
    ran = command("measure", *TINY, "--implementation", "own.py:softmax", "--operation", "softmax", "--out", "run")
    assert ran.code == INCOMPLETE
    assert ran.err.splitlines()[0].endswith(": KeyboardInterrupt")
    (tmp_path / "own.py").write_text(SOUND, encoding="utf-8")
    assert (
        command("measure", *TINY, "--implementation", "own.py:softmax", "--operation", "softmax", "--out", "again").code
        == OK
    )
    assert [[i.name for i in each] for each in observed] == [[], ["own/softmax"]]


def test_a_driver_that_computes_otherwise_refuses(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("references.ieee.float_state.what_is_off", lambda: "subnormal results are flushed to zero")
    ran = command("measure", *TINY, "--out", "run")
    assert ran.code == USAGE
    assert ran.complaint().startswith(
        "this process doesn't compute as IEEE 754 says (subnormal results are flushed to zero), so nothing is judged"
    )
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("program", ["/bin/cat", "/usr/bin/yes", "/bin/true"])
def test_a_program_that_is_no_python_ends_with_a_line(command: Command, tmp_path: Path, program: str) -> None:
    ran = command("measure", *TINY, "--python", program, "--out", "run")
    assert ran.code == INCOMPLETE
    lines = ran.err.splitlines()
    assert 0 < len(lines) <= 7
    assert "can't be started: the worker " in lines[0]
    assert all(len(line) < 300 for line in lines)
