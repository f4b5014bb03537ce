"""Scripts for every way to call a framework and every layout: run here, they print the recorded bits and error."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path
from typing import Any

import mpmath
import pytest

from reports.inspect.replay import script_for
from reports.run.from_measurement import record_of
from reports.run.records import Record, Run
from suites.implementations.catalogue import CATALOGUE, means_something_to, versions_of, why_not_measured, why_skipped
from suites.plan.cell import Cell
from suites.scoring.cell import evaluator_of, input_of, output_of, score
from suites.vocabulary import LAYOUTS


def recorded(name: str, quantity: str, layout: str, folder: Path, **changes: Any) -> Record:
    """The record of a cell of nine logits, binary32 where the quantity has it."""
    implementation = CATALOGUE[name]
    reason = why_not_measured(implementation.framework) or why_skipped(implementation)
    if reason:
        pytest.skip(reason)
    operation = changes.get("operation") or next(iter(implementation.calls))
    format = "binary32" if "binary32" in implementation.formats_of(quantity) else implementation.formats_of(quantity)[0]
    cell = Cell(name, "default", operation, quantity, format, layout, changes.get("family", "gauss1"), 9)
    batch = input_of(cell)
    computed, touched = output_of(cell, batch, evaluator_of(implementation))
    measurement = score(cell, implementation, batch, computed, touched=touched)
    version = versions_of(implementation.framework)[implementation.framework]
    return record_of(measurement, implementation.calls[operation], version, "cpu", folder)


def check(record: Record, folder: Path) -> None:
    """Run the record's script in this process and hold what it prints against the record."""
    text = script_for(Run(folder, None, []), record)  # type: ignore[arg-type]  # short rows need no directory
    printed_to = io.StringIO()
    with contextlib.redirect_stdout(printed_to), mpmath.workprec(53):
        exec(compile(text, record.key, "exec"), {"__name__": "__main__"})
    printed = dict(re.findall(r"^(\w+) +(.+)$", printed_to.getvalue(), re.MULTILINE))
    bits, value = printed["computed"].split()
    assert int(bits, 16) == int(record.worst.computed, 16)
    assert value == record.worst.computed_value
    with mpmath.workdps(40):
        exact = mpmath.mpf(record.worst.exact)
        assert abs(mpmath.mpf(printed["exact"]) - exact) <= abs(exact) * mpmath.mpf(10) ** -28
    assert float(printed["error"].split()[0]) == pytest.approx(record.worst.ulp_error, rel=1e-6)


@pytest.mark.parametrize(
    ("name", "quantity"),
    [
        ("torch/log-of-softmax", "vjp"),
        ("torch/x-minus-logsumexp", "forward"),
        ("torch/compile", "vjp"),
        ("torch/compile-x-over-3", "forward"),
        ("torch/vmap", "jvp"),
        ("torch/autograd.functional.jvp", "jvp"),
        ("torch/out", "forward"),
        ("torch/binary16-to-binary32", "forward"),
        ("torch/binary16-to-binary32", "vjp"),
        ("torch/binary32-to-bfloat16", "jvp"),
        ("torch/masked", "vjp"),
        ("torch/_masked_softmax", "forward"),
        ("torch/sparse", "forward"),
        ("torch/mkldnn", "forward"),
        ("jax/x-minus-logsumexp", "forward"),
        ("jax/jit-where", "vjp"),
        ("jax/jit-vmap", "forward"),
        ("jax/jit-x-over-3", "forward"),
        ("scipy", "forward"),
        ("scipy/x-minus-logsumexp", "forward"),
    ],
)
def test_a_script_prints_what_was_recorded(name: str, quantity: str, tmp_path: Path) -> None:
    family = "masked" if "mask" in name or name in ("torch/sparse", "jax/jit-where") else "gauss1"
    check(recorded(name, quantity, "last", tmp_path, family=family), tmp_path)


@pytest.mark.parametrize("name", ["torch/sparse", "torch/vmap", "jax/jit-vmap", "jax/x-minus-logsumexp"])
def test_a_script_of_log_softmax_prints_what_was_recorded(name: str, tmp_path: Path) -> None:
    check(recorded(name, "forward", "inner", tmp_path, operation="log_softmax"), tmp_path)


@pytest.mark.parametrize(
    ("name", "quantity", "layout"),
    [
        (name, quantity, layout)
        for name, quantity in (("torch/eager", "vjp"), ("numpy/shifted", "forward"))
        for layout in LAYOUTS
        if means_something_to(CATALOGUE[name].framework, layout)
    ],
)
def test_a_script_lays_the_row_out_as_it_was(name: str, quantity: str, layout: str, tmp_path: Path) -> None:
    check(recorded(name, quantity, layout, tmp_path), tmp_path)


@pytest.mark.parametrize("layout", ["middle", "column"])
@pytest.mark.parametrize("name", ["torch/vmap", "jax/jit-vmap"])
def test_a_script_maps_over_two_axes(name: str, layout: str, tmp_path: Path) -> None:
    check(recorded(name, "forward", layout, tmp_path), tmp_path)
