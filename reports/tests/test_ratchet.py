"""pytest --baseline: a cell that is worse fails, a better one is listed at the end, another machine asks for less."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from reports.compare.baseline import Baseline, baseline_lines, read_baseline
from reports.compare.judgement import Change
from reports.compare.pairing import stored
from reports.compare.ratchet import Ratchet, SessionSummary, failure
from reports.measure.run import run_measurements
from reports.tests.synthetic import Line, cell, figures_of_line, line, write_run
from suites.implementations.catalogue import user_implementation
from suites.plan.cell import Cell, Selection

ROOT = Path(__file__).parents[2]
HERE = "Some CPU; threads 1"
NEW_BITS: dict[str, Any] = {"output_sha256": "2" * 64}
ROWS = [float(n) for n in range(1, 34)]


def ratchet(tmp_path: Path, lines: list[Line], *, file: bool = False, here: str = HERE) -> Ratchet:
    run = write_run(tmp_path / "run", lines)
    path = run
    if file:
        path = tmp_path / "baseline.jsonl"
        path.write_text("".join(baseline_lines(stored(run))), encoding="utf-8")
    baseline = read_baseline(path)
    return Ratchet(
        baseline, "storage-stable", [side.cell for side in baseline.sides.values()], lambda framework, profile: here
    )


def held(against: Ratchet, now: Line, of: Cell | None = None) -> Change:
    record, maxima = now
    return against.held(of or cell(), figures_of_line(record), maxima)


@pytest.mark.parametrize("file", [False, True])
@pytest.mark.parametrize(
    ("now", "word"),
    [
        (line(cell(), ROWS, **NEW_BITS), "changed"),
        (line(cell(), [r * 4.1 for r in ROWS], **NEW_BITS), "worse"),
        (line(cell(), [r / 4.1 for r in ROWS], **NEW_BITS), "improved"),
        (line(cell(format="binary16"), ROWS, verdict="storage-stable", **NEW_BITS), "worse"),
        (line(cell(), ROWS, verdict="unstable", **NEW_BITS), "broken"),
        (line(cell(), ROWS, input_sha256="9" * 64), "not comparable"),
        (line(cell(), ROWS, flushes=True, **NEW_BITS), "not comparable"),
    ],
)
def test_a_cell_is_judged_as_by_compare(tmp_path: Path, now: Line, word: str, file: bool) -> None:
    of = Cell(**{name: now[0][name] for name in (field.name for field in dataclasses.fields(Cell))})
    assert held(ratchet(tmp_path, [line(of, ROWS)], file=file), now, of).word == word


def test_a_run_directory_knows_identical_bits_and_a_file_takes_them_for_no_change(tmp_path: Path) -> None:
    assert held(ratchet(tmp_path / "a", [line(cell(), ROWS)]), line(cell(), ROWS)).word == "identical"
    assert held(ratchet(tmp_path / "b", [line(cell(), ROWS)], file=True), line(cell(), ROWS)).word == "changed"


def test_rounded_figures_hold_the_run_that_they_were_made_of(tmp_path: Path) -> None:
    lines = [line(cell(n), [1.0, 3.0449 + n / 7]) for n in range(40)]
    against = ratchet(tmp_path, lines, file=True)
    assert {held(against, now, cell(n)).word for n, now in enumerate(lines)} == {"changed"}


def test_only_a_run_directory_has_rows_to_test_and_many_cells_share_the_level(tmp_path: Path) -> None:
    grown = line(cell(), [r * 1.1 for r in ROWS], **NEW_BITS)
    assert held(ratchet(tmp_path / "a", [line(cell(), ROWS)]), grown).word == "worse"
    assert held(ratchet(tmp_path / "b", [line(cell(), ROWS)], file=True), grown).word == "changed"
    # 8 of 8 rows are 1 chance in 128, too many at 1 in 200; 12 of 12 are 1 in 2,048: enough, but not for 40 cells.
    eight, twelve = ([r * 1.1 for r in ROWS[:n]] for n in (8, 12))
    one = ratchet(tmp_path / "c", [line(cell(), ROWS[:8])])
    assert held(one, line(cell(), eight, **NEW_BITS)).word == "changed"
    one = ratchet(tmp_path / "d", [line(cell(), ROWS[:12])])
    assert held(one, line(cell(), twelve, **NEW_BITS)).word == "worse"
    many = ratchet(tmp_path / "e", [line(cell(n), ROWS[:12]) for n in range(40)])
    assert held(many, line(cell(), twelve, **NEW_BITS)).word == "changed"


def test_on_another_machine_only_outcomes_and_verdicts_count(tmp_path: Path) -> None:
    against = ratchet(tmp_path, [line(cell(), ROWS)], here="Another CPU; threads 1")
    assert held(against, line(cell(), [r * 9 for r in ROWS], **NEW_BITS)).word == "changed"
    assert held(against, line(cell(), ROWS, verdict="unstable", **NEW_BITS)).word == "broken"
    off = line(cell(), ROWS, verdict="wrong", outcomes={"nan_for_number": 1}, **NEW_BITS)
    assert held(against, off).word == "broken"


def test_a_cell_that_the_baseline_lacks_is_added(tmp_path: Path) -> None:
    assert held(ratchet(tmp_path, [line(cell())]), line(cell(5)), cell(5)).word == "added"


def test_a_failure_says_what_grew_from_where(tmp_path: Path) -> None:
    against = ratchet(tmp_path, [line(cell(), ROWS)])
    text = failure(held(against, line(cell(), [r * 4 for r in ROWS], **NEW_BITS)), against)
    assert text.startswith(
        f"torch/eager/default/softmax/forward/binary32/last/gauss1/2 is worse, held against {tmp_path}"
    )
    assert "largest error 33 → 132 ulp, 0.033 → 0.132 of the bound\n" in text
    assert "  worst: 0.11904808133840561 for 0.119202922022117560186" in text


# -- what is told at the end -----------------------------------------------------------------------------------------


def told(against: Ratchet, *changes: Change, selection: Selection | None = None) -> list[str]:
    gathered = SessionSummary()
    for change in changes:
        gathered.add(SessionSummary.text(change, against))
    return list(gathered.lines(against, selection or Selection()))


def test_the_end_shows_what_is_too_loose_and_what_is_not_held(tmp_path: Path) -> None:
    against = ratchet(tmp_path, [line(cell(n), ROWS) for n in range(4)])
    against = Ratchet(
        against.baseline, "storage-stable", [cell(n) for n in (0, 1, 2, 9)], lambda framework, profile: HERE
    )
    path = against.baseline.path
    better = held(against, line(cell(0), [r / 5 for r in ROWS], **NEW_BITS), cell(0))
    other = held(against, line(cell(1), ROWS, input_sha256="9" * 64), cell(1))
    worse = held(against, line(cell(2), [r * 5 for r in ROWS], **NEW_BITS), cell(2))
    new = held(against, line(cell(9)), cell(9))
    key = "torch/eager/default/softmax/forward/binary32/last/gauss1"
    assert told(against, better, other, worse, new) == [
        f"2 cells held against {path}: 1 worse",
        "1 input changed since the baseline was made:",
        "  binary32/gauss1/3: 1 cell",
        f"1 cell too loose: better now; 'baseline RUN --out {path}' renews it:",
        f"  {key}/2: the worst error went from 0.033 to 0.0066 of its bound; "
        "the error shrank in 33 of the 33 rows where it moved (p = 2e-10)",
        "1 cell not held, and the baseline needs to be renewed:",
        f"  {key}/3: the inputs differ",
        "1 cell not in the baseline:",
        f"  {key}/11",
        "1 cell in the baseline and not measured any more:",
        f"  {key}/5",
    ]


def test_cells_that_the_selection_leaves_out_are_not_missed(tmp_path: Path) -> None:
    against = ratchet(tmp_path, [line(cell(0)), line(cell(0, format="binary64"))])
    against = Ratchet(against.baseline, "storage-stable", [cell(0)], lambda framework, profile: HERE)
    same = held(against, line(cell(0)), cell(0))
    assert len(told(against, same, selection=Selection(formats=("binary32",)))) == 1
    assert len(told(against, same, selection=Selection("smoke"))) == 1
    assert len(told(against, same)) == 3


def test_another_machine_is_reported_with_what_the_figures_are_of(tmp_path: Path) -> None:
    against = ratchet(tmp_path, [line(cell())], here="Another CPU")
    change = held(against, line(cell(), **NEW_BITS))
    assert told(against, change)[1] == (
        "torch: only outcomes and verdicts, for the figures are those of another machine: Some CPU; threads 1"
    )


def test_long_lists_are_cut(tmp_path: Path) -> None:
    against = Ratchet(Baseline(tmp_path, "standard", {}, {}), "storage-stable", [], lambda framework, profile: HERE)
    added = [Change(cell(n), "added", (), None, figures_of_line(line(cell(n))[0])) for n in range(25)]
    lines = told(against, *added)
    assert lines[-1] == "  and 5 more"
    assert len(lines) == 2 + 1 + 1 + 20 + 1


# -- nothing was compared ----------------------------------------------------------------------------------------------


def why_nothing(against: Ratchet, *changes: Change) -> str:
    """The first line that is told, which says why; the second is the same for all."""
    first, second, *_ = told(against, *changes)
    assert second == "the session fails for it, as 'compare' leaves with 4"
    start = f"nothing was compared with {against.baseline.path}: "
    assert first.startswith(start)
    return first[len(start) :]


def session_against(path: Path, lines: list[Line], *cells: Cell) -> Ratchet:
    """A session of some cells held against a baseline of others."""
    baseline = ratchet(path, lines).baseline
    return Ratchet(baseline, "storage-stable", cells, lambda framework, profile: HERE)


def test_a_baseline_without_cells_holds_nothing(tmp_path: Path) -> None:
    against = session_against(tmp_path, [], cell())
    assert why_nothing(against, held(against, line(cell()))) == "it has no cell"


def test_a_baseline_of_something_else_holds_nothing_and_says_what_it_is_of(tmp_path: Path) -> None:
    other = cell(implementation="jax/jit")
    against = session_against(tmp_path, [line(other)], cell())
    reason = "it has no cell of this session; it is of jax/jit"
    assert why_nothing(against, held(against, line(cell()))) == reason
    many = [line(cell(implementation=f"jax/{letter}")) for letter in "abcdefg"]
    against = session_against(tmp_path / "many", many, cell())
    assert why_nothing(against).endswith("it is of jax/a, jax/b, jax/c, jax/d, jax/e and 2 more")


def test_a_session_without_a_cell_holds_nothing(tmp_path: Path) -> None:
    assert why_nothing(session_against(tmp_path, [line(cell())], cell())) == "the session measured no cell"


def test_a_session_that_measured_only_cells_that_are_new_holds_nothing(tmp_path: Path) -> None:
    against = session_against(tmp_path, [line(cell())], cell(), cell(1))
    new = held(against, line(cell(1)), cell(1))
    assert why_nothing(against, new) == "the cells that the session measured are not in it"


@pytest.mark.parametrize("file", [False, True])
def test_changed_inputs_hold_nothing_and_are_named_with_how_many_cells_they_have(tmp_path: Path, file: bool) -> None:
    of = [cell(), cell(layout="inner"), cell(1)]
    against = ratchet(tmp_path, [line(c) for c in of], file=file)
    now = [held(against, line(c, input_sha256="9" * 64), c) for c in of]
    assert why_nothing(against, *now) == "no cell of it can be compared any more; make it anew"
    assert told(against, *now)[2:5] == [
        "2 inputs changed since the baseline was made:",
        "  binary32/gauss1/2: 2 cells",
        "  binary32/gauss1/3: 1 cell",
    ]


def test_another_treatment_of_subnormal_numbers_is_no_changed_input(tmp_path: Path) -> None:
    against = ratchet(tmp_path, [line(cell())])
    now = held(against, line(cell(), flushes=True, **NEW_BITS))
    assert now.word == "not comparable"
    assert not any("changed since" in text for text in told(against, now))


# -- pytest itself ---------------------------------------------------------------------------------------------------

KERNEL = """
import numpy as np

def softmax(x, axis):
    e = np.exp(x.astype(np.float64) - x.max(axis=axis, keepdims=True))
    factor = {long} if x.shape[axis] > 2 else {short}
    return (e / e.sum(axis=axis, keepdims=True) * factor).astype(x.dtype)
"""


@pytest.fixture
def kernel_run(tmp_path: Path) -> Path:
    """A run of a softmax that is off by some ulps, beside its kernel.py."""
    write_kernel(tmp_path, long=1 - 2**-23, short=1 - 2**-20)
    mine = user_implementation(str(tmp_path / "kernel.py") + ":softmax", "numpy", None)
    selection = Selection("smoke", formats=("binary32",))
    return run_measurements(tmp_path / "run", [mine], selection, lambda *_: None, timing=False).run.path


def write_kernel(folder: Path, *, long: float, short: float) -> None:
    (folder / "kernel.py").write_text(KERNEL.format(long=repr(long), short=repr(short)), encoding="utf-8")


def run_pytest(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "suites/laws/test_differential.py",
        "-q",
        "-k",
        "cell",
        "--tier",
        "smoke",
    ]
    command += ["--implementation", str(folder / "kernel.py") + ":softmax", "--framework", "numpy"]
    return subprocess.run(
        [*command, "--format", "binary32", *options], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )


def test_pytest_fails_for_what_is_worse_and_shows_what_is_better(kernel_run: Path) -> None:
    write_kernel(kernel_run.parent, long=1 - 2**-20, short=1.0)
    ran = run_pytest(kernel_run.parent, "-o", f"baseline={kernel_run}", "-n", "2")
    cells = "kernel/softmax/default/softmax/forward/binary32/last"
    assert ran.returncode == 1, ran.stdout
    assert f"9 cells held against {kernel_run}: 4 worse" in ran.stdout
    assert ran.stdout.count("\nFAILED ") == 4
    assert f"WorseThanBaseline: {cells}/gauss1/1000 is worse, held against {kernel_run}: the worst error " in ran.stdout
    assert "too loose: better now; " in ran.stdout
    assert f"  {cells}/gauss1/2: verdict unstable → correctly rounded; the worst error went from " in ran.stdout


def test_pytest_fails_where_the_baseline_holds_nothing_whether_or_not_a_cell_was_measured(kernel_run: Path) -> None:
    baseline = kernel_run.parent / "head.jsonl"
    baseline.write_text(next(iter(baseline_lines(stored(kernel_run)))), encoding="utf-8")
    write_kernel(kernel_run.parent, long=1.0, short=1.0)
    ran = run_pytest(kernel_run.parent, "--baseline", str(baseline), "-k", "cell and equal")
    assert "1 passed" in ran.stdout
    assert f"nothing was compared with {baseline}: it has no cell" in ran.stdout
    assert ran.returncode == 1
    ran = run_pytest(kernel_run.parent, "--baseline", str(kernel_run), "-k", "known_defect", "-n", "2")
    assert " skipped in " in ran.stdout
    assert f"nothing was compared with {kernel_run}: the session measured no cell" in ran.stdout
    assert ran.returncode == 1


def test_pytest_names_a_baseline_that_can_not_be_read(kernel_run: Path) -> None:
    ran = run_pytest(kernel_run.parent, "--baseline", "nowhere.jsonl")
    assert ran.returncode == 4
    assert "--baseline: nowhere.jsonl can't be read (" in ran.stderr


def test_a_changed_figure_is_a_plain_value(tmp_path: Path) -> None:
    # What crosses xdist's border has to be plain text: a NumPy scalar there ends in a lost report.
    against = ratchet(tmp_path, [line(cell(), ROWS)])
    change = held(against, line(cell(), [r * 1.1 for r in ROWS], **NEW_BITS))
    assert change.rows is not None
    assert {type(v) for v in dataclasses.asdict(change.rows).values()} <= {int, float, bool}
