"""Two run directories held against each other: words, false alarms, power, gaps, damage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reports.compare.comparison import Comparison, compare_runs
from reports.compare.demand import Demand
from reports.compare.evidence import ALIKE, LEVEL
from reports.compare.judgement import BROKEN, CHANGED, DIFFERENT, IDENTICAL, IMPROVED, WORSE
from reports.console.exits import INCOMPLETE, NOTHING_COMPARED, OK
from reports.console.exits import WORSE as EXIT_WORSE
from reports.run.records import MeasuredProfile, Run, RunError, Unmeasured
from reports.tests.synthetic import Line, cell, drawn_cells, drawn_lines, line, write_run
from suites.plan.cell import Cell
from suites.vocabulary import FAMILIES

NEW_BITS: dict[str, Any] = {"output_sha256": "2" * 64}
ROWS = [float(n) for n in range(1, 34)]


def compared(tmp_path: Path, old: list[Line], new: list[Line], *, demand: Demand | None = None) -> Comparison:
    paths = write_run(tmp_path / "old", old), write_run(tmp_path / "new", new)
    return compare_runs(*paths, demand)


def words(comparison: Comparison) -> dict[str, int]:
    return dict(comparison.counts.items() - {(word, 0) for word in comparison.counts})


# -- words -----------------------------------------------------------------------------------------------------------


def test_equal_bits_on_equal_inputs_are_identical(finished: Run) -> None:
    comparison = compare_runs(finished.path, finished.path)
    assert words(comparison) == {IDENTICAL: len(finished.records)}
    assert (comparison.changes, comparison.drifts, comparison.exit_code) == ([], [], OK)
    assert comparison.notes == ("Packages, machine, settings and flags are the same: every cell should be identical.",)


def test_other_bits_with_like_errors_have_changed(tmp_path: Path) -> None:
    shuffled = [r + (0.25 if n % 2 else -0.25) for n, r in enumerate(ROWS)]
    comparison = compared(tmp_path, [line(cell(), ROWS)], [line(cell(), shuffled, **NEW_BITS)])
    assert words(comparison) == {CHANGED: 1}
    assert comparison.changes[0].rows is not None
    assert (comparison.changes[0].rows.grew, comparison.changes[0].rows.shrank) == (16, 17)
    assert comparison.exit_code == OK


def test_a_cell_whose_rows_all_grew_a_little_is_worse(tmp_path: Path) -> None:
    comparison = compared(tmp_path, [line(cell(), ROWS)], [line(cell(), [r * 1.01 for r in ROWS], **NEW_BITS)])
    assert words(comparison) == {WORSE: 1}
    assert comparison.changes[0].reasons == ("the error grew in 33 of the 33 rows where it moved (p = 2e-10)",)
    assert comparison.exit_code == EXIT_WORSE


def test_five_rows_that_all_grew_a_little_prove_nothing_and_fourfold_is_a_fact(tmp_path: Path) -> None:
    old = [line(cell(n), ROWS[:5]) for n in (0, 1)]
    new = [line(cell(n), [r * times for r in ROWS[:5]], **NEW_BITS) for n, times in ((0, 1.5), (1, 4.0))]
    comparison = compared(tmp_path, old, new)
    assert [(c.cell.row_length, c.word) for c in comparison.changes] == [(3, WORSE), (2, CHANGED)]


@pytest.mark.parametrize("family", ALIKE)
def test_rows_that_are_one_problem_are_no_evidence(tmp_path: Path, family: str) -> None:
    assert family in (*FAMILIES, "special")
    of = cell(family=family)
    comparison = compared(tmp_path, [line(of, ROWS)], [line(of, [r * 1.5 for r in ROWS], **NEW_BITS)])
    assert words(comparison) == {CHANGED: 1}
    assert comparison.drifts == []


def test_many_short_cells_show_together_what_none_shows_alone(tmp_path: Path) -> None:
    # The rows of these cells are nearly copies of each other; each cell's own are shifted apart to be evidence.
    old = [line(cell(n), [r + n * 1e-3 for r in ROWS[:5]]) for n in range(12)]
    moved = [r * (1.2 if k else 0.9) for k, r in enumerate(ROWS[:5])]
    new = [line(cell(n), [r + n * 1e-3 for r in moved], **NEW_BITS) for n in range(12)]
    comparison = compared(tmp_path, old, new)
    assert words(comparison) == {CHANGED: 12}
    (drift,) = comparison.drifts
    assert (drift.rows.grew, drift.rows.shrank, drift.cells, drift.grows) == (48, 12, 12, True)
    assert drift.rows.typical == pytest.approx(1.2, rel=0.01)
    assert comparison.exit_code == EXIT_WORSE
    assert "errors drift upwards in 1 line" in comparison.sentence
    assert "errors drift upwards in torch/eager forward (last)." in comparison.groups[0].sentence


def test_most_rows_have_to_move_for_a_line_to_drift(tmp_path: Path) -> None:
    old = [line(cell(n), [r + n for r in ROWS]) for n in range(10)]
    new = [line(cell(n), [(r + n) * (1.5 if r <= 12 else 1) for r in ROWS], **NEW_BITS) for n in range(10)]
    assert compared(tmp_path, old, new).drifts == []  # 12 of 33 rows grew and none shrank


def test_figures_before_and_after_are_kept(tmp_path: Path) -> None:
    before, after = line(cell(), [1.0, 2.0]), line(cell(), [1.5, 1.0], p99_ulp=1.25, bias_ulp=-0.5, **NEW_BITS)
    old, new = compared(tmp_path, [before], [after]).changes[0].both
    assert (old.max_ulp, old.p99_ulp, old.bias_ulp, old.bound_ratio, old.verdict) == (2.0, 2.0, 0.0, 0.002, "accurate")
    assert (new.max_ulp, new.p99_ulp, new.bias_ulp, new.bound_ratio, new.verdict) == (
        1.5,
        1.25,
        -0.5,
        0.0015,
        "accurate",
    )


# -- chance ----------------------------------------------------------------------------------------------------------

CELLS = list(drawn_cells(480))


def test_rows_drawn_anew_from_one_distribution_stay_changed_at_the_stated_level(tmp_path: Path) -> None:
    called = 0
    for repeat in range(20):
        old, new = (list(drawn_lines(CELLS, 100 * repeat + side)) for side in (1, 2))
        comparison = compared(tmp_path / str(repeat), old, new)
        assert comparison.compared - comparison.counts[IDENTICAL] == len(CELLS)
        called += comparison.counts[CHANGED] < len(CELLS) or bool(comparison.drifts)
    # One comparison in a hundred may have a false word: two of twenty would be one chance in sixty.
    assert LEVEL == 0.01
    assert called <= 1


def test_errors_half_as_large_again_are_found_in_lines_and_the_worst_cells(tmp_path: Path) -> None:
    comparison = compared(tmp_path, list(drawn_lines(CELLS, 1)), list(drawn_lines(CELLS, 2, scale=1.5)))
    assert comparison.counts[WORSE] > 0
    assert comparison.counts[IMPROVED] == 0
    assert len(comparison.drifts) > 100  # of 160 lines, with 3 cells each
    assert all(drift.grows for drift in comparison.drifts)


# -- what can't be compared ------------------------------------------------------------------------------------------


def test_cells_that_one_run_lacks_are_added_and_removed(tmp_path: Path) -> None:
    comparison = compared(tmp_path, [line(cell(0)), line(cell(1))], [line(cell(1)), line(cell(2))])
    assert words(comparison) == {"removed": 1, IDENTICAL: 1, "added": 1}
    assert [(c.word, c.cell.row_length) for c in comparison.changes] == [("removed", 2), ("added", 4)]
    assert comparison.exit_code == INCOMPLETE


def test_an_added_cell_leaves_nothing_open(tmp_path: Path) -> None:
    assert compared(tmp_path, [line(cell(0))], [line(cell(0)), line(cell(1))]).exit_code == OK


def test_other_inputs_and_other_flushing_are_not_comparable(tmp_path: Path) -> None:
    old = [line(cell(n)) for n in range(3)]
    new = [line(cell(0)), line(cell(1), input_sha256="9" * 64), line(cell(2), flushes=True, **NEW_BITS)]
    comparison = compared(tmp_path, old, new)
    assert words(comparison) == {"not comparable": 2, IDENTICAL: 1}
    assert comparison.changes[0].reasons == ("the inputs differ",)
    assert comparison.exit_code == INCOMPLETE
    assert comparison.groups[0].status == "open"


def test_runs_without_a_cell_in_common_compare_nothing(tmp_path: Path) -> None:
    comparison = compared(tmp_path, [line(cell(0))], [line(cell(1))])
    assert (comparison.exit_code, comparison.status) == (NOTHING_COMPARED, "nothing compared")
    assert comparison.sentence == "torch 2.9.0: nothing compared; 2 cells: 1 removed, 1 added."


def test_what_is_worse_stays_worse_whatever_is_missing(tmp_path: Path) -> None:
    new = [line(cell(), [9.0] * 5, verdict="unstable", **NEW_BITS)]
    comparison = compared(tmp_path, [line(cell()), line(cell(1))], new)
    assert (comparison.exit_code, comparison.status) == (EXIT_WORSE, "not signed off")


def test_an_interrupted_run_is_compared_as_far_as_it_goes_and_never_signed_off(tmp_path: Path) -> None:
    old = write_run(tmp_path / "old", [line(cell(n)) for n in range(20)])
    new = write_run(tmp_path / "new", [line(cell(n)) for n in range(20)], finished=False, planned=40)
    for name in ("cells.jsonl", "rows/maxima.jsonl"):
        lines = (new / name).read_text(encoding="utf-8").splitlines(keepends=True)
        (new / name).write_text("".join(reversed(lines)), encoding="utf-8")
    comparison = compare_runs(old, new)
    assert words(comparison) == {IDENTICAL: 20}
    assert (comparison.exit_code, comparison.status) == (INCOMPLETE, "open")
    note = f"NEW ({new}) is an incomplete run; 'measure' with the same options completes it."
    assert note in comparison.notes


def test_without_row_maxima_figures_and_verdicts_are_compared_and_it_is_said(tmp_path: Path) -> None:
    old = write_run(tmp_path / "old", [line(cell(), ROWS)])
    new = write_run(tmp_path / "new", [line(cell(), [r * 1.5 for r in ROWS], **NEW_BITS)])
    (new / "rows" / "maxima.jsonl").unlink()
    comparison = compare_runs(old, new)
    assert words(comparison) == {CHANGED: 1}
    assert any("there is no paired test" in note for note in comparison.notes)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"git_commit": "abc"}, {"git_commit": "def"}),
        ({"git_commit": "abc-dirty"}, {"git_commit": "abc-dirty"}),
        ({"content": {"suite": "1" * 64}}, {"content": {"suite": "2" * 64}}),
        ({"packages": {"mpmath": "1.3.0"}}, {"packages": {"mpmath": "1.4.1"}}),
    ],
)
def test_identical_bits_that_another_version_judges_otherwise_are_counted(
    tmp_path: Path, old: dict[str, Any], new: dict[str, Any]
) -> None:
    before = write_run(tmp_path / "old", [line(cell())], **old)
    comparison = compare_runs(before, write_run(tmp_path / "new", [line(cell(), verdict="stable")], **new))
    assert (words(comparison), comparison.rejudged) == ({IDENTICAL: 1}, 1)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"verdict": "stable"}, "another verdict: accurate and stable;"),
        ({"p99_ulp": 2.4}, "another p99_ulp: 2.5 and 2.4;"),
        ({"maxima": [2.4, 1.0]}, "another max_ulp: 2.5 and 2.4;"),
        ({"bound_ratio": 0.5}, "another bound_ratio: 0.0025 and 0.5;"),
        ({"max_abs": 1e308}, "another max_abs: "),
        ({"row_sum_error": 0.25}, "another row_sum_error: "),
        ({"reference_error_ulps": 1e-3}, "another reference_error_ulps: 1e-09 and 0.001;"),
        ({"outcomes": {"underflow": 1}}, "another outcomes: {} and {'underflow': 1};"),
    ],
)
@pytest.mark.parametrize("manifest", [{}, {"content": {"suite": "1" * 64, "numpy": "3"}}])
def test_one_judge_has_one_answer_for_the_same_bits(
    tmp_path: Path, changes: dict[str, Any], told: str, manifest: dict[str, Any]
) -> None:
    old = write_run(tmp_path / "old", [line(cell())], **manifest)
    new = write_run(tmp_path / "new", [line(cell(), **changes)], **manifest)
    with pytest.raises(RunError) as refused:
        compare_runs(old, new)
    assert f"{cell().key} has the input and the output of {old}, and {told}" in str(refused.value)


def test_flushing_may_judge_the_same_bits_otherwise(tmp_path: Path) -> None:
    comparison = compared(tmp_path, [line(cell())], [line(cell(), verdict="stable", flushes=True)])
    assert (words(comparison), comparison.rejudged) == ({IDENTICAL: 1}, 1)


def test_memory_that_is_touched_now_is_no_identical_cell(tmp_path: Path) -> None:
    comparison = compared(tmp_path, [line(cell())], [line(cell(), verdict="wrong")])
    assert words(comparison) == {BROKEN: 1}


def test_a_line_out_of_order_or_cut_off_is_named(tmp_path: Path) -> None:
    old = write_run(tmp_path / "old", [line(cell(n)) for n in range(3)])
    new = write_run(tmp_path / "new", [line(cell(n)) for n in range(3)])
    file = new / "cells.jsonl"
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    file.write_text("".join(reversed(lines)), encoding="utf-8")
    with pytest.raises(RunError, match=r"cells\.jsonl is not sorted at torch/eager/"):
        compare_runs(old, new)
    file.write_text("".join(lines)[:-20], encoding="utf-8")
    with pytest.raises(RunError, match=r"cells\.jsonl, line 3 is damaged"):
        compare_runs(old, new)
    file.write_text(json.dumps({"implementation": "torch/eager"}) + "\n", encoding="utf-8")
    with pytest.raises(RunError, match=r"cells\.jsonl, line 1 is damaged"):
        compare_runs(old, new)


# -- what else differs -----------------------------------------------------------------------------------------------


def differing(tmp_path: Path, **manifest: Any) -> Comparison:
    old, new = (write_run(tmp_path / "old", [line(cell())]), write_run(tmp_path / "new", [line(cell())], **manifest))
    return compare_runs(old, new)


def test_packages_under_test_are_distinguished_from_everything_else(tmp_path: Path) -> None:
    packages = {"torch": "2.10.0", "numpy": "2.4.0", "mpmath": "1.4.0"}
    comparison = differing(tmp_path, packages=packages, cpu="Other CPU", environment={"OMP_NUM_THREADS": "2"})
    told = [(d.what, d.old, d.new, d.subject) for d in comparison.differences]
    assert told == [
        ("torch", "2.9.0", "2.10.0", True),
        ("mpmath", "1.3.0", "1.4.0", False),
        ("processor", "Some CPU", "Other CPU", False),
        ("OMP_NUM_THREADS", "none", "2", False),
    ]
    assert comparison.notes == ("More than the packages under test differs, so a change need not come from them.",)


def test_settings_that_changed_alike_are_one_difference(tmp_path: Path) -> None:
    old = {"numpy": {"exp f": "X86_V4", "log f": "X86_V4"}, "scipy": {"exp f": "X86_V4", "log f": "X86_V4"}}
    new = {name: dict.fromkeys(settings, "X86_V3") for name, settings in old.items()}
    before, after = (write_run(tmp_path / str(n), [line(cell())], settings=s) for n, s in enumerate((old, new)))
    comparison = compare_runs(before, after)
    told = [(d.what, d.old, d.new) for d in comparison.differences]
    assert told == [("exp f and log f of numpy and scipy", "X86_V4", "X86_V3")]
    assert comparison.notes == ("The packages under test are the same: what changed comes from the other differences.",)


def threaded(**selected: str) -> MeasuredProfile:
    settings = {"threads": "2", "cpu capability": "AVX512", **selected}
    return MeasuredProfile("threads-2", "torch", "cpu", "python", "3.12.1", {}, {"threads": "2"}, settings, None)


def test_settings_of_other_profiles_are_compared_once_where_they_changed_alike(
    tmp_path: Path,
) -> None:
    both = {"threads": "1", "cpu capability": "AVX512"}
    old = write_run(tmp_path / "old", [line(cell())], settings={"torch": both}, profiles=[threaded(build="1")])
    new = write_run(
        tmp_path / "new", [line(cell())], settings={"torch": both}, profiles=[threaded(**{"cpu capability": "AVX2"})]
    )
    told = [(d.what, d.old, d.new) for d in compare_runs(old, new).differences]
    assert told == [("cpu capability of torch threads-2", "AVX512", "AVX2")]  # build is a detail, no setting
    avx2 = {**both, "cpu capability": "AVX2"}
    new = write_run(
        tmp_path / "all", [line(cell())], settings={"torch": avx2}, profiles=[threaded(**{"cpu capability": "AVX2"})]
    )
    told = [(d.what, d.old, d.new) for d in compare_runs(old, new).differences]
    assert told == [("cpu capability of torch", "AVX512", "AVX2")]


def test_settings_that_a_version_calls_otherwise_are_no_difference_beside_it(tmp_path: Path) -> None:
    old = write_run(tmp_path / "old", [line(cell())], settings={"numpy": {"dispatch": "AVX512_SKX"}})
    packages = {"torch": "2.9.0", "numpy": "2.5.0", "mpmath": "1.3.0"}
    new = write_run(tmp_path / "new", [line(cell())], settings={"numpy": {"exp f": "X86_V4"}}, packages=packages)
    comparison = compare_runs(old, new)
    assert [(d.what, d.old, d.new, d.subject) for d in comparison.differences] == [
        ("numpy", "2.4.0", "2.5.0", True),
        ("dispatch of numpy", "AVX512_SKX", "not reported", True),
        ("exp f of numpy", "not reported", "X86_V4", True),
    ]
    assert comparison.notes == ()


def test_what_a_version_picks_by_itself_is_no_difference_beside_it_on_the_same_processor(tmp_path: Path) -> None:
    """NumPy 2.4 calls X86_V4 what 2.3 calls AVX512_SKX."""
    picked = [{"numpy": {"exp f": target, "log f": target}} for target in ("AVX512_SKX", "X86_V4")]
    packages = {"torch": "2.9.0", "numpy": "2.5.0", "mpmath": "1.3.0"}
    old = write_run(tmp_path / "old", [line(cell())], settings=picked[0])
    new = write_run(tmp_path / "new", [line(cell())], settings=picked[1], packages=packages)
    comparison = compare_runs(old, new)
    assert [(d.what, d.subject) for d in comparison.differences] == [
        ("numpy", True),
        ("exp f and log f of numpy", True),
    ]
    assert comparison.notes == ()
    other = write_run(tmp_path / "other", [line(cell())], settings=picked[1], packages=packages, cpu="Other CPU")
    assert len(compare_runs(old, other).notes) == 1


def test_what_was_not_measured_is_reported_once_where_that_goes_for_both(tmp_path: Path) -> None:
    compiler = Unmeasured("torch", "torch/compile needs a compiler", implementation="torch/compile")
    threads = Unmeasured("torch", "not available here", profile="threads-4")
    old = write_run(tmp_path / "old", [line(cell())], unmeasured=[compiler, threads])
    new = write_run(tmp_path / "new", [line(cell())], unmeasured=[compiler])
    lost = {"key": "a", "reason": "no such thing", "signal": None, "input_sha256": "", "log": "", "unsupported": True}
    (old / "lost.jsonl").write_text(json.dumps(lost) + "\n", encoding="utf-8")
    assert compare_runs(old, new).notes[1:] == (
        "Not measured on either side: torch/compile needs a compiler.",
        "Not measured in OLD: torch threads-4: not available here.",
        "OLD could not measure 1 cell: no such thing.",
    )


# -- what fails ------------------------------------------------------------------------------------------------------


def test_each_level_fails_on_what_the_next_fails_on_too(tmp_path: Path) -> None:
    narrow = cell(format="binary16")
    base = line(narrow, ROWS)
    sides = {
        "broken": line(narrow, ROWS, verdict="wrong", **NEW_BITS),
        "worse": line(narrow, ROWS, verdict="storage-stable", **NEW_BITS),
        "improved": line(narrow, [r / 4 for r in ROWS], **NEW_BITS),
        "changed": line(narrow, ROWS, **NEW_BITS),
        "identical": base,
    }
    paths = {name: write_run(tmp_path / name, [side]) for name, side in sides.items()}
    failing = {
        level: [n for n, p in paths.items() if compare_runs(paths["identical"], p, Demand(level)).exit_code == 1]
        for level in ("changed", "worse", "broken")
    }
    assert failing == {
        "changed": ["broken", "worse", "improved", "changed"],
        "worse": ["broken", "worse"],
        "broken": ["broken"],
    }


def test_groups_name_versions_and_statuses(tmp_path: Path) -> None:
    def sides(version: str, verdict: str) -> list[Line]:
        bits: dict[str, Any] = {"output_sha256": version.replace(".", "").ljust(64, "0")}
        return [
            line(cell(format="binary16"), version=version, verdict=verdict, **bits),
            line(cell(operation="log_softmax", format="binary16"), version=version, **bits),
            line(cell(implementation="numpy/naive", format="binary64"), version="2.4.0"),
        ]

    comparison = compared(tmp_path, sides("2.9.0", "stable"), sides("2.10.0", "storage-stable"))
    assert [group.sentence for group in comparison.groups] == [
        "torch 2.9.0 → 2.10.0, cpu, binary16 softmax: not signed off; 1 cell: 1 worse; verdicts: 1 lower.",
        "torch 2.9.0 → 2.10.0, cpu, binary16 log_softmax: signed off; 1 cell: 1 changed.",
        "numpy 2.4.0, cpu, binary64 softmax: signed off; 1 cell: 1 identical.",
    ]
    assert comparison.sentence == (
        "torch 2.9.0 → 2.10.0 and numpy 2.4.0: not signed off; 3 cells: 1 worse, 1 changed, 1 identical."
    )
    assert sum(comparison.counts[word] for word in DIFFERENT) == 2


def test_only_wanted_cells_are_compared(tmp_path: Path) -> None:
    old = write_run(tmp_path / "old", [line(cell(0)), line(cell(1))])
    new = write_run(tmp_path / "new", [line(cell(1))])
    comparison = compare_runs(old, new, wanted=lambda side: side.cell.row_length == 3)
    assert (words(comparison), comparison.exit_code) == ({IDENTICAL: 1}, OK)


def test_the_cells_of_large_plans_are_distinct() -> None:
    cells: list[Cell] = list(drawn_cells(5000))
    assert len({of.key for of in cells}) == 5000
