"""The verb ``compare``: options, accepted changes, exit codes, and what the pages and the JSON say."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest

from reports.compare.allowed import read_entries
from reports.console.exits import INCOMPLETE, NOTHING_COMPARED, OK, USAGE, WORSE
from reports.run.records import MeasuredProfile, Run
from reports.tests.conftest import Command
from reports.tests.synthetic import cell, line, write_run

NEW_BITS: dict[str, Any] = {"output_sha256": "2" * 64}
ROWS = [float(n) for n in range(1, 34)]
NAN_FOR_NUMBER = {"nan_for_number": 3}


@pytest.fixture
def runs(tmp_path: Path) -> None:
    """``old`` and ``new``: a cell that stays, one that is worse, one that breaks, and a special one that mends."""
    special = cell(5, family="special")
    old = [
        line(cell(0)),
        line(cell(1, format="binary16")),
        line(cell(2), ROWS),
        line(special, verdict="wrong", outcomes={"finite_for_nan": 2, "underflow": 1}),
    ]
    new = [
        line(cell(0)),
        line(cell(1, format="binary16"), verdict="storage-stable", **NEW_BITS),
        line(cell(2), ROWS, verdict="wrong", outcomes=NAN_FOR_NUMBER, infinite_ratios=3, bound_ratio=None, **NEW_BITS),
        line(special, outcomes={"underflow": 1}, **NEW_BITS),
    ]
    write_run(tmp_path / "old", old)
    write_run(tmp_path / "new", new, packages={"torch": "2.10.0", "numpy": "2.4.0", "mpmath": "1.3.0"})


def entry(**fields: str) -> str:
    usual = {
        "framework": '"torch"',
        "change": '["worse", "broken"]',
        "reason": '"known upstream"',
        "expires": "2999-12-31",
    }
    return "[[allow]]\n" + "".join(f"{key} = {value}\n" for key, value in (usual | fields).items() if value)


# -- exit codes ------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize(
    ("options", "code"),
    [
        ("", WORSE),
        ("--fail-on broken", WORSE),
        ("--fail-on broken --family special", OK),
        ("--fail-on changed --family special", WORSE),
        ("--fail-on accurate --family special", OK),
        ("--fail-on wrong --family special", OK),
        ("--format bfloat16", NOTHING_COMPARED),
        ("--framework torch --operation softmax --quantity forward --format binary32 --layout last", WORSE),
        ("--framework jax", NOTHING_COMPARED),
    ],
)
def test_the_exit_code_says_what_was_found(command: Command, options: str, code: int) -> None:
    assert command("compare", "old", "new", *options.split()).code == code


def test_a_verdict_alone_fails_where_a_cell_falls_below_it(command: Command, tmp_path: Path) -> None:
    write_run(tmp_path / "old", [line(cell(), [0.75], verdict="faithful")])
    write_run(tmp_path / "new", [line(cell(), [0.75], verdict="accurate", **NEW_BITS)])
    assert command("compare", "old", "new").code == OK
    assert command("compare", "old", "new", "--fail-on", "faithful").code == WORSE
    assert command("compare", "old", "new", "--fail-on", "accurate", "--fail-on", "worse").code == OK


def test_a_removed_cell_is_never_signed_off(command: Command, tmp_path: Path) -> None:
    write_run(tmp_path / "old", [line(cell(0)), line(cell(1))])
    write_run(tmp_path / "new", [line(cell(0))])
    ran = command("compare", "old", "new")
    assert ran.code == INCOMPLETE
    assert ran.out.splitlines()[-1] == "torch 2.9.0: open; 2 cells: 1 removed, 1 identical."


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ("old", "Missing argument 'NEW'"),
        ("old nowhere", "nowhere is no run directory: "),
        ("old new --fail-on worst", "unknown --fail-on 'worst'; known are changed, worse, broken, wrong, unstable, "),
        ("old new --format binary33", "unknown format 'binary33'; known are binary64, "),
        ("old new --family gauss7", "unknown family 'gauss7'; known are "),
        ("old new --allow nowhere.toml", "--allow nowhere.toml can't be read: "),
        ("old new --html nowhere/page.html", "nowhere/page.html can't be written: "),
    ],
)
def test_a_mistake_is_one_line(command: Command, arguments: str, complaint: str) -> None:
    ran = command("compare", *arguments.split())
    assert ran.code == USAGE
    assert complaint in ran.complaint()


# -- what is told ----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("runs")
def test_the_terminal_shows_differences_first_and_the_sentence_last(command: Command) -> None:
    told = command("compare", "old", "new").out.splitlines()
    assert told[0] == "torch: 2.9.0 → 2.10.0"
    assert told[-1] == "torch 2.9.0: not signed off; 4 cells: 1 broken, 1 worse, 1 improved, 1 identical."
    assert "broken: torch/eager/default/softmax/forward/binary32/last/gauss1/4" in told
    assert "    3 elements off the contract, 0 before; verdict accurate → wrong" in told
    assert "    max 33 ulp; p99 33; bias 0; 0.033 → ∞ of the bound" in told


def test_the_replay_line_replays_the_worst_new_input(command: Command, finished: Run, copied: Run) -> None:
    """OLD has the records of a better formula under the name of one that overflows."""
    good, bad = (f"numpy/{n}/default/softmax/forward/binary32/last/special/3" for n in ("shifted", "naive"))
    file = copied.path / "cells.jsonl"
    lines = {record.key: dataclasses.asdict(record) for record in copied.records}
    lines[bad] = lines[good] | {"implementation": "numpy/naive"}
    file.write_text("".join(json.dumps(record) + "\n" for record in lines.values()), encoding="utf-8")
    (copied.path / "rows" / "maxima.jsonl").unlink()
    told = command("compare", copied.path, finished.path).out.splitlines()
    replay = told[told.index(f"broken: {bad}") + 3].split()
    assert replay[:2] == ["softmax-accuracy", "replay"]
    assert bad in command(*replay[1:]).out


def test_the_replay_line_names_the_python_that_was_measured_where_it_is_another_one(
    command: Command, tmp_path: Path
) -> None:
    other = tmp_path / "other python"
    other.touch()
    profile = MeasuredProfile(cell().profile, "torch", "cpu", str(other), "3.9.1", {}, {}, {}, None)
    write_run(tmp_path / "one", [line(cell(), [1.0])])
    write_run(tmp_path / "two", [line(cell(), [99.0], verdict="wrong", output_sha256="2" * 64)], profiles=[profile])
    digest = cell().digest[:12]
    told = command("compare", "one", "two").out
    assert f"    softmax-accuracy replay two {digest} --python '{other}'\n" in told
    other.unlink()  # a run from another machine
    assert f"    softmax-accuracy replay two {digest}\n" in command("compare", "one", "two").out


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize("option", ["--markdown", "--html", "--json"])
def test_what_goes_to_stdout_is_there_alone(command: Command, option: str) -> None:
    ran = command("compare", "old", "new", option, "-")
    assert ran.code == WORSE
    assert ran.out.startswith({"--markdown": "# Accuracy", "--html": "<!DOCTYPE html>", "--json": "{"}[option])
    assert ran.err.splitlines()[-1].startswith("torch 2.9.0: not signed off; ")


@pytest.mark.usefixtures("runs")
def test_the_pages_say_what_was_found(command: Command, tmp_path: Path) -> None:
    command("compare", "old", "new", "--markdown", "page.md", "--html", "page.html")
    markdown, html = ((tmp_path / f"page.{kind}").read_text(encoding="utf-8") for kind in ("md", "html"))
    for text in (markdown, html):
        assert "torch 2.9.0: not signed off; 4 cells: 1 broken, 1 worse, 1 improved, 1 identical." in text
        assert "no NaN where NaN is due: 2 → 0" in text
        assert "zero for a number: 1" in text
    assert "| torch | 2.9.0 | 2.10.0 |" in markdown
    assert "## Broken: 1" in markdown
    assert "accurate → wrong | 33 | 33 | 0 | 0.033 → ∞ |" in markdown
    assert not any(mark in html for mark in ("<script", "http:", "https:", "{{", "{%"))
    assert html.count("<section") == html.count("</section>")


@pytest.mark.usefixtures("runs")
def test_the_json_has_every_cell_that_is_not_identical(command: Command, tmp_path: Path) -> None:
    command("compare", "old", "new", "--json", "out.json")
    found = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert [(c["change"], c["key"].split("/")[-1]) for c in found["cells"]] == [
        ("broken", "4"),
        ("worse", "3"),
        ("improved", "7"),
    ]
    assert found["counts"] == {"broken": 1, "worse": 1, "improved": 1, "identical": 1}
    assert (found["exit_code"], found["status"]) == (WORSE, "not signed off")
    new = found["cells"][0]["new"]
    assert (new["bound_ratio"], new["bound_ratio_infinite"], new["outcomes"]) == (None, True, NAN_FOR_NUMBER)
    assert found["cells"][0]["rows"]["stayed"] == 33
    assert found["differences"] == [{"what": "torch", "old": "2.9.0", "new": "2.10.0", "subject": True}]


def test_identical_runs_make_a_page_too(command: Command, finished: Run, tmp_path: Path) -> None:
    files = ("--markdown", "page.md", "--html", "page.html", "--json", "out.json")
    assert command("compare", finished.path, finished.path, *files).code == OK
    assert json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))["cells"] == []
    assert "signed off" in (tmp_path / "page.md").read_text(encoding="utf-8")


# -- accepted changes ------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize(
    ("text", "code", "told"),
    [
        (entry(), OK, "2 accepted"),
        (entry(change='"broken"'), WORSE, "1 accepted"),
        (entry(row_length="[3, 4]", format='["binary16", "binary32"]'), OK, "2 accepted"),
        (entry(row_length="3"), WORSE, "1 accepted"),
        (entry(verdict='"storage-stable"'), WORSE, "1 accepted"),  # not for the cell that is wrong
        (
            entry() + entry(change='"removed"', reason='"gone"'),
            WORSE,
            "allowed.toml, entry 2 matches nothing; remove it",
        ),
        (entry(layout='"inner"'), WORSE, "allowed.toml, entry 1 matches nothing; remove it"),
        (entry(expires="2020-01-31"), WORSE, "allowed.toml, entry 1 has expired on 2020-01-31"),
        ("", WORSE, "not signed off"),
    ],
)
def test_accepted_changes_do_not_fail_and_stale_entries_do(
    command: Command, tmp_path: Path, text: str, code: int, told: str
) -> None:
    (tmp_path / "allowed.toml").write_text(text, encoding="utf-8")
    ran = command("compare", "old", "new", "--allow", "allowed.toml")
    assert ran.code == code
    assert told in ran.out


def test_an_expired_entry_fails_even_where_nothing_else_does(command: Command, tmp_path: Path) -> None:
    write_run(tmp_path / "old", [line(cell())])
    write_run(tmp_path / "new", [line(cell(), **NEW_BITS)])
    (tmp_path / "allowed.toml").write_text(entry(change='"changed"', expires="2020-01-31"), encoding="utf-8")
    ran = command("compare", "old", "new", "--allow", "allowed.toml")
    assert ran.code == WORSE
    assert ran.out.splitlines()[-1].startswith("torch 2.9.0: not signed off; 1 cell: 1 changed")


def test_gaps_and_drifts_can_be_accepted(command: Command, tmp_path: Path) -> None:
    cells = [cell(n) for n in range(9)]
    drifting = [line(c, [r + n for r in ROWS[:5]]) for n, c in enumerate(cells)]
    grown = [line(c, [(r + n) * 1.25 for r in ROWS[:5]], **NEW_BITS) for n, c in enumerate(cells)]
    write_run(tmp_path / "old", [*drifting, line(cell(0, layout="inner"))])
    write_run(tmp_path / "new", grown)
    assert command("compare", "old", "new").code == WORSE
    (tmp_path / "allowed.toml").write_text(entry(change='"drift"'), encoding="utf-8")
    assert command("compare", "old", "new", "--allow", "allowed.toml").code == INCOMPLETE
    (tmp_path / "allowed.toml").write_text(entry(change='["drift", "removed"]'), encoding="utf-8")
    assert command("compare", "old", "new", "--allow", "allowed.toml").code == OK
    (tmp_path / "allowed.toml").write_text(entry(change='"drift"', family='"gauss1"'), encoding="utf-8")
    assert command("compare", "old", "new", "--allow", "allowed.toml").code == WORSE  # a line has no family


def test_the_entry_in_the_document_is_one(tmp_path: Path) -> None:
    document = (Path(__file__).parents[2] / "docs" / "compare.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"```toml\n(.*?)```", document, re.DOTALL)
    (tmp_path / "allowed.toml").write_text(text, encoding="utf-8")
    (found,) = read_entries(tmp_path / "allowed.toml")
    assert (found.change, found.verdict, found.expires.isoformat()) == (("worse",), "stable", "2030-03-31")
    assert found.selectors["row_length"] == ("16384", "65536")


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[[allow]\n", "--allow allowed.toml can't be read: "),
        ("[allowed]\n", "every entry begins with [[allow]], not with [allowed]"),
        (entry(reason=""), "allowed.toml, entry 1 needs a change (such as 'worse') and a reason"),
        (entry(reason='" "'), "allowed.toml, entry 1 needs a change (such as 'worse') and a reason"),
        (entry(change=""), "allowed.toml, entry 1 needs a change (such as 'worse') and a reason"),
        (entry(change='"identical"'), "unknown change 'identical'; known are worse, broken, drift, "),
        (entry(expires='"2999-12-31"'), "needs a date on which it expires, such as expires = 2030-01-31"),
        (entry(expires=""), "needs a date on which it expires, such as expires = 2030-01-31"),
        (entry(framework="", format='"binary32"'), "needs a framework or an implementation"),
        (entry(verdict='"good"'), "unknown verdict 'good'; known are wrong, "),
        (entry(colour='"red"'), "unknown field 'colour'; known are framework, "),
    ],
)
def test_an_entry_that_can_not_be_understood_is_named(
    command: Command, tmp_path: Path, text: str, complaint: str
) -> None:
    (tmp_path / "allowed.toml").write_text(text, encoding="utf-8")
    ran = command("compare", "old", "new", "--allow", "allowed.toml")
    assert ran.code == USAGE
    assert complaint in ran.complaint()
