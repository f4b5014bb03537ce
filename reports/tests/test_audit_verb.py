"""Whole audits of small selections: the answer, going on after a kill, and what is said of what can't be audited."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reports.audit.environments import Environment
from reports.console.exits import INCOMPLETE, OK, USAGE, WORSE
from reports.measure.run import run_measurements
from reports.run.reader import read_run
from reports.run.writer import RunWriter
from reports.tests.conftest import Command
from suites.driver.pool import stop_workers

ROOT = Path(__file__).parents[2]
BOTH = ("--old-python", sys.executable, "--new-python", sys.executable)
FEW = ("--framework", "numpy", "--tier", "smoke", "--format", "binary64", "--operation", "softmax")
FEW_CELLS = 54


@pytest.fixture(autouse=True)
def no_worker_left() -> Iterator[None]:
    yield
    stop_workers()


# -- the answer ------------------------------------------------------------------------------------------------------


def test_a_version_held_against_itself_is_identical_and_signed_off(command: Command, tmp_path: Path) -> None:
    ran = command("audit", *BOTH, *FEW, "--out", "here", "--markdown", "audit.md", "--json", "audit.json")
    assert ran.code == OK
    version = read_run(tmp_path / "here" / "old").records[0].version
    assert ran.out.splitlines()[-1] == f"numpy {version}: signed off; {FEW_CELLS} cells: {FEW_CELLS} identical."
    assert "Packages, machine, settings and flags are the same: every cell should be identical." in ran.out
    assert json.loads((tmp_path / "audit.json").read_text(encoding="utf-8"))["counts"] == {"identical": FEW_CELLS}
    assert (tmp_path / "audit.md").is_file()
    manifest = json.loads((tmp_path / "here" / "audit.json").read_text(encoding="utf-8"))
    assert manifest["old"]["frameworks"] == ["numpy"]
    assert manifest["new"]["packages"]["numpy"] == version


def test_both_sides_get_the_same_bits(command: Command, tmp_path: Path) -> None:
    assert command("audit", *BOTH, *FEW, "--family", "gauss1", "--out", "here").code == OK
    old, new = (read_run(tmp_path / "here" / side).manifest for side in ("old", "new"))
    assert old.inputs_sha256 == new.inputs_sha256
    assert old.finished
    assert new.finished


def test_what_got_worse_is_reported_and_exits_with_1(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measured(path: Path, *arguments: Any, **options: Any) -> Any:
        outcome = run_measurements(path, *arguments, **options)
        if path.name == "new":  # as if the new version had written where it may not
            file = path / "cells.jsonl"
            lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
            for line in lines:
                line.update(output_sha256="0" * 64, verdict="wrong")
                line["outcomes"]["touched_memory"] = 1
                line["worst"]["outcome"] = "touched_memory"
            file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        return outcome

    monkeypatch.setattr("reports.audit.session.run_measurements", measured)
    ran = command("audit", *BOTH, *FEW, "--family", "offset", "--out", "here")
    assert ran.code == WORSE
    assert ran.out.splitlines()[-1].startswith("numpy ")
    assert "not signed off" in ran.out.splitlines()[-1]
    assert "accurate → wrong" in ran.out


def test_requirements_lead_to_environments_of_which_each_measures_its_side(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str, str]] = []

    def environment(requirements: Any, *, python: str, installer: str, log: Path, say: Any) -> Environment:
        asked.append((requirements.text, installer, log.name))
        return Environment(Path(sys.executable), "3", {"numpy": requirements.text[-1]}, "", "", cached=True)

    monkeypatch.setattr("reports.audit.sides.environment_of", environment)
    small = (*FEW[2:], "--family", "gauss1", "--out", "here")
    assert command("audit", "numpy==1", "numpy==2", *small).code == OK
    assert asked == [("numpy==1", "pip", "old-pip.log"), ("numpy==2", "pip", "new-pip.log")]
    ran = command("audit", "numpy==1", "numpy==3", *small)
    assert ran.code == USAGE
    said = "here holds an audit of numpy==1 (numpy 1) against numpy==2 (numpy 2); choose another --out, or remove it"
    assert ran.err.splitlines()[-1] == f"softmax-accuracy: {said}"


# -- interruptions ---------------------------------------------------------------------------------------------------


def test_a_killed_audit_goes_on_and_measures_no_finished_cell_again(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("audit", *BOTH, *FEW, "--out", "here")
    killed = subprocess.Popen(
        [sys.executable, "-m", "reports", *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    cells = tmp_path / "here" / "new" / "cells.jsonl"
    while not (cells.exists() and cells.read_bytes().count(b"\n") > 3):
        assert killed.poll() is None
        time.sleep(0.005)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    old = (tmp_path / "here" / "old" / "cells.jsonl").read_bytes()
    finished = cells.read_bytes().count(b"\n")
    assert finished < FEW_CELLS

    added: list[str] = []
    add = RunWriter.add

    def counting(self: RunWriter, record: Any, maxima: Any) -> None:
        added.append(record.key)
        add(self, record, maxima)

    monkeypatch.setattr(RunWriter, "add", counting)
    ran = command(*arguments)
    assert ran.code == OK
    assert len(added) == FEW_CELLS - finished
    assert (tmp_path / "here" / "old" / "cells.jsonl").read_bytes() == old
    assert f"{FEW_CELLS} cells: {FEW_CELLS} identical." in ran.out


def test_ctrl_c_while_measuring_says_how_to_go_on(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("reports.audit.session.run_measurements", interrupted)
    ran = command("audit", *BOTH, *FEW, "--out", "here")
    assert ran.code == INCOMPLETE
    assert ran.err.splitlines()[-1] == (
        "interrupted; the finished cells are kept in here: the same command goes on from there"
    )


# -- what can't be audited -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("numpy==2.4.6",), "audit takes 2 REQ here, one for each side without a Python, not 1"),
        ((*BOTH, "numpy==2.4.6"), "audit takes 0 REQ here"),
        (("numpy==1", "jax==0.4.38"), "'numpy==1' has numpy and 'jax==0.4.38' jax: there is no framework in both"),
        (("numpy==1", "numpy==2", "--framework", "jax"), "--framework jax: 'numpy==1' has none"),
        (("numpy==1", "numpy==2", "--framework", "pandas"), "unknown framework 'pandas'"),
        (("numpy==1", "numpy==2", "--tier", "long"), "unknown tier 'long'"),
        (("numpy==1", "numpy==2", "--fail-on", "much"), "unknown --fail-on 'much'"),
        (("numpy==1", "numpy==2", "--installer", "conda"), "unknown installer 'conda'; known are pip, uv"),
        (("numpy==1", "numpy==2", "--python", "nowhere"), "--python 'nowhere' is no program"),
        (("--old-python", "nowhere", "numpy==2"), "--old-python 'nowhere' is no program"),
        (("--old-python", sys.executable, "--new-python", "nowhere"), "--new-python 'nowhere' is no program"),
        ((*BOTH, *FEW, "--device", "cuda"), "these filters select no cell"),
        ((*BOTH, *FEW, "--allow", "nowhere.toml"), "nowhere.toml"),
    ],
)
def test_words_that_mean_nothing_are_named_before_anything_is_built(
    command: Command, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    ran = command("audit", *arguments)
    assert ran.code == USAGE
    assert said in ran.complaint()
    assert list(tmp_path.iterdir()) == []


def test_a_wheel_that_does_not_import_is_one_line_with_its_reason(command: Command, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(broken)], check=True)
    (packages,) = broken.glob("lib/*/site-packages")
    (packages / "numpy").mkdir()
    (packages / "numpy" / "__init__.py").write_text("raise ImportError('libmissing.so: no such file')\n", "utf-8")
    (packages / "numpy-9.9.dist-info").mkdir()
    (packages / "numpy-9.9.dist-info" / "METADATA").write_text("Name: numpy\nVersion: 9.9\n", "utf-8")
    ran = command("audit", "--old-python", broken / "bin" / "python", "--new-python", sys.executable, *FEW)
    assert ran.code == USAGE
    assert f"'{broken / 'bin' / 'python'}' can't be measured: " in ran.complaint()
    assert "ImportError: libmissing.so: no such file; choose other versions" in ran.complaint()
