"""exp and sums in plain binary64, against mpmath and exact sums."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest

from references.formats import Floats
from references.ieee import binary64

UNIT = 2.0**-53


def largest_error(high: Floats, low: Floats | None = None) -> float:
    """The largest relative error of exp, in units of 2**-53."""
    found, worst = binary64.exp(high, low), 0.0
    rest = np.zeros_like(high) if low is None else low
    with mpmath.workprec(120):
        for value, a, b in zip(found.tolist(), high.tolist(), rest.tolist(), strict=True):
            exact = mpmath.exp(mpmath.mpf(a) + mpmath.mpf(b))
            worst = max(worst, float(abs(value - exact) / exact) / UNIT)
    return worst


@pytest.mark.parametrize("least", [binary64.LOWEST, -40.0, -1.0, -1e-3])
def test_exp_is_within_its_error_over_its_range(least: float) -> None:
    high = np.random.default_rng(0).uniform(least, 0, 4000)
    assert 0.5 < largest_error(high) <= binary64.EXP_ERROR


def test_exp_is_within_its_error_at_every_scale_and_with_a_low_word() -> None:
    r = np.random.default_rng(1)
    high = -(10.0 ** r.uniform(-300, math.log10(-binary64.LOWEST), 4000))
    assert largest_error(high, np.spacing(high) * r.uniform(-0.5, 0.5, high.shape)) <= binary64.EXP_ERROR


def test_exp_is_within_its_error_where_the_reduction_turns() -> None:
    """At odd multiples of half a table step, the numbers on both sides and the numbers next to a table entry."""
    steps = np.concatenate([np.arange(0.5, 2048 * 3), np.arange(2048.0 * 3)]) * (math.log(2) / 2048)
    turns = -np.concatenate([steps, np.nextafter(steps, 1e9), np.nextafter(steps, -1e9)])
    assert largest_error(np.minimum(turns, 0.0)) <= binary64.EXP_ERROR


def test_exp_of_zero_is_exactly_one() -> None:
    assert binary64.exp(np.array([0.0, -0.0]), None).tolist() == [1.0, 1.0]


def test_exp_of_the_lowest_argument_is_a_normal_number() -> None:
    assert binary64.exp(np.array([binary64.LOWEST]), None)[0] > 2.0**-1021


@pytest.mark.parametrize("scale", [(-300, -20), (-20, 0), (-3, 3), (0, 300)])
def test_log1p_is_within_its_error_at_every_scale(scale: tuple[int, int]) -> None:
    t = 10.0 ** np.random.default_rng(2).uniform(*scale, 4000)
    assert _largest_log_error(t) <= binary64.LOG1P_ERROR


def test_log1p_is_within_its_error_where_its_centres_change() -> None:
    """Half-way between centres, next to them, and next to powers of two."""
    edges = np.concatenate([np.arange(1, 257) / 256, np.arange(1, 600) / 2.0, 2.0 ** np.arange(-60, 60) - 1])
    edges = edges[edges > 0]
    assert _largest_log_error(np.concatenate([edges, np.nextafter(edges, 0), np.nextafter(edges, 1e9)])) <= (
        binary64.LOG1P_ERROR
    )


def test_log1p_of_zero_is_zero() -> None:
    assert binary64.log1p(np.array([0.0])).tolist() == [0.0]


def _largest_log_error(t: Floats) -> float:
    """In units of 2**-53."""
    worst = 0.0
    with mpmath.workprec(2200):  # log1p(1e-300) to 100 bits and more
        for value, x in zip(binary64.log1p(t).tolist(), t.tolist(), strict=True):
            exact = mpmath.log1p(mpmath.mpf(x))
            worst = max(worst, float(abs(value - exact) / exact) / UNIT)
    return worst


@pytest.mark.parametrize(
    ("n", "depth"), [(1, 0), (2, 1), (3, 2), (128, 127), (129, 128), (256, 128), (1000, 130), (8192, 133)]
)
def test_a_sum_is_off_by_no_more_than_its_depth_allows(n: int, depth: int) -> None:
    assert binary64.sum_depth(n) == depth
    a = np.random.default_rng(n).standard_normal((5, n)) * 10.0 ** np.arange(-2, 3)[:, None]
    for row, total in zip(a.tolist(), binary64.sum_last(a).tolist(), strict=True):
        assert abs(math.fsum([*row, -total])) <= 1.01 * depth * UNIT * math.fsum(map(abs, row))


def test_a_sum_of_integers_is_exact() -> None:
    assert binary64.sum_last(np.arange(12.0).reshape(3, 4)).tolist() == [6.0, 22.0, 38.0]
