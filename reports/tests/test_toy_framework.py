"""A new framework is one folder: one that is declared in a test goes through every command, and no file is touched."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from reports.tests.toy_framework import put_toy

ROOT = Path(__file__).parents[2]


def started(arguments: list[str], variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """A Python process in the checkout, with the toy where it finds it."""
    path = os.pathsep.join([str(ROOT), variables["PYTHONPATH"]])
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, **variables, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return put_toy(tmp_path_factory.mktemp("toy"))


@pytest.fixture(scope="module")
def run(toy: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A smoke run of the toy alone."""
    place = tmp_path_factory.mktemp("run") / "run"
    done = started(["-m", "reports", "measure", "--framework", "toy", "--tier", "smoke", "--out", str(place)], toy)
    assert done.returncode == 0, done.stderr
    return place


def records(run: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (run / "cells.jsonl").read_text(encoding="utf-8").splitlines()]


def test_it_is_measured_with_its_version_and_its_paths(run: Path) -> None:
    found = records(run)
    assert {(r["framework"], r["version"]) for r in found} == {("toy", "1.2")}
    assert all(r["path"] == ["toy-formula"] for r in found)
    content = json.loads((run / "manifest.json").read_text(encoding="utf-8"))["content"]
    assert "toy" in content, "its files are part of what the run was made of"


def test_it_is_reported(run: Path, toy: dict[str, str]) -> None:
    done = started(["-m", "reports", "report", str(run)], toy)
    assert done.returncode == 0, done.stderr
    assert "toy/eager" in (run / "report.md").read_text(encoding="utf-8")


def test_it_is_explained(toy: dict[str, str]) -> None:
    done = started(["-m", "reports", "explain", "0", "1", "--format", "binary64"], toy)
    assert done.returncode == 0, done.stderr
    assert "toy.softmax(x, axis)" in done.stdout
    paths = started(["-m", "reports", "explain", "--path", "--shape", "4x9", "--format", "binary64"], toy)
    assert paths.returncode == 0, paths.stderr
    assert "toy-formula" in paths.stdout


def test_it_is_replayed_in_a_worker_and_as_a_script(run: Path, toy: dict[str, str], tmp_path: Path) -> None:
    worst = max(records(run), key=lambda r: float(str(r["max_ulp"] or 0)))
    fields = ("implementation", "profile", "operation", "quantity", "format", "layout", "family", "row_length")
    key = "/".join(str(worst[name]) for name in fields)
    done = started(["-m", "reports", "replay", str(run), key], toy)
    assert done.returncode == 0, done.stderr
    assert "the same figures" in done.stdout
    script = tmp_path / "script.py"
    script.write_text(started(["-m", "reports", "replay", str(run), key, "--script"], toy).stdout, encoding="utf-8")
    ran = started([str(script)], toy)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("toy 1.2\n")


def test_it_is_compared(run: Path, toy: dict[str, str]) -> None:
    done = started(["-m", "reports", "compare", str(run), str(run)], toy)
    assert done.returncode == 0, done.stderr
    assert "toy" in done.stdout


def test_its_cells_and_laws_are_tests(toy: dict[str, str]) -> None:
    words = ["-m", "pytest", "-q", "--framework", "toy", "--tier", "smoke", "suites/laws/test_differential.py"]
    done = started([*words, "suites/laws/test_laws.py", "-k", "toy"], toy)
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


def test_a_folder_without_a_declaration_is_one_line(toy: dict[str, str], tmp_path: Path) -> None:
    done = started(["-m", "reports", "explain", "0", "1"], {**toy, "SOFTMAX_ACCURACY_FRAMEWORKS": str(tmp_path)})
    assert done.returncode == 2
    assert "name the folder above it" in done.stderr
    assert "Traceback" not in done.stderr
