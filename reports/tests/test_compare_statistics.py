"""The paired tests, by values counted by hand, and what they never do by chance."""

from __future__ import annotations

import math
import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from reports.compare.statistics import beyond_chance, sign_test, signs_of, smallest_possible

NAN = math.nan

# Of the 1,024 ways in which ten rows can move, 1 has no row that shrank, 10 have one and 45 have two; both sides count.
TEN_ROWS = [(10, 0, 2 / 1024), (9, 1, 22 / 1024), (8, 2, 112 / 1024), (2, 8, 112 / 1024), (5, 5, 1.0)]


@pytest.mark.parametrize(("grew", "shrank", "p_value"), TEN_ROWS)
def test_the_p_value_of_ten_rows_is_a_count_over_1024(grew: int, shrank: int, p_value: float) -> None:
    assert sign_test(grew, shrank) == pytest.approx(p_value, rel=1e-12)


@pytest.mark.parametrize(("grew", "shrank"), [(0, 0), (1, 0), (0, 1), (1, 1), (2, 1)])
def test_few_rows_say_nothing(grew: int, shrank: int) -> None:
    assert sign_test(grew, shrank) == 1.0


def test_five_rows_that_all_grow_are_one_chance_in_sixteen() -> None:
    assert sign_test(5, 0) == pytest.approx(1 / 16, rel=1e-12)
    assert smallest_possible(5) == 1 / 16


@pytest.mark.parametrize(("grew", "shrank"), [(40, 24), (550, 450), (33, 0), (1700, 1500)])
def test_large_counts_agree_with_whole_numbers(grew: int, shrank: int) -> None:
    trials = grew + shrank
    ways = 2 * sum(math.comb(trials, successes) for successes in range(shrank + 1))
    assert sign_test(grew, shrank) == pytest.approx(float(Fraction(ways, 2**trials)), rel=1e-9)


def test_the_p_value_of_tens_of_thousands_of_rows_is_a_number() -> None:
    assert sign_test(20000, 19900) == pytest.approx(0.62, abs=0.01)
    assert sign_test(20000, 10000) == 0.0


def test_the_document_shows_what_few_rows_can_show() -> None:
    document = (Path(__file__).parents[2] / "docs" / "compare.md").read_text(encoding="utf-8")
    rows, p_values = (
        re.findall(rf"^\| {title} \|(.*)\|$", document, re.MULTILINE)[0].split("|")
        for title in ("rows that moved", "p")
    )
    for moved, p_value in zip(rows, p_values, strict=True):
        assert float(f"{sign_test(int(moved), 0):.1g}") == float(p_value)


# -- signs -----------------------------------------------------------------------------------------------------------


def test_rows_are_counted_by_the_way_they_moved() -> None:
    signs = signs_of(np.array([[1.0, 2.0, 3.0, 4.0, 5.0]]), np.array([[2.0, 1.0, 3.5, 4.0, 6.0]]))
    assert (signs.grew.tolist(), signs.shrank.tolist(), signs.stayed.tolist()) == ([3], [1], [1])


def test_a_row_without_a_number_on_either_side_is_left_out() -> None:
    signs = signs_of(np.array([[NAN, 1.0, 1.0]]), np.array([[2.0, NAN, 3.0]]))
    assert (signs.grew.tolist(), signs.shrank.tolist(), signs.stayed.tolist()) == ([1], [0], [0])


def test_rows_that_repeat_one_pair_of_errors_count_once() -> None:
    before, after = np.array([[0.25] * 4 + [0.3]]), np.array([[0.5] * 3 + [0.6, 0.2]])
    signs = signs_of(before, after)
    assert (signs.grew.tolist(), signs.shrank.tolist(), signs.stayed.tolist()) == ([2], [1], [0])


def test_ratios_are_those_of_the_rows_that_count() -> None:
    signs = signs_of(np.array([[2.0, 0.0, 0.0, NAN, 2.0]]), np.array([[3.0, 0.0, 1.0, 1.0, 3.0]]))
    assert sorted(signs.ratios[~np.isnan(signs.ratios)].tolist()) == [1.0, 1.5, math.inf]


def test_no_cells_have_no_signs() -> None:
    assert signs_of(np.empty((0, 64)), np.empty((0, 64))).grew.tolist() == []


# -- many tests at once ----------------------------------------------------------------------------------------------


def test_tests_that_can_not_reject_do_not_count_among_the_many() -> None:
    # 18 of 18 rows are 2 / 2**18 = 7.6e-6: too much for 1,001 tests, plenty for the one that could reject at all.
    p_values, trials = [sign_test(18, 0), *[1 / 16] * 1000], [18, *[5] * 1000]
    assert beyond_chance(p_values, trials, 0.005).tolist() == [True, *[False] * 1000]
    assert beyond_chance(p_values, [64] * 1001, 0.005).tolist() == [False] * 1001


def test_holm_goes_on_to_the_first_test_that_does_not_reject() -> None:
    # At 5 %: 0.012 <= 0.05 / 4, 0.016 <= 0.05 / 3, 0.03 > 0.05 / 2, and so 0.04 is not asked.
    assert beyond_chance([0.04, 0.012, 0.03, 0.016], [64] * 4, 0.05).tolist() == [False, True, False, True]


def test_no_test_rejects_nothing() -> None:
    assert beyond_chance([], [], 0.05).tolist() == []


def test_chance_alone_is_called_by_name_in_at_most_the_stated_share_of_repeats() -> None:
    generator, repeats, level = np.random.default_rng(20260101), 400, 0.05
    called = 0
    for _ in range(repeats):
        grew = generator.binomial(33, 0.5, 50).tolist()
        found = beyond_chance([sign_test(g, 33 - g) for g in grew], [33] * 50, level)
        called += bool(found.any())
    assert 0 < called <= level * repeats
