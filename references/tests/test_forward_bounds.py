"""The forward bounds by hand, to first order: each error where the derivation has it, and nothing twice."""

from __future__ import annotations

import math

import numpy as np
import pytest

from references.bounds.error_model import compute_arithmetic, storage_arithmetic
from references.bounds.forward import log_softmax_bound, softmax_bound
from references.bounds.forward_quantities import on_grid
from references.bounds.of_function import rounded
from references.formats import BFLOAT16, BINARY32, BINARY64, Floats, Format
from references.tests.algorithms import ALGORITHMS
from references.tests.batches import Rows, rows_of
from references.tests.other_bounds import (
    exp_of_log_softmax_bound,
    log1p_bound,
    log_of_softmax_bound,
    online_softmax_bound,
    softmax_by_reciprocal_bound,
    unshifted_bound,
    x_minus_log_sum_exp_bound,
)

U = BINARY32.unit_roundoff
S1, S2 = 1 / (1 + math.exp(-1)), 1 / (1 + math.exp(1))  # the softmax of 0 and -1
L1, L2 = -math.log(S1), -math.log(S2)

# Two logits: the depth is 2 + 3, the difference is exact, exp -1 is off by 6u, exp 0 by nothing.
ARITHMETIC = compute_arithmetic(BINARY32, 2)
TOTAL = 5 * U + 6 * U * S2
B1 = S1 * (U + TOTAL), S2 * (6 * U + U + TOTAL)
B2 = TOTAL + 6 * U * L1 + U * L1, TOTAL + 6 * U * L1 + U * L2


def rows(*logits: float, format: Format = BINARY32) -> Rows:
    return Rows(format, np.array([logits]), np.zeros((1, len(logits))))


def agree(found: Floats, expected: tuple[float, ...]) -> bool:
    return bool(found[0] == pytest.approx(expected, rel=2e-6))


def test_b1_counts_the_exp_the_sum_and_the_quotient() -> None:
    assert agree(softmax_bound(rows(0, -1).shifted, ARITHMETIC), B1)


def test_b1_by_a_reciprocal_counts_one_rounding_more() -> None:
    found = softmax_by_reciprocal_bound(rows(0, -1).shifted, ARITHMETIC)
    assert agree(found, (B1[0] + S1 * U, B1[1] + S2 * U))


def test_b2_counts_the_sum_the_logarithm_and_the_difference() -> None:
    assert agree(log_softmax_bound(rows(0, -1).shifted, ARITHMETIC), B2)


def test_b3_counts_the_rounding_of_max_and_log_together() -> None:
    """Logits 2**20 and one less: that sum is rounded to a grid of 1/8, u 2**20 at most."""
    offset = 2.0**20
    inner = U * (offset + L1) + TOTAL + 6 * U * L1
    found = x_minus_log_sum_exp_bound(rows(offset, offset - 1).shifted, ARITHMETIC)
    assert agree(found, (inner + U * L1, inner + U * L2))


def test_b4_is_relative_to_the_logarithm() -> None:
    """T = exp -40: its exp, the sum, log1p and the difference, each relative to the -4.2e-18 that comes out."""
    found = log1p_bound(rows(0, -40).shifted, ARITHMETIC)
    logarithm = math.log1p(math.exp(-40))
    assert agree(found, ((6 + 5 + 6 + 1) * U * logarithm, U * 40 + 18 * U * logarithm))


def test_b4_weighs_the_errors_of_the_terms_and_leaves_one_maximum_out() -> None:
    """exp of 0, -1 and 0: T = 1 + 1/e, of which the second maximum has no error of its exp."""
    total = 1 + math.exp(-1)
    logarithm = math.log1p(total)
    error = logarithm * (6 * U * math.exp(-1) / total + 6 * U + 6 * U)
    found = log1p_bound(rows(0, -1, 0).shifted, compute_arithmetic(BINARY32, 3))
    expected = tuple(error + U * size for size in (logarithm, 1 + logarithm, logarithm))
    assert agree(found, expected)


def test_b5_is_b2_as_a_relative_error_and_an_exp() -> None:
    found = exp_of_log_softmax_bound(rows(0, -1).shifted, ARITHMETIC)
    assert agree(found, (S1 * (B2[0] + 6 * U), S2 * (B2[1] + 6 * U)))


def test_b6_is_b1_as_an_absolute_error_and_a_log() -> None:
    found = log_of_softmax_bound(rows(0, -1).shifted, ARITHMETIC)
    assert agree(found, (B1[0] / S1 + 6 * U * L1, B1[1] / S2 + 6 * U * L2))


def test_b6_says_nothing_where_the_softmax_may_be_lost() -> None:
    found = log_of_softmax_bound(rows(0, -110, -np.inf).shifted, compute_arithmetic(BINARY32, 3))
    assert np.isnan(found[0, 1])
    assert np.isfinite(found[0, [0, 2]]).all()


def test_b7_counts_the_exp_of_the_maximum_too() -> None:
    total = 5 * U + 6 * U
    assert agree(unshifted_bound(rows(0, -1).shifted, ARITHMETIC), (S1 * (7 * U + total), S2 * (7 * U + total)))


def test_b7_loses_what_is_near_zero_exp_of_minus_the_maximum_times() -> None:
    """At a maximum of -100 each exp is near 3.7e-44, where numbers are 1.4e-45 apart; and that of the sum twice."""
    scale = math.exp(100) * 3 * 2.0**-149
    total = 11 * U + 2 * scale
    found = unshifted_bound(rows(-100, -100).shifted, ARITHMETIC)
    assert found[0, 0] == pytest.approx(0.5 * (7 * U + total / (1 - total)) + scale / (1 - total), rel=1e-5)


@pytest.mark.parametrize("maximum", [89.0, 1e30, -700.0, -1e30])
def test_b7_says_nothing_where_the_sum_may_overflow_or_vanish(maximum: float) -> None:
    assert np.isnan(unshifted_bound(rows(maximum, maximum - 1).shifted, ARITHMETIC)).all()


def test_b7_says_something_up_to_the_overflow_of_the_sum() -> None:
    """log of the largest number is 88.7228: 88.03125 + log 2 is beyond it, 88.015625 + log 2 is not."""
    assert np.isnan(unshifted_bound(rows(88.03125, 88.03125).shifted, ARITHMETIC)).all()
    assert np.isfinite(unshifted_bound(rows(88.015625, 88.015625).shifted, ARITHMETIC)).all()
    assert np.isfinite(unshifted_bound(rows(88.71875, 80).shifted, ARITHMETIC)).all()


def test_b8_counts_an_exp_and_a_product_for_each_change_of_the_maximum() -> None:
    """-1, then 0: one change; the term of -1 has been through exp 0, and is multiplied by exp(-1)."""
    total = 5 * U + S2 * (U + 2 * 6 * U + U)
    found = online_softmax_bound(rows(-1, 0).shifted, ARITHMETIC, 1)
    assert agree(found, (S2 * (7 * U + total), S1 * (U + total)))


def test_b8_without_a_change_is_b1_with_every_difference_rounded() -> None:
    total = TOTAL + U * S2
    found = online_softmax_bound(rows(0, -1).shifted, ARITHMETIC, np.zeros((1, 1)))
    assert agree(found, (S1 * (U + total), S2 * (7 * U + total)))


def test_the_storage_bound_of_two_logits_counts_each_narrow_rounding_once() -> None:
    """exp, the stored sum, the quotient; exp, the stored sum, the logarithm, the difference."""
    u, two = BFLOAT16.unit_roundoff, rows(0, -1, format=BFLOAT16).shifted
    total = u + u * S2
    arithmetic = storage_arithmetic(BFLOAT16, 2)
    assert softmax_bound(two, arithmetic)[0] == pytest.approx((S1 * (u + total), S2 * (2 * u + total)), rel=0.02)
    expected = (total + u * L1 + u * L1, total + u * L1 + u * L2)
    assert log_softmax_bound(two, arithmetic)[0] == pytest.approx(expected, rel=0.02)


def test_the_compute_bound_of_a_narrow_format_is_half_an_ulp_and_a_little() -> None:
    two, arithmetic = rows(0, -1, format=BFLOAT16), compute_arithmetic(BFLOAT16, 2)
    limit = rounded(softmax_bound(two.shifted, arithmetic), two.shifted.s, BFLOAT16, arithmetic)[0]
    half_ulps = np.array([2.0**-9, 2.0**-10])  # of 0.73 and 0.27
    assert (limit > half_ulps).all()
    assert limit == pytest.approx(half_ulps, rel=1e-3)


@pytest.mark.parametrize("format", [BINARY32, BINARY64], ids=["binary32", "binary64"])
def test_a_vanished_element_is_granted_three_ulps_of_exp_and_half_of_a_quotient(format: Format) -> None:
    """Where subnormal numbers are flushed: four smallest normal numbers of exp and one of the quotient."""
    gone = rows(0, -800, format=format).shifted
    plain, flushing = (
        softmax_bound(gone, compute_arithmetic(format, 2, flushes=flushes))[0] for flushes in (False, True)
    )
    half = 0.5 if format is BINARY32 else 1.0  # of the smallest binary64 number, a half is rounded up
    assert plain[1] == pytest.approx((3 + half) * format.smallest_subnormal, rel=1e-5)
    assert flushing[1] == pytest.approx(5 * format.smallest_normal, rel=1e-5)


def test_a_subtraction_is_charged_half_an_ulp_only_where_it_is_inexact() -> None:
    four = rows(3.0, 1.0, -(2.0**-30), -np.inf)
    assert four.shifted.subtraction(compute_arithmetic(BINARY32, 4))[0].tolist() == [0.0, 0.0, 2.0**-23, 0.0]


@pytest.mark.parametrize("format", [BINARY64, BINARY32, BFLOAT16], ids=lambda f: str(f.name))
def test_a_number_is_on_a_grid_where_rounding_to_it_changes_nothing(format: Format) -> None:
    r = np.random.default_rng(2)
    values = r.integers(-300, 300, 2000) * 2.0 ** r.integers(-1080, 1010, 2000)
    values[:4] = 0.0, np.inf, 3.4e38, -5e-324
    with np.errstate(over="ignore"):
        same = format.decode(format.round_floats(values)) == values
    assert np.array_equal(on_grid(values, format), same & np.isfinite(values))
    assert same.any()


def test_a_common_shift_that_is_exact_changes_no_bound_of_a_shifted_algorithm() -> None:
    r = np.random.default_rng(5)
    logits, vector = r.integers(-20, 20, (6, 9)).astype(float), r.standard_normal((6, 9))
    for algorithm in ALGORITHMS.values():
        here, there = (
            Rows(BINARY32, x, vector).bound_of(algorithm, compute_arithmetic(BINARY32, 9))[0]
            for x in (logits, logits + 2.0**20)
        )
        assert np.array_equal(here, there) == (algorithm.bound not in ("B3", "B7")), algorithm


def test_no_bound_is_smaller_where_more_may_go_wrong() -> None:
    """Deeper sums and flushes only add to a bound."""
    batch = rows_of(BFLOAT16, 33)
    less = compute_arithmetic(BFLOAT16, 33, depth=6)
    for algorithm in ALGORITHMS.values():
        with np.errstate(invalid="ignore"):
            limit, judged = batch.bound_of(algorithm, less)
            for more in (
                compute_arithmetic(BFLOAT16, 33),
                compute_arithmetic(BFLOAT16, 33, depth=6, flushes=True),
            ):
                larger = batch.bound_of(algorithm, more)[0]
                assert ((larger >= limit) | np.isnan(larger))[judged].all()
