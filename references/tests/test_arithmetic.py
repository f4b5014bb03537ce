"""The arithmetics that bounds assume: their constants by hand, sources switched off, and exp and log in base 2."""

from __future__ import annotations

import math
from dataclasses import fields

import numpy as np
import pytest

from references.bounds.error_model import (
    SOURCES,
    Arithmetic,
    compounded,
    compute_arithmetic,
    narrow_arithmetic,
    only,
    storage_arithmetic,
    summation_error,
)
from references.formats import BFLOAT16, BINARY16, BINARY32, BINARY64, Format
from references.tests.algorithms import ALGORITHMS
from references.tests.base2 import by_exp2
from references.tests.batches import Rows, rows_of
from references.tests.emulated import ByExp2, Machine

U = BINARY32.unit_roundoff


def test_errors_compound_without_forming_one_plus_u() -> None:
    """In binary64 1 + 2**-53 is 1, and a bound made of it zero."""
    assert float(compounded(2.0**-53, 2.0**-53)) == pytest.approx(2.0**-52, rel=1e-15)
    assert float(compounded(0.5, 0.5, 1.0)) == 3.5


def test_a_narrow_format_is_computed_in_binary32_with_exp_and_log_within_three_ulps() -> None:
    arithmetic = compute_arithmetic(BINARY16, 100)
    assert arithmetic.grid is BINARY32
    assert (arithmetic.unit, arithmetic.sum_unit, arithmetic.exp, arithmetic.log) == (U, U, 6 * U, 6 * U)
    assert (arithmetic.depth, arithmetic.sum) == (103, 103 * U / (1 - 103 * U))
    assert (arithmetic.lost, arithmetic.exp_lost, arithmetic.lost_sum) == (2.0**-150, 3 * 2.0**-149, 0.0)


def test_a_flush_loses_normal_numbers_and_an_exp_four_of_them() -> None:
    arithmetic = compute_arithmetic(BINARY32, 100, flushes=True)
    assert (arithmetic.lost, arithmetic.lost_sum, arithmetic.exp_lost) == (2.0**-126, 2.0**-126, 2.0**-124)


def test_storing_every_result_rounds_once_more_and_leaves_the_additions_alone() -> None:
    arithmetic, narrow = storage_arithmetic(BFLOAT16, 100), BFLOAT16.unit_roundoff
    assert arithmetic.grid is BFLOAT16
    assert arithmetic.unit == pytest.approx(narrow + U + narrow * U, rel=1e-15)
    assert arithmetic.exp == pytest.approx(narrow + 6 * U, rel=1e-5)
    assert arithmetic.sum_unit == U
    assert summation_error(arithmetic) == pytest.approx(narrow + 103 * U, rel=1e-2)


def test_sums_in_the_narrow_format_round_every_addition_to_it_and_store_nothing_again() -> None:
    arithmetic, narrow = narrow_arithmetic(BFLOAT16, 100), BFLOAT16.unit_roundoff
    assert (arithmetic.sum_unit, arithmetic.depth, arithmetic.assumed) == (narrow, 103, False)
    assert summation_error(arithmetic) == pytest.approx(103 * narrow / (1 - 103 * narrow), rel=1e-12)
    assert arithmetic.unit == storage_arithmetic(BFLOAT16, 100).unit
    assert narrow_arithmetic(BFLOAT16, 300).assumed  # 303 of 256ths


def test_half_the_smallest_binary64_number_is_rounded_up() -> None:
    assert compute_arithmetic(BINARY64, 2).lost == math.ulp(0.0)


def test_a_known_depth_takes_the_place_of_the_one_for_any_order() -> None:
    arithmetic = compute_arithmetic(BINARY32, 2**24, depth=24)
    assert (arithmetic.depth, arithmetic.assumed) == (24, False)
    assert arithmetic.sum == pytest.approx(24 * U, rel=1e-5)


def test_every_error_of_an_arithmetic_belongs_to_one_source() -> None:
    owned = [name for names in SOURCES.values() for name in names]
    described = {"grid", "depth", "assumed", "sum_unit"}
    assert sorted(owned) == sorted({f.name for f in fields(Arithmetic)} - described)
    silent = only(storage_arithmetic(BFLOAT16, 9, flushes=True), frozenset())
    assert all(getattr(silent, name) == 0 for name in owned)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_the_bound_of_an_algorithm_without_errors_is_zero(name: str) -> None:
    limit, judged = rows_of(BINARY64, 9).bound_of(ALGORITHMS[name], only(compute_arithmetic(BINARY64, 9), frozenset()))
    assert (limit[judged] == 0).all()
    assert judged.any()


# -- base 2 ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arithmetic", "kappa"),
    [
        pytest.param(compute_arithmetic(BINARY32, 3), 1.2240, id="binary32"),
        pytest.param(compute_arithmetic(BINARY64, 3), 1.1271, id="binary64"),
        pytest.param(storage_arithmetic(BFLOAT16, 3), 1.4663, id="bfloat16"),
    ],
)
def test_kappa_is_one_rounding_and_that_of_log2_e(arithmetic: Arithmetic, kappa: float) -> None:
    assert by_exp2(arithmetic).exp_argument / arithmetic.grid.unit_roundoff == pytest.approx(kappa, rel=1e-4)


def _by_exp2(format: Format, name: str, push: float) -> tuple[float, float]:
    """The largest ratios to the bound for base 2, and to the one for base e."""
    algorithm, machine = ALGORITHMS[name], ByExp2(format, format, format, format, push=push)
    largest = [0.0, 0.0]
    for n in (2, 3, 9, 33):
        batches = [rows_of(format, n)]
        gaps = np.array([[0.0, -0.75 - 2 * k] + [-1.0] * (n - 2) for k in range(40)])  # differences without rounding
        batches.append(Rows(format, gaps, np.eye(40, n, k=1 - n) + 1.0))
        for rows in batches:
            computed = algorithm.formula(machine, rows.logits, *rows.vectors(algorithm.function).values())
            for i, arithmetic in enumerate((by_exp2(compute_arithmetic(format, n)), compute_arithmetic(format, n))):
                limit, judged = rows.bound_of(algorithm, arithmetic)
                ratios = rows.ratios(machine.stored(computed), algorithm.function, limit, judged)
                largest[i] = max(largest[i], float(ratios.max()))
    return largest[0], largest[1]


@pytest.mark.parametrize("format", [BINARY64, BINARY32], ids=["binary64", "binary32"])
@pytest.mark.parametrize("name", ["a quotient", "(x - max) - log S", "exp of log_softmax", "online", "g - s G"])
def test_an_algorithm_in_base_2_stays_within_the_bound_for_it(name: str, format: Format) -> None:
    reached = max(_by_exp2(format, name, push)[0] for push in (0.0, 2.0))
    assert 0.5 <= reached <= 1


@pytest.mark.parametrize("format", [BINARY64, BINARY32], ids=["binary64", "binary32"])
def test_a_softmax_in_base_2_exceeds_the_bound_for_base_e(format: Format) -> None:
    """Its error grows with |d|: kappa u |d|, where the difference itself is exact."""
    assert _by_exp2(format, "a quotient", 0.0)[1] > 2


def test_a_machine_in_base_2_is_right_but_for_its_roundings() -> None:
    d = np.array([[0.0, -0.5, -3.0, -40.0, -np.inf]])
    wide = ByExp2(BINARY64, BINARY64, BINARY64, BINARY64)
    plain = Machine(BINARY64, BINARY64, BINARY64, BINARY64)
    assert wide.exp(d) == pytest.approx(plain.exp(d), rel=2e-14)
    assert wide.log(np.array([[1.0, 3.0, 1e9]])) == pytest.approx(plain.log(np.array([[1.0, 3.0, 1e9]])), rel=1e-15)
