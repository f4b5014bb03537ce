"""What word a cell gets, for each rule and both directions."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest

from reports.compare.figures import Figures
from reports.compare.judgement import BROKEN, CHANGED, IMPROVED, WORSE, Rows, why_not_comparable, word_of
from reports.tests.synthetic import cell

FIGURES = Figures(
    framework="torch",
    version="2.9.0",
    device="cpu",
    verdict="accurate",
    max_ulp=2.0,
    p99_ulp=1.5,
    bias_ulp=0.0,
    bound_ratio=0.2,
    off=0,
    outcomes={},
    flushes=False,
    input_sha256="0" * 64,
    output_sha256="1" * 64,
    worst="",
)


def figures(**changes: Any) -> Figures:
    return dataclasses.replace(FIGURES, **changes)


def word(
    old: Figures, new: Figures, rows: Rows | None = None, family: str = "gauss1", allowed: str = "storage-stable"
) -> str:
    return word_of(cell(family=family), old, new, rows, allowed)[0]


def both_ways(old: Figures, new: Figures, **options: Any) -> tuple[str, str]:
    return word(old, new, **options), word(new, old, **options)


# -- verdicts and outcomes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "there", "back"),
    [
        ("stable", "unstable", BROKEN, IMPROVED),  # below the allowed
        ("unstable", "wrong", BROKEN, IMPROVED),  # it was, and is further now
        ("stable", "storage-stable", WORSE, IMPROVED),  # allowed, but an error left its bound
        ("accurate", "stable", CHANGED, CHANGED),  # all within the bound: chance moves these
        ("correctly rounded", "faithful", CHANGED, CHANGED),
    ],
)
def test_a_verdict_that_falls(old: str, new: str, there: str, back: str) -> None:
    assert both_ways(figures(verdict=old), figures(verdict=new)) == (there, back)


def test_the_lowest_verdict_that_may_be_fallen_to_is_the_callers() -> None:
    faithful, accurate = figures(verdict="faithful"), figures(verdict="accurate")
    assert both_ways(faithful, accurate, allowed="faithful") == (BROKEN, IMPROVED)
    assert both_ways(figures(verdict="stable"), figures(verdict="unstable"), allowed="unstable") == (WORSE, IMPROVED)


def test_elements_newly_off_their_contract_break_a_cell() -> None:
    whole, off = figures(verdict="wrong"), figures(verdict="wrong", off=1)
    assert both_ways(whole, off) == (BROKEN, IMPROVED)


def test_one_more_of_many_elements_off_is_chance_and_four_times_as_many_are_worse() -> None:
    few, more, many = (figures(verdict="wrong", off=n) for n in (6, 7, 24))
    assert both_ways(few, more) == (CHANGED, CHANGED)
    assert both_ways(few, many) == (WORSE, IMPROVED)


def test_each_element_of_a_special_row_counts() -> None:
    few, more = (figures(verdict="wrong", off=n) for n in (6, 7))
    assert both_ways(few, more, family="special") == (BROKEN, IMPROVED)


def test_another_way_of_being_off_is_as_bad() -> None:
    old = figures(verdict="wrong", off=5)
    assert word(old, figures(verdict="wrong", off=5), family="special") == CHANGED


def test_an_underflow_within_the_bound_is_no_departure() -> None:
    assert word(figures(), figures(outcomes={"underflow": 9})) == CHANGED
    assert word(figures(), figures(outcomes={"infinite_for_finite": 1})) == CHANGED


# -- figures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "there"),
    [
        ((0.2, 2.0), (0.8, 8.0), WORSE),
        ((0.2, 2.0), (0.79, 7.9), CHANGED),
        ((0.01, 0.1), (0.09, 0.9), CHANGED),  # below an ulp
        ((0.0, 0.0), (0.1, 1.0), WORSE),  # exact before
        ((0.2, 2.0), (0.8, 1.9), CHANGED),  # the ulps say the opposite
        ((0.2, 2e6), (0.8, 2e6), WORSE),  # where terms cancel, the bound knows better than the ulps
        ((3.0, 9.0), (math.inf, 9.0), WORSE),
        ((math.inf, 9.0), (math.inf, 9.5), CHANGED),
        ((None, 2.0), (None, 9.0), CHANGED),
        ((0.2, None), (0.8, None), CHANGED),
    ],
)
def test_a_worst_error_that_grows_fourfold(old: Any, new: Any, there: str) -> None:
    sides = [figures(bound_ratio=ratio, max_ulp=ulps) for ratio, ulps in (old, new)]
    assert both_ways(sides[0], sides[1]) == (there, IMPROVED if there == WORSE else CHANGED)


@pytest.mark.parametrize(
    ("grew", "shrank", "there"), [(2, 0, WORSE), (1, 0, CHANGED), (2, 2, CHANGED), (3, 2, WORSE), (0, 3, CHANGED)]
)
def test_a_fourfold_error_is_not_one_row_alone(grew: int, shrank: int, there: str) -> None:
    old, new = figures(), figures(bound_ratio=0.8, max_ulp=8.0)
    assert word(old, new, rows=Rows(grew, shrank, 5, 1.0, 1.0)) == there
    assert word(new, old, rows=Rows(shrank, grew, 5, 1.0, 1.0)) == (IMPROVED if there == WORSE else CHANGED)


def test_a_sixteenfold_error_in_one_row_is_enough() -> None:
    one, old = Rows(1, 9, 5, 1.0, 1.0), figures(bound_ratio=0.01, max_ulp=0.75)
    assert word(old, figures(bound_ratio=0.16, max_ulp=16.0), rows=one) == WORSE
    assert word(old, figures(bound_ratio=0.16, max_ulp=15.0), rows=one) == CHANGED
    assert word(old, figures(bound_ratio=0.15, max_ulp=16.0), rows=one) == CHANGED


def test_figures_are_left_out_between_machines_and_on_special_rows() -> None:
    sides = figures(), figures(bound_ratio=0.9, max_ulp=9.0)
    assert word_of(cell(), *sides, None, "storage-stable", figures=False)[0] == CHANGED
    assert word(*sides, family="special") == CHANGED


def test_rows_beyond_chance_decide_and_others_do_not() -> None:
    grew = Rows(30, 1, 2, 1.1, 3e-8, decided=True)
    assert word(figures(), figures(), rows=grew) == WORSE
    assert word(figures(), figures(), rows=Rows(1, 30, 2, 0.9, 3e-8, decided=True)) == IMPROVED
    assert word(figures(), figures(), rows=dataclasses.replace(grew, decided=False)) == CHANGED


def test_where_reasons_disagree_the_worst_word_stands_and_all_are_reported() -> None:
    rows = Rows(1, 30, 2, 0.9, 3e-8, decided=True)
    found = word_of(cell(), figures(), figures(bound_ratio=4.0, max_ulp=40.0), rows, "storage-stable")
    assert found == (
        WORSE,
        (
            "the worst error went from 0.2 to 4 of its bound",
            "the error shrank in 30 of the 31 rows where it moved (p = 3e-8)",
        ),
    )


def test_reasons_are_worded_from_before_to_after() -> None:
    old, new = figures(verdict="wrong", off=1_200), figures()
    assert word_of(cell(), old, new, None, "storage-stable") == (
        IMPROVED,
        ("0 elements off the contract, 1,200 before", "verdict wrong → accurate"),
    )
    fell = word_of(cell(), figures(verdict="faithful"), figures(), None, "storage-stable")
    assert fell == (CHANGED, ("verdict faithful → accurate",))


# -- what can be compared --------------------------------------------------------------------------------------------


def test_other_inputs_can_not_be_compared_even_with_equal_outputs() -> None:
    assert why_not_comparable(figures(), figures(input_sha256="2" * 64)) == "the inputs differ"


def test_flushing_moves_the_bounds_unless_the_bits_are_the_same() -> None:
    flushing = figures(flushes=True, output_sha256="2" * 64)
    assert why_not_comparable(figures(), flushing) == (
        "subnormal numbers were kept, now they are flushed to zero, which moves the bounds"
    )
    assert why_not_comparable(figures(), dataclasses.replace(flushing, output_sha256="1" * 64)) is None
    assert why_not_comparable(figures(output_sha256=""), dataclasses.replace(flushing, output_sha256="")) is not None


def test_equal_inputs_can_be_compared() -> None:
    assert why_not_comparable(figures(), figures(output_sha256="2" * 64)) is None
