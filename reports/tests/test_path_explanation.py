"""Explanations of paths: what runs for a shape, with the sizes and depths that belong to it."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from references.formats import FormatError
from reports.inspect.explain import ExplainError
from reports.inspect.explain_paths import as_json, explained_paths, parse_shape, tables
from suites.implementations.catalogue import why_not_measured
from suites.paths.registry import registry


@pytest.fixture
def no_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without PyTorch: the registry alone, under AVX2 and one thread."""
    monkeypatch.setattr(
        "reports.inspect.explain_paths.why_not_measured", lambda framework: f"{framework} is not installed"
    )


def shown(*arguments: Any, **named: Any) -> str:
    console = Console(file=io.StringIO(), width=200)
    for part in tables(explained_paths(*arguments, **named)):
        console.print(part)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.usefixtures("no_torch")
def test_a_framework_that_is_not_installed_is_shown_by_the_registry_alone() -> None:
    (found,) = explained_paths((50, 19), 0, "binary32", ["forward"], ["softmax"], ["torch"]).frameworks
    assert found.version is None
    assert found.settings == registry().assumed["torch"]
    assert found.notes == ("torch is not installed: by the registry alone, with settings that are assumed",)
    steps = [(step.path.id, step.where) for step in found.calls[0].steps]
    assert steps == [
        ("torch-softmax-inner-vector", "rows 0-15 of 19"),
        ("torch-softmax-inner-scalar", "rows 16-18 of 19"),
    ]


@pytest.mark.usefixtures("no_torch")
def test_boundaries_and_depths_are_those_of_the_shape() -> None:
    (found,) = explained_paths((64, 1000), 1, "binary32", ["vjp"], ["log_softmax"], ["torch"]).frameworks
    told = {t.path.id: t for t in found.paths}["torch-log_softmax-backward-last"]
    # Eight lanes: 1000 / 8 terms in each, and a tree of three levels over the lanes.
    assert told.depth == 124 + 3
    assert told.summation == "a sum in each SIMD lane, then a tree over the lanes"
    assert told.boundaries[0][:3] == ("n", (8, 16), 1000)
    # Along the other axis, 64 terms in sequence.
    (found,) = explained_paths((64, 1000), 0, "binary32", ["vjp"], ["log_softmax"], ["torch"]).frameworks
    told = {t.path.id: t for t in found.paths}["torch-log_softmax-backward-inner-vector"]
    assert (told.depth, told.boundaries[0][1]) == (63, (8, 16))


@pytest.mark.usefixtures("no_torch")
def test_binary64_has_half_the_lanes_and_adds_them_up_in_sequence() -> None:
    (found,) = explained_paths((64, 1000), 1, "binary64", ["forward"], ["softmax"], ["torch"]).frameworks
    told = {t.path.id: t for t in found.paths}["torch-softmax-last"]
    assert told.depth == 249 + 3
    assert told.summation.endswith("the lanes one after the other")


def test_another_version_than_the_registrys_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reports.inspect.explain_paths.versions_of", lambda framework: {"numpy": "1.26.4"})
    (found,) = explained_paths((2, 3), 1, "binary32", frameworks=["numpy"]).frameworks
    assert found.notes == (f"the registry was read and observed in numpy {registry().read['numpy']}, this is 1.26.4",)


def test_numpy_is_reported_with_what_this_process_has_chosen() -> None:
    text = shown((64, 1000), 0, "binary16", ["forward"], ["log_softmax"], ["numpy"])
    assert "64 x 1000, axis 0, binary16" in " ".join(text.split())
    assert "numpy-sum-sequential" in text
    assert "numpy/_core/src/umath/loops_arithm_fp.dispatch.c.src: FLOAT_add, DOUBLE_add, HALF_add" in text
    assert "one term after the other; depth 63" in text
    assert "observed by suites/tests/test_paths_numpy.py::test_sums_add_up_in_the_order_of_the_registry" in text


def test_a_format_that_a_framework_has_no_call_for_is_said_so() -> None:
    assert "no call of it has this format and quantity" in shown((2, 3), 1, "bfloat16", frameworks=["numpy"])


def test_the_json_has_every_fact_and_no_nan() -> None:
    explanation = explained_paths((5, 9, 1), 1, "binary32", ["forward", "vjp"], ["softmax"], ["numpy"])
    data = json.loads(json.dumps(as_json(explanation), allow_nan=False))
    assert (data["shape"], data["axis"], data["format"]) == ([5, 9, 1], 1, "binary32")
    (numpy,) = data["frameworks"]
    others = [note for note in numpy["notes"] if not note.startswith("the registry was read and observed in numpy ")]
    assert others == []
    assert bool(numpy["notes"]) == (np.__version__ != registry().read["numpy"])
    call = next(c for c in numpy["calls"] if c["implementation"] == "numpy/shifted" and c["quantity"] == "vjp")
    assert {"id": "numpy-sum-pairwise", "where": None} in call["paths"]
    told = numpy["paths"]["numpy-sum-pairwise"]
    assert told["boundaries"] == [{"of": "n", "at": [8, 129], "here": 9, "why": "eight sums; halves"}]
    assert told["depth"] == 4  # eight sums, three levels over them, and one term more
    assert told["evidence"] == "observed"


def test_torch_is_reported_under_its_own_settings() -> None:
    reason = why_not_measured("torch")
    if reason:
        pytest.skip(reason)
    (found,) = explained_paths((64, 1000), 0, "bfloat16", ["vjp"], ["log_softmax"], ["torch"]).frameworks
    assert found.settings["threads"] == "1"
    assert {t.path.id for t in found.paths} >= {
        "torch-log_softmax-inner-16bit-vector",
        "torch-log_softmax-backward-inner-vector",
    }


@pytest.mark.parametrize(("text", "shape"), [("7", (7,)), ("64x1000", (64, 1000)), ("2,3,4", (2, 3, 4))])
def test_a_shape_is_sizes_with_x_between(text: str, shape: tuple[int, ...]) -> None:
    assert parse_shape(text) == shape


@pytest.mark.parametrize("text", ["", "x", "3x", "3x-1", "3x0", "3 x 4", "3x4.0", "axb"])
def test_what_is_no_shape_is_refused_with_the_remedy(text: str) -> None:
    with pytest.raises(ExplainError) as error:
        parse_shape(text)
    assert str(error.value) == f"--shape {text!r} is no shape; write sizes of 1 or more with x between them, as 64x1000"


def test_an_axis_or_format_that_can_not_be_had_is_refused() -> None:
    with pytest.raises(ExplainError, match="^--axis: axis 2 is not in an array of 2 dimensions$"):
        explained_paths((2, 3), 2, "binary32")
    with pytest.raises(
        FormatError, match="^unknown format 'float32'; known are binary64, binary32, binary16, bfloat16$"
    ):
        explained_paths((2, 3), 1, "float32")
