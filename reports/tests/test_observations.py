"""Whether bits change: what a run keeps of it, and what the pages say."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from reports import html, markdown
from reports.facts.observations import changes_of
from reports.run.reader import read_observations, read_run
from reports.run.records import Run, RunError
from reports.run.writer import RunWriter
from reports.tests.synthetic import MANIFEST
from suites.laws.observations import Observation

SEEN = Observation(
    what="the number of threads",
    framework="torch",
    implementation="torch/eager",
    profile="threads-2",
    operation="softmax",
    quantity="forward",
    format="binary32",
    layout="inner",
    row_length=33,
    paths=["torch-softmax-inner-vector", "torch-softmax-inner-scalar"],
    elements=1188,
    changed=0,
    max_ulp=0.0,
    max_row_ulp=0.0,
)


def run_with(path: Path, *seen: Observation) -> Path:
    writer = RunWriter(path, dataclasses.replace(MANIFEST, planned=0))
    for observation in seen:
        writer.observe(observation)
    writer.finish(finished=True)
    return path


def test_observations_are_kept_once_in_the_order_of_their_keys(tmp_path: Path) -> None:
    other = dataclasses.replace(SEEN, layout="column", changed=3, max_ulp=2.0)
    path = run_with(tmp_path / "run", SEEN, other, SEEN)
    assert read_observations(path) == [other, SEEN]
    assert set(RunWriter(path, dataclasses.replace(MANIFEST, planned=0)).observed) == {SEEN.key, other.key}


def test_a_run_without_observations_is_read_and_shows_none(copied: Run) -> None:
    assert len(read_observations(copied.path)) > 0
    assert "Do bits change?" in html.render(copied)
    (copied.path / "observations.jsonl").unlink()
    assert changes_of(copied) == ()
    assert "Do bits change?" not in markdown.render(copied)
    assert "Do bits change?" not in html.render(copied)


def test_a_damaged_line_is_dropped_by_a_writer_and_reported_by_a_reader(tmp_path: Path) -> None:
    path = run_with(tmp_path / "run", SEEN)
    with (path / "observations.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"what": "the')
    with pytest.raises(RunError, match="observations.jsonl, line 2 is damaged"):
        read_observations(path)
    RunWriter(path, dataclasses.replace(MANIFEST, planned=0))
    assert read_observations(path) == [SEEN]


def test_the_pages_say_whether_bits_change_where_and_by_how_much(tmp_path: Path) -> None:
    changed = dataclasses.replace(
        SEEN, layout="last", changed=5, max_ulp=2.0, max_row_ulp=0.5, paths=["torch-softmax-last"]
    )
    gradient = dataclasses.replace(changed, quantity="vjp", changed=7, max_ulp=None)
    threads = dataclasses.replace(SEEN, what="the layout in memory", layout="strided")
    run = read_run(run_with(tmp_path / "run", SEEN, changed, gradient, threads))
    layout, found = changes_of(run)
    assert (layout.what, layout.answer, layout.paths) == ("the layout in memory", "no", "")
    answer = "yes, values by at most 0.5 ulp of the row (2 of an element) and gradients from a number to none"
    assert found.answer == answer
    assert found.compared == "2 of 3 comparisons, 12 of 3,564 elements"
    assert found.paths == "torch-softmax-last"
    assert f"| the number of threads | torch/eager | {answer} |" in markdown.render(run)
    assert f"<td>{answer}</td>" in html.render(run)
