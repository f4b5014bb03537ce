"""Replays: the recorded worst case again, in this process and as a script that stands alone."""

from __future__ import annotations

import dataclasses
import math
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import mpmath
import pytest

from references.formats import format_named
from reports.inspect.replay import replayed, script_for
from reports.run.records import Record, Run, RunError
from suites.plan.cell import Selection

Measured = Callable[[str, Selection], Run]

DOMINANT = "numpy/shifted/default/softmax/vjp/binary32/last/dominant/2"
LONG = "numpy/shifted/default/log_softmax/vjp/binary32/inner/gauss1/1000"
SPECIAL = "numpy/naive/default/softmax/forward/binary32/last/special/3"


@pytest.fixture(scope="session")
def wide(measured: Measured) -> Run:
    """Binary64, where the exact value of a dominant element is far below what its neighbours leave of it."""
    return measured("numpy", Selection("smoke", quantities=("forward",), formats=("binary64",), families=("dominant",)))


@pytest.fixture(scope="session")
def torch_run(measured: Measured) -> Run:
    pytest.importorskip("torch")
    return measured("torch/eager", Selection("smoke", formats=("bfloat16",), families=("dominant",)))


@pytest.fixture(scope="session")
def jax_run(measured: Measured) -> Run:
    pytest.importorskip("jax")
    chosen = Selection("smoke", quantities=("jvp",), formats=("binary16",), families=("dominant",))
    return measured("jax/jit", chosen)


@pytest.fixture(scope="session")
def scipy_run(measured: Measured) -> Run:
    pytest.importorskip("scipy")
    return measured("scipy", Selection("smoke", formats=("binary32",), families=("dominant",)))


# -- in this process -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [DOMINANT, LONG, SPECIAL])
def test_a_replay_shows_the_same_figures(finished: Run, key: str) -> None:
    record = finished.named(key)
    replay = replayed(finished, record)
    assert replay.same
    assert replay.now.ulp_error == record.worst.ulp_error
    assert replay.now.bound_ratio == record.worst.bound_ratio
    assert replay.now.exact == record.worst.exact
    assert (replay.now.row, replay.now.column) == (record.worst.row, record.worst.index)
    lines = replay.text().splitlines()
    assert lines[0] == key
    figures = [line.split(maxsplit=1) for line in lines[-3:-1]]
    assert [word for word, _ in figures] == ["recorded", "now"]
    assert figures[0][1] == figures[1][1]
    assert lines[-1] == "  the same figures"


def test_every_recorded_cell_replays(finished: Run) -> None:
    assert all(replayed(finished, record).same for record in finished.records)


def test_a_replay_on_torch_shows_the_same_figures(torch_run: Run) -> None:
    for record in torch_run.records:
        assert replayed(torch_run, record).same


def test_a_replay_says_where_the_element_stands_and_how_the_input_begins(finished: Run) -> None:
    short = finished.named(DOMINANT)
    text = replayed(finished, short).text()
    assert f"{short.call}, vjp, axis 1 of layout last" in text
    assert f"row {short.worst.row} of 33, element {short.worst.index} of 2" in text
    assert f"logits: {' '.join(short.worst.logits)}; cotangent: {' '.join(short.worst.cotangent)}" in text
    long = finished.named(LONG)
    assert f"axis 0 of layout inner\n  input     row {long.worst.row} of 18" in replayed(finished, long).text()
    assert f"logits: 1000 numbers in rows/{long.worst.logits['file']}" in replayed(finished, long).text()


def test_an_element_without_a_finite_error_is_shown_as_that(finished: Run) -> None:
    text = replayed(finished, finished.named(SPECIAL)).text()
    assert text.count("no finite error") == 2
    assert " = nan, " in text


def with_worst(record: Record, **changes: object) -> Record:
    return dataclasses.replace(record, worst=dataclasses.replace(record.worst, **changes))  # type: ignore[arg-type]


def test_bits_that_differ_are_reported_with_the_recorded_version(finished: Run) -> None:
    record = with_worst(finished.named(DOMINANT), computed="0x00000001", computed_value="1e-45")
    replay = replayed(finished, dataclasses.replace(record, version="1.0"))
    assert not replay.same
    lines = replay.text().splitlines()
    assert lines[-3].startswith("  recorded  0x00000001 = 1e-45, ")
    assert lines[-2].startswith(f"  now       {finished.named(DOMINANT).worst.computed} = ")
    assert lines[-1] == "  differs: recorded with numpy 1.0"


@pytest.mark.parametrize("key", [DOMINANT, LONG])
def test_an_input_that_changed_is_replaced_by_the_recorded_row_at_every_place(finished: Run, key: str) -> None:
    record = dataclasses.replace(finished.named(key), input_sha256="0" * 64)
    replay = replayed(finished, record)
    assert replay.same
    assert replay.now.ulp_error == record.worst.ulp_error
    format = format_named(record.format)
    assert replay.now.logits.tolist() == finished.bits(record.worst.logits, format).tolist()
    assert replay.now.vectors["cotangent"].tolist() == finished.bits(record.worst.cotangent, format).tolist()


def test_special_rows_that_have_changed_are_not_replayed(finished: Run) -> None:
    record = dataclasses.replace(finished.named(SPECIAL), input_sha256="0" * 64)
    with pytest.raises(RunError, match="the special rows have changed since .* was made; measure again"):
        replayed(finished, record)


def test_a_users_own_implementation_is_not_replayed(finished: Run) -> None:
    record = dataclasses.replace(finished.named(DOMINANT), implementation="mine/softmax")
    for replay in (replayed, script_for):
        with pytest.raises(RunError, match="mine/softmax is your own; replay it with measure --implementation"):
            replay(finished, record)


# -- as a script -----------------------------------------------------------------------------------------------------


def check_script(run: Run, record: Record, folder: Path) -> None:
    """Run the script where nothing of this project can be imported, and hold what it prints against the record."""
    script = folder / "replay_case.py"
    script.write_text(script_for(run, record), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-I", script], cwd=folder, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    printed = dict(re.findall(r"^(\w+) +(.+)$", done.stdout, re.MULTILINE))
    assert printed[record.framework] in record.version.split()
    bits, value = printed["computed"].split()
    assert int(bits, 16) == int(record.worst.computed, 16)
    assert value == record.worst.computed_value
    if not math.isfinite(float(value)):
        assert "error" not in printed
        return
    with mpmath.workdps(40):
        exact, recorded = mpmath.mpf(printed["exact"]), mpmath.mpf(record.worst.exact)
        assert abs(exact - recorded) <= abs(recorded) * mpmath.mpf(10) ** -28
    error, unit = printed["error"].split(maxsplit=1)
    assert float(error) == pytest.approx(record.worst.ulp_error, rel=1e-6)
    assert unit == f"ulp of {record.format}"


@pytest.mark.parametrize(
    "key",
    [
        DOMINANT,
        LONG,
        SPECIAL,
        "numpy/x-minus-logsumexp/default/log_softmax/forward/binary32/last/dominant/2",
        "numpy/log-of-softmax/default/log_softmax/vjp/binary32/last/gauss1/2",
    ],
)
def test_a_script_prints_the_recorded_bits_and_error(finished: Run, tmp_path: Path, key: str) -> None:
    check_script(finished, finished.named(key), tmp_path)


def test_a_script_finds_an_exact_value_far_below_the_others(wide: Run, tmp_path: Path) -> None:
    record = wide.named("numpy/shifted/default/log_softmax/forward/binary64/last/dominant/2")
    # The largest error in ulps is that of 0 for -log(1 + exp(-gap)), whose digits begin after hundreds of zeros.
    assert record.worst.outcome == "underflow"
    assert 0 > float(record.worst.exact) > -1e-150
    check_script(wide, record, tmp_path)


def test_a_script_finds_an_exact_zero(finished: Run, tmp_path: Path) -> None:
    # A constant cotangent over 31 equal logits: g - G / 31 = 0, but 1/31 and its product are rounded.
    record = with_worst(
        finished.named("numpy/shifted/default/log_softmax/vjp/binary32/last/gauss1/2"),
        row=0,
        index=0,
        logits=["0x3e99999a"] * 31,
        cotangent=["0x3f8ccccd"] * 31,
    )
    script = tmp_path / "zero.py"
    script.write_text(script_for(finished, dataclasses.replace(record, rows=1, row_length=31)), encoding="utf-8")
    done = subprocess.run([sys.executable, "-I", script], capture_output=True, text=True, check=True, timeout=120)
    assert "exact    0.0\n" in done.stdout


def test_a_script_needs_torch_alone(torch_run: Run, tmp_path: Path) -> None:
    check_script(torch_run, torch_run.named("torch/eager/default/log_softmax/vjp/bfloat16/last/dominant/2"), tmp_path)


def test_a_script_needs_jax_alone(jax_run: Run, tmp_path: Path) -> None:
    check_script(jax_run, jax_run.named("jax/jit/default/softmax/jvp/binary16/last/dominant/2"), tmp_path)


def test_a_script_needs_scipy_alone(scipy_run: Run, tmp_path: Path) -> None:
    check_script(scipy_run, scipy_run.named("scipy/default/softmax/forward/binary32/last/dominant/2"), tmp_path)


def test_a_script_names_its_case_and_imports_nothing_of_this_project(finished: Run) -> None:
    record = finished.named(DOMINANT)
    text = script_for(finished, record)
    assert text.startswith(f'"""{record.call}: vjp in binary32, one element off by ')
    imported = set(re.findall(r"^(?:import|from) (\w+)", text, re.MULTILINE))
    assert imported == {"mpmath", "numpy"}
    assert " ".join(record.worst.logits) in text
    assert " ".join(record.worst.cotangent) in text
    compile(text, "script", "exec")


@pytest.mark.parametrize("framework", ["finished", "torch_run", "jax_run", "scipy_run"])
def test_the_scripts_of_all_recorded_cells_compile(request: pytest.FixtureRequest, framework: str) -> None:
    run: Run = request.getfixturevalue(framework)
    for record in run.records:
        compile(script_for(run, record), record.key, "exec")


def test_a_script_has_the_shape_and_the_place_of_the_record(finished: Run) -> None:
    record = finished.named(LONG)
    place = f"ROWS, N, ROW, ELEMENT = 18, 1000, {record.worst.row}, {record.worst.index}\n"
    assert place in script_for(finished, record)
