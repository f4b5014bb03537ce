"""The command line: exit codes, one line for a mistake, JSON that is JSON, an interruption that loses nothing."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import math
import subprocess
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import pytest

from reports.console.exits import INCOMPLETE, OK, USAGE, WORSE
from reports.run.reader import read_run
from reports.run.records import Record, Run
from reports.tests.conftest import Command
from suites.implementations.catalogue import why_not_measured
from suites.plan.cell import Cell
from suites.scoring.cell import score

ROOT = Path(__file__).parents[2]
TINY = (
    "--framework",
    "numpy",
    "--tier",
    "smoke",
    "--family",
    "gauss1",
    "--format",
    "binary32",
    "--quantity",
    "forward",
)

# numpy: softmax by two recipes and log_softmax by four, at lengths 2 and 1000 on the last axis and 1000 on the inner.
TINY_CELLS = 18


# -- a user's mistakes -----------------------------------------------------------------------------------------------

KERNEL = "def softmax(x, axis):\n    return x\n"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ("", "Missing command. softmax-accuracy --help says what there is"),
        ("mesure", "No such command 'mesure'."),
        ("measure --framework tensorflow", "unknown framework 'tensorflow'; known are torch, jax, "),
        ("measure --format binary33", "unknown format 'binary33'; known are binary64, binary32, binary16, bfloat16"),
        ("measure --family gauss7", "unknown family 'gauss7'; known are gauss0.1, "),
        ("measure --tier quick", "unknown tier 'quick'; known are smoke, standard, deep"),
        ("measure --device gpu", "unknown device 'gpu'; known are cpu, cuda, cuda:N, all"),
        ("measure --device cuda:x", "unknown device 'cuda:x'; known are cpu, cuda, cuda:N, all"),
        ("measure --profile avx2", "unknown profile 'avx2'; known are default, threads-2, "),
        ("measure --profile cuda", "these filters select no cell; loosen "),
        ("measure --require good", "unknown verdict 'good'; known are wrong, unstable, "),
        ("measure --operation softmin", "unknown operation 'softmin'; known are softmax, log_softmax"),
        ("measure --quantity grad", "unknown quantity 'grad'; known are forward, vjp, jvp"),
        ("measure --layout first", "unknown layout 'first'; known are last, inner, column"),
        ("measure --operation softmax --operation softmin", "unknown operation 'softmin'"),
        ("measure --framework numpy --python no-such-python", "--python 'no-such-python' is no program; give the path"),
        ("measure --colour red", "No such option '--colour'"),
        ("measure --tier", "Option '--tier' requires an argument"),
        ("measure --framework numpy --format bfloat16", "these filters select no cell; loosen "),
        ("measure --framework numpy --implementation absent.py:softmax", "no such file: "),
        ("measure --framework numpy --implementation kernel.py:sofmax", "has no function 'sofmax'"),
        ("measure --framework numpy --implementation kernel.py", "'kernel.py' is not FILE.py:NAME"),
        ("measure --framework scipy --implementation kernel.py:softmax", "--framework 'scipy' can't run "),
        ("measure --implementation kernel.py:softmax", "--implementation kernel.py:softmax needs one --framework: "),
        (
            "measure --implementation kernel.py:softmax --framework numpy --operation softmax --operation log_softmax",
            "--implementation kernel.py:softmax is one operation; give --operation once, not softmax, log_softmax",
        ),
        (
            "measure --implementation kernel.py:softmax --framework numpy --framework torch",
            "--implementation kernel.py:softmax needs one --framework: ",
        ),
        ("explain", "no logits; give a row of them, or --path and --shape"),
        ("explain --format binary32", "no logits; give a row of them, or --path and --shape"),
        ("explain --path", "--path needs a row of logits or --shape, one of the two"),
        ("explain 1 2 --path --shape 2x3", "--path needs a row of logits or --shape, one of the two"),
        ("explain --shape 2x3", "--shape belongs to --path; give that too"),
        ("explain 1 2 --axis 0", "--axis belongs to --path; give that too"),
        ("explain 1 2 --quantity vjp", "--quantity belongs to --path; give that too"),
        ("explain 1 2 --path --element 1", "--element is of a row's gradient, not of its paths; leave it out"),
        ("explain 1 two --path", "'two' is no number; "),
        ("explain --path --shape 2x", "--shape '2x' is no shape; write sizes of 1 or more with x between them"),
        ("explain --path --shape 1e3x4", "--shape '1e3x4' is no shape; write sizes of 1 or more with x between them"),
        ("explain --path --shape 2x-3", "--shape '2x-3' is no shape; write sizes of 1 or more with x between them"),
        ("explain --path --shape ٣x٤", "--shape '٣x٤' is no shape; write sizes of 1 or more with x between them"),
        (
            f"explain --path --shape {10**23}",
            "has more than 2^60 elements, which no array can have; give smaller sizes",
        ),
        (f"explain --path --shape {2**40}x{2**40}", "has more than 2^60 elements, which no array can have; "),
        (f"explain --path --shape 2x{'9' * 5000}", "9... (5002 characters)' has more than 2^60 elements, "),
        (f"explain --path --shape 1{'x1' * 64}", "has 65 sizes; an array has 64 at most"),
        (f"explain --path --shape 2x3 --axis {10**30}", f"--axis: axis {10**30} is not in an array of 2 dimensions"),
        ("explain --path --shape 2x3 --axis -3", "--axis: axis -3 is not in an array of 2 dimensions"),
        (f"explain 1 2 --element {10**30}", f"--element {10**30} is not in a row of 2; count from 0"),
        ("explain --path --shape 2x3 --axis 2", "--axis: axis 2 is not in an array of 2 dimensions"),
        ("explain --path --shape 2x3 --quantity grad", "unknown quantity 'grad'; known are forward, vjp, jvp, hvp"),
        ("explain --path --shape 2x3 --format binary33", "unknown format 'binary33'; known are binary64, "),
        ("explain --path --shape 2x3 --framework mxnet", "unknown framework 'mxnet'; known are torch, "),
        ("explain 1 two", "'two' is no number; write decimals, hexadecimal floats, inf, -inf or nan"),
        ("explain 1 0xg", "'0xg' is no number; "),
        ("explain 1 2 --format binary33", "unknown format 'binary33'; known are binary64, "),
        ("explain 1 2 --element 2", "--element 2 is not in a row of 2; count from 0"),
        ("explain 1 2 --element -1", "--element -1 is not in a row of 2; count from 0"),
        ("explain 1 2 --element one", "Invalid value for '--element': 'one' is not a valid integer"),
        ("replay nowhere abcd", "nowhere is no run directory: it has no manifest.json; make one with 'measure --out'"),
        ("replay nowhere", "Missing argument 'CELL'"),
        ("report nowhere", "nowhere is no run directory: "),
    ],
)
def test_a_mistake_is_one_line_with_the_bad_value_and_leaves_nothing(
    command: Command, tmp_path: Path, arguments: str, complaint: str
) -> None:
    (tmp_path / "kernel.py").write_text(KERNEL, encoding="utf-8")
    ran = command(*arguments.split())
    assert ran.code == USAGE
    assert complaint in ran.complaint()
    assert ran.out == ""
    assert [file.name for file in tmp_path.iterdir() if file.name != "__pycache__"] == ["kernel.py"]


@pytest.mark.parametrize("out", ["file", "file/run"])
def test_an_output_directory_that_can_not_be_made_is_named(command: Command, tmp_path: Path, out: str) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    ran = command("measure", *TINY, "--out", out)
    assert ran.code == USAGE
    assert ran.complaint().startswith(f"{out} can't be written: ")
    assert ran.complaint().endswith("; choose another --out")


@pytest.mark.parametrize("verb", ["report", "replay"])
def test_a_run_of_another_schema_is_named(command: Command, copied: Run, verb: str) -> None:
    manifest = copied.path / "manifest.json"
    manifest.write_text(manifest.read_text(encoding="utf-8").replace('"schema": 1,', '"schema": 2,'), encoding="utf-8")
    ran = command(verb, copied.path, *(["0123"] if verb == "replay" else []))
    assert ran.code == USAGE
    assert ran.complaint() == f"{manifest} has schema version 2, this program reads 1; measure again"


@pytest.mark.parametrize("verb", ["report", "replay"])
def test_a_cut_last_line_is_named(command: Command, copied: Run, verb: str) -> None:
    file = copied.path / "cells.jsonl"
    file.write_text(file.read_text(encoding="utf-8")[:-100], encoding="utf-8")
    ran = command(verb, copied.path, *(["0123"] if verb == "replay" else []))
    assert ran.code == USAGE
    assert f"{file}, line {len(copied.records)} is damaged (cut off)" in ran.complaint()
    assert f"run 'measure --out {copied.path}' again" in ran.complaint()


@pytest.mark.parametrize("name", ["torch/eager/default/softmax", "00000000", "ff"])
@pytest.mark.parametrize("script", [[], ["--script"]])
def test_an_unknown_cell_is_named(command: Command, finished: Run, name: str, script: list[str]) -> None:
    ran = command("replay", finished.path, name, *script)
    assert ran.code == USAGE
    assert ran.complaint().startswith(f"'{name}' names no cell of {finished.path}; give a key")


def test_another_selection_into_the_same_directory_is_refused(command: Command) -> None:
    command("measure", *TINY, "--operation", "softmax", "--out", "run")
    ran = command("measure", *TINY, "--operation", "log_softmax", "--out", "run")
    assert ran.code == USAGE
    assert ran.complaint() == "run holds a run with another selection; choose another --out, or remove it"


# -- help ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [["--help"], ["measure", "--help"], ["explain", "-h"], ["--version"]])
def test_help_is_shown_without_error(command: Command, arguments: list[str]) -> None:
    ran = command(*arguments)
    assert (ran.code, ran.err) == (OK, "")
    assert "softmax-accuracy" in ran.out


@pytest.mark.parametrize(
    ("arguments", "absent"),
    [
        (["--help"], {"torch", "jax", "scipy", "mpmath", "numpy"}),
        (["report", "--help"], {"torch", "jax", "scipy", "mpmath", "numpy"}),
        (["explain", "--help"], {"torch", "jax", "scipy"}),
    ],
)
def test_help_imports_no_framework_and_numpy_for_its_lists_of_words_alone(
    arguments: list[str], absent: set[str]
) -> None:
    program = (
        "import sys\n"
        f"sys.argv = {['softmax-accuracy', *arguments]}\n"
        "from reports.entry import main\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        f"    print(sorted({absent} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Usage: softmax-accuracy ")
    assert done.stdout.endswith("\n[]\n")


def test_the_command_is_there_without_its_console_script() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "reports", "explain", "two"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (USAGE, "")
    assert done.stderr.startswith("softmax-accuracy: 'two' is no number")


# -- measure ---------------------------------------------------------------------------------------------------------


def test_measure_writes_a_run_and_says_in_a_sentence_what_came_out(command: Command, tmp_path: Path) -> None:
    ran = command("measure", *TINY, "--out", "run")
    assert (ran.code, ran.err) == (OK, "")
    verdicts, shares = ran.out.splitlines()
    assert verdicts.startswith(f"{TINY_CELLS} of {TINY_CELLS} cells in run: ")
    assert verdicts.endswith(".")
    run = read_run(tmp_path / "run")
    assert len(run.records) == TINY_CELLS
    counted = [int(word) for word in verdicts.replace(",", " ").split() if word.isdigit()]
    assert sum(counted[2:]) == TINY_CELLS
    assert "of the work: " in shares


def test_measuring_again_changes_nothing_but_the_time(command: Command, tmp_path: Path) -> None:
    first = command("measure", *TINY, "--out", "run")
    before = (tmp_path / "run" / "cells.jsonl").read_bytes()
    again = command("measure", *TINY, "--out", "run")
    assert (again.code, again.out.splitlines()[0]) == (first.code, first.out.splitlines()[0])
    assert (tmp_path / "run" / "cells.jsonl").read_bytes() == before


def test_a_requirement_that_is_missed_exits_with_1_and_names_the_cells(command: Command, tmp_path: Path) -> None:
    ran = command("measure", *TINY, "--out", "run", "--require", "correctly rounded")
    assert ran.code == WORSE
    worse = [line for line in ran.err.splitlines() if line.startswith("worse than correctly rounded: ")]
    total = ran.err.splitlines()[-1]
    assert total.endswith(f" of {TINY_CELLS} cells are worse than correctly rounded")
    assert len(worse) == min(10, int(total.split()[0])) > 0
    verdicts = {record.key: record.verdict for record in read_run(tmp_path / "run").records}
    for line in worse:
        verdict, key, figures = line.split(": ")[1:]
        assert verdicts[key] == verdict != "correctly rounded"
        assert " ulp; " in figures


def test_a_requirement_that_is_met_exits_with_0(command: Command) -> None:
    ran = command("measure", *TINY, "--out", "run", "--require", "stable")
    assert (ran.code, ran.err) == (OK, "")


@pytest.fixture
def without_jax(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    find = importlib.util.find_spec

    def find_spec(name: str, package: str | None = None) -> ModuleSpec | None:
        return None if name == "jax" else find(name, package)

    why_not_measured.cache_clear()
    monkeypatch.setattr(importlib.util, "find_spec", find_spec)
    yield
    why_not_measured.cache_clear()


@pytest.mark.usefixtures("without_jax")
def test_a_framework_that_was_named_and_is_not_installed_leaves_the_run_incomplete(
    command: Command, tmp_path: Path
) -> None:
    ran = command("measure", *TINY, "--framework", "jax", "--out", "run")
    assert ran.code == INCOMPLETE
    assert "not measured: jax: jax is not installed" in ran.err
    run = read_run(tmp_path / "run")
    assert len(run.records) == TINY_CELLS
    assert [(u.framework, u.reason) for u in run.manifest.unmeasured] == [("jax", "jax is not installed")]


@pytest.mark.usefixtures("without_jax")
def test_a_missing_framework_that_is_the_only_one_named_is_incomplete_not_misuse(command: Command) -> None:
    ran = command("measure", "--framework", "jax", "--tier", "smoke", "--out", "run")
    assert ran.code == INCOMPLETE
    assert ran.err == "not measured: jax: jax is not installed\n"


def test_a_users_function_is_measured_and_a_cell_in_which_it_raises_is_missing(
    command: Command, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(
        "import numpy as np\n\n"
        "def softmax(x, axis):\n"
        "    if axis == 0:\n"
        "        raise NotImplementedError('the last axis only\\nsorry')\n"
        "    e = np.exp(x - x.max(axis=axis, keepdims=True))\n"
        "    return e / e.sum(axis=axis, keepdims=True)\n",
        encoding="utf-8",
    )
    ran = command("measure", *TINY, "--implementation", "mine.py:softmax", "--out", "run")
    assert ran.code == INCOMPLETE
    assumed, lost = ran.err.splitlines()
    assert assumed == (
        "mine.py:softmax is judged as softmax, by its name; if it is log_softmax, add --operation log_softmax"
    )
    assert lost == (
        "1 cell needs layout inner, which mine/softmax does not support (NotImplementedError: the last axis only); "
        "leave it out with --layout last"
    )
    run = read_run(tmp_path / "run")
    assert not run.manifest.finished
    assert {(r.implementation, r.layout) for r in run.records} == {("mine/softmax", "last")}
    replayed = command("replay", "run", run.records[0].key)
    assert replayed.code == USAGE
    assert "mine/softmax is your own; replay it with measure --implementation" in replayed.complaint()


def test_an_interruption_keeps_finished_cells_and_the_same_command_goes_on(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Cell] = []

    def interrupted(cell: Cell, *rest: Any, **named: Any) -> Any:
        calls.append(cell)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return score(cell, *rest, **named)

    with monkeypatch.context() as patch:
        patch.setattr("reports.measure.loop.score", interrupted)
        stopped = command("measure", *TINY, "--out", "run")
    assert stopped.code == INCOMPLETE
    assert stopped.err.count("\n") == 1
    assert "the finished cells are kept in run: the same command goes on from there" in stopped.err
    run = read_run(tmp_path / "run")
    assert {r.key for r in run.records} == {cell.key for cell in calls[:3]}
    assert not run.manifest.finished
    assert command("measure", *TINY, "--out", "run").code == OK
    assert command("measure", *TINY, "--out", "whole").code == OK
    for name in ("cells.jsonl", "rows/maxima.jsonl"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert {f.name for f in (tmp_path / "run").rglob("*")} == {f.name for f in (tmp_path / "whole").rglob("*")}


def test_an_interruption_anywhere_else_is_reported_in_a_line(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("reports.verbs.explain.explained", interrupted)
    ran = command("explain", "1", "2")
    assert ran.code == INCOMPLETE
    assert ran.err.split("\n", 1)[1] == "softmax-accuracy: interrupted\n"  # after the line that ^C stands in


# -- report ----------------------------------------------------------------------------------------------------------


def test_report_writes_both_pages_beside_the_run_or_where_the_options_say(command: Command, copied: Run) -> None:
    assert command("report", copied.path).code == OK
    assert (copied.path / "report.html").read_text(encoding="utf-8").lstrip().lower().startswith("<!doctype html")
    assert (copied.path / "report.md").is_file()
    assert command("report", copied.path, "--markdown", "page.md").code == OK
    assert (copied.path / "report.md").read_text() == (copied.path.parent / "page.md").read_text()
    shown = command("report", copied.path, "--markdown", "-")
    assert shown.out == (copied.path / "report.md").read_text(encoding="utf-8")


def test_the_report_of_an_incomplete_run_is_written_and_exits_with_3(command: Command, copied: Run) -> None:
    file = copied.path / "cells.jsonl"
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    file.write_text("".join(lines[:-1]), encoding="utf-8")
    manifest = copied.path / "manifest.json"
    text = manifest.read_text(encoding="utf-8").replace('"finished": true', '"finished": false')
    manifest.write_text(text, encoding="utf-8")
    ran = command("report", copied.path, "--markdown", "page.md")
    assert ran.code == INCOMPLETE
    assert f"{copied.path} is incomplete: {len(lines) - 1} of {len(lines)} cells" in ran.err
    assert (copied.path.parent / "page.md").is_file()


# -- explain ---------------------------------------------------------------------------------------------------------


def no_constant(name: str) -> Any:
    raise AssertionError(f"{name} in the JSON")


@pytest.mark.parametrize(
    ("row", "values"),
    [
        (["-inf", "-1.5"], ["-inf", "-1.5"]),
        (["-0x1.8p3", "-25e-2"], ["-12.0", "-0.25"]),
        (["--", "-nan", "-0"], ["nan", "-0.0"]),
        (["-5", "--element", "1", "-6"], ["-5.0", "-6.0"]),
    ],
)
def test_negative_numbers_and_infinities_need_no_separator(command: Command, row: list[str], values: list[str]) -> None:
    ran = command("explain", "--json", *row)
    assert (ran.code, ran.err) == (OK, "")
    assert json.loads(ran.out, parse_constant=no_constant)["row_values"] == values


@pytest.mark.parametrize("row", [("0", "1000"), ("nan", "0"), ("-inf", "-inf"), ("inf", "0"), ("88.8", "-0.0")])
def test_explain_prints_json_without_nan_or_infinity(command: Command, row: tuple[str, ...]) -> None:
    found = json.loads(command("explain", *row, "--json").out, parse_constant=no_constant)
    for operation in found["operations"].values():
        assert operation["implementations"]
        for answers in operation["implementations"].values():
            for quantity in set(answers) - {"call"}:
                answer = answers[quantity]
                assert len(answer["bits"]) == len(answer["values"]) == len(answer["ulp_errors"]) == 2
                assert all(u is None or math.isfinite(u) for u in answer["ulp_errors"])


def test_explain_shows_a_table_for_each_operation_and_its_gradient(command: Command) -> None:
    ran = command("explain", "0", "1000")
    assert ran.code == OK
    titles = [
        line.strip() for line in ran.out.splitlines() if line.startswith(("softmax(", "log_softmax(", "gradient"))
    ]
    assert titles == [
        "softmax(x)",
        "gradient of softmax(x)[0] with respect to x",
        "log_softmax(x)",
        "gradient of log_softmax(x)[0] with respect to x",
    ]
    assert max(map(len, ran.out.splitlines())) <= 140


def test_explain_shows_the_paths_of_a_shape_or_of_a_row(command: Command) -> None:
    shape = (
        "--shape",
        "64x1000",
        "--axis",
        "0",
        "--format",
        "binary16",
        "--quantity",
        "forward",
        "--framework",
        "numpy",
    )
    ran = command("explain", "--path", *shape)
    assert (ran.code, ran.err) == (OK, "")
    assert "numpy-sum-sequential" in ran.out
    assert max(map(len, ran.out.splitlines())) <= 140
    found = json.loads(command("explain", "-1", "0x1p3", "-inf", "--path", "--framework", "numpy", "--json").out)
    assert (found["shape"], found["axis"]) == ([1, 3], 1)
    assert [framework["framework"] for framework in found["frameworks"]] == ["numpy"]


@pytest.mark.parametrize(
    "shape", [f"{2**58}x3", f"3x{2**58}", f"{2**30}x{2**20}x19", "50257x65536x33", "x".join("1" * 64)]
)
@pytest.mark.parametrize("axis", ["0", "-1"])
def test_the_paths_of_the_largest_arrays_are_reported_at_once(command: Command, shape: str, axis: str) -> None:
    ran = command("explain", "--path", "--shape", shape, "--axis", axis, "--json")
    assert (ran.code, ran.err) == (OK, "")
    assert json.loads(ran.out)["shape"] == [int(size) for size in shape.split("x")]


# -- replay ----------------------------------------------------------------------------------------------------------


def test_a_replay_with_the_same_bits_exits_with_0(command: Command, finished: Run) -> None:
    record = finished.named("numpy/shifted/default/softmax/vjp/binary32/last/dominant/2")
    ran = command("replay", finished.path, record.cell.digest[:12])
    assert (ran.code, ran.err) == (OK, "")
    assert ran.out.startswith(f"{record.key}\n")
    assert ran.out.endswith("  the same figures\n")


def renamed(run: Run, record: Record, **changes: str) -> str:
    """Put a record of a run under the name of another cell; returns its key."""
    other = dataclasses.replace(record, **changes)  # type: ignore[arg-type]
    records = [other, *(r for r in run.records if r.key not in (record.key, other.key)), record]
    records = records[: len(run.records)]
    lines = (json.dumps(dataclasses.asdict(r)) + "\n" for r in records)
    (run.path / "cells.jsonl").write_text("".join(lines), encoding="utf-8")
    return other.key


def test_a_replay_with_other_bits_exits_with_1(command: Command, copied: Run) -> None:
    """The oracle confirms what another formula gave."""
    record = copied.named("numpy/naive/default/softmax/forward/binary32/last/special/3")
    key = renamed(copied, record, implementation="numpy/shifted")
    ran = command("replay", copied.path, key)
    assert ran.code == WORSE
    assert f"  recorded  {record.worst.computed} = nan" in ran.out
    assert ran.out.endswith(f"  differs: recorded with numpy {record.version}\n")


@pytest.mark.usefixtures("without_jax")
def test_a_replay_without_the_framework_is_incomplete(command: Command, copied: Run) -> None:
    record = copied.named("numpy/shifted/default/softmax/vjp/binary32/last/dominant/2")
    key = renamed(copied, record, implementation="jax/eager", framework="jax")
    ran = command("replay", copied.path, key)
    assert (ran.code, ran.err) == (INCOMPLETE, f"{key}: jax is not installed\n")


@pytest.mark.parametrize("arguments", [("report",), ("replay", "--script")])
def test_pages_and_scripts_without_jinja2_name_the_extra_that_brings_it(
    command: Command, finished: Run, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    def without_jinja2(name: str, package: str | None = None) -> object:
        return None if name == "jinja2" else sys.modules.get(name)

    monkeypatch.setattr("importlib.util.find_spec", without_jinja2)
    verb, *options = arguments
    cell = [finished.records[0].key] if verb == "replay" else []
    ran = command(verb, finished.path, *cell, *options)
    assert ran.code == 2
    assert "softmax-accuracy[report]" in ran.err
    assert ran.err.count("\n") == 1
