"""Baselines: small, sorted, the same text for the same figures, and read back as what they say."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from reports.compare.baseline import baseline_lines, conditions, read_baseline
from reports.compare.pairing import stored
from reports.console.exits import INCOMPLETE, OK, USAGE
from reports.run.records import MeasuredProfile, Run, RunError
from reports.tests.conftest import Command
from reports.tests.synthetic import Line, cell, drawn_cells, drawn_lines, line, write_run

SETTINGS = {"torch": {"cpu capability": "AVX2", "threads": "1", "XLA_FLAGS": ""}}


def text_of(tmp_path: Path, lines: list[Line], **manifest: Any) -> str:
    run = write_run(tmp_path / "run", lines, settings=SETTINGS, **manifest)
    return "".join(baseline_lines(stored(run)))


def read_text(tmp_path: Path, text: str) -> Any:
    (tmp_path / "baseline.jsonl").write_text(text, encoding="utf-8")
    return read_baseline(tmp_path / "baseline.jsonl")


def test_a_baseline_is_sorted_text_with_two_digits(tmp_path: Path) -> None:
    lines = [
        line(cell(8), [1.0, 3.449]),
        line(cell(998), [0.0041], bound_ratio=1.6e7),
        line(cell(7, layout="inner"), [None]),
        line(
            cell(1, family="special"),
            verdict="wrong",
            outcomes={"nan_for_number": 3, "underflow": 1},
            infinite_ratios=4,
        ),
        line(cell(0, implementation="torch/compile"), flushes=True),
    ]
    assert text_of(tmp_path, lines) == (
        '{"schema": 1, "tier": "standard", "versions": {"torch": "2.9.0"}, '
        '"measured_on": {"torch": "Some CPU; cpu capability AVX2; threads 1"}, "flushes": ["torch"]}\n'
        '{"input": "binary32/gauss1", "sha256": {"2": "000000000000", "9": "000000000000", "10": "000000000000", '
        '"1000": "000000000000"}}\n'
        '{"input": "binary32/special", "sha256": {"3": "000000000000"}}\n'
        '{"cells": "torch/compile/default/softmax/forward/binary32/gauss1", "last": {"2": ["accurate",2.5,0.0025]}}\n'
        '{"cells": "torch/eager/default/softmax/forward/binary32/gauss1", "inner": {"9": ["n/a",null,null]}, '
        '"last": {"10": ["accurate",3.4,0.0034], "1000": ["unstable",0.0041,1.6e7]}}\n'
        '{"cells": "torch/eager/default/softmax/forward/binary32/special", "last": {"3": ["wrong",2.5,"inf",3]}}\n'
    )


def test_figures_that_move_by_less_than_two_digits_make_no_difference_to_read(tmp_path: Path) -> None:
    one = text_of(tmp_path / "one", [line(cell(), [3.41])], created="2026-01-01", seconds={"total": 1.0})
    two = text_of(tmp_path / "two", [line(cell(), [3.44], output_sha256="2" * 64)], created="2026-02-02")
    assert one == two


def test_a_baseline_is_read_back(tmp_path: Path) -> None:
    cells = [cell(0), cell(998, layout="inner"), cell(2, implementation="torch/a/b", family="special")]
    lines = [
        line(cells[0], [0.75], verdict="faithful"),
        line(cells[1], [None]),
        line(cells[2], verdict="wrong", outcomes={"nan_for_number": 3}, infinite_ratios=1),
    ]
    baseline = read_text(tmp_path, text_of(tmp_path, lines))
    assert [baseline.sides[of.key].cell for of in cells] == cells
    assert (baseline.tier, baseline.measured_on) == ("standard", {"torch": "Some CPU; cpu capability AVX2; threads 1"})
    figures = [baseline.sides[of.key].figures for of in cells]
    assert [(f.verdict, f.max_ulp, f.bound_ratio, f.off) for f in figures] == [
        ("faithful", 0.75, 0.00075, 0),
        ("n/a", None, None, 0),
        ("wrong", 2.5, math.inf, 3),
    ]
    assert {(f.framework, f.version, f.input_sha256, f.flushes) for f in figures} == {
        ("torch", "2.9.0", "0" * 12, False)
    }


def test_every_profile_says_what_its_figures_were_measured_on(tmp_path: Path) -> None:
    other = MeasuredProfile("threads-2", "torch", "cpu", "python", "3", {}, {"threads": "2"}, {"threads": "2"}, None)
    assert read_text(tmp_path, text_of(tmp_path, [line(cell())], profiles=[other])).measured_on == {
        "torch": "Some CPU; cpu capability AVX2; threads 1",
        "torch threads-2": "Some CPU; threads 2",
    }


def test_a_users_own_implementation_belongs_to_the_framework_that_there_is(tmp_path: Path) -> None:
    mine = cell(implementation="kernel/softmax")
    baseline = read_text(tmp_path, text_of(tmp_path, [line(mine, framework="torch")]))
    assert baseline.sides[mine.key].figures.framework == "torch"


def test_a_run_directory_is_a_baseline_with_all_that_it_keeps(finished: Run) -> None:
    baseline = read_baseline(finished.path)
    assert list(baseline.sides) == [record.key for record in finished.records]
    side = baseline.sides[finished.records[0].key]
    assert side.figures.output_sha256 == finished.records[0].output_sha256
    assert side.maxima is not None
    assert baseline.measured_on == {"numpy": conditions(finished.manifest.cpu, finished.manifest.settings["numpy"])}


def test_a_plan_of_ten_thousand_cells_makes_a_few_hundred_kilobytes(tmp_path: Path) -> None:
    text = text_of(tmp_path, list(drawn_lines(drawn_cells(10_000), 1)))
    assert len(text) < 600_000
    assert max(map(len, text.splitlines())) < 4_000


# -- the verb, and damage --------------------------------------------------------------------------------------------


def test_the_verb_writes_the_file_or_to_the_terminal(command: Command, finished: Run, tmp_path: Path) -> None:
    ran = command("baseline", finished.path, "--out", "base.jsonl")
    assert (ran.code, ran.out, ran.err) == (OK, "", "wrote base.jsonl\n")
    text = (tmp_path / "base.jsonl").read_text(encoding="utf-8")
    assert command("baseline", finished.path).out == text
    assert all(json.loads(line, parse_constant=pytest.fail) for line in text.splitlines())


def test_the_baseline_of_an_incomplete_run_is_written_and_said(command: Command, tmp_path: Path) -> None:
    write_run(tmp_path / "run", [line(cell())], finished=False, planned=2)
    ran = command("baseline", "run", "--out", "base.jsonl")
    assert ran.code == INCOMPLETE
    assert ran.err.splitlines()[-1] == "run is incomplete, and so is its baseline"
    assert (tmp_path / "base.jsonl").exists()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ("nowhere", "nowhere is no run directory: "),
        ("", "Missing argument 'RUN'"),
    ],
)
def test_a_mistake_is_one_line(command: Command, arguments: str, complaint: str) -> None:
    ran = command("baseline", *arguments.split())
    assert ran.code == USAGE
    assert complaint in ran.complaint()


HEAD = '{"schema": 1, "tier": "standard", "versions": {"torch": "2"}, "measured_on": {}, "flushes": []}\n'
INPUT = '{"input": "binary32/gauss1", "sha256": {"2": "000000000000"}}\n'


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("", 1),
        ("{}\n", 1),
        (HEAD.replace('"schema": 1', '"schema": 2'), 1),
        (HEAD + "[]\n", 2),
        (HEAD + INPUT[:-9] + "\n", 2),
        (
            HEAD
            + INPUT
            + '{"cells": "torch/eager/default/softmax/forward/binary32/gauss1", "last": {"2": ["good",1,1]}}\n',
            3,
        ),
        (
            HEAD
            + INPUT
            + '{"cells": "torch/eager/default/softmax/forward/binary32/gauss1", "last": {"3": ["wrong",1,1]}}',
            3,
        ),
        (HEAD + INPUT + '{"cells": "gauss1", "last": {}}\n', 3),
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, text: str, number: int) -> None:
    with pytest.raises(RunError, match=rf"baseline\.jsonl, line {number} is no line of a baseline \(.*; make it with "):
        read_text(tmp_path, text)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"base\.jsonl can't be read \(.*; make it with 'baseline RUN --out "):
        read_baseline(tmp_path / "base.jsonl")
