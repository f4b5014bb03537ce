"""Small finished runs that the tests of this folder read and copy."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from reports.measuring import run_measurements
from reports.records import Run
from reports.run_directory import read_run
from suites.implementations.catalogue import CATALOGUE, of_frameworks
from suites.plan import Selection


@pytest.fixture(scope="session")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Selection], Run]:
    """Measures implementations of a framework, or one by its name, into a directory of its own."""

    def measure(name: str, selection: Selection) -> Run:
        implementations = [CATALOGUE[name]] if name in CATALOGUE else of_frameworks((name,))
        path = tmp_path_factory.mktemp("run") / "run"
        return run_measurements(path, implementations, selection, lambda *_: None, timing=False).run

    return measure


@pytest.fixture(scope="session")
def finished(measured: Callable[[str, Selection], Run]) -> Run:
    """NumPy's recipes on short and long rows, tame, dominated and special; nobody changes it."""
    families = ("gauss1", "dominant", "special")
    return measured(
        "numpy", Selection("smoke", quantities=("forward", "vjp"), formats=("binary32",), families=families)
    )


@pytest.fixture
def copied(finished: Run, tmp_path: Path) -> Run:
    """A copy to spoil."""
    shutil.copytree(finished.path, tmp_path / "copy")
    return read_run(tmp_path / "copy")
