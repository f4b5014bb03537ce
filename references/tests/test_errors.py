"""Errors against values computed by hand: ulps at the edges of a format, outcomes, correct rounding, statistics."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from references.bulk.exact_pairs import Reference
from references.formats import (
    BFLOAT16,
    BINARY16,
    BINARY32,
    BINARY64,
    FORMATS,
    Bits,
    Format,
    floor_log2,
)
from references.functions import Function
from references.verdict.errors import OUTCOMES as OUTCOME_NAMES
from references.verdict.errors import (
    Errors,
    errors_of,
    outcome_is,
    row_maxima,
    row_sum_error,
    statistics_of,
)

Number = Fraction | float

every_format = pytest.mark.parametrize("format", list(FORMATS.values()), ids=list(FORMATS))


def power(exponent: int) -> Fraction:
    return Fraction(2) ** exponent


def reference_of(*exact: Number, error: float = 0.0) -> Reference:
    """One row of exact values: rationals of up to 106 bits, or a float nan or -inf by rule."""
    parts = [_pair(value) for value in exact]
    hi, lo, exponent = (np.array([[part[k] for part in parts]]) for k in range(3))
    return Reference(hi, lo, exponent.astype(np.int64), np.full(hi.shape, error), np.ones(hi.shape, np.uint8))


def _pair(value: Number) -> tuple[float, float, int]:
    if isinstance(value, float) and not math.isfinite(value):
        return value, 0.0, 0
    exact = Fraction(value)
    if exact == 0:
        return 0.0, 0.0, 0
    exponent = floor_log2(exact)
    mantissa = exact / power(exponent)
    hi = float(mantissa)
    lo = float(mantissa - Fraction(hi))
    assert Fraction(hi) + Fraction(lo) == mantissa
    return hi, lo, exponent


def patterns(computed: tuple[float, ...], format: Format) -> Bits:
    return format.encode(np.array([computed]))


def errors(
    computed: tuple[float, ...],
    exact: tuple[Number, ...],
    format: Format = BINARY32,
    *,
    operation: str = "softmax",
    quantity: str = "vjp",
    zero_by_rule: bool = False,
    error: float = 0.0,
) -> Errors:
    mask = np.full((1, len(computed)), zero_by_rule)
    return errors_of(
        patterns(computed, format),
        reference_of(*exact, error=error),
        format,
        function=Function(operation, quantity),
        zero_by_rule=mask,
    )


def outcomes(found: Errors) -> list[str]:
    return [OUTCOME_NAMES[code] for code in found.outcome[0]]


# -- the ulp error -----------------------------------------------------------------------------------------------------


def test_the_ulp_error_is_a_fraction_of_the_ulp_at_the_exact_value() -> None:
    found = errors((1.5, 1.5, 1.5), (1.5, Fraction(3, 2) + power(-25), 1.5 + 3 * 2.0**-23))
    assert found.ulps[0].tolist() == [0.0, 0.25, 3.0]
    assert found.signed[0].tolist() == [0.0, -0.25, -3.0]
    assert found.quantum[0].tolist() == [-23] * 3


def test_a_value_just_below_a_power_of_two_has_the_smaller_ulp() -> None:
    below = 1 - power(-60)
    found = errors((1.0, 1 - 2.0**-24, 1 + 2.0**-23), (below, below, below))
    assert found.quantum[0].tolist() == [-24] * 3
    assert found.ulps[0].tolist() == [2.0**-36, 1 - 2.0**-36, 2 + 2.0**-36]


def test_half_an_ulp_at_a_power_of_two_is_no_proof_of_correct_rounding() -> None:
    """The ulp at 1 is that of the numbers above it; below they are twice as dense."""
    found = errors((1 - 2.0**-24,), (1.0,))
    assert found.ulps[0, 0] == 0.5
    assert not found.rounded[0, 0]


def test_the_fraction_of_an_ulp_survives_in_binary64() -> None:
    """|computed - exact| itself is a pair's low word, far below an ulp of binary64."""
    found = errors((1.0, 1.0), (1 + power(-55), 1 + power(-100)), BINARY64)
    assert found.ulps[0].tolist() == [2.0**-3, 2.0**-48]


@every_format
def test_subnormal_values_count_in_smallest_numbers(format: Format) -> None:
    quantum = format.smallest_subnormal
    half = Fraction(quantum) / 2
    found = errors(
        (quantum, 2 * quantum, 0.0, 0.0, quantum), (3 * half, 3 * half, 3 * half, half / 2, half / 2), format
    )
    assert found.ulps[0].tolist() == [0.5, 0.5, 1.5, 0.25, 0.75]
    assert found.rounded[0].tolist() == [False, True, False, True, False]
    assert outcomes(found) == ["ordinary", "ordinary", "underflow", "ordinary", "ordinary"]


@every_format
def test_something_for_an_exact_zero_counts_in_smallest_numbers(format: Format) -> None:
    found = errors((3 * format.smallest_subnormal, -0.0), (0.0, 0.0), format)
    assert found.ulps[0].tolist() == [3.0, 0.0]
    assert found.rounded[0].tolist() == [False, True]


@pytest.mark.parametrize("format", [BINARY64, BINARY32, BINARY16, BFLOAT16], ids=lambda format: str(format.name))
def test_overflow_counts_as_the_number_that_would_come_next(format: Format) -> None:
    largest, ulp = Fraction(format.largest), power(format.emax - format.precision + 1)
    top = power(format.emax + 1)
    exact = (largest + ulp / 4, largest + 3 * ulp / 4, -largest - 3 * ulp / 4, top - ulp / 128, largest + 3 * ulp / 4)
    found = errors((math.inf, math.inf, -math.inf, math.inf, format.largest), exact, format)
    assert found.ulps[0].tolist() == [0.75, 0.25, 0.25, 2.0**-7, 0.75]
    assert found.signed[0].tolist() == [0.75, 0.25, -0.25, 2.0**-7, -0.75]
    assert found.rounded[0].tolist() == [False, True, True, True, False]
    assert outcomes(found) == ["infinite_for_finite", *["ordinary"] * 4]


@pytest.mark.parametrize("format", [BINARY64, BINARY32, BINARY16, BFLOAT16], ids=lambda format: str(format.name))
def test_infinity_is_free_of_error_where_the_exact_value_is_beyond_every_number(format: Format) -> None:
    top = power(format.emax + 1)
    found = errors((math.inf, -math.inf, math.inf), (top, -top, 1000 * top), format)
    assert found.ulps[0].tolist() == [0.0] * 3
    assert found.absolute[0].tolist() == [0.0] * 3
    assert found.rounded.all()
    assert outcomes(found) == ["ordinary"] * 3


def test_the_other_infinity_is_wrong_and_the_largest_number_counts_in_its_own_ulps() -> None:
    beyond = power(20)  # the largest number of binary16 is 65504, its ulp 32
    found = errors((-math.inf, 65504.0), (beyond, beyond), BINARY16)
    assert outcomes(found) == ["infinite_for_finite", "ordinary"]
    assert found.ulps[0].tolist() == [(2.0**20 + 65536) / 32, (2.0**20 - 65504) / 32]
    assert not found.rounded.any()


def test_the_error_agrees_with_rationals_over_the_whole_range_of_every_format() -> None:
    r = np.random.default_rng(3)
    for format in FORMATS.values():
        bits = r.integers(0, format.largest_bits + 1, 60).astype(format.bits_dtype)
        steps = r.integers(-3, 4, 60)
        computed = np.clip(bits.astype(np.int64) + steps, 0, format.largest_bits).astype(format.bits_dtype)
        exact = [
            value + format.ulp(value) * Fraction(int(k), 4096) if (value := Fraction(format.value(int(b)))) else value
            for b, k in zip(bits, r.integers(-2048, 2049, 60), strict=True)
        ]
        none = np.zeros((1, 60), bool)
        found = errors_of(
            computed[None], reference_of(*exact), format, function=Function("softmax", "vjp"), zero_by_rule=none
        )
        for k, (pattern, value) in enumerate(zip(computed, exact, strict=True)):
            expected = (Fraction(format.value(int(pattern))) - value) / format.ulp(value)
            assert found.signed[0, k] == pytest.approx(float(expected), rel=1e-12, abs=0)
            assert found.rounded[0, k] == (int(pattern) == format.round_rational(value))


# -- what became of an element -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("computed", "exact", "outcome"),
    [
        (math.nan, 0.5, "nan_for_number"),
        (math.nan, 0.0, "nan_for_number"),
        (math.nan, -math.inf, "nan_for_number"),
        (math.inf, 0.5, "infinite_for_finite"),
        (-math.inf, -100.0, "infinite_for_finite"),
        (math.inf, 0.0, "infinite_for_finite"),
        (0.5, math.nan, "finite_for_nan"),
        (-math.inf, math.nan, "finite_for_nan"),
        (-1000.0, -math.inf, "finite_for_infinite"),
        (math.inf, -math.inf, "finite_for_infinite"),
        (0.0, 0.5, "underflow"),
        (-0.0, 0.5, "underflow"),
        (-0.5, 0.5, "flipped"),
        (0.5, -0.5, "flipped"),
        (0.5, 0.5, "ordinary"),
        (math.nan, math.nan, "ordinary"),
        (-math.inf, -math.inf, "ordinary"),
        (0.0, 0.0, "ordinary"),
        (2.0**-100, 0.0, "ordinary"),
    ],
)
def test_numbers_infinities_and_nan_are_distinguished(computed: float, exact: float, outcome: str) -> None:
    assert outcomes(errors((computed,), (exact,))) == [outcome]


@pytest.mark.parametrize("pair", [(math.nan, 0.5), (0.5, math.nan), (-1000.0, -math.inf)])
def test_where_only_one_of_the_two_is_a_number_the_error_is_infinite(pair: tuple[float, float]) -> None:
    found = errors(pair[:1], pair[1:])
    assert found.ulps[0, 0] == found.signed[0, 0] == found.absolute[0, 0] == math.inf
    assert not found.rounded[0, 0]


@pytest.mark.parametrize("value", [math.nan, -math.inf])
def test_the_same_nan_or_infinity_is_free_of_error(value: float) -> None:
    found = errors((value,), (value,))
    assert found.ulps[0, 0] == 0
    assert found.rounded[0, 0]


def test_a_softmax_outside_zero_to_one_and_a_positive_log_softmax_are_out_of_range() -> None:
    ulp, tiny = 2.0**-23, BINARY32.smallest_subnormal
    softmax = errors((1 + ulp, -tiny, 1.0, 0.0), (1 - power(-30), power(-150), 1.0, 0.0), quantity="forward")
    assert outcomes(softmax) == ["out_of_range", "out_of_range", "ordinary", "ordinary"]
    logarithm = errors((tiny, 0.0, -0.0), (-power(-150),) * 3, operation="log_softmax", quantity="forward")
    assert outcomes(logarithm) == ["out_of_range", "ordinary", "ordinary"]
    assert outcomes(errors((1 + ulp,), (1.0,))) == ["ordinary"]  # a gradient has no range


def test_what_is_zero_by_rule_must_be_zero() -> None:
    tiny = BINARY32.smallest_subnormal
    assert outcomes(errors((tiny, 0.0, -0.0), (0.0,) * 3, zero_by_rule=True)) == [
        "nonzero_for_zero",
        "ordinary",
        "ordinary",
    ]
    assert outcomes(errors((math.nan,), (0.0,), zero_by_rule=True)) == ["nan_for_number"]


def test_outcomes_are_asked_for_by_name() -> None:
    found = errors((0.0, -0.5, 0.5, math.nan), (0.5,) * 4)
    assert outcome_is(found, "underflow", "nan_for_number")[0].tolist() == [True, False, False, True]


# -- correct rounding --------------------------------------------------------------------------------------------------


def test_an_exact_midpoint_rounds_to_the_even_neighbour_and_is_decided() -> None:
    middle = 1 + power(-24)
    found = errors((1.0, 1 + 2.0**-23), (middle, middle))
    assert found.ulps[0].tolist() == [0.5, 0.5]
    assert found.rounded[0].tolist() == [True, False]
    assert not found.undecided.any()


def test_a_part_far_below_the_pair_of_a_midpoint_decides_its_rounding() -> None:
    above, below = 1 + power(-24) + power(-90), 1 + power(-24) - power(-90)
    found = errors((1.0, 1 + 2.0**-23, 1.0, 1 + 2.0**-23), (above, above, below, below))
    assert found.rounded[0].tolist() == [False, True, True, False]


def test_a_midpoint_within_the_error_of_the_reference_is_left_undecided() -> None:
    near, far = 1 + power(-24) + power(-90), 1 + power(-24) + power(-70)
    found = errors((1.0, 1.0), (near, far), error=2.0**-80)
    assert found.undecided[0].tolist() == [True, False]
    assert not errors((math.nan,), (math.nan,), error=2.0**-80).undecided.any()


# -- statistics --------------------------------------------------------------------------------------------------------


def test_the_bias_keeps_its_sign_and_the_mean_does_not() -> None:
    quarter, ulp = power(-25), 2.0**-23
    found = statistics_of(errors((1.5, 1.5, 1.5 + ulp, 1.5), (1.5 + quarter, 1.5 - quarter, 1.5, 1.5)))
    assert found.elements == 4
    assert found.bias_ulp == (-0.25 + 0.25 + 1 + 0) / 4
    assert found.mean_ulp == (0.25 + 0.25 + 1 + 0) / 4
    assert found.max_ulp == 1.0
    assert found.p99_ulp == pytest.approx(0.25 + 0.97 * 0.75)
    assert found.max_abs == ulp
    assert found.max_rel == pytest.approx(ulp / 1.5)


def test_shares_are_over_all_elements() -> None:
    ulp = 2.0**-23
    found = statistics_of(errors((1.5, 1.5 + ulp, 1.5 + 2 * ulp, math.nan), (1.5, 1.5 + power(-25), 1.5, 1.5)))
    assert found.correctly_rounded_share == 0.25
    assert found.faithful_share == 0.5
    assert found.outcomes == {"nan_for_number": 1}


def test_exact_zeros_are_left_out_of_the_figures_and_not_out_of_the_count() -> None:
    """2**-30 for an exact zero counts 2**119 ulps."""
    found = statistics_of(errors((2.0**-30, 1.5), (0.0, 1.5)))
    assert found.elements == 2
    assert found.max_ulp == 0.0
    assert found.max_rel == 0.0
    assert found.max_abs == 2.0**-30
    assert found.correctly_rounded_share == 0.5


def test_figures_that_no_element_qualifies_for_are_none() -> None:
    found = statistics_of(errors((0.0, math.nan, -math.inf), (0.0, 1.0, -math.inf)))
    assert found.max_ulp is found.p99_ulp is found.mean_ulp is found.bias_ulp is found.max_rel is None
    assert found.max_abs == 0.0
    assert statistics_of(errors((math.nan,), (1.0,))).max_abs is None


def test_the_maximum_of_a_row_leaves_out_what_has_no_figure() -> None:
    assert row_maxima(errors((1.5 + 2.0**-22, 1.5 - 2.0**-23, 1.0), (1.5, 1.5, 0.0))) == [2.0]
    assert row_maxima(errors((math.nan, 1.0), (1.0, 0.0))) == [None]


# -- sums of rows ------------------------------------------------------------------------------------------------------


def _sum_error(operation: str, quantity: str, *rows: list[float]) -> float | None:
    return row_sum_error(np.array(rows), Function(operation, quantity))


def test_a_softmax_is_held_against_one_exactly() -> None:
    """Summed in binary64, 1 + 2**-60 - 1 would be zero."""
    assert _sum_error("softmax", "forward", [0.5, 0.25, 0.25]) == 0.0
    assert _sum_error("softmax", "forward", [0.5, 0.25, 0.125]) == 0.125
    assert _sum_error("softmax", "forward", [1.0, 2.0**-60]) == 2.0**-60


def test_a_log_softmax_is_held_against_one_through_exp() -> None:
    half = -0.6931471805599453
    assert _sum_error("log_softmax", "forward", [half, half]) == pytest.approx(0.0, abs=1e-15)
    assert _sum_error("log_softmax", "forward", [half, -math.inf, -2000.0]) == pytest.approx(0.5)
    assert _sum_error("log_softmax", "forward", [0.0, 0.0]) == 1.0


@pytest.mark.parametrize(("operation", "quantity"), [("softmax", "vjp"), ("softmax", "jvp"), ("log_softmax", "vjp")])
def test_a_gradient_is_held_against_zero_by_its_magnitude(operation: str, quantity: str) -> None:
    assert _sum_error(operation, quantity, [1.0, -0.5, -0.25]) == 0.25 / 1.75
    assert _sum_error(operation, quantity, [0.0, 0.0]) == 0.0
    assert _sum_error(operation, quantity, [1.5e308, 1.5e308, -1.5e308]) == pytest.approx(1 / 3)


def test_the_rows_of_the_log_softmax_jvp_sum_to_nothing_in_particular() -> None:
    assert _sum_error("log_softmax", "jvp", [1.0, -0.5]) is None


def test_the_worst_row_counts_and_rows_without_a_sum_do_not() -> None:
    rows = [[0.5, 0.5], [0.5, 0.25], [math.nan, 1.0], [math.inf, 1.0]]
    assert _sum_error("softmax", "forward", *rows) == 0.25
    assert _sum_error("softmax", "vjp", [-math.inf, 1.0], [1.0, -1.0]) == 0.0
    assert _sum_error("softmax", "forward", [math.nan, 1.0]) is None


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("rows", "operation", "error"),
    [
        ([[BINARY64.largest] * 3], "softmax", math.inf),
        ([[BINARY64.largest, BINARY64.largest, -BINARY64.largest]], "softmax", BINARY64.largest),
        ([[2.0**1023, 2.0**1023, -(2.0**1023), -(2.0**1023)]], "softmax", 1.0),
        ([[0.5, -math.inf]], "softmax", None),
        ([[0.5, 0.25], [-math.inf, 0.5]], "softmax", 0.25),
        ([[0.0, -math.inf]], "log_softmax", 0.0),
        ([[-BINARY64.largest] * 3], "log_softmax", 1.0),
    ],
)
def test_rows_that_no_softmax_would_give_are_summed_all_the_same(
    rows: list[list[float]], operation: str, error: float | None
) -> None:
    assert row_sum_error(np.array(rows), Function(operation, "forward")) == error


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("quantity", ["forward", "vjp"])
def test_a_signalling_nan_is_judged_without_a_warning(quantity: str) -> None:
    bits = np.array([[0x7FF4000000000000, 0x3FE0000000000000]], np.uint64)
    zero = np.zeros((1, 2), bool)
    errors = errors_of(
        bits, reference_of(0.5, 0.5), BINARY64, function=Function("softmax", quantity), zero_by_rule=zero
    )
    assert outcome_is(errors, "nan_for_number").tolist() == [[True, False]]
