"""The known defects against a run: what is new, what an entry's figures are now, and the file with them put in."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest

from references.vocabulary import VERDICTS
from reports.defects import cells as program
from reports.defects.toml import rewritten
from reports.run.records import Run
from suites.known_defects import Defect, Failing, fingerprint, known_defects

ENTRY = """# A comment that stays.

[[defect]]
id = "naive"
title = "exp(x) / sum(exp(x)) overflows"
law = "P8"
framework = "numpy"
versions = ">=1"
implementation = "numpy/naive"
profile = "old"
verdict = "unstable"
bound_ratio = [0, 0]
cells = 0
fingerprint = ""

[[defect]]
id = "elsewhere"
title = "no cell of it is in this run"
law = "P8"
framework = "scipy"
versions = ">=1"
implementation = "scipy"
profile = "old"
verdict = "wrong"
bound_ratio = [1, 2]
cells = 3
fingerprint = "abc"
"""


@pytest.fixture
def entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of entries in the place of the project's."""
    file = tmp_path / "defects.toml"
    file.write_text(ENTRY, encoding="utf-8")
    loaded = known_defects(file)
    monkeypatch.setattr(program, "FILE", file)
    monkeypatch.setattr(program, "known_defects", lambda: loaded)
    return file


def failing_of(run: Run, implementation: str) -> list[Failing]:
    return [f for f in program.failing_cells(run) if f.cell.implementation == implementation]


def test_failing_cells_are_those_below_the_required_verdict(finished: Run) -> None:
    failing = program.failing_cells(finished)
    assert {f.cell.key for f in failing} == {r.key for r in finished.records if r.verdict in ("wrong", "unstable")}
    assert failing


def test_a_ratio_that_the_record_keeps_as_a_count_is_infinite(finished: Run) -> None:
    key = "numpy/naive/default/softmax/forward/binary32/last/special/3"
    (found,) = [f for f in program.failing_cells(finished) if f.cell.key == key]
    assert found.bound_ratio == math.inf


def test_figures_new_failures_and_entries_without_any_are_printed(
    finished: Run, entries: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert program.main([str(finished.path)]) == 1
    lines = capsys.readouterr().out.splitlines()
    mine = failing_of(finished, "numpy/naive")
    assert lines[0].startswith("naive  ")
    assert lines[0].endswith(f'  {len(mine)}  "{fingerprint(f.cell for f in mine)}"')
    assert lines[1] == "elsewhere  no cell of this run fails"
    others = {f.cell.implementation for f in program.failing_cells(finished)} - {"numpy/naive"}
    assert others
    assert {line.split("  ")[1] for line in lines[2:]} == others
    assert all(line.startswith("NEW  ") for line in lines[2:])
    assert entries.read_text(encoding="utf-8") == ENTRY


def test_written_figures_are_those_of_the_run_and_contradict_nothing(finished: Run, entries: Path) -> None:
    program.main([str(finished.path), "--write"])
    again = entries.with_name("again.toml")
    again.write_text(entries.read_text(encoding="utf-8"), encoding="utf-8")
    naive, elsewhere = known_defects(again)
    mine = failing_of(finished, "numpy/naive")
    assert naive.cells == len(mine)
    assert naive.verdict == min((f.verdict for f in mine), key=VERDICTS.index)
    assert naive.contradictions(mine, naive.profile, complete=True) == []
    assert (elsewhere.profile, elsewhere.cells, elsewhere.fingerprint) == ("old", 3, "abc")


def test_rewriting_changes_the_measured_lines_of_the_named_entry_alone() -> None:
    changed = rewritten(ENTRY, "defect", {"naive": {"cells": "7", "bound_ratio": "[1.5, inf]", "profile": r'"a\\1"'}})
    old, new = ENTRY.splitlines(), changed.splitlines()
    assert [(a, b) for a, b in zip(old, new, strict=True) if a != b] == [
        ('profile = "old"', r'profile = "a\\1"'),
        ("bound_ratio = [0, 0]", "bound_ratio = [1.5, inf]"),
        ("cells = 0", "cells = 7"),
    ]


def test_figures_of_a_version_that_has_none_are_shown_and_not_written(
    finished: Run, entries: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    old = known_defects(entries)
    elsewhere = tuple(dataclasses.replace(d, versions="<1", also=">=1") for d in old)
    monkeypatch.setattr(program, "known_defects", lambda: elsewhere)
    program.main([str(finished.path), "--write"])
    assert "naive  " in capsys.readouterr().out
    assert entries.read_text(encoding="utf-8") == ENTRY


def test_a_run_in_which_every_failure_is_known_exits_with_0(
    finished: Run, entries: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = ENTRY.replace('implementation = "numpy/naive"', f"implementation = {sorted(all_implementations(finished))}")
    everything = entries.with_name("everything.toml")
    everything.write_text(text, encoding="utf-8")
    loaded: tuple[Defect, ...] = known_defects(everything)
    monkeypatch.setattr(program, "known_defects", lambda: loaded)
    assert program.main([str(finished.path)]) == 0


def all_implementations(run: Run) -> set[str]:
    return {record.implementation for record in run.records}


@pytest.mark.parametrize("arguments", [[], ["one", "two"], ["--write"]])
def test_anything_but_one_run_is_a_mistake_in_use(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(arguments) == 2
    assert capsys.readouterr().err == "usage: python -m reports.defects.cells RUN [--write]\n"


def test_a_directory_that_is_no_run_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main([str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith(f"{tmp_path} is no run directory")
