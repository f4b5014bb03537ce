"""What a measurement is held to: what is wrong stays wrong whatever is missing, and is named worst first."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reports.console.exits import INCOMPLETE, OK, WORSE
from reports.measure.gate import figures, gate, missing_of, worse_than
from reports.run.records import Unmeasured
from reports.run.writer import RunWriter
from reports.tests.conftest import Command
from reports.tests.synthetic import record
from reports.tests.test_cli import TINY
from suites.scoring.certified_batch import CertificationError

SMOKE = ("--framework", "numpy", "--tier", "smoke")

ZEROS = """
import numpy as np

def softmax(x, axis):
    if axis != x.ndim - 1:
        raise NotImplementedError("the last axis alone")
    return np.zeros_like(x)
"""

SHIFTED = """
import numpy as np

def softmax(x, axis):
    if axis != x.ndim - 1:
        raise NotImplementedError("the last axis alone")
    if x.dtype == np.float16:
        raise TypeError("no binary16")
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)
"""


def test_wrong_cells_exit_with_1_whatever_is_missing_and_both_are_reported(command: Command, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(ZEROS, encoding="utf-8")
    own = ("--implementation", "mine.py:softmax", "--operation", "softmax")
    ran = command("measure", *SMOKE, *own, "--require", "stable", "--out", "run")
    assert ran.code == WORSE
    first, *worse, total = ran.err.splitlines()
    assert " need layout inner, which mine/softmax does not support (NotImplementedError: the last axis alone)" in first
    assert first.endswith("; leave them out with --layout last")
    assert len(worse) == 10
    assert all(line.startswith("worse than stable: wrong: mine/softmax/default/softmax/") for line in worse)
    assert all("zero for a number in " in line and " of the bound; " in line for line in worse)
    assert " cells are worse than stable; incomplete too: " in total
    assert command("measure", *SMOKE, *own, "--out", "run").code == INCOMPLETE  # nothing was required


def test_a_kernel_meets_what_is_required_of_what_it_can_do(command: Command, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(SHIFTED, encoding="utf-8")
    own = ("--implementation", "mine.py:softmax", "--operation", "softmax", "--require", "storage-stable")
    ran = command("measure", *SMOKE, *own, "--out", "whole")
    assert ran.code == INCOMPLETE
    *lost, last = ran.err.splitlines()
    assert last.startswith("incomplete: ")
    assert last.endswith(" none is worse than storage-stable")
    assert len(lost) == 2
    options = [word for line in lost for word in line.partition("leave them out with ")[2].split()]
    assert options[0::2] == ["--format", "--format", "--layout"]
    ran = command("measure", *SMOKE, *own, *options, "--out", "part")
    assert (ran.code, ran.err) == (OK, "")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), CertificationError("the oracle contradicts the reference")])
def test_what_ends_a_run_does_not_hide_what_is_wrong_already(
    command: Command, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    added: list[str] = []
    add = RunWriter.add

    def adding(self: RunWriter, *arguments: Any) -> None:
        if len(added) == 6:
            raise error
        add(self, *arguments)
        added.append(arguments[0].key)

    monkeypatch.setattr(RunWriter, "add", adding)
    ran = command("measure", *TINY, "--require", "correctly rounded", "--out", "run")
    assert ran.code == WORSE
    assert "worse than correctly rounded: " in ran.err
    assert "; incomplete too: " in ran.err.splitlines()[-1]


def test_the_worst_come_first_and_the_rest_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    found = [record(row_length=k, verdict="unstable", bound_ratio=float(k), outcomes={}) for k in range(2, 20)]
    found += [record(family="equal", verdict="wrong", bound_ratio=None, max_ulp=None, outcomes={"nan_for_number": 3})]
    found += [record(family="offset", verdict="wrong", bound_ratio=1e9, infinite_ratios=0, outcomes={"underflow": 1})]
    found += [record(family="masked", verdict="wrong", bound_ratio=None, infinite_ratios=2, outcomes={"underflow": 2})]
    found += [record(family="long", verdict="stable"), record(family="geometric", verdict="n/a")]
    worse = worse_than(found, "stable")
    assert [r.family for r in worse[:3]] == ["masked", "offset", "equal"]
    assert [r.row_length for r in worse[3:5]] == [19, 18]
    assert gate(found, "stable", []) == WORSE
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 11
    assert lines[-1] == "21 of 23 cells are worse than stable"
    assert "NaN for a number in 3 of " in lines[2]
    assert lines[2].split(": ")[3].startswith("no finite error; ")
    assert figures(worse[0]).split("; ")[1] == "∞ of the bound"


def test_nothing_required_and_nothing_missing_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    assert gate([record(verdict="wrong")], None, []) == OK
    assert gate([record(verdict="wrong")], None, ["1 cell lost"]) == INCOMPLETE
    assert capsys.readouterr().err == ""


CARD, ABSENT = Unmeasured("jax", "no card", "cuda"), Unmeasured("torch", "torch is not installed")


@pytest.mark.parametrize(
    ("unmeasured", "frameworks", "device", "require_device", "missing"),
    [
        ([ABSENT], (), "cpu", False, []),
        ([ABSENT], ("torch",), "cpu", False, ["torch is not there"]),
        ([Unmeasured("scipy", "it needs torch", implementation="scipy/torch-arrays")], ("scipy",), "cpu", True, []),
        ([CARD], (), "cuda", False, []),  # another framework has it
        ([CARD], ("jax",), "cuda", False, ["jax cuda is not there"]),
        ([CARD], ("jax",), "all", False, []),
        ([CARD], (), "all", True, ["jax cuda is not there"]),
        ([CARD], (), "cuda", True, ["jax cuda is not there"]),
        ([Unmeasured("jax", "no AVX-512", "xla-avx2")], ("jax",), "cpu", True, []),
    ],
)
def test_what_is_named_has_to_be_there(
    unmeasured: list[Unmeasured], frameworks: tuple[str, ...], device: str, require_device: bool, missing: list[str]
) -> None:
    named: dict[str, Any] = {"frameworks": frameworks, "device": device, "require_device": require_device}
    assert missing_of(0, 5, 5, unmeasured, **named) == missing
    assert missing_of(2, 5, 7, unmeasured, **named) == ["2 cells lost", *missing]
    assert missing_of(0, 0, 0, unmeasured, **named)[-1] == "no cell was measured"
    assert missing_of(0, 5, 9, [], **named) == ["4 of 9 cells are missing"]


def test_a_card_that_is_named_alone_and_not_there_leaves_nothing_measured(command: Command) -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a card")
    chosen = ("--tier", "smoke", "--family", "special", "--format", "binary32", "--framework", "torch")
    assert command("measure", *chosen, "--device", "cuda", "--out", "run").code == INCOMPLETE


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (
            [],
            "kernels.py:my_log is judged as log_softmax, by its name; if it is softmax, add --operation softmax\n",
        ),
        (["--operation", "softmax"], ""),
    ],
)
def test_what_a_function_is_taken_for_is_said_with_how_to_overrule_it(
    command: Command, tmp_path: Path, option: list[str], said: str
) -> None:
    text = "import numpy as np\ndef my_log(x, axis):\n    return x\n"
    (tmp_path / "kernels.py").write_text(text, encoding="utf-8")
    chosen = (*SMOKE, "--format", "binary32", "--family", "gauss1", *option)
    ran = command("measure", *chosen, "--implementation", "kernels.py:my_log", "--out", "run")
    assert ran.err == said
    cells = (tmp_path / "run" / "cells.jsonl").read_text(encoding="utf-8").splitlines()
    assert {json.loads(line)["operation"] for line in cells} == {option[-1] if option else "log_softmax"}
