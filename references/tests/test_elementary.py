"""exp, log1p and their relatives, against mpmath over their whole ranges; and the rule that they stand alone."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from pathlib import Path

import mpmath
import numpy as np
import pytest

from references.formats import Floats, Integers
from references.ieee import elementary
from references.ieee.doubledouble import Pair, two_sum

REFERENCES = Path(__file__).parent.parent


def worst(
    result: tuple[Pair, Integers], truth: Callable[[mpmath.mpf], mpmath.mpf], arguments: list[mpmath.mpf]
) -> float:
    """log2 of the largest relative error."""
    (high, low), exponent = result
    largest = mpmath.mpf(0)
    with mpmath.workprec(300):
        for h, low_word, k, x in zip(high.tolist(), low.tolist(), exponent.tolist(), arguments, strict=True):
            exact = truth(x)
            largest = max(largest, abs(mpmath.ldexp(mpmath.mpf(h) + mpmath.mpf(low_word), k) / exact - 1))
        return float(mpmath.log(largest + mpmath.mpf(2) ** -200, 2))


def exact_arguments(pair: Pair) -> list[mpmath.mpf]:
    with mpmath.workprec(300):
        return [mpmath.mpf(a) + mpmath.mpf(b) for a, b in zip(pair[0].tolist(), pair[1].tolist(), strict=True)]


def exp_error(high: Floats, low: Floats | None = None) -> float:
    pair = high, np.zeros_like(high) if low is None else low
    return worst(elementary.exp(pair), mpmath.exp, exact_arguments(pair))


def low_words(r: np.random.Generator, high: Floats) -> Floats:
    """Up to half an ulp, as the exact difference of two logits has."""
    return np.spacing(np.abs(high)) * r.uniform(-0.5, 0.5, high.shape)


# -- exp ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("least", "greatest"), [(-1400, 0), (-40, 0), (-1, 0), (-1e-3, 0)])
def test_exp_is_accurate_to_101_bits_over_its_range(least: float, greatest: float) -> None:
    r = np.random.default_rng(0)
    high = r.uniform(least, greatest, 1500)
    assert exp_error(high, low_words(r, high)) <= -101


def test_exp_is_accurate_to_101_bits_at_every_scale() -> None:
    r = np.random.default_rng(1)
    high = -np.ldexp(r.uniform(1, 2, 1500), r.integers(-1074, 10, 1500))
    assert exp_error(high, np.where(high < -(2.0**-1000), low_words(r, high), 0.0)) <= -101


@pytest.mark.parametrize("half", [0.0, 0.5])
def test_exp_is_accurate_to_101_bits_where_its_reduction_turns_over(half: float) -> None:
    """(k + 1/2) ln2 / 2**16 is the breakpoint between two tabulated arguments, k ln2 / 2**16 the middle."""
    r = np.random.default_rng(2)
    with mpmath.workprec(200):
        steps = np.concatenate([r.integers(1, 2**27, 700), r.integers(1, 2**10, 300)])
        near = np.array([float(-(int(k) + half) * mpmath.log(2) / 2**16) for k in steps])
    near = near[near > elementary.LOWEST]
    high = np.concatenate([near, np.nextafter(near, 0), np.nextafter(near, -2000)])
    assert exp_error(high, low_words(r, high)) <= -101


def test_exp_of_zero_is_one_and_signs_of_tiny_arguments_survive() -> None:
    tiny = np.array([0.0, -0.0, -5e-324, -1e-300, -(2.0**-60)])
    (high, low), power = elementary.exp((tiny, np.zeros(5)))
    assert (high * 2.0**power).tolist() == [1.0] * 5
    assert low.tolist() == [0.0, 0.0, -5e-324, -1e-300, -(2.0**-60)]


def test_exp_stays_within_its_documented_range_and_leaves_the_exponent_apart() -> None:
    (high, low), power = elementary.exp((np.linspace(-1400, 0, 20_001), np.zeros(20_001)))
    assert ((high >= 0.99) & (high < 2.01)).all()
    assert np.array_equal(high + low, high)
    assert (power.min(), power.max()) == (-2020, 0)


def test_arguments_below_the_lowest_count_as_the_lowest() -> None:
    clipped = elementary.exp((np.array([elementary.LOWEST, -1400.5, -1e308, -np.inf]), np.zeros(4)))
    for part in (*clipped[0], clipped[1]):
        assert (part == part[0]).all()
    assert float(mpmath.log(mpmath.exp(elementary.LOWEST), 2)) < -2019


# -- log1p -------------------------------------------------------------------------------------------------------------


def log1p_error(t: Pair, exponent: Integers) -> float:
    with mpmath.workprec(300):
        arguments = [mpmath.ldexp(x, k) for x, k in zip(exact_arguments(t), exponent.tolist(), strict=True)]
    return worst(elementary.log1p(t, exponent), _log1p, arguments)


def _log1p(t: mpmath.mpf) -> mpmath.mpf:
    return t - t * t / 2 + t * t * t / 3 if mpmath.mag(t) < -200 else mpmath.log1p(t)


@pytest.mark.parametrize(("least", "greatest"), [(-60, 0), (-12, 1), (0, 24), (0, 500)])
def test_log1p_is_accurate_to_90_bits_over_its_range(least: int, greatest: int) -> None:
    r = np.random.default_rng(3)
    t = np.ldexp(r.uniform(1, 2, 1200), r.integers(least, greatest, 1200))
    assert log1p_error((t, low_words(r, t)), np.zeros(1200, np.int64)) <= -90


def test_log1p_of_the_tiniest_sums_keeps_98_bits_at_their_own_exponent() -> None:
    r = np.random.default_rng(4)
    t = r.uniform(0.25, 4, 800)
    assert log1p_error((t, low_words(r, t)), r.integers(-2020, -11, 800)) <= -98


def test_log1p_meets_its_bounds_on_both_sides_of_the_threshold_between_its_branches() -> None:
    r = np.random.default_rng(5)
    t = 2.0**-8 * (1 + r.integers(-40, 40, 400) * 2.0 ** -r.integers(20, 53, 400))
    t = np.concatenate([t, [2.0**-8, np.nextafter(2.0**-8, 0), np.nextafter(2.0**-8, 1)]])
    low = low_words(r, t)
    below = t < 2.0**-8
    exponent = np.zeros(t.shape, np.int64)
    assert log1p_error((t[below], low[below]), exponent[below]) <= -98
    assert log1p_error((t[~below], low[~below]), exponent[~below]) <= -91


def test_log1p_is_accurate_where_the_table_of_its_estimate_turns_over() -> None:
    r = np.random.default_rng(6)
    edges = (1 + np.arange(256) / 256) * 2.0 ** r.integers(0, 12, 256)
    t = np.concatenate([edges, np.nextafter(edges, 0), np.nextafter(edges, 1e9)]) - 1
    t = t[t > 2.0**-8]
    assert log1p_error((t, np.zeros_like(t)), np.zeros(t.shape, np.int64)) <= -90


def test_log1p_of_zero_is_zero() -> None:
    (high, low), _ = elementary.log1p((np.zeros(1), np.zeros(1)), np.zeros(1, np.int64))
    assert (high[0], low[0]) == (0.0, 0.0)


def test_log1p_of_a_power_of_two_less_one_is_a_multiple_of_log_2() -> None:
    powers = np.arange(1.0, 50.0)
    t = 2.0**powers - 1
    found = elementary.log1p((t, np.zeros_like(t)), np.zeros(t.shape, np.int64))
    assert worst(found, lambda k: k * mpmath.log(2), powers.tolist()) <= -90


# -- in binary64 -------------------------------------------------------------------------------------------------------


def largest_relative_error(found: Floats, truth: Callable[[mpmath.mpf], mpmath.mpf], x: Floats) -> float:
    with mpmath.workprec(200):
        return max(float(abs(mpmath.mpf(a) / truth(mpmath.mpf(b)) - 1)) for a, b in zip(found, x, strict=True))


def test_expm1_is_accurate_to_46_bits() -> None:
    r = np.random.default_rng(7)
    t = np.concatenate([2.0 ** r.uniform(-1000, 9.4, 1000), 2.0 ** r.uniform(-8, -6, 500), [2.0**-7, 700.0]])
    assert largest_relative_error(elementary.expm1(t), mpmath.expm1, t) <= 2.0**-46


def test_log_of_inverse_is_accurate_to_50_bits() -> None:
    r = np.random.default_rng(8)
    x = np.concatenate([r.uniform(0, 1, 800), 2.0 ** r.uniform(-1000, -1, 400), 1 - 2.0 ** r.uniform(-52, -1, 400)])
    x = x[(x > 0) & (x < 1)]
    assert largest_relative_error(elementary.log_of_inverse(x), lambda v: -mpmath.log1p(-v), x) <= 2.0**-50


def test_log_of_inverse_is_as_accurate_where_all_arguments_are_small() -> None:
    """They are left to a series, that of the bounds of short rows."""
    x = 2.0 ** np.random.default_rng(9).uniform(-1000, -9, 800)
    assert largest_relative_error(elementary.log_of_inverse(x), lambda v: -mpmath.log1p(-v), x) <= 2.0**-50


def test_nan_and_zero_pass_through_the_binary64_functions() -> None:
    for function in (elementary.expm1, elementary.log_of_inverse):
        zero, nan = function(np.array([0.0, np.nan]))
        assert zero == 0
        assert math.isnan(nan)


# -- standing alone ----------------------------------------------------------------------------------------------------

UNDER_TEST = {
    "exp",
    "exp2",
    "expm1",
    "log",
    "log1p",
    "log2",
    "log10",
    "logaddexp",
    "logaddexp2",
    "power",
    "float_power",
}
FRAMEWORKS = {"torch", "jax", "jaxlib", "tensorflow", "scipy", "suites", "reports"}


def modules() -> list[Path]:
    return sorted(f for f in REFERENCES.rglob("*.py") if f.parent.name != "tests")


@pytest.mark.parametrize("module", modules(), ids=lambda path: path.relative_to(REFERENCES).as_posix())
def test_a_reference_uses_no_function_and_no_framework_that_is_under_test(module: Path) -> None:
    """np.exp changes its bits with the instruction set; a reference that called it would hide that."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ("np", "numpy"):
            assert node.attr not in UNDER_TEST, f"{module.name}:{node.lineno} np.{node.attr}"
        if isinstance(node, ast.Import):
            imported = {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported = {node.module or ""}
            if node.module == "numpy":
                assert not {alias.name for alias in node.names} & UNDER_TEST, f"{module.name}:{node.lineno}"
        else:
            continue
        assert not {name.split(".")[0] for name in imported} & FRAMEWORKS, f"{module.name}:{node.lineno}"


def test_the_modules_that_must_stand_alone_are_found() -> None:
    names = {path.relative_to(REFERENCES).as_posix() for path in modules()}
    assert {"formats.py", "oracle/certified.py", "ieee/elementary.py", "bulk/batches.py", "verdict/ladder.py"} <= names


def test_two_sum_is_what_gives_exp_its_exact_differences() -> None:
    """exp of a - b, formed exactly, where a single binary64 number would cost ten digits."""
    a, b = np.array([1000.1]), np.array([1001.7])
    difference = two_sum(a, -b)
    with mpmath.workprec(300):
        exact = [mpmath.mpf(float(a[0])) - mpmath.mpf(float(b[0]))]
        assert worst(elementary.exp(difference), mpmath.exp, exact) <= -101
