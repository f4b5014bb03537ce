"""Pair arithmetic, against exact fractions: what is exact is exact, and what is rounded keeps its documented bound."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from references.formats import Floats
from references.ieee import doubledouble as dd
from references.ieee.doubledouble import Pair

SQUARE = Fraction(dd.UNIT) ** 2

normal_floats = st.floats(-1e100, 1e100).filter(lambda x: x == 0 or abs(x) > 1e-100)


def fraction(pair: Pair) -> list[Fraction]:
    return [Fraction(high) + Fraction(low) for high, low in zip(pair[0].tolist(), pair[1].tolist(), strict=True)]


def array(*values: float) -> Floats:
    return np.array(values)


def random_floats(r: np.random.Generator, count: int, spread: int = 60) -> Floats:
    """Both signs and many exponents; a third have few bits, where carries and ties live."""
    mantissa = r.uniform(1, 2, count)
    mantissa = np.where(r.random(count) < 0.3, np.round(mantissa * 8) / 8, mantissa)
    return np.asarray(np.ldexp(mantissa * r.choice([-1.0, 1.0], count), r.integers(-spread, spread, count)))


def random_pairs(r: np.random.Generator, count: int, spread: int = 60) -> Pair:
    """Normalised pairs; low words of up to half an ulp, often exactly that, often none."""
    high = random_floats(r, count, spread)
    share = r.choice([0.0, 1.0, -1.0, 0.999, 2.0**-30, 0.5], count) * r.choice([1.0, r.random()], count)
    return dd.two_sum(high, share * np.spacing(np.abs(high)) / 2)


def worst(found: Pair, expected: list[Fraction], scale: list[Fraction]) -> float:
    """The largest error in units of u**2 times the scale."""
    return max(
        float(abs(a - b) / (SQUARE * c)) if c else float(a != b)
        for a, b, c in zip(fraction(found), expected, scale, strict=True)
    )


def sizes(numbers: list[Fraction]) -> list[Fraction]:
    return [abs(number) for number in numbers]


def assert_normalised(pair: Pair) -> None:
    assert np.array_equal(pair[0] + pair[1], pair[0])


# -- what is exact -----------------------------------------------------------------------------------------------------


@given(a=st.floats(-1e300, 1e300), b=st.floats(-1e300, 1e300))
@settings(deadline=None)
def test_two_sum_is_exact_for_any_two_numbers(a: float, b: float) -> None:
    assert fraction(dd.two_sum(array(a), array(b))) == [Fraction(a) + Fraction(b)]


@given(a=st.floats(-1e300, 1e300), b=st.floats(-1e300, 1e300))
@settings(deadline=None)
def test_fast_two_sum_is_exact_when_the_larger_comes_first(a: float, b: float) -> None:
    a, b = (a, b) if abs(a) >= abs(b) else (b, a)
    assert fraction(dd.fast_two_sum(array(a), array(b))) == [Fraction(a) + Fraction(b)]
    assert fraction(dd.fast_two_sum(array(0.0), array(b))) == [Fraction(b)]


@given(st.floats(-(2.0**994), 2.0**994))
@settings(deadline=None)
def test_split_gives_two_halves_of_26_bits(a: float) -> None:
    high, low = dd.split(array(a))
    assert Fraction(float(high[0])) + Fraction(float(low[0])) == Fraction(a)
    for part in (float(high[0]), float(low[0])):
        odd = abs(Fraction(part).numerator)
        assert (odd // (odd & -odd) if odd else 0).bit_length() <= 26


@given(a=normal_floats, b=normal_floats)
@settings(deadline=None)
def test_two_product_is_exact_while_nothing_underflows(a: float, b: float) -> None:
    assert fraction(dd.two_product(array(a), array(b))) == [Fraction(a) * Fraction(b)]


def test_the_smallest_exact_product_is_near_two_to_minus_969() -> None:
    """With 53-bit factors of product 2**-969 the last bit is 2**-1074, and one binade lower it is lost."""
    a = array(1 + 2.0**-52)
    for exponent, exact in ((-969, True), (-971, False)):
        b = np.ldexp(a, exponent)
        assert (fraction(dd.two_product(a, b)) == [Fraction(float(a[0])) * Fraction(float(b[0]))]) is exact


def test_negation_and_scaling_are_exact() -> None:
    pair = random_pairs(np.random.default_rng(0), 100)
    exact = fraction(pair)
    assert fraction(dd.negate(pair)) == [-value for value in exact]
    for exponent in (-700, -1, 0, 5, 800):
        shifts = np.full(100, exponent, np.int64)
        assert fraction(dd.scale(pair, shifts)) == [value * Fraction(2) ** exponent for value in exact]


def test_scaling_out_of_range_ends_in_zero_and_not_in_a_wrapped_exponent() -> None:
    high, low = dd.scale((array(1.0), array(2.0**-60)), np.array([-(2**40)]))
    assert (high[0], low[0]) == (0.0, 0.0)


# -- what is rounded ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spread", [2, 20, 60])
def test_add_errs_by_at_most_three_squared_units_even_where_it_cancels(spread: int) -> None:
    r = np.random.default_rng(spread)
    a, b = random_pairs(r, 4000, spread), random_pairs(r, 4000, spread)
    near = -a[0] * (1 + r.integers(-3, 4, 4000) * 2.0**-52), r.choice([-1.0, 0.0, 0.3], 4000) * a[1]
    near = dd.two_sum(*near)
    for other in (b, near):
        total = [x + y for x, y in zip(fraction(a), fraction(other), strict=True)]
        found = dd.add(a, other)
        assert worst(found, total, sizes(total)) <= 3 + 13 * dd.UNIT
        assert_normalised(found)


@pytest.mark.parametrize("spread", [2, 20, 60])
def test_add_same_sign_errs_by_at_most_three_squared_units(spread: int) -> None:
    r = np.random.default_rng(spread)
    a, b = random_pairs(r, 4000, spread), random_pairs(r, 4000, spread)
    b = np.copysign(1.0, a[0] * b[0]) * b[0], np.copysign(1.0, a[0] * b[0]) * b[1]
    total = [x + y for x, y in zip(fraction(a), fraction(b), strict=True)]
    assert worst(dd.add_same_sign(a, b), total, sizes(total)) <= 3


def test_multiply_errs_by_at_most_seven_squared_units() -> None:
    r = np.random.default_rng(0)
    a, b = random_pairs(r, 8000), random_pairs(r, 8000)
    product = [x * y for x, y in zip(fraction(a), fraction(b), strict=True)]
    found = dd.multiply(a, b)
    assert worst(found, product, sizes(product)) <= 7
    assert_normalised(found)


def test_multiply_double_errs_by_at_most_three_squared_units() -> None:
    r = np.random.default_rng(1)
    a, b = random_pairs(r, 8000), random_floats(r, 8000)
    product = [x * Fraction(y) for x, y in zip(fraction(a), b.tolist(), strict=True)]
    assert worst(dd.multiply_double(a, b), product, sizes(product)) <= 3


def test_divide_errs_by_at_most_sixteen_squared_units() -> None:
    r = np.random.default_rng(2)
    a, b = random_pairs(r, 8000), random_pairs(r, 8000)
    quotient = [x / y for x, y in zip(fraction(a), fraction(b), strict=True)]
    found = dd.divide(a, b)
    assert worst(found, quotient, sizes(quotient)) <= 16
    assert_normalised(found)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 100, 1025])
@pytest.mark.parametrize("same_sign", [True, False])
def test_a_sum_errs_by_three_squared_units_a_level(n: int, same_sign: bool) -> None:
    r = np.random.default_rng(n)
    high, low = random_pairs(r, 20 * n, 30)
    if same_sign:
        low, high = np.sign(high) * low, np.abs(high)
    rows = high.reshape(20, n), low.reshape(20, n)
    terms = [fraction((rows[0][i], rows[1][i])) for i in range(20)]
    levels = max(n - 1, 0).bit_length()
    found = dd.sum_last(rows, same_sign=same_sign)
    bound = [sum(sizes(row), Fraction(0)) for row in terms]
    assert worst(found, [sum(row, Fraction(0)) for row in terms], bound) <= 3 * levels * (1 + 2.0**-40)


@pytest.mark.parametrize("operation", [dd.add, dd.multiply, dd.divide])
def test_integers_come_out_exact(operation: Callable[[Pair, Pair], Pair]) -> None:
    a, b = (array(6.0, -10.0, 2.0**60), np.zeros(3)), (array(2.0, 5.0, -(2.0**10)), np.zeros(3))
    high, low = operation(a, b)
    expected = {"add": [8.0, -5.0, 2.0**60 - 2.0**10], "multiply": [12.0, -50.0, -(2.0**70)]}
    assert high.tolist() == expected.get(operation.__name__, [3.0, -2.0, -(2.0**50)])
    assert low.tolist() == [0.0] * 3
