"""The bounds of the laws by hand, to first order."""

from __future__ import annotations

import math

import numpy as np
import pytest

from references.bounds.error_model import compute_arithmetic, storage_arithmetic
from references.formats import BFLOAT16, BINARY32
from references.laws import bounds
from references.laws.residuals import exponential, inner, inversions, off_from, pair, sum_of
from references.tests.test_forward_bounds import ARITHMETIC, B1, B2, S1, S2, U, agree, rows

TWO = rows(0, -1).shifted
ONE = np.array([[1.0, 0.0]])
LIMIT_1, LIMIT_2 = np.array([B1]), np.array([B2])


def test_l1_adds_both_bounds() -> None:
    assert bounds.agreement_bound(LIMIT_1, 2 * LIMIT_1).tolist() == (3 * LIMIT_1).tolist()


def test_l2_counts_the_sum_and_the_quotient_and_no_exp() -> None:
    assert agree(bounds.softmax_sum_bound(TWO, BINARY32, ARITHMETIC), (6 * U,))


def test_l2_of_a_narrow_output_counts_half_an_ulp_of_each_element() -> None:
    two, arithmetic = rows(0, -1, format=BFLOAT16).shifted, compute_arithmetic(BFLOAT16, 2)
    found = bounds.softmax_sum_bound(two, BFLOAT16, arithmetic)
    assert found[0] == pytest.approx((2.0**-9 + 2.0**-10,), rel=1e-3)


def test_l2_of_stored_results_counts_the_stored_sum_and_the_quotient() -> None:
    two, arithmetic = rows(0, -1, format=BFLOAT16).shifted, storage_arithmetic(BFLOAT16, 2)
    found = bounds.softmax_sum_bound(two, BFLOAT16, arithmetic)
    assert found[0] == pytest.approx((2 * BFLOAT16.unit_roundoff,), rel=0.01)


def test_l3_weighs_what_the_elements_may_be_off_by() -> None:
    assert agree(bounds.log_softmax_sum_bound(TWO, LIMIT_2), (S1 * B2[0] + S2 * B2[1],))


def test_l4_counts_the_sum_of_the_saved_softmax_and_the_kernel() -> None:
    """g = (1, 0): <g, s> = s1, off by 8 u of it in both elements, and 2 u of s1 in the first."""
    found = bounds.softmax_vjp_sum_bound(TWO, ONE, ONE, LIMIT_1, BINARY32, ARITHMETIC)
    assert agree(found, (6 * U * S1 + 2 * U * S1 + 8 * U * S1,))


def test_l5_counts_the_sum_of_the_saved_log_softmax_and_the_kernel() -> None:
    """G = 1: 7 u of exp and the product, 5 u of the sum, in s1 + s2 = 1; u of each result."""
    exact = np.array([[S2, -S2]])
    found = bounds.log_softmax_vjp_sum_bound(TWO, ONE, exact, LIMIT_2, BINARY32, ARITHMETIC)
    assert agree(found, (S1 * B2[0] + S2 * B2[1] + 12 * U + 2 * U * S2,))


def test_l7_counts_two_exps_and_two_roundings() -> None:
    found = bounds.order_bound(TWO, BINARY32, ARITHMETIC)
    assert agree(found, (14 * U * S1, 14 * U * S2))


def test_l8_is_relative_to_the_softmax() -> None:
    found = bounds.exp_identity_bound(TWO, LIMIT_1, LIMIT_2)
    assert agree(found, (B1[0] + S1 * B2[0], B1[1] + S2 * B2[1]))


def test_l9_counts_the_whole_the_part_and_the_sum_of_the_part() -> None:
    """A part of one element, s1 of the whole: its softmax is 1, its sum is off by what the element is."""
    found = bounds.merged_softmax_bound(LIMIT_1[:, :1], np.zeros((1, 1)), np.ones((1, 1)), np.array([[S1]]))
    assert agree(found, (2 * B1[0],))
    total = bounds.merged_log_sum_bound([LIMIT_2[:, :1], LIMIT_2[:, 1:]], [np.array([[S1]]), np.array([[S2]])])
    assert agree(total, (S1 * B2[0] + S2 * B2[1],))


def test_l10_adds_both_gradients_and_what_the_cotangent_was_moved_by() -> None:
    found = bounds.chain_rule_bound(TWO, LIMIT_1, LIMIT_2, np.array([[U, 0.0]]))
    assert agree(found, (B1[0] + B2[0] + U + S1 * U, B1[1] + B2[1] + S2 * U))


def test_l11_weighs_each_bound_by_the_other_vector() -> None:
    assert bounds.duality_bound(ONE, 3 * ONE, LIMIT_1, LIMIT_2)[0, 0] == B2[0] + 3 * B1[0]


# -- the other side ----------------------------------------------------------------------------------------------------


def test_a_sum_in_pairs_keeps_what_binary64_would_drop() -> None:
    assert off_from(sum_of(pair(np.array([[1.0, 2.0**-80, -1.0]]))), 0.0) == 2.0**-80


def test_an_inner_product_in_pairs_keeps_what_binary64_would_drop() -> None:
    a = np.array([[1 + 2.0**-30, -1.0]])
    assert off_from(inner(a, np.array([[1 + 2.0**-30, 1 + 2.0**-29]])), 0.0) == 2.0**-60


def test_the_exponential_takes_both_signs_and_minus_infinity() -> None:
    found = exponential(np.array([[0.0, -1.0, 1.0, -np.inf, -745.0]]))[0][0]
    assert found == pytest.approx([1.0, math.exp(-1), math.e, 0.0, 5e-324], rel=1e-15)


def test_an_inversion_is_what_an_element_lacks_to_the_largest_of_no_larger_logits() -> None:
    logits = np.array([[3.0, 1.0, 2.0, 2.0, -np.inf]])
    assert inversions(logits, np.array([[0.5, 0.2, 0.1, 0.4, 0.0]])).tolist() == [
        [0.0, 0.0, pytest.approx(0.3), 0.0, 0.0]
    ]
    assert inversions(logits, np.array([[-1.0, -3.0, -2.0, -2.0, -np.inf]])).tolist() == [[0.0] * 5]
