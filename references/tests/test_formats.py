"""The formats, against values computed by hand, exact fractions and ml_dtypes."""

from __future__ import annotations

import math
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from references.formats import (
    BFLOAT16,
    BINARY16,
    BINARY32,
    BINARY64,
    FLOAT8_E4M3FN,
    FLOAT8_E5M2,
    FORMATS,
    Floats,
    Format,
    FormatError,
    compute_format,
    floor_log2,
    format_named,
)

ALL = list(FORMATS.values())
NARROW = [BINARY16, BFLOAT16, FLOAT8_E5M2, FLOAT8_E4M3FN]
EIGHT_BITS = [FLOAT8_E5M2, FLOAT8_E4M3FN]


def name_of(value: object) -> str | None:
    return value.name if isinstance(value, Format) else None


every_format = pytest.mark.parametrize("format", ALL, ids=name_of)
narrow_format = pytest.mark.parametrize("format", NARROW, ids=name_of)


def power(exponent: int) -> Fraction:
    return Fraction(2) ** exponent


def number(format: Format, bits: int) -> Fraction:
    value = format.value(bits)
    assert isinstance(value, Fraction)
    return value


def rounded(format: Format, hi: float, lo: float = 0.0, exponent: int = 0) -> int:
    bits, _ = format.round_pairs(np.array([hi]), np.array([lo]), np.array([exponent], np.int64))
    return int(bits[0])


def overflow_threshold(format: Format) -> Fraction:
    """Half-way between the largest number and what would come next."""
    largest = number(format, format.largest_bits)
    return largest + format.ulp(largest) / 2


def nearest_by_search(format: Format, exact: Fraction) -> int:
    """The pattern whose value is nearest, even on a tie: bisection over the patterns, ordered as their values are."""
    sign, magnitude = (format.sign_bit, -exact) if exact < 0 else (0, exact)
    if magnitude >= overflow_threshold(format):
        tie_stays = magnitude == overflow_threshold(format) and format.largest_bits % 2 == 0
        return sign | (format.largest_bits if tie_stays else format.infinity_bits)
    low, high = 0, format.largest_bits
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if number(format, middle) <= magnitude else (low, middle - 1)
    if low == format.largest_bits:
        return sign | low
    below, above = magnitude - number(format, low), number(format, low + 1) - magnitude
    return sign | (low + 1 if (above, (low + 1) % 2) < (below, low % 2) else low)


# -- what a format is --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("format", "largest", "normal", "subnormal"),
    [
        (BINARY64, 1.7976931348623157e308, 2.2250738585072014e-308, 5e-324),
        (BINARY32, 3.4028234663852886e38, 1.1754943508222875e-38, 1.401298464324817e-45),
        (BINARY16, 65504.0, 2.0**-14, 2.0**-24),
        (BFLOAT16, 3.3895313892515355e38, 2.0**-126, 2.0**-133),
        (FLOAT8_E5M2, 57344.0, 2.0**-14, 2.0**-16),
        (FLOAT8_E4M3FN, 448.0, 2.0**-6, 2.0**-9),
    ],
    ids=name_of,
)
def test_the_extreme_numbers_are_the_published_ones(
    format: Format, largest: float, normal: float, subnormal: float
) -> None:
    assert format.largest == largest
    assert format.smallest_normal == normal
    assert format.smallest_subnormal == subnormal


@pytest.mark.parametrize(
    ("format", "infinity", "nan"),
    [
        (BINARY64, 0x7FF0000000000000, 0x7FF8000000000000),
        (BINARY32, 0x7F800000, 0x7FC00000),
        (BINARY16, 0x7C00, 0x7E00),
        (BFLOAT16, 0x7F80, 0x7FC0),
        (FLOAT8_E5M2, 0x7C, 0x7E),
        (FLOAT8_E4M3FN, 0x7F, 0x7F),
    ],
    ids=name_of,
)
def test_infinity_and_the_quiet_nan_have_their_published_patterns(format: Format, infinity: int, nan: int) -> None:
    assert format.infinity_bits == infinity
    assert format.nan_bits == nan
    assert math.isnan(format.value(nan))


def test_a_format_without_infinities_overflows_to_nan() -> None:
    assert math.isnan(FLOAT8_E4M3FN.value(FLOAT8_E4M3FN.infinity_bits))
    assert FLOAT8_E5M2.value(FLOAT8_E5M2.infinity_bits) == math.inf


def test_the_unit_roundoff_is_two_to_minus_the_precision() -> None:
    assert [format.unit_roundoff for format in ALL] == [2.0**-53, 2.0**-24, 2.0**-11, 2.0**-8, 2.0**-3, 2.0**-4]


def test_an_unknown_name_raises_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(FormatError, match="'binary128'.*binary64.*float8_e4m3fn"):
        format_named("binary128")
    assert format_named("bfloat16") is BFLOAT16


def test_narrow_formats_compute_in_binary32_and_wide_ones_in_themselves() -> None:
    assert [compute_format(format) for format in ALL] == [BINARY64] + [BINARY32] * 5


def test_hexadecimal_has_the_width_of_the_format() -> None:
    assert BINARY32.hexadecimal(0x3F800000) == "0x3f800000"
    assert BINARY64.hexadecimal(1) == "0x0000000000000001"
    assert FLOAT8_E5M2.hexadecimal(0) == "0x00"


# -- the values of patterns --------------------------------------------------------------------------------------------


@narrow_format
def test_decode_gives_the_exact_value_of_every_pattern(format: Format) -> None:
    bits = np.arange(1 << format.width).astype(format.bits_dtype)
    decoded = format.decode(bits)
    expected = np.array([float(format.value(b)) for b in range(1 << format.width)])
    assert np.array_equal(decoded, expected, equal_nan=True)
    numbers = ~np.isnan(decoded)
    assert np.array_equal(np.signbit(decoded)[numbers], (bits >> (format.width - 1) == 1)[numbers])


@pytest.mark.parametrize("format", [BINARY64, BINARY32], ids=name_of)
@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_decode_gives_the_exact_value_of_wide_patterns_too(format: Format, data: st.DataObject) -> None:
    bits = data.draw(st.integers(0, (1 << format.width) - 1))
    decoded = format.decode(np.array([bits], format.bits_dtype))
    assert np.array_equal(decoded, [float(format.value(bits))], equal_nan=True)


@narrow_format
def test_encode_inverts_decode_on_every_pattern(format: Format) -> None:
    bits = np.arange(1 << format.width).astype(format.bits_dtype)
    decoded = format.decode(bits)
    expected = np.where(np.isnan(decoded), format.nan_bits, bits)
    assert np.array_equal(format.encode(decoded), expected)


@given(st.integers(0, 2**64 - 1))
@settings(deadline=None)
def test_encode_inverts_decode_in_binary64(bits: int) -> None:
    decoded = BINARY64.decode(np.array([bits], np.uint64))
    assert int(BINARY64.encode(decoded)[0]) == (BINARY64.nan_bits if math.isnan(decoded[0]) else bits)


def test_encode_refuses_a_number_that_needs_rounding_and_names_it() -> None:
    with pytest.raises(FormatError, match=r"^0\.1 is not a binary16 number; round it first$"):
        BINARY16.encode(np.array([1.0, 0.1, 0.2]))
    with pytest.raises(FormatError, match=r"1e\+300 is not a binary32 number"):
        BINARY32.encode(np.array([1e300]))
    with pytest.raises(FormatError, match="inf is not a float8_e4m3fn number"):
        FLOAT8_E4M3FN.encode(np.array([np.inf]))


@every_format
def test_encode_keeps_the_sign_of_zero(format: Format) -> None:
    assert format.encode(np.array([0.0, -0.0])).tolist() == [0, format.sign_bit]


# -- the ulp -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("format", "exact", "exponent"),
    [
        (BINARY32, Fraction(1), -23),
        (BINARY32, Fraction(-3), -22),
        (BINARY32, 1 - power(-60), -24),  # just below a power of two the spacing is the lower binade's
        (BINARY32, Fraction(1, 3), -25),
        (BINARY32, power(-126), -149),
        (BINARY32, power(-127), -149),  # subnormal numbers are all one quantum apart
        (BINARY32, power(-1000), -149),
        (BINARY32, Fraction(0), -149),
        (BINARY32, power(127), 104),
        (BINARY32, power(1000), 104),  # beyond the largest number the exponent stays at emax
        (BINARY64, Fraction(1), -52),
        (BINARY64, Fraction(0), -1074),
        (BINARY64, power(2000), 971),
        (BINARY16, Fraction(65504), 5),
        (BFLOAT16, Fraction(1), -7),
        (FLOAT8_E4M3FN, Fraction(448), 5),
        (FLOAT8_E5M2, power(-15), -16),
    ],
    ids=name_of,
)
def test_the_ulp_is_the_spacing_at_the_exact_value(format: Format, exact: Fraction, exponent: int) -> None:
    assert format.ulp(exact) == power(exponent)


@every_format
def test_the_ulp_of_a_pair_just_below_a_power_of_two_is_the_smaller_one(format: Format) -> None:
    hi, lo = np.array([1.0, 1.0, 1.0, -1.0, -1.0]), np.array([0.0, -(2.0**-200), 2.0**-200, 2.0**-200, -(2.0**-200)])
    exponents = format.ulp_exponents(hi, lo, np.zeros(5, np.int64)) + format.precision - 1
    assert exponents.tolist() == [0, -1, 0, -1, 0]


@every_format
@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_the_ulp_of_a_pair_is_the_ulp_of_its_exact_value(format: Format, data: st.DataObject) -> None:
    hi = data.draw(st.floats(-1e300, 1e300))
    lo = data.draw(st.floats(-0.5, 0.5)) * math.ulp(hi)
    exponent = data.draw(st.integers(-2100, 2100))
    hi, lo = hi + lo, lo - ((hi + lo) - hi)
    found = format.ulp_exponents(np.array([hi]), np.array([lo]), np.array([exponent], np.int64))
    assert power(int(found[0])) == format.ulp((Fraction(hi) + Fraction(lo)) * power(exponent))


@given(st.fractions().filter(bool))
def test_floor_log2_brackets_the_number(exact: Fraction) -> None:
    assert power(floor_log2(exact)) <= abs(exact) < power(floor_log2(exact) + 1)


# -- rounding ----------------------------------------------------------------------------------------------------------


@every_format
def test_zero_rounds_to_zero(format: Format) -> None:
    assert format.round_dyadic(0, 0) == 0
    assert format.round_dyadic(0, -5000) == 0
    assert format.round_rational(Fraction(0)) == 0
    assert [rounded(format, 0.0), rounded(format, -0.0)] == [0, format.sign_bit]


@every_format
def test_midpoints_above_one_go_to_the_even_neighbour(format: Format) -> None:
    one = int(format.encode(np.array([1.0]))[0])
    half_ulp = power(-format.precision)
    assert format.round_rational(1 + half_ulp) == one
    assert format.round_rational(1 + 3 * half_ulp) == one + 2
    assert format.round_rational(-1 - half_ulp) == format.sign_bit | one


@every_format
def test_a_part_200_bits_below_a_midpoint_decides_the_rounding(format: Format) -> None:
    one = int(format.encode(np.array([1.0]))[0])
    midpoint, sticky = 1 + power(-format.precision), power(-200)
    assert format.round_rational(midpoint + sticky) == one + 1
    assert format.round_rational(midpoint - sticky) == one
    if format is not BINARY64:  # its own midpoint is no binary64 number
        assert rounded(format, float(midpoint), 2.0**-200) == one + 1
        assert rounded(format, float(midpoint), -(2.0**-200)) == one
        assert rounded(format, -float(midpoint), -(2.0**-200)) == format.sign_bit | (one + 1)
    assert rounded(format, 1.0, -(2.0**-200)) == one


def test_a_pair_decides_the_midpoints_of_binary64() -> None:
    one = 0x3FF0000000000000
    assert rounded(BINARY64, 1.0, 2.0**-53) == one
    assert rounded(BINARY64, 1.0, math.nextafter(2.0**-53, 1.0)) == one + 1
    assert rounded(BINARY64, 1.0, math.nextafter(2.0**-53, 0.0)) == one
    assert rounded(BINARY64, 1.0, -(2.0**-54)) == one
    assert rounded(BINARY64, 1.0, math.nextafter(-(2.0**-54), -1.0)) == one - 1


@every_format
def test_half_the_smallest_subnormal_is_a_tie_that_goes_to_zero(format: Format) -> None:
    half = format.quantum - 1
    assert rounded(format, 1.0, 0.0, half) == 0
    assert rounded(format, 1.0, 2.0**-200, half) == 1
    assert rounded(format, 1.0, -(2.0**-200), half) == 0
    assert rounded(format, 3.0, 0.0, half) == 2
    assert rounded(format, 3.0, -(2.0**-200), half) == 1
    assert rounded(format, -3.0, 2.0**-200, half) == format.sign_bit | 1
    assert [format.round_dyadic(mantissa, half) for mantissa in (1, 3, 5, -1)] == [0, 2, 2, format.sign_bit]
    assert format.round_rational(power(half) + power(half - 2000)) == 1


@every_format
def test_the_largest_subnormal_meets_the_smallest_normal_without_a_gap(format: Format) -> None:
    first_normal = 1 << (format.precision - 1)
    below = power(format.emin) - power(format.quantum) / 2
    assert format.round_rational(below) == first_normal
    assert format.round_rational(below - power(-3000)) == first_normal - 1


@every_format
def test_overflow_begins_half_an_ulp_above_the_largest_number(format: Format) -> None:
    threshold = overflow_threshold(format)
    tie = format.largest_bits if format is FLOAT8_E4M3FN else format.infinity_bits  # 448 ends in an even bit
    assert format.round_rational(threshold) == tie
    assert format.round_rational(threshold - power(-100)) == format.largest_bits
    assert format.round_rational(threshold + power(-100)) == format.infinity_bits
    assert format.round_rational(-threshold - 1) == format.sign_bit | format.infinity_bits
    halved = threshold / 2
    if halved.numerator.bit_length() <= 53:
        assert rounded(format, float(halved), 0.0, 1) == tie
        assert rounded(format, float(halved), -(2.0**-100), 1) == format.largest_bits
        assert rounded(format, float(halved), 2.0**-100, 1) == format.infinity_bits


@every_format
@pytest.mark.parametrize("exponent", [100, 1100, 2046, 3000, 100_000])
def test_numbers_far_beyond_the_largest_overflow_from_any_exponent(format: Format, exponent: int) -> None:
    assert rounded(format, 0.75e308, 0.0, exponent) == format.infinity_bits
    assert rounded(format, -1e300, 0.0, exponent) == format.sign_bit | format.infinity_bits
    assert format.round_dyadic(3, exponent + 1000) == format.infinity_bits


@every_format
def test_numbers_far_below_the_quantum_vanish_but_keep_their_sign(format: Format) -> None:
    assert rounded(format, 0.5, 0.0, -100_000) == 0
    assert rounded(format, -0.5, 0.0, -100_000) == format.sign_bit
    assert format.round_dyadic(-1, -100_000) == format.sign_bit


@every_format
def test_infinities_and_nan_round_to_their_canonical_patterns(format: Format) -> None:
    bits = format.round_floats(np.array([np.inf, -np.inf, np.nan, -np.nan]))
    infinity = format.infinity_bits
    assert bits.tolist() == [infinity, format.sign_bit | infinity, format.nan_bits, format.nan_bits]


@narrow_format
def test_pairs_round_right_at_and_around_every_midpoint_of_a_narrow_format(format: Format) -> None:
    lower = np.arange(format.largest_bits)
    values = format.decode(np.arange(format.largest_bits + 1).astype(format.bits_dtype))
    middle = (values[:-1] + values[1:]) / 2
    zeros, exponent = np.zeros_like(middle), np.zeros(middle.shape, np.int64)
    sticky = middle * 2.0**-200
    for sign, sign_bit in ((1.0, 0), (-1.0, format.sign_bit)):
        for lo, expected in ((zeros, lower + lower % 2), (sticky, lower + 1), (-sticky, lower)):
            bits, _ = format.round_pairs(sign * middle, sign * lo, exponent)
            assert np.array_equal(bits, expected | sign_bit)


@pytest.mark.parametrize("format", EIGHT_BITS, ids=name_of)
def test_every_rational_route_agrees_with_a_search_over_the_patterns_of_an_8_bit_format(format: Format) -> None:
    numbers = [number(format, bits) for bits in range(format.largest_bits + 1)]
    middles = [(a + b) / 2 for a, b in zip(numbers, numbers[1:], strict=False)] + [overflow_threshold(format)]
    for exact in numbers + middles:
        for moved in (exact, exact + power(-300), exact - power(-300), exact * Fraction(100, 99)):
            expected = nearest_by_search(format, moved)
            if moved or not expected:
                assert format.round_rational(moved) == expected
            assert format.round_rational(-moved) == (expected ^ format.sign_bit if moved else 0)


@every_format
@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_a_rational_rounds_to_the_nearest_pattern(format: Format, data: st.DataObject) -> None:
    numerator, denominator = data.draw(st.integers(-(2**60), 2**60)), data.draw(st.integers(1, 2**60))
    exponent = data.draw(st.integers(format.quantum - 5, format.emax + 3))
    exact = Fraction(numerator, denominator) * power(exponent)
    assert format.round_rational(exact) == (nearest_by_search(format, exact) if exact else 0)


@every_format
@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_the_three_roundings_agree_at_and_beside_midpoints(format: Format, data: st.DataObject) -> None:
    """Numbers of up to p + 1 bits, so every other one a midpoint, with a low word of any size beside them."""
    high = data.draw(st.integers(1, (1 << min(format.precision + 1, 53)) - 1)) * data.draw(st.sampled_from([1, -1]))
    low = data.draw(st.integers(-(2**52), 2**52))
    shift = data.draw(st.integers(106, 1000))
    exponent = data.draw(st.integers(format.quantum - 60, format.emax))
    total = (high << shift) + low
    expected = format.round_rational(Fraction(total) * power(exponent - shift))
    assert format.round_dyadic(total, exponent - shift) == expected
    assert rounded(format, float(high), math.ldexp(low, -shift), exponent) == expected


@pytest.mark.parametrize(
    ("format", "narrower", "exact", "expected"),
    [
        (BINARY16, np.float32, 1 + 2.0**-11 + 2.0**-40, 1 + 2.0**-10),
        (BINARY16, np.float32, 1 + 3 * 2.0**-11 - 2.0**-40, 1 + 2.0**-10),
        (BFLOAT16, np.float32, 1 + 2.0**-8 + 2.0**-40, 1 + 2.0**-7),
        (BFLOAT16, np.float32, 1 + 3 * 2.0**-8 - 2.0**-40, 1 + 2.0**-7),
        (FLOAT8_E4M3FN, np.float32, 1 + 2.0**-4 + 2.0**-40, 1 + 2.0**-3),
        (FLOAT8_E5M2, np.float16, 1 + 2.0**-3 + 2.0**-20, 1 + 2.0**-2),
    ],
    ids=name_of,
)
def test_nothing_is_rounded_twice(format: Format, narrower: type[np.floating], exact: float, expected: float) -> None:
    once = format.decode(format.round_floats(np.array([exact])))[0]
    twice = format.decode(format.round_floats(np.array([narrower(exact)], np.float64)))[0]
    assert once == expected
    assert twice != expected, "the case no longer shows what a rounding on the way does"


def test_a_binary64_subnormal_pair_is_rounded_once() -> None:
    """hi + lo is itself a tie in 53 bits, and once more among the subnormal numbers."""
    quantum = BINARY64.quantum
    assert rounded(BINARY64, 1.5, -(2.0**-60), quantum) == 1
    assert rounded(BINARY64, 1.5, 2.0**-60, quantum) == 2
    assert rounded(BINARY64, 1.5, 0.0, quantum) == 2
    assert rounded(BINARY64, 2.5, 0.0, quantum) == 2


# -- where a bounded error leaves the rounding open --------------------------------------------------------------------


@every_format
def test_a_pair_nearer_to_a_midpoint_than_its_error_is_undecided(format: Format) -> None:
    half_ulp = 2.0**-format.precision
    distance = half_ulp * 2.0**-10
    for sign in (1.0, -1.0):
        for side in (1.0, -1.0):
            hi, lo = np.full(3, sign), np.full(3, sign * (half_ulp + side * distance))
            total = hi + lo
            error = np.array([2.0, 1.0, 0.5]) * distance
            _, undecided = format.round_pairs(total, lo - (total - hi), np.zeros(3, np.int64), error)
            assert undecided.tolist() == [True, True, False]


@every_format
def test_without_an_error_nothing_is_undecided(format: Format) -> None:
    hi = np.array([1.0, 1.0, 1.5, 0.0])
    lo = np.array([2.0**-54, 0.0, 0.0, 0.0])
    assert not format.round_pairs(hi, lo, np.array([0, format.quantum - 1, format.quantum, 0]))[1].any()


@pytest.mark.parametrize("format", [BINARY32, *NARROW], ids=name_of)
def test_what_underflows_on_the_way_to_the_ulp_still_breaks_a_tie_or_leaves_it_open(format: Format) -> None:
    """1 + u is half way to the next number, and 2**-1074 beside 2**60 (1 + u) vanishes where the ulp is one."""
    hi, tiny, one = np.full(4, 2.0**60 * (1 + format.unit_roundoff)), 2.0**-1074, int(format.encode(np.array([1.0]))[0])
    lo = np.array([tiny, -tiny, 0.0, 0.0])
    for sign, flag in ((1.0, 0), (-1.0, format.sign_bit)):
        bits, undecided = format.round_pairs(sign * hi, sign * lo, np.full(4, -60), np.array([0.0, 0.0, 0.0, tiny]))
        assert bits[:3].tolist() == [flag | one + 1, flag | one, flag | one + one % 2]
        assert undecided.tolist() == [False, False, False, True]


# -- an independent judge ----------------------------------------------------------------------------------------------


def random_binary32(count: int) -> Floats:
    """Every binade of binary32 alike, and numbers with few bits, which meet the midpoints of narrow formats."""
    generator = np.random.default_rng(0)
    bits = generator.integers(0, 2**32, count, np.uint64).astype(np.uint32)
    few = bits & np.uint32(0xFFFF8000)
    values = np.concatenate([bits, few, few + np.uint32(1), few - np.uint32(1)]).view(np.float32)
    return values[np.isfinite(values)].astype(np.float64)


@pytest.mark.parametrize(
    ("format", "judge"),
    [
        (BFLOAT16, ml_dtypes.bfloat16),
        (FLOAT8_E5M2, ml_dtypes.float8_e5m2),
        (FLOAT8_E4M3FN, ml_dtypes.float8_e4m3fn),
        (BINARY16, np.float16),
    ],
    ids=name_of,
)
def test_rounding_agrees_with_an_independent_cast_from_binary32(format: Format, judge: type) -> None:
    values = random_binary32(50_000)
    with np.errstate(over="ignore"):
        expected = values.astype(np.float32).astype(judge).view(format.bits_dtype)
    assert np.array_equal(format.round_floats(values), expected)


def test_rounding_to_binary32_agrees_with_the_hardware() -> None:
    generator = np.random.default_rng(1)
    values = np.ldexp(generator.uniform(-1, 1, 100_000), generator.integers(-155, 135, 100_000))
    with np.errstate(over="ignore"):
        expected = values.astype(np.float32).view(np.uint32)
    assert np.array_equal(BINARY32.round_floats(values), expected)


@pytest.mark.parametrize(
    ("format", "judge"), [(FLOAT8_E5M2, ml_dtypes.float8_e5m2), (FLOAT8_E4M3FN, ml_dtypes.float8_e4m3fn)], ids=str
)
def test_ml_dtypes_reads_every_8_bit_pattern_alike(format: Format, judge: type) -> None:
    bits = np.arange(256).astype(np.uint8)
    assert np.array_equal(format.decode(bits), bits.view(judge).astype(np.float64), equal_nan=True)


def test_ml_dtypes_reads_every_bfloat16_pattern_alike() -> None:
    bits = np.arange(65536).astype(np.uint16)
    with np.errstate(invalid="ignore"):  # a signalling NaN is converted loudly
        judged = bits.view(ml_dtypes.bfloat16).astype(np.float64)
    assert np.array_equal(BFLOAT16.decode(bits), judged, equal_nan=True)
