"""The pages: what they say of runs small enough to count by hand."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from references.formats import BFLOAT16, BINARY32
from references.vocabulary import VERDICTS
from reports import html, markdown
from reports.facts.implemented import implemented_of
from reports.facts.page import Page, page_of
from reports.facts.special_values import special_values_of
from reports.facts.summary import summary_of
from reports.facts.tally import entry_of, ordinary, special_values
from reports.facts.timing_lines import conclusion_of, timing_line
from reports.facts.worst_cases import MOST_SHOWN, worst_cases
from reports.run.records import Manifest, Record, Run, Timing, Unmeasured, Worst
from reports.wording import MEANINGS, decimal, lengths, listing, shortened, significant

WORST = Worst(
    row=0,
    index=1,
    logits=["0x3f800000", "0xbf800000"],
    cotangent=None,
    tangent=None,
    vector_kind=None,
    computed="0x3df3cf7b",
    computed_value="0.11904236",
    exact="0.119202922022117560186",
    ulp_error=2.5,
    bound_ratio=0.25,
    outcome="ordinary",
    attribution={"shift": 8.0, "exp": 1.5, "sum": 0.5, "division": 0.001, "output rounding": 0.0, "excess": 0.0},
)
RECORD = Record(
    implementation="torch/eager",
    framework="torch",
    version="2.9.0",
    profile="default",
    device="cpu",
    operation="softmax",
    quantity="forward",
    format="binary32",
    layout="last",
    family="gauss1",
    row_length=2,
    path=["torch-softmax-last"],
    call="torch.softmax(x, dim)",
    rows=4,
    elements=8,
    max_ulp=2.5,
    p99_ulp=2.0,
    mean_ulp=0.5,
    bias_ulp=0.0,
    correctly_rounded_share=0.5,
    faithful_share=0.75,
    bound_ratio=0.25,
    storage_ratio=None,
    conditioning_ratio=0.5,
    infinite_ratios=0,
    order_assumed=False,
    max_abs=1e-8,
    max_rel=1e-7,
    row_sum_error=0.0,
    outcomes={},
    input_sha256="0" * 64,
    output_sha256="1" * 64,
    verdict="stable",
    evidence="sampled",
    oracle="double-double",
    reference_error_ulps=1e-9,
    flushes=False,
    worst=WORST,
)
TIMING = Timing("torch", "eager", "forward", [64, 1000], 2.1, 1.8, 2.9, 36.0)
COMPOSED: dict[str, Any] = {
    "implementation": "torch/log-of-softmax",
    "operation": "log_softmax",
    "call": "torch.log(torch.softmax(x, dim))",
}
FUSED: dict[str, Any] = {
    "implementation": "torch/eager",
    "operation": "log_softmax",
    "call": "torch.log_softmax(x, dim)",
}


def record(worst: dict[str, Any] | None = None, **changes: Any) -> Record:
    return dataclasses.replace(RECORD, worst=dataclasses.replace(WORST, **(worst or {})), **changes)


def run_of(*records: Record, **changes: Any) -> Run:
    manifest = Manifest(
        schema=1,
        created="2026-01-01T00:00:00+00:00",
        tier="smoke",
        selection={},
        implementations=list(dict.fromkeys(r.implementation for r in records)),
        planned=len(records),
        finished=True,
        packages={"torch": "2.9.0", "numpy": "2.4.0"},
        python="3.12.1",
        platform="Linux",
        cpu="Some CPU",
        gpu=None,
        settings={"torch": {"threads": "1"}},
        environment={},
        seed="streams",
        git_commit="abc",
        inputs_sha256="f" * 64,
        unmeasured=[],
    )
    return Run(Path("runs/today"), dataclasses.replace(manifest, **changes), sorted(records, key=lambda r: r.key))


@pytest.fixture(scope="module")
def page() -> Page:
    return page_of(run_of(record(), record(**FUSED), record(**COMPOSED, verdict="wrong"), timings=[TIMING]))


def both(run: Run) -> tuple[str, str]:
    return html.render(run), markdown.render(run)


# -- the summary -----------------------------------------------------------------------------------------------------


def test_of_the_other_ways_to_call_only_those_that_fail_are_reported() -> None:
    run = run_of(
        record(implementation="torch/eager"),
        record(implementation="torch/out"),
        record(implementation="torch/vmap", verdict="unstable"),
        record(implementation="mine/softmax"),
    )
    page = page_of(run)
    assert [f.implementation for f in page.summary.findings] == ["torch/eager", "torch/vmap", "mine/softmax"]
    shown = {row.implementation for matrix in page.matrices for row in matrix.rows}
    assert shown == {"torch/eager", "torch/out", "torch/vmap", "mine/softmax"}


def test_formulas_that_are_written_out_are_distinguished_from_what_frameworks_offer() -> None:
    names = ("torch/x-minus-logsumexp", "jax/log-of-softmax", "numpy/shifted", "torch/sparse")
    run = run_of(*(record(implementation=name, verdict="wrong") for name in names))
    told = " ".join(page_of(run).summary.headlines)
    assert "Of 4 unstable or wrong cells 3 belong to formulas written out for comparison" in told
    assert ", 1 to the functions that frameworks offer." in told


def test_touched_memory_stands_beside_the_error_of_the_worst_case() -> None:
    run = run_of(
        record({"outcome": "touched_memory", "ulp_error": 0.5}, verdict="wrong", outcomes={"touched_memory": 3})
    )
    (group,) = page_of(run).worst.shown
    assert group.cases[0].error.startswith("memory changed that is not the result's; 0.5 ulp")


def test_an_implementation_that_was_not_measured_is_named_with_the_reason() -> None:
    run = run_of(
        record(),
        unmeasured=[Unmeasured("torch", "no compiler", implementation="torch/compile"), Unmeasured("jax", "absent")],
    )
    page = page_of(run)
    assert page.unmeasured == (("torch/compile", "no compiler"), ("jax", "absent"))
    assert "Not measured: torch/compile (no compiler)." in page.summary.notes


def test_the_first_sentence_counts_cells_and_verdicts() -> None:
    run = run_of(record(), record(family="equal"), record(family="dominant", verdict="wrong"))
    summary = summary_of(run, ordinary(run))
    assert summary.sentence == "3 of 3 cells of torch 2.9.0 on Some CPU (smoke tier) were judged: 1 wrong and 2 stable."
    assert not summary.incomplete


def test_a_run_that_was_not_finished_is_announced_as_incomplete_in_the_first_sentence() -> None:
    for changes in ({"planned": 5}, {"finished": False}):
        run = run_of(record(), **changes)
        summary = summary_of(run, ordinary(run))
        assert summary.incomplete
        assert summary.sentence.startswith(f"Incomplete: 1 of {run.manifest.planned} cell")


def test_a_run_without_records_says_that_there_is_nothing_to_judge() -> None:
    for text in both(run_of(planned=7, finished=False)):
        assert "Incomplete: 0 of 7 cells" in text
        assert "nothing to judge" in text


def test_sampled_maxima_are_called_lower_bounds_and_exhaustive_ones_are_not() -> None:
    sampled, exhaustive = run_of(record()), run_of(record(evidence="exhaustive"))
    assert "lower bounds" in " ".join(summary_of(sampled, ordinary(sampled)).notes)
    assert "lower bounds" not in " ".join(summary_of(exhaustive, ordinary(exhaustive)).notes)


def test_a_finding_names_formats_by_verdict_and_the_families_that_break() -> None:
    run = run_of(
        record(),
        record(format="binary16", verdict="storage-stable"),
        record(format="binary16", family="dominant", verdict="wrong", row_length=2),
        record(format="binary16", family="dominant", verdict="wrong", row_length=9),
        record(format="binary32", family="dominant", row_length=9),
        record(quantity="vjp", verdict="accurate"),
    )
    (finding,) = summary_of(run, ordinary(run)).findings
    assert finding.forward == (("stable", "binary32"), ("wrong", "binary16"))
    assert finding.gradients == (("accurate", "binary32"),)
    assert finding.breaks == "Wrong in 2 cells: `dominant` (n = 2 and 9, binary16)."


def test_a_headline_names_the_formats_in_which_nothing_fails() -> None:
    run = run_of(record(), record(format="binary16", verdict="unstable"))
    assert summary_of(run, ordinary(run)).headlines == ("No unstable or wrong cell in binary32: `torch/eager`.",)


def test_failures_of_formulas_written_out_are_distinguished_from_those_of_frameworks() -> None:
    run = run_of(record(verdict="wrong"), record(**COMPOSED, verdict="wrong"), record(**FUSED))
    assert summary_of(run, ordinary(run)).headlines[0].startswith("Of 2 unstable or wrong cells 1 belong to formulas")


def test_special_values_are_left_out_of_findings_and_matrix() -> None:
    page = page_of(run_of(record(), record(family="special", verdict="wrong", row_length=3)))
    assert page.summary.findings[0].breaks == "Nothing below stable."
    assert page.matrices[0].rows[0].cells[0].verdict == "stable"  # type: ignore[union-attr]
    assert page.special_matrices[0].rows[0].cells[0].verdict == "wrong"  # type: ignore[union-attr]


# -- the matrix and the worst cases ----------------------------------------------------------------------------------


def test_an_entry_has_the_worst_verdict_and_the_largest_error_of_its_cells() -> None:
    entry = entry_of(
        [record(max_ulp=900.0), record(verdict="unstable", max_ulp=3.0, bound_ratio=1.5), record(max_ulp=None)]
    )
    assert entry is not None
    assert (entry.verdict, entry.with_verdict, entry.cells) == ("unstable", 1, 3)
    assert (entry.max_ulp, entry.bound_ratio, entry.worst.verdict) == (900.0, 1.5, "unstable")


def test_an_infinite_bound_ratio_outranks_a_large_one() -> None:
    large = record(verdict="wrong", bound_ratio=1e30)
    infinite = record(verdict="wrong", bound_ratio=None, infinite_ratios=2, family="offset")
    entry = entry_of([large, infinite])
    assert entry is not None
    assert (entry.worst.family, significant(entry.bound_ratio)) == ("offset", "∞")


def test_frameworks_come_before_the_numpy_formulas() -> None:
    names = [("numpy/naive", "numpy"), ("mine/softmax", "torch"), ("scipy", "scipy"), ("jax/jit", "jax")]
    run = run_of(*(record(implementation=name, framework=framework) for name, framework in names))
    assert ordinary(run).implementations == ["mine/softmax", "jax/jit", "scipy", "numpy/naive"]


def test_a_worst_case_below_stable_is_shown_with_its_bits_and_its_replay_line() -> None:
    bad = record(verdict="unstable", bound_ratio=3.0)
    for text in both(run_of(bad)):
        assert f"softmax-accuracy replay runs/today {bad.cell.digest[:12]}" in text
        assert "0x3f800000 0xbf800000" in text
        assert "0.119202922022117560186" in text


def test_a_worst_case_says_what_its_bound_is_made_of_and_how_far_beyond_it_the_error_is() -> None:
    parts = {"shift": 8.0, "exp": 1.5, "sum": 0.5, "division": 0.001, "output rounding": 0.0, "excess": 20.0}
    for text in both(run_of(record({"attribution": parts, "ulp_error": 30.0}, verdict="unstable", bound_ratio=3.0))):
        assert "10 ulp allowed: shift 8, exp 1.5, sum 0.5; 20 ulp more than that" in text
    for text in both(run_of(record({"attribution": None}, verdict="wrong", bound_ratio=None))):
        assert "ulp allowed" not in text


def test_a_run_directory_with_a_blank_in_its_name_is_quoted_in_the_replay_line() -> None:
    run = dataclasses.replace(run_of(record(verdict="wrong")), path=Path("my runs/1"))
    assert worst_cases(run, ordinary(run)).shown[0].cases[0].replay.startswith("softmax-accuracy replay 'my runs/1' ")


def test_no_more_worst_cases_are_shown_than_there_is_room_for() -> None:
    many = [record(implementation=f"mine/f{i}", verdict="wrong", bound_ratio=float(i)) for i in range(MOST_SHOWN + 3)]
    run = run_of(*many)
    cases = worst_cases(run, ordinary(run))
    shown = {case.implementation for group in cases.shown for case in group.cases}
    assert (len(shown), cases.left_out) == (MOST_SHOWN, 3)
    assert not shown & {"mine/f0", "mine/f1", "mine/f2"}


def test_a_long_vector_is_named_by_its_file_even_where_that_is_gone() -> None:
    run = run_of(record({"logits": {"file": "abc.npy", "length": 1000}}, verdict="wrong"))
    assert worst_cases(run, ordinary(run)).shown[0].cases[0].vectors == (("logits", "… 1000 elements in rows/abc.npy"),)


def test_every_link_of_the_page_has_its_target() -> None:
    text = html.render(run_of(record(), record(**FUSED), record(**COMPOSED, verdict="wrong")))
    links = set(re.findall(r'href="#([^"]+)"', text))
    assert len(links) > 8
    assert links <= set(re.findall(r'id="([^"]+)"', text))


# -- special values --------------------------------------------------------------------------------------------------


def test_the_reference_is_told_from_counts_and_never_from_words() -> None:
    def told(*records: Record) -> dict[str, str]:
        return dict(dict(page_of(run_of(*records)).environment)["Reference"])

    new = record(elements_by_tier={"double-double": 1_500, "mpmath": 1_499}, oracle="anything")
    plain = record(row_length=2, elements_by_tier={"binary64": 4}, oracle="anything")
    found = told(new, plain)
    assert (found["judged by"], found["elements that fell to mpmath"]) == ("double-double and binary64", "1,499")
    old = record(row_length=4, elements_by_tier=None, oracle="double-double, 7 of 9 elements by mpmath")
    assert told(new, old)["judged by"] == "double-double"
    for name in ("judged by", "elements that fell to mpmath"):
        assert told(old)[name] == "not counted when this run was made"


def test_the_contract_is_shown_as_the_oracle_rounds_it() -> None:
    run = run_of(record())
    rows = {row.name: row for row in special_values_of(run, special_values(run)).contract}
    assert (rows["one NaN"].softmax, rows["one NaN"].gradients) == ("NaN", "NaN")
    assert rows["one -inf"].log_softmax == "[-inf, -0.6931472, -0.6931472]"
    assert rows["all largest"].softmax == "0.33333334"


def test_a_departure_names_the_special_row_and_what_came_out() -> None:
    bad = {"row": 6, "computed_value": "nan", "exact": "0.0", "outcome": "nan_for_number", "ulp_error": None}
    run = run_of(record(bad, family="special", row_length=3, verdict="wrong"), record(family="special"))
    ((name, (departure,)),) = special_values_of(run, special_values(run)).departures
    assert (name, departure.row, departure.formats) == ("torch/eager", "all -inf but one", "binary32")
    assert (departure.computed, departure.exact, departure.outcome) == ("NaN", "0", "NaN for a number")


# -- log(softmax(x)) or log_softmax(x)? ------------------------------------------------------------------------------


def test_the_answer_counts_failures_over_the_cells_that_both_calls_have(page: Page) -> None:
    assert page.question.answers[0] == (
        "Is log(softmax(x)) the same as log_softmax(x)? No, prefer log_softmax: unstable or wrong are 1 against 0 of "
        "1 cell in torch."
    )


def test_the_answer_does_not_favour_log_softmax_when_the_numbers_do_not() -> None:
    same = page_of(run_of(record(**FUSED), record(**COMPOSED))).question.answers[0]
    assert "It fails as often" in same
    reverse = page_of(run_of(record(**FUSED, verdict="wrong"), record(**COMPOSED))).question.answers[0]
    assert "log_softmax fails more often" in reverse


def test_a_pair_compares_only_the_cells_that_both_have() -> None:
    run = run_of(record(**FUSED), record(**COMPOSED), record(**COMPOSED, family="dominant", verdict="wrong"))
    pair = page_of(run).question.pairs[0]
    assert (pair.shared, pair.failing) == (1, (0, 0))


def test_a_run_without_torch_says_that_its_pair_was_not_measured() -> None:
    run = run_of(
        record(implementation="numpy/shifted", framework="numpy", version="2.4.0"),
        unmeasured=[Unmeasured("torch", "torch is not installed")],
    )
    for text in both(run):
        assert "torch/log-of-softmax and torch/eager: not measured" in text
        assert "torch is not installed" in text
        assert "Is log(softmax(x)) slower? Not measured" in text.replace("\\_", "_")


def test_the_smallest_failing_example_has_two_logits_in_decimals() -> None:
    formula: dict[str, Any] = {"implementation": "numpy/naive", "framework": "numpy", "call": "exp(x) / sum(exp(x))"}
    run = run_of(
        record(**formula, verdict="wrong", row_length=9),
        record({"outcome": "nan_for_number", "computed_value": "nan"}, **formula, verdict="wrong", row_length=2),
    )
    (formula_facts,) = page_of(run).question.formulas
    assert formula_facts.examples[0].logits == "[1, -1]"
    assert formula_facts.examples[0].computed == "nan"


def test_slower_and_faster_are_concluded_from_the_quartiles_alone() -> None:
    def conclusion(lower: float, upper: float) -> str:
        return conclusion_of(dataclasses.replace(TIMING, ratio=3.0, lower_quartile=lower, upper_quartile=upper))

    assert conclusion(1.06, 4.0) == "slower"
    assert conclusion(1.05, 4.0) == "no difference measured"
    assert conclusion(0.5, 0.94) == "faster"
    assert conclusion(0.5, 0.95) == "no difference measured"


def test_a_timing_says_what_was_measured() -> None:
    assert timing_line(TIMING).sentence == (
        "log(softmax(x)) took 2.1 times (quartiles 1.8–2.9) the time of log_softmax(x) for rows 64 x 1000, "
        "torch eager, forward: slower"
    )


# -- the paths -------------------------------------------------------------------------------------------------------


def test_findings_are_grouped_by_the_paths_that_cells_took() -> None:
    both_paths = ["torch-softmax-last", "torch-softmax-backward-last"]
    run = run_of(
        record(),
        record(family="equal", path=both_paths, quantity="vjp", verdict="wrong"),
        record(family="dominant", path=both_paths, quantity="vjp"),
        record(implementation="numpy/shifted", framework="numpy", path=["numpy-shifted", "a-path-of-another-version"]),
        record(implementation="mine/softmax", framework="torch", path=[]),
    )
    found = implemented_of(ordinary(run))
    assert [(name, [line.id for line in lines]) for name, lines in found.frameworks] == [
        ("torch", both_paths),
        ("numpy", ["numpy-shifted"]),
        ("not in this registry", ["a-path-of-another-version"]),
    ]
    forward, backward = found.frameworks[0][1]
    assert forward.source == "aten/src/ATen/native/cpu/SoftMaxKernel.cpp: _vec_softmax_lastdim"
    assert [(f.implementation, f.worst.cells) for f in forward.found] == [("torch/eager", 3)]
    assert backward.found[0].breaks == "1 of 2 cells unstable or wrong: `equal` (n = 2)"
    assert backward.found[0].worst.verdict == "wrong"
    assert found.frameworks[1][1][0].found[0].breaks == "nothing unstable or wrong in 1 cell"
    assert found.frameworks[2][1][0].source == ""
    assert found.without == ("mine/softmax",)


def test_both_pages_show_where_a_path_is_and_what_a_worst_case_took() -> None:
    run = run_of(record(verdict="wrong"), record(implementation="mine/softmax", path=[]))
    page, text = both(run)
    assert '<a href="#path-torch-softmax-last">torch-softmax-last</a>' in page
    assert "- path: torch-softmax-last" in text
    for said in (page, text.replace("\\", "")):
        assert "aten/src/ATen/native/cpu/SoftMaxKernel.cpp: _vec_softmax_lastdim" in said
        assert "No path is known of mine/softmax." in said


# -- the pages as text -----------------------------------------------------------------------------------------------


def test_the_html_page_is_self_contained() -> None:
    text = html.render(run_of(record(), record(**FUSED), timings=[TIMING]))
    assert not re.search(r'(?:src|href)\s*=\s*"(?!#)', text)
    assert "http" not in text
    assert "<script" not in text
    assert "@import" not in text
    assert "url(" not in text


def test_what_a_user_named_is_escaped() -> None:
    odd = record(implementation="mine/<b>|", call="`<script>`(x | y)", verdict="wrong")
    page, text = both(run_of(odd))
    assert "<script>" not in page
    assert "mine/<b>" not in page
    assert "mine/\\<b>\\|" in text


def test_the_same_run_gives_the_same_pages() -> None:
    run = run_of(record(), record(**COMPOSED, verdict="wrong"), timings=[TIMING])
    assert both(run) == both(run)


def test_both_pages_have_the_sections_in_order() -> None:
    sections = [
        "What is wrong today",
        "All cells by verdict",
        "Matrix",
        "Worst cases",
        "Special values",
        "log(softmax(x)) or log_softmax(x)?",
        "Where is it implemented?",
        "Not measured",
        "Environment",
    ]
    page, text = both(run_of(record()))
    assert re.findall(r"<h2>(.+)</h2>", page) == sections
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == sections


def test_every_verdict_has_a_meaning_on_the_page() -> None:
    assert set(MEANINGS) == {*VERDICTS, "n/a"}


def test_a_page_is_built_without_a_framework() -> None:
    code = "import sys; from reports import html, markdown; print({'torch', 'jax', 'scipy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


# -- words -----------------------------------------------------------------------------------------------------------


def test_numbers_keep_three_digits_and_short_exponents() -> None:
    values = (65.43, 1684.7, 1.6e7, 0.00012345, None, float("inf"))
    assert [significant(v) for v in values] == ["65.4", "1.68e3", "1.6e7", "0.000123", "n/a", "∞"]


def test_an_exponent_beyond_any_float_is_given_by_its_size() -> None:
    assert shortened("-1.81e-295565490868405274588224007604472982661") == "-10^-2.956e38"
    assert shortened("-0.000000000000123456789012345678") == "-1.23456789e-13"
    assert shortened("-inf") == "-inf"


def test_a_decimal_is_the_shortest_that_rounds_to_its_bits() -> None:
    assert decimal(0x3DCCCCCD, BINARY32) == "0.1"
    assert decimal(0x4C800001, BINARY32) == "67108870"
    assert decimal(0x3F27, BFLOAT16) == "0.652"
    assert decimal(0xFF800000, BINARY32) == "-inf"


def test_lists_and_lengths_read_as_english() -> None:
    assert listing(["a", "b", "c"]) == "a, b and c"
    assert lengths([1000, 2, 2]) == "n = 2 and 1000"
    assert lengths([2, 9, 33, 1000]) == "n = 2 … 1000"


# -- where frameworks disagree ---------------------------------------------------------------------------------------


def test_of_two_frameworks_the_page_says_which_is_nearer_where_their_bits_differ() -> None:
    jax: dict[str, Any] = {"implementation": "jax/jit", "framework": "jax", "output_sha256": "2" * 64}
    inputs = [str(digit) * 64 for digit in range(4)]
    run = run_of(
        *(record(input_sha256=given, row_length=n) for n, given in enumerate(inputs, 2)),
        record(**{**jax, "output_sha256": RECORD.output_sha256}, input_sha256=inputs[0], row_length=2),
        record(**jax, input_sha256=inputs[1], row_length=3, bound_ratio=0.5),
        record(**jax, input_sha256=inputs[2], row_length=4, bound_ratio=None, infinite_ratios=1, verdict="wrong"),
        record(**jax, input_sha256=inputs[3], row_length=5, bound_ratio=0.125),
        record(**jax, input_sha256="9" * 64, row_length=6),
        record(implementation="numpy/naive", framework="numpy", input_sha256=inputs[1]),
    )
    (line,) = page_of(run).disagreements
    assert (line.first, line.second, line.heading) == ("torch/eager", "jax/jit", "softmax, forward")
    assert (line.shared, line.same, line.first_nearer, line.second_nearer, line.as_near) == (4, 1, 2, 1, 0)
    for text in both(run):
        assert "Where frameworks disagree" in text


def test_a_run_of_one_framework_has_no_disagreements() -> None:
    for text in both(run_of(record(), record(**FUSED))):
        assert "Where frameworks disagree" not in text
