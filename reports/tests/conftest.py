"""What the tests of this folder share: small finished runs to read and copy, and the console script."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from reports.entry import main
from reports.measure.run import run_measurements
from reports.run.reader import read_run
from reports.run.records import Run
from suites.implementations.catalogue import CATALOGUE, of_frameworks
from suites.plan.cell import Selection


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


@dataclass(frozen=True)
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str

    def complaint(self) -> str:
        """The one line on stderr."""
        assert self.err.count("\n") == 1
        assert self.err.startswith("softmax-accuracy: ")
        assert "Traceback" not in self.err
        return self.err.removeprefix("softmax-accuracy: ").rstrip("\n")


Command = Callable[..., Ran]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    """Runs the console script in this process and an empty directory."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["softmax-accuracy", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        assert isinstance(left.value.code, int)
        told = capsys.readouterr()
        return Ran(left.value.code, told.out, told.err)

    return run
