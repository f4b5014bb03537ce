"""exp and sums in plain binary64, against mpmath and exact sums."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest

from references import plain
from references.formats import Floats

UNIT = 2.0**-53


def largest_error(high: Floats, low: Floats | None = None) -> float:
    """The largest relative error of exp, in units of 2**-53."""
    found, worst = plain.exp(high, low), 0.0
    rest = np.zeros_like(high) if low is None else low
    with mpmath.workprec(120):
        for value, a, b in zip(found.tolist(), high.tolist(), rest.tolist(), strict=True):
            exact = mpmath.exp(mpmath.mpf(a) + mpmath.mpf(b))
            worst = max(worst, float(abs(value - exact) / exact) / UNIT)
    return worst


@pytest.mark.parametrize("least", [plain.LOWEST, -40.0, -1.0, -1e-3])
def test_exp_is_within_its_error_over_its_range(least: float) -> None:
    high = np.random.default_rng(0).uniform(least, 0, 4000)
    assert 0.5 < largest_error(high) <= plain.EXP_ERROR


def test_exp_is_within_its_error_at_every_scale_and_with_a_low_word() -> None:
    r = np.random.default_rng(1)
    high = -(10.0 ** r.uniform(-300, math.log10(-plain.LOWEST), 4000))
    assert largest_error(high, np.spacing(high) * r.uniform(-0.5, 0.5, high.shape)) <= plain.EXP_ERROR


def test_exp_is_within_its_error_where_the_reduction_turns() -> None:
    """At odd multiples of half a table step, the numbers on both sides and the numbers next to a table entry."""
    steps = np.concatenate([np.arange(0.5, 2048 * 3), np.arange(2048.0 * 3)]) * (math.log(2) / 2048)
    turns = -np.concatenate([steps, np.nextafter(steps, 1e9), np.nextafter(steps, -1e9)])
    assert largest_error(np.minimum(turns, 0.0)) <= plain.EXP_ERROR


def test_exp_of_zero_is_exactly_one() -> None:
    assert plain.exp(np.array([0.0, -0.0]), None).tolist() == [1.0, 1.0]


def test_exp_of_the_lowest_argument_is_a_normal_number() -> None:
    assert plain.exp(np.array([plain.LOWEST]), None)[0] > 2.0**-1021


@pytest.mark.parametrize("n", [1, 2, 3, 7, 8, 1000, 8191])
def test_a_sum_is_off_by_no_more_than_its_depth_allows(n: int) -> None:
    a = np.random.default_rng(n).standard_normal((5, n)) * 10.0 ** np.arange(-2, 3)[:, None]
    for row, total in zip(a.tolist(), plain.sum_last(a).tolist(), strict=True):
        depth = math.ceil(math.log2(n))
        assert abs(math.fsum([*row, -total])) <= 1.01 * depth * UNIT * math.fsum(map(abs, row))


def test_a_sum_of_integers_is_exact() -> None:
    assert plain.sum_last(np.arange(12.0).reshape(3, 4)).tolist() == [6.0, 22.0, 38.0]
