"""What is wrong today: a run's failures by known defects, new ones first, and what the versions break of the laws."""

from __future__ import annotations

import dataclasses
from typing import Any

from reports import html, markdown
from reports.facts.wrong_today import Issue, wrong_today
from reports.run.records import Record, Run

PACKAGES = {"torch": "2.13.0", "jax": "0.10.2", "numpy": "2.4.6", "scipy": "1.17.1"}


def failing(run: Run, implementation: str, **changes: Any) -> Record:
    """A record of the run made over into a failing one of another implementation."""
    framework = implementation.partition("/")[0]
    fields: dict[str, Any] = {
        "verdict": "wrong",
        "bound_ratio": 50.0,
        "infinite_ratios": 0,
        "path": ["some-kernel"],
        **changes,
    }
    return dataclasses.replace(run.records[0], implementation=implementation, framework=framework, **fields)


def run_of(run: Run, *records: Record) -> Run:
    manifest = dataclasses.replace(
        run.manifest, packages=PACKAGES, implementations=list(dict.fromkeys(r.implementation for r in records))
    )
    return Run(run.path, manifest, list(records))


def test_failures_are_reported_by_their_entry_with_its_issue(finished: Run) -> None:
    long = {"operation": "log_softmax", "quantity": "forward", "format": "binary16", "family": "long"}
    run = run_of(
        finished,
        failing(finished, "torch/eager", **long, row_length=65536),
        failing(finished, "torch/eager", **long, row_length=16384, bound_ratio=None, infinite_ratios=2),
    )
    (line,) = wrong_today(run).offered
    assert line.title.startswith("torch.log_softmax, last axis: the sum is stored in binary16")
    assert line.issue == Issue("pytorch/pytorch#143896", "https://github.com/pytorch/pytorch/pull/143896")
    assert (line.cells, line.verdict, line.law, line.errors) == ("2 cells", "wrong", "P10", "50, some infinite")
    assert line.where == "torch/eager; log_softmax; forward; binary16; long; n = 16384 and 65536"
    assert line.paths == "some-kernel"
    assert wrong_today(run).unknown == ()
    for page in (html.render(run), markdown.render(run)):
        assert "pytorch/pytorch#143896" in page
        assert "https://github.com/pytorch/pytorch/pull/143896" in page


def test_a_failure_that_no_entry_covers_is_new_and_comes_before_the_known_ones(finished: Run) -> None:
    new = failing(finished, "torch/eager", operation="softmax", quantity="forward", format="binary64", family="gauss1")
    known = failing(finished, "jax/jit", operation="softmax", quantity="vjp", format="binary16")
    run = run_of(finished, known, new)
    found = wrong_today(run)
    assert [line.title for line in found.unknown] == ["new: no entry of known_defects.toml covers it"]
    assert found.unknown[0].where.startswith("torch/eager; softmax; forward; binary64; gauss1; n = ")
    page = markdown.render(run)
    assert page.index("new: no entry") < page.index("jax.nn.softmax, default rule")


def test_an_entry_of_another_version_covers_nothing(finished: Run) -> None:
    record = failing(finished, "jax/jit", operation="softmax", quantity="vjp", format="binary16")
    run = run_of(finished, record)
    newer = dataclasses.replace(run.manifest, packages={**PACKAGES, "jax": "0.11.0"})
    found = wrong_today(Run(run.path, newer, run.records))
    assert (len(found.unknown), found.offered, found.laws) == (1, (), ())


def test_formulas_that_people_write_are_kept_apart(finished: Run) -> None:
    found = wrong_today(finished)
    assert {line.where.partition(";")[0] for line in found.written_out} >= {"numpy/naive", "numpy/log-of-softmax"}
    assert not any("naive" in line.where for line in (*found.offered, *found.unknown))


def test_the_worst_verdict_comes_first(finished: Run) -> None:
    wide = {"operation": "log_softmax", "quantity": "vjp", "format": "bfloat16", "family": "dominant"}
    run = run_of(
        finished,
        failing(finished, "jax/jit", **wide, verdict="unstable"),
        failing(finished, "jax/jit", operation="softmax", quantity="vjp", format="binary16"),
    )
    assert [line.verdict for line in wrong_today(run).offered] == ["wrong", "unstable"]


def test_laws_are_those_that_measured_versions_break(finished: Run) -> None:
    run = run_of(finished, failing(finished, "torch/_masked_softmax", verdict="stable"))
    found = wrong_today(run)
    assert {line.laws for line in found.laws} == {"memory", "degenerate shapes"}
    assert all("torch/_masked_softmax" in line.where for line in found.laws)
    assert found.laws[1].size == "∞"
    older = dataclasses.replace(run.manifest, packages={**PACKAGES, "torch": "2.0.1"})
    assert wrong_today(Run(run.path, older, run.records)).laws == ()


def test_a_run_without_failures_says_so(finished: Run) -> None:
    run = run_of(finished, failing(finished, "torch/eager", verdict="stable"))
    assert wrong_today(run).nothing
    assert "No cell fails, and no law is known to be broken." in markdown.render(run)
    assert "No cell fails, and no law is known to be broken." in html.render(run)
