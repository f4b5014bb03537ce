"""A run whose files are changed, field by field and in a dozen ways: every reader refuses it in one line, or this says
why it can't."""

from __future__ import annotations

import copy
import dataclasses
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from reports.compare.baseline import baseline_lines, read_baseline
from reports.compare.pairing import stored
from reports.measure.run import run_measurements
from reports.run.reader import read_lost, read_manifest, read_observations, read_run
from reports.run.records import LostCell, Run, RunError
from reports.run.verify import verified
from reports.tests.conftest import Command
from reports.tests.test_observations import SEEN
from suites.implementations.catalogue import CATALOGUE
from suites.plan.cell import Selection


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five cells with their row maxima, and an observation."""
    path = tmp_path_factory.mktemp("forged") / "run"
    selection = Selection("smoke", ("softmax",), ("forward", "vjp"), ("binary16",), ("last",), ("gauss1", "special"))
    run_measurements(path, [CATALOGUE["numpy/naive"]], selection, lambda *_: None, timing=False)
    (path / "observations.jsonl").write_text(json.dumps(dataclasses.asdict(SEEN)) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def run(small: Path, tmp_path: Path) -> Path:
    shutil.copytree(small, tmp_path / "run")
    return tmp_path / "run"


# -- what a value is changed to --------------------------------------------------------------------------------------

HUGE = "1" + "0" * 10_000

# Texts of JSON that no field of a number may have, and what a text may not be.
FOR_NUMBERS = ["-1", "NaN", "Infinity", "1e999", '"1"', "true", "[]", "{}", HUGE, "1.5e300"]
FOR_TEXTS = [
    "1",
    "null",
    "[]",
    "{}",
    "true",
    '"\\u001b[31m"',
    '"\\ud800"',
    '"a\\nb"',
    '""',
    '"zzz"',
    NESTED := "[" * 50_000,
]
FOR_OTHERS = ["3", '"x"', "NaN", '"no"', NESTED, HUGE]

# What can't be noticed in a record alone: free text, and figures that nothing else in it is tied to.  (The largest
# error of a wrong cell is held against its row maxima where those are read.)
FREE_TEXT = {"version", "device", "call", "profile", "implementation"}
FREE_FIGURES = {
    "max_ulp",
    "conditioning_ratio",
    "max_abs",
    "max_rel",
    "row_sum_error",
    "reference_error_ulps",
    "mean_ulp",
    "p99_ulp",
    "bias_ulp",
}


def values_for(value: Any) -> list[str]:
    if isinstance(value, bool) or value is None or isinstance(value, (list, dict)):
        return FOR_OTHERS
    return FOR_NUMBERS if isinstance(value, (int, float)) else FOR_TEXTS


def unnoticed(field: str, value: Any, text: str) -> bool:
    """The changes that leave a record which could have been measured."""
    if value is None:
        # One of many infinite ratios may be finite; the oracle tells.
        return text == "3" and field in (
            "bound_ratio",
            "storage_ratio",
            "max_abs",
            "max_rel",
            "row_sum_error",
            "mean_ulp",
            "bias_ulp",
            "conditioning_ratio",
        )
    if field in FREE_TEXT:
        return text in ('"zzz"', '""')
    if field in FREE_FIGURES:
        return text == "1.5e300"
    return field in ("vector_kind", "path", "attribution")


# Fields that the first records had not.
ADDED = ("path", "attribution", "rows_without_bound", "elements_by_tier")

MARK = "@@@"


def changed(line: dict[str, Any], *names: str, to: str) -> str:
    """A line with another JSON text in place of a field's."""
    copied = copy.deepcopy(line)
    inner = copied
    for name in names[:-1]:
        inner = inner[name]
    inner[names[-1]] = MARK
    return json.dumps(copied).replace(f'"{MARK}"', to)


def refused(read: Callable[[], object], *parts: str) -> None:
    with pytest.raises(RunError) as error:
        read()
    message = str(error.value)
    assert message.isprintable()
    assert len(message) < 1000
    assert all(part in message for part in parts), message


def sides(path: Path) -> list[Any]:
    return list(stored(path).sides())


# -- records ---------------------------------------------------------------------------------------------------------


def lines_of(run: Path, name: str = "cells.jsonl") -> list[dict[str, Any]]:
    return [json.loads(text) for text in (run / name).read_text(encoding="utf-8").splitlines()]


def put(run: Path, lines: list[dict[str, Any]], number: int, text: str, name: str = "cells.jsonl") -> None:
    texts = [text if k == number else json.dumps(line) for k, line in enumerate(lines)]
    (run / name).write_text("".join(f"{t}\n" for t in texts), encoding="utf-8")


def fields_of(line: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    yield from ((name,) for name in line if name != "worst")
    yield from (("worst", name) for name in line["worst"])


def test_every_changed_field_of_a_record_is_refused_by_every_reader(run: Path) -> None:
    lines, tried = lines_of(run), 0
    for number in (0, len(lines) - 1):
        for names in fields_of(lines[number]):
            value = lines[number][names[0]] if len(names) == 1 else lines[number]["worst"][names[1]]
            for text in values_for(value):
                if unnoticed(names[-1], value, text):
                    continue
                put(run, lines, number, changed(lines[number], *names, to=text))
                for read in (read_run, sides):
                    refused(lambda read=read: read(run), f"cells.jsonl, line {number + 1}")  # type: ignore[misc]
                tried += 1
    assert tried > 500


def test_a_line_names_file_number_and_field(run: Path) -> None:
    lines = lines_of(run)
    for name, text, told in (
        ("bound_ratio", "-1", "bound_ratio: -1: it should be greater than or equal to 0"),
        ("max_ulp", "NaN", "max_ulp: nan: it should be a finite number"),
        ("verdict", '"good"', "verdict: 'good': it should be 'wrong', 'unstable'"),
        ("input_sha256", '"12"', "input_sha256: '12': it should match pattern"),
        ("rows", HUGE, "an integer has thousands of digits"),
    ):
        put(run, lines, 1, changed(lines[1], name, to=text))
        refused(lambda: read_run(run), f"{run / 'cells.jsonl'}, line 2 is damaged ({told}", "again to complete it")


def test_counts_of_tiers_and_the_words_for_them_agree(run: Path) -> None:
    lines = lines_of(run)
    elements = lines[0]["elements"]
    assert sum(lines[0]["elements_by_tier"].values()) == elements
    told = {"mpmath": 1, "double-double": elements - 1}
    words = f"double-double, 1 of {elements} elements by mpmath"
    put(run, lines, 0, json.dumps(lines[0] | {"elements_by_tier": told, "oracle": words}))
    assert read_run(run).records
    for counts, complaint in (
        (told, f"oracle: it says .*; elements_by_tier says '{words}'"),
        ({"mpmath": elements + 1}, f"elements_by_tier: it doesn't count each of the {elements} elements once"),
        ({"mpmath": elements, "binary64": 0}, "elements_by_tier: it doesn't count"),
        ({}, "elements_by_tier: it doesn't count"),
        ({"gut": elements}, "elements_by_tier"),
    ):
        put(run, lines, 0, json.dumps(lines[0] | {"elements_by_tier": counts, "oracle": "double-double"}))
        with pytest.raises(RunError, match=complaint):
            read_run(run)


def test_fields_that_are_missing_new_or_there_twice(run: Path) -> None:
    lines = lines_of(run)
    for names in fields_of(lines[0]):
        line = copy.deepcopy(lines[0])
        inner = line if len(names) == 1 else line["worst"]
        del inner[names[-1]]
        put(run, lines, 0, json.dumps(line))
        if names[-1] not in ADDED:
            refused(lambda: read_run(run), f"{'.'.join(names)} is missing")
        text = json.dumps(lines[0])
        twice = text.replace(f'"{names[-1]}": ', f'"{names[-1]}": 0, "{names[-1]}": ', 1)
        put(run, lines, 0, twice)
        refused(lambda: read_run(run), f"{names[-1]!r} is there twice")
    put(run, lines, 0, json.dumps(lines[0] | {"worst": lines[0]["worst"] | {"attribution": {"anything": 1.0}}}))
    refused(lambda: read_run(run), "worst.attribution: it has no excess")
    put(run, lines, 0, json.dumps(lines[0] | {"colour": 3}))
    refused(lambda: read_run(run), "colour is no field that this version knows; one that wrote it can read it")


@pytest.mark.parametrize(
    "verdict", ["wrong", "unstable", "storage-stable", "stable", "accurate", "faithful", "correctly rounded"]
)
def test_a_forged_verdict_is_noticed_wherever_records_are_read(run: Path, verdict: str) -> None:
    lines = lines_of(run)
    for number, line in enumerate(lines):
        if line["verdict"] != verdict:
            put(run, lines, number, json.dumps(line | {"verdict": verdict}))
            told = f"it says {verdict}; its figures say {line['verdict']}"
            for read in (read_run, sides, lambda path: list(baseline_lines(stored(path)))):
                refused(lambda read=read: read(run), f"line {number + 1} is damaged ({line['implementation']}", told)  # type: ignore[misc]


def test_cells_that_are_twice_too_few_or_too_many(run: Path) -> None:
    lines = lines_of(run)
    put(run, [*lines, lines[-1]], 0, json.dumps(lines[0]))
    refused(lambda: read_run(run), "twice")
    refused(lambda: sides(run), "twice")
    put(run, lines[:-1], 0, json.dumps(lines[0]))
    refused(lambda: read_run(run), f"{len(lines) - 1} of {len(lines)} cells, and its manifest says finished")
    refused(lambda: sides(run), "lines are missing")
    put(run, lines, 0, json.dumps(lines[0] | {"input_sha256": "1" * 64}))
    refused(lambda: read_run(run), "inputs_sha256 is not the fingerprint")


# -- the other files -------------------------------------------------------------------------------------------------

FREE_IN_MANIFEST = {"python", "platform", "cpu", "seed", "gpu", "git_commit", "created", "content"}


def test_every_changed_field_of_a_manifest_is_refused(run: Path) -> None:
    file = run / "manifest.json"
    manifest = json.loads(file.read_text(encoding="utf-8"))
    for name, value in manifest.items():
        for text in (*values_for(value), '"\\ud800"'):
            free = (name in FREE_IN_MANIFEST and text != '"\\ud800"') and text in (
                '"zzz"',
                '""',
                '"a\\nb"',
                '"\\u001b[31m"',
                '"x"',
                '"no"',
                "null",
            )
            if free and name != "created":
                continue
            file.write_text(changed(manifest, name, to=text), encoding="utf-8")
            refused(lambda: (read_manifest(run), read_run(run)), str(run))
    twice = json.dumps(manifest).replace('"tier"', '"planned": 1, "tier"', 1)
    file.write_text(twice, encoding="utf-8")
    refused(lambda: read_manifest(run), "'planned' is there twice")


def test_changed_lines_of_the_other_files_are_refused(run: Path) -> None:
    (run / "lost.jsonl").write_text(json.dumps(dataclasses.asdict(LostCell("k", "r", None, "", ""))) + "\n")
    readers: dict[str, Callable[[Path], object]] = {
        "lost.jsonl": read_lost,
        "observations.jsonl": read_observations,
        "rows/maxima.jsonl": sides,
    }
    for name, read in readers.items():
        whole = (run / name).read_text(encoding="utf-8")
        lines = lines_of(run, name)
        for field in lines[0]:
            for text in ("7.5", "-1", HUGE, NESTED, "NaN", "{}", '"\\ud800"'):
                put(run, lines, 0, changed(lines[0], field, to=text), name)
                refused(lambda read=read: read(run), f"{name}")  # type: ignore[misc]
        (run / name).write_text(whole, encoding="utf-8")
        read(run)


def test_row_maxima_that_are_not_those_of_the_record(run: Path) -> None:
    lines = lines_of(run, "rows/maxima.jsonl")
    largest = max(m for m in lines[0]["max_ulp"] if m is not None)
    put(run, lines, 0, json.dumps(lines[0] | {"max_ulp": [largest + 1]}), "rows/maxima.jsonl")
    refused(lambda: sides(run), f"the largest is {largest + 1}, and max_ulp of its record is {largest}")


def _fifo(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def _loop(file: Path) -> None:
    file.unlink()
    file.symlink_to(file)


def _directory(file: Path) -> None:
    file.unlink()
    file.mkdir()


FILES: dict[str, Callable[[Path], object]] = {
    "a FIFO": _fifo,
    "a link to itself": _loop,
    "a directory": _directory,
    "no UTF-8": lambda file: file.write_bytes(b'{"a": "\xff"}\n'),
    "a byte-order mark": lambda file: file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes()),
    "zeros": lambda file: file.write_bytes(b"\0" * 100),
    "one long line": lambda file: file.write_bytes(b"[" + b" " * (1 << 22) + b"]\n"),
    "an empty line": lambda file: file.write_bytes(b"\n" + file.read_bytes()),
    "nested": lambda file: file.write_bytes(b"[" * 100_000 + b"\n"),
    "cut off": lambda file: file.write_bytes(file.read_bytes()[:-3]),
}


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("name", ["manifest.json", "cells.jsonl", "observations.jsonl", "rows/maxima.jsonl"])
def test_what_is_no_file_of_a_run_is_refused_and_never_waited_for(run: Path, kind: str, name: str) -> None:
    if (kind, name) == ("an empty line", "manifest.json"):
        return  # white space before an object
    FILES[kind](run / name)
    refused(lambda: (sides(run), read_run(run), read_observations(run)), str(run / name))


# -- baselines -------------------------------------------------------------------------------------------------------


def test_every_changed_line_of_a_baseline_is_refused(small: Path, tmp_path: Path) -> None:
    file = tmp_path / "base.jsonl"
    lines = [json.loads(text) for text in baseline_lines(stored(small))]

    def write(number: int, text: str) -> None:
        texts = [text if k == number else json.dumps(line) for k, line in enumerate(lines)]
        file.write_text("".join(f"{t}\n" for t in texts), encoding="utf-8")

    for number, line in enumerate(lines):
        for name in line:
            for text in ("7.5", "null", '"x"', HUGE, NESTED, '"\\ud800"'):
                write(number, changed(line, name, to=text))
                refused(lambda: read_baseline(file), f"{file}, line ")
        write(number, json.dumps(line)[:-1] + ", " + json.dumps(line)[1:])
        refused(lambda: read_baseline(file), "is there twice")
    lines.append(lines[-1])
    write(0, json.dumps(lines[0]))
    refused(lambda: read_baseline(file), "is there twice")


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ('["accurate",1.0,1.6]', "says that it is beyond its bound"),
        ('["accurate",1.0,"inf"]', "says that it is beyond its bound"),
        ('["unstable",1.0,0.5]', "says that it is within its bound"),
        ('["accurate",1.0,0.5,3]', "its figures say wrong"),
        ('["faithful",3.4,0.5]', "an error of 3.4 ulp says that it is not"),
        ('["correctly rounded",0.6,0.5]', "an error of 0.6 ulp says that it is not"),
        ('["accurate",-1.0,0.5]', "greater than or equal to 0"),
        ('["accurate",NaN,0.5]', "finite"),
        ('["accurate",1.0,1e999]', "finite"),
        ('["accurate",1.0]', "missing"),
        ('["accurate",1.0,0.5,-1]', "greater than or equal to 1"),
        ('["accurate",1.0,0.5,1,2]', "at most 4"),
    ],
)
def test_an_entry_of_a_baseline_says_one_thing(tmp_path: Path, entry: str, told: str) -> None:
    file = tmp_path / "base.jsonl"
    file.write_text(
        '{"schema": 1, "tier": "standard", "versions": {"torch": "2"}, "measured_on": {}, "flushes": []}\n'
        '{"input": "binary32/gauss1", "sha256": {"2": "000000000000"}}\n'
        '{"cells": "torch/eager/default/softmax/forward/binary32/gauss1", "last": {"2": ' + entry + "}}\n"
    )
    refused(lambda: read_baseline(file), "line 3", told)


# -- the oracle's word ------------------------------------------------------------------------------------------------


def forged(run: Run, number: int, **worst: Any) -> Run:
    records = list(run.records)
    records[number] = dataclasses.replace(records[number], worst=dataclasses.replace(records[number].worst, **worst))
    return dataclasses.replace(run, records=records)


def test_a_measured_run_is_what_the_oracle_says(finished: Run) -> None:
    found = verified(finished, finished.records)
    assert (found.count, found.differences) == (len(finished.records), ())


def test_made_up_figures_of_a_worst_element_are_noticed(finished: Run) -> None:
    for number in range(0, len(finished.records), 7):
        record = finished.records[number]
        changes: list[dict[str, Any]] = [
            {"exact": "0.123"},
            {"ulp_error": 0.25 + (record.worst.ulp_error or 0.0) * 1.001},
        ]
        if record.worst.bound_ratio:
            changes.append({"bound_ratio": record.worst.bound_ratio / 2})
        if isinstance(record.worst.logits, list):
            changes.append({"logits": ["0x3f800000", *record.worst.logits[1:]]})
        for change in changes:
            run = forged(finished, number, **change)
            found = verified(run, [run.records[number]])
            assert [r.key for r, _ in found.differences] == [record.key], change
            with pytest.raises(RunError, match="the oracle says|of its input|these are not"):
                found.demand(run)


def test_the_verb_verifies_and_names_what_is_forged(command: Command, copied: Run) -> None:
    """Everything in the record fits together: a wrong element and its figures are replaced by those of a good one."""
    ran = command("report", copied.path, "--verify", "--markdown", "page.md")
    assert ran.code == 0
    assert f"verified: the worst elements of all {len(copied.records)} cells are what the oracle says" in ran.err
    file = copied.path / "cells.jsonl"
    lines = {record.key: dataclasses.asdict(record) for record in copied.records}
    good, bad = (f"numpy/{n}/default/softmax/forward/binary32/last/special/3" for n in ("shifted", "naive"))
    lines[bad] = lines[good] | {"implementation": "numpy/naive", "max_ulp": 0.0, "p99_ulp": 0.0, "mean_ulp": 0.0}
    lines[bad] |= {"bias_ulp": 0.0, "worst": lines[good]["worst"] | {"exact": "0.25", "ulp_error": 0.0}}
    file.write_text("".join(json.dumps(record) + "\n" for record in lines.values()), encoding="utf-8")
    read_run(copied.path)
    ran = command("report", copied.path, "--verify", "--markdown", "forged.md")
    assert ran.code == 2
    assert f"{bad}: worst.exact: it says 0.25; the oracle says " in ran.err
    assert not Path("forged.md").exists()
    ran = command("replay", copied.path, bad)
    assert ran.code == 2
    assert "worst.exact: it says 0.25; the oracle says " in ran.complaint()


def test_verify_goes_with_one_run(command: Command, finished: Run) -> None:
    ran = command("report", finished.path, finished.path, "--history", "--verify")
    assert ran.code == 2
    assert "--verify goes with one RUN" in ran.complaint()
