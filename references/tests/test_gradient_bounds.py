"""The gradient bounds by hand, to first order, and the growth of products that the double backward's is made of."""

from __future__ import annotations

import math

import numpy as np
import pytest

from references.bounds.error_model import compute_arithmetic
from references.bounds.gradients import Grown
from references.formats import BINARY32, BINARY64
from references.functions import Function
from references.tests.batches import Rows
from references.tests.test_forward_bounds import B1, B2, L1, L2, S1, S2, U, agree

# The logits are 0 and -1, the vectors (1, 0) and, for the tangent of the double backward, (0, 1).
ARITHMETIC = compute_arithmetic(BINARY32, 2)
MEAN = 5 * U + 3 * U  # the sum, and what is done with it
SAVED = max(B1[0], S1 * (B2[0] + 6 * U))  # the softmax, or exp of the log_softmax


def found(operation: str, quantity: str) -> np.typing.NDArray[np.float64]:
    one, other = np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])
    rows = Rows(BINARY32, np.array([[0.0, -1.0]]), one, one if quantity == "jvp" else other)
    return rows.bound(Function(operation, quantity), ARITHMETIC)[0]


@pytest.mark.parametrize("quantity", ["vjp", "jvp"])
def test_b9_and_b10_count_the_kernel_and_what_the_saved_error_does(quantity: str) -> None:
    """s (v - <v, s>): v has two roundings; each mean weighs the saved error of its term."""
    first = S1 * (2 * U + MEAN * S1) + B1[0] * S2 + S1 * B1[0]
    assert agree(found("softmax", quantity), (first, S2 * MEAN * S1 + B1[1] * S1 + S2 * B1[0]))


def test_b11_and_b12_count_the_exp_the_product_and_the_difference() -> None:
    """g - exp(l) G: 6u of exp, u of the product, 5u of the sum, the saved error of l, and u of the result."""
    expected = S1 * (7 * U + 5 * U + B2[0]) + U * S2, S2 * (7 * U + 5 * U + B2[1]) + U * S2
    assert agree(found("log_softmax", "vjp"), expected)


def test_b14_takes_the_worse_of_both_softmaxes() -> None:
    assert agree(found("log_softmax", "jvp"), (MEAN * S1 + SAVED + U * S2, MEAN * S1 + SAVED + U * S1))


def test_b13_of_softmax_counts_what_each_product_may_grow_by() -> None:
    """With g = (1, 0) and t = (0, 1): t g = 0, <g, s> = s1, <t, s> = s2; every product is relative to its factors.

    7u and a sum for the products with one mean, 8u and two sums for <g, s><t, s>, three times, and once with a third
    sum, over the saved elements; and the relative errors r of the saved elements that are factors.
    """
    r1, r2 = B1[0] / S1, B1[1] / S2
    once, twice, thrice = 12 * U, 18 * U, 23 * U
    both = S1 * S2 * (3 * (twice + r1 + r2) + thrice + r1 + r2 + S1 * r1 + S2 * r2)
    first = S1 * (S2 * (once + r2) + both + r1 * (S2 + 4 * S1 * S2))
    second = S2 * (S1 * (once + r1) + both + r2 * (S1 + 4 * S1 * S2))
    assert agree(found("softmax", "hvp"), (first, second))


def test_b13_of_log_softmax_counts_the_sum_of_the_cotangent_too() -> None:
    """-G s (t - <t, s>), G = 1: 5u of G; 3u where t is, 5u and a sum where its mean is; s twice there."""
    expected = []
    for r1, r2 in ((B1[0] / S1, B1[1] / S2), (B2[0] + 6 * U, B2[1] + 6 * U)):
        mean = S2 * (10 * U + r2)
        expected.append((S1 * (S2 * (5 * U + r1) + mean), S2 * ((1 + S2) * (5 * U + r2) + 3 * U + mean)))
    assert agree(found("log_softmax", "hvp"), tuple(map(max, zip(*expected, strict=True))))


def test_a_product_grows_by_what_its_factors_grow_by() -> None:
    """(2 + 1)(3 + 2) - 2 3 = 9."""
    product = Grown(np.array(2.0), np.array(1.0)) * Grown(np.array(3.0), np.array(2.0))
    assert [float(x) for x in (product.value, product.growth, product.largest)] == [6.0, 9.0, 15.0]
    total = product + Grown(np.array(1.0))
    assert [float(x) for x in (total.value, total.growth)] == [7.0, 9.0]


def test_a_growth_of_a_rounding_keeps_its_digits() -> None:
    """(1 + 2**-80)**2 - 1 is 2**-79, though 1 + 2**-80 is 1 in binary64."""
    factor = Grown(np.array(1.0), np.array(2.0**-80))
    assert (factor * factor).growth == 2.0**-79


def test_a_mean_grows_with_its_weights() -> None:
    weights = Grown(np.array([[0.25, 0.75]]), np.array([[0.5, 0.0]]))
    mean = weights.mean(Grown(np.array([[4.0, 8.0]])))
    assert (mean.value.tolist(), mean.growth.tolist()) == ([[7.0]], [[2.0]])


def test_a_vanished_element_of_the_double_backward_loses_no_more_than_smallest_numbers() -> None:
    """exp -800 is zero: what is left are products, sums and the saved element, each a few of the smallest numbers."""
    rows = Rows(BINARY64, np.array([[0.0, -800.0]]), np.array([[1.0, 2.0]]), np.array([[-1.0, 1.0]]))
    for operation in ("softmax", "log_softmax"):
        limit = rows.bound(Function(operation, "hvp"), compute_arithmetic(BINARY64, 2))[0]
        assert 0 < limit[0, 1] <= 200 * BINARY64.smallest_subnormal


def test_the_hand_computed_softmax_is_the_one_meant() -> None:
    assert pytest.approx((1.0, math.exp(-1))) == (S1 + S2, S2 / S1)
    assert pytest.approx(1.0) == L2 - L1
