"""Depths of orders of summation: counted on their trees, and NumPy's order held against NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from packaging.version import Version

from references.bounds.summation_depth import (
    any_order_depth,
    gamma,
    lanes_depth,
    numpy_buffered_depth,
    numpy_depth,
    pairwise_depth,
    recursive_depth,
)
from references.formats import BINARY32, Floats
from references.tests.orders import DEPTHS, ORDERS, blocks_depth

U = BINARY32.unit_roundoff
LENGTHS = (1, 2, 3, 5, 7, 8, 9, 16, 31, 33, 64, 100, 127, 128, 129, 136, 255, 257, 400, 1000, 1025)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("n", LENGTHS)
def test_a_depth_is_the_number_of_additions_on_the_longest_path(order: str, n: int) -> None:
    """With terms of depth 0, an addition of two depths is one more than the larger."""

    def count(a: Floats, b: Floats) -> Floats:
        return np.maximum(a, b) + 1

    assert ORDERS[order](count, np.zeros((1, n)))[0, 0] == DEPTHS[order](n)


@pytest.mark.parametrize("n", [8193, 16383, 16384, 20000])
def test_the_depth_of_a_buffered_sum_is_that_of_its_deepest_piece(n: int) -> None:
    def count(a: Floats, b: Floats) -> Floats:
        return np.maximum(a, b) + 1

    assert ORDERS["numpy before 2.3"](count, np.zeros((1, n)))[0, 0] == numpy_buffered_depth(n)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [*LENGTHS, 8192, 20000])
def test_the_order_called_numpys_gives_numpys_bits(dtype: type[np.floating], n: int) -> None:
    """Rows beyond the buffer tell the two orders apart."""
    buffered = Version(np.__version__) < Version("2.3.0rc1")
    here, elsewhere = ("numpy before 2.3", "numpy") if buffered else ("numpy", "numpy before 2.3")
    values = np.random.default_rng(n).standard_normal((20, n)).astype(dtype)

    def add(a: Floats, b: Floats) -> Floats:
        return (a.astype(dtype) + b.astype(dtype)).astype(np.float64)

    sums = {order: ORDERS[order](add, values.astype(np.float64))[:, 0] for order in (here, elsewhere)}
    assert np.array_equal(sums[here], values.sum(axis=-1))
    assert np.array_equal(sums[elsewhere], sums[here]) == (n <= 8192)


def test_depths_by_hand() -> None:
    assert recursive_depth(7) == 6
    assert [pairwise_depth(n) for n in (1, 2, 3, 4, 5, 1024, 1025)] == [0, 1, 2, 2, 3, 10, 11]
    assert lanes_depth(1000, 16, tree=True) == 62 + 4
    assert lanes_depth(3, 16, tree=True) == 2
    assert blocks_depth(1000) == 31 + 31
    assert blocks_depth(20) == 19
    assert [numpy_depth(n) for n in (1, 7, 8, 127, 128, 256, 1024)] == [0, 6, 3, 24, 18, 19, 21]


def test_the_depth_of_any_order_gives_way_to_that_of_a_pairwise_sum_where_it_says_nothing() -> None:
    assert any_order_depth(1, U) == (4, False)
    assert any_order_depth(2**24 - 4, U) == (2**24 - 1, False)
    assert any_order_depth(2**24 - 3, U) == (28, True)


@pytest.mark.parametrize("order", ORDERS)
def test_the_depth_of_any_order_is_beyond_every_order_by_four_at_least(order: str) -> None:
    assert all(any_order_depth(n, U)[0] >= DEPTHS[order](n) + 4 for n in LENGTHS)


def test_gamma_is_infinite_where_it_is_no_bound() -> None:
    assert gamma(2, 0.125) == pytest.approx(1 / 3)
    assert gamma(8, 0.125) == math.inf
