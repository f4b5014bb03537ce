"""Causes in an audit: its options, and what it prints, with environments that are all the one that runs here."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reports.audit.environments import Environment, EnvironmentFailed
from reports.audit.experiments import Audited
from reports.console.exits import OK, USAGE
from reports.measure.run import run_measurements
from reports.tests.conftest import Command
from suites.driver.pool import stop_workers

FEW = (
    "--framework",
    "numpy",
    "--tier",
    "smoke",
    "--format",
    "binary32",
    "--quantity",
    "forward",
    "--profile",
    "default",
)
OFFSET = ("--operation", "softmax", "--family", "offset")
NEW = np.__version__
CELL = "numpy/shifted/default/softmax/forward/binary32/last/offset/2"


@pytest.fixture(autouse=True)
def no_worker_left() -> Iterator[None]:
    yield
    stop_workers()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """NumPy 0.1 and 0.2 have other bits than 0.3 and the real one; 0.25 can't be installed.  What was asked for."""
    requirements: list[str] = []

    def environment(asked: Any, *, python: str, installer: str, log: Path, say: Any) -> Environment:
        text = asked if isinstance(asked, str) else asked.text
        requirements.append(text)
        if "0.25" in text:
            raise EnvironmentFailed("no wheel")
        return Environment(Path(sys.executable), "3", {"numpy": NEW}, "", "", cached=True)

    def measured(path: Path, *arguments: Any, **options: Any) -> Any:
        outcome = run_measurements(path, *arguments, **options)
        if path.name in ("old", "numpy-0.1", "numpy-0.2"):
            _make_old(path)
            outcome.run.records[:] = _records(path)
        return outcome

    def released(package: str, interpreter: str, log: Path) -> tuple[str, ...]:
        return "0.1", "0.2", "0.25", "0.3", NEW

    for module in ("audit.sides", "audit.experiments"):
        monkeypatch.setattr(f"reports.{module}.environment_of", environment)
    for module in ("audit.session", "causes.first_version"):
        monkeypatch.setattr(f"reports.{module}.run_measurements", measured)
    monkeypatch.setattr("reports.audit.experiments.released", released)
    return requirements


def _make_old(path: Path) -> None:
    lines = [json.loads(line) | {"output_sha256": "0" * 64} for line in _text(path / "cells.jsonl").splitlines()]
    (path / "cells.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    manifest = _text(path / "manifest.json").replace(f'"numpy": "{NEW}"', '"numpy": "0.1"')
    (path / "manifest.json").write_text(manifest, encoding="utf-8")


def _records(path: Path) -> Any:
    from reports.run.reader import read_run

    return read_run(path).records


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def test_an_audit_shows_causes_and_the_first_version(command: Command, tmp_path: Path, asked: list[str]) -> None:
    sides = "numpy==0.1", f"numpy=={NEW}"
    ran = command(
        "audit", *sides, *FEW, *OFFSET, "--out", "here", "--bisect", CELL, "--json", "a.json", "--html", "a.html"
    )
    assert ran.code == OK
    told = ran.out.splitlines()
    assert f"    because: numpy 0.1 → {NEW}, and nothing else that it depends on differs" in told
    assert f"Bisection: {CELL}: other bits first in numpy 0.3; 0.2 still has the old ones; " in "\n".join(told)
    assert "not measurable between the two: 0.25" in ran.out
    assert asked == [*sides, "numpy==0.25", "numpy==0.2", "numpy==0.3"]
    assert "numpy 0.25: not measurable: no wheel" in ran.err
    found = json.loads(_text(tmp_path / "a.json"))["causes"]["bisection"]
    assert (found["last"], found["first"], found["skipped"]) == ("0.2", "0.3", ["0.25"])
    assert "<h3>Bisection</h3>" in _text(tmp_path / "a.html")
    assert sorted(p.name for p in (tmp_path / "here" / "bisect").iterdir()) == ["numpy-0.2", "numpy-0.3"]


@pytest.mark.usefixtures("asked")
@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (
            ("numpy==0.1", f"numpy=={NEW}", "--bisect", "abc"),
            "--bisect 'abc' names no cell with other bits; give worst, ",
        ),
        (
            ("--old-python", sys.executable, "--new-python", sys.executable, "--bisect", "worst"),
            "--bisect 'worst' needs versions to install; give REQ_OLD and REQ_NEW, not a Python",
        ),
    ],
)
def test_a_bisection_that_can_t_be_is_one_line(command: Command, options: tuple[str, ...], complaint: str) -> None:
    ran = command("audit", *options, *FEW, *OFFSET, "--out", "here")
    assert ran.code == USAGE
    assert complaint in ran.err.splitlines()[-1]


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        (("jax==0.4.38", "jax==0.10.2 numpy==2.4.6"), ("jax", "numpy")),
        (("torch<2.13", "ml-dtypes[extra]>=0.5"), ("torch", "ml_dtypes")),
        (("wheels/jaxlib-0.4.38-cp312-cp312-linux_x86_64.whl", "SciPy~=1.17"), ("jaxlib", "scipy")),
    ],
)
def test_packages_are_named_as_runs_name_them(asked: tuple[str, str], named: tuple[str, ...]) -> None:
    from types import SimpleNamespace

    sides: Any = tuple(SimpleNamespace(asked=text) for text in asked)
    none: Any = None
    assert Audited(none, sides, "python", "pip", Path(), print).named == named
