"""The vectorised reference, element for element against the oracle, over every function and kind of row."""

from __future__ import annotations

import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest

from references.bulk.batches import reference
from references.bulk.exact_pairs import TOLERANCE, Reference, as_pair
from references.formats import BFLOAT16, BINARY32, BINARY64, FORMATS, Floats, Format
from references.functions import Function, problem_of
from references.oracle.certified import Certified, Enclosure, accurate
from references.tests.samples import LOGITS, VECTORS, Sample, assert_within_stated_errors, is_within, stored, vectors_of
from references.vocabulary import OPERATIONS, QUANTITIES

every_format = pytest.mark.parametrize("format", list(FORMATS.values()), ids=list(FORMATS))
every_function = pytest.mark.parametrize(
    ("operation", "quantity"), [(operation, quantity) for operation in OPERATIONS for quantity in QUANTITIES]
)
every_gradient = pytest.mark.parametrize(
    ("operation", "quantity"), [(operation, quantity) for operation in OPERATIONS for quantity in QUANTITIES[1:]]
)


# -- the stated error --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("family", LOGITS)
def test_forward_values_are_off_by_no_more_than_is_stated(operation: str, family: str) -> None:
    r = np.random.default_rng(len(family))
    for n in (1, 2, 3, 8, 33):
        assert_within_stated_errors(Sample(operation, "forward", LOGITS[family](r, 4, max(n, 2)), []))


@every_gradient
@pytest.mark.parametrize("family", LOGITS)
def test_gradients_are_off_by_no_more_than_is_stated(operation: str, quantity: str, family: str) -> None:
    r = np.random.default_rng(len(family))
    for kind in VECTORS:
        n = int(r.integers(2, 9))
        assert_within_stated_errors(Sample(operation, quantity, LOGITS[family](r, 2, n), vectors_of(r, kind, 2, n)))


@every_gradient
def test_small_terms_in_a_long_row_are_off_by_no_more_than_is_stated(operation: str, quantity: str) -> None:
    """Probabilities of 1/100 multiply cotangents whose products lose bits to underflow."""
    r = np.random.default_rng(0)
    for scale in (1e-290, 1e-297, 1e-304):
        vectors = [scale * r.standard_normal((1, 100)) for _ in range(2)]
        assert_within_stated_errors(Sample(operation, quantity, r.standard_normal((1, 100)), vectors))


@every_format
@every_function
def test_every_element_meets_the_tolerance_in_every_format(operation: str, quantity: str, format: Format) -> None:
    r = np.random.default_rng(1)
    for family in LOGITS:
        for kind in ("gauss", "cancelling", "common offset", "one-hot", "every size"):
            logits = stored(LOGITS[family](r, 2, 6), format)
            vectors = [stored(v, format) for v in vectors_of(r, kind, 2, 6)]
            found = Sample(operation, quantity, logits, vectors, format).found
            _, magnitude = np.frexp(found.hi)
            overflows = np.isfinite(found.hi) & (magnitude + found.exponent > format.emax + 1)
            assert found.error_ulps(format)[~overflows].max(initial=0.0) <= TOLERANCE


@every_format
@every_function
def test_decided_roundings_are_the_oracles(operation: str, quantity: str, format: Format) -> None:
    r = np.random.default_rng(2)
    for family in ("gauss 1", "gauss 10", "dominant", "masked", "groups", "huge"):
        logits = stored(LOGITS[family](r, 2, 5), format)
        batch = Sample(operation, quantity, logits, vectors_of(r, "gauss", 2, 5), format)
        found = batch.found
        bits, undecided = format.round_pairs(found.hi, found.lo, found.exponent, found.error)
        zero = np.isin(bits, [0, format.sign_bit])
        for row in range(2):
            expected = np.array(batch.rounded(row, format), bits.dtype)
            same = (bits[row] == expected) | (zero[row] & np.isin(expected, [0, format.sign_bit]))
            assert (same | undecided[row]).all()


# -- exactness and fallbacks -------------------------------------------------------------------------------------------


def test_ordinary_rows_need_no_oracle() -> None:
    r = np.random.default_rng(3)
    logits, vectors = r.standard_normal((20, 200)), [r.standard_normal((20, 200)) for _ in range(2)]
    for operation in OPERATIONS:
        for quantity in QUANTITIES:
            assert Sample(operation, quantity, logits, vectors).found.by_oracle.mean() < 1e-3


@pytest.mark.parametrize("operation", OPERATIONS)
def test_zero_cotangents_and_tangents_give_exact_zeros_without_the_oracle(operation: str) -> None:
    r = np.random.default_rng(4)
    logits, other = r.standard_normal((5, 9)), r.standard_normal((5, 9))
    zero: Floats = np.zeros((5, 9))
    cases = [Sample(operation, "vjp", logits, [zero]), Sample(operation, "jvp", logits, [zero])]
    cases += [Sample(operation, "hvp", logits, pair) for pair in ([zero, other], [other, zero])]
    for batch in cases:
        assert not batch.found.hi.any()
        assert not batch.found.error.any()
        assert not batch.found.by_oracle.any()


def test_a_cancelled_gradient_comes_from_the_oracle_and_says_so() -> None:
    """exp(0) - exp(1) * 0.3678... is the rounding of 1/e, in the 54th bit: pairs have too few beyond it."""
    batch = Sample("softmax", "vjp", np.array([[0.0, 0.0, 1.0]]), [np.array([[0.0, 1.0, -0.36787944117144233]])])
    assert batch.found.by_oracle.tolist() == [[True, False, False]]
    assert_within_stated_errors(batch)
    total = Sample("log_softmax", "vjp", np.zeros((1, 3)), [np.ones((1, 3))])
    assert total.found.by_oracle.all()
    assert not total.found.hi.any()


def test_differences_beyond_the_range_come_from_the_oracle() -> None:
    found = Sample("log_softmax", "forward", np.array([[1e308, -1e308], [0.0, 1.0]]), []).found
    assert found.by_oracle.tolist() == [[False, True], [False, False]]
    assert found.values()[0, 1] == -np.inf
    assert math.ldexp(found.hi[0, 1], int(found.exponent[0, 1]) - 1) == -1e308


def test_one_cotangent_beyond_the_range_sends_its_whole_row_to_the_oracle() -> None:
    """1e308 - -1e308 overflows; were its term left out, the other elements would be finite and wrong."""
    logits = np.zeros((2, 3))
    cotangent = np.array([[1e308, -1e308, 0.0], [1.0, 2.0, 3.0]])
    batch = Sample("softmax", "vjp", logits, [cotangent])
    assert batch.found.by_oracle[0].all()
    assert_within_stated_errors(batch)
    assert batch.found.values()[0, 0] == pytest.approx(1e308 / 3, rel=1e-15)


def test_a_confident_and_correct_class_keeps_its_vanishing_gradient() -> None:
    """1 - s = exp(-1200) underflows, and is not an exact zero."""
    for gap in (40.0, 600.0, 735.0, 745.0, 1200.0, 3000.0):
        batch = Sample("log_softmax", "vjp", np.array([[0.0, -gap]]), [np.array([[1.0, 0.0]])])
        assert_within_stated_errors(batch)
        assert batch.found.hi[0, 0] > 0 or batch.found.error[0, 0] > 0


# -- special rows ------------------------------------------------------------------------------------------------------


@every_function
def test_special_rows_are_nan_and_leave_their_neighbours_alone(operation: str, quantity: str) -> None:
    inf, nan = np.inf, np.nan
    logits = np.array([[1.0, 2.0, 0.5], [nan, 0.0, 1.0], [inf, 0.0, 1.0], [-inf, -inf, -inf], [-inf, 2.0, 1.0]])
    r = np.random.default_rng(6)
    vectors = [r.standard_normal(logits.shape) for _ in range(2)]
    found = Sample(operation, quantity, logits, vectors).found
    assert np.isnan(found.hi).tolist() == [[False] * 3, [True] * 3, [True] * 3, [True] * 3, [False] * 3]
    assert not found.error[1:4].any()
    assert not found.error_ulps(BINARY64)[1:4].any()
    ordinary = [0, 4]
    alone = Sample(operation, quantity, logits[ordinary], [v[ordinary] for v in vectors]).found
    assert_same(found, alone, ordinary)
    if (operation, quantity) == ("log_softmax", "forward"):
        assert found.hi[4, 0] == -inf
    if vectors and quantity != "forward":
        vectors[0][0, 1], vectors[1][0, 1] = inf, nan
        assert np.isnan(Sample(operation, quantity, logits, vectors).found.hi[0]).all()


# -- blocks and lengths ------------------------------------------------------------------------------------------------


def assert_same(batch: Reference, alone: Reference, rows: list[int]) -> None:
    for name in ("hi", "lo", "exponent", "error", "by_oracle"):
        assert np.array_equal(getattr(batch, name)[rows], getattr(alone, name), equal_nan=True), name


@every_function
def test_a_row_alone_is_bit_for_bit_the_row_in_a_batch(operation: str, quantity: str) -> None:
    """Batches of 300 rows of 64 take three blocks, and 7 rows of 5000 one block each."""
    r = np.random.default_rng(7)
    for rows, n, picked in ((300, 64, [0, 127, 128, 299]), (7, 5000, [0, 6]), (40, 1, [0, 39])):
        logits = 3 * r.standard_normal((rows, n))
        vectors = [r.standard_normal((rows, n)) for _ in range(2)]
        whole = Sample(operation, quantity, logits, vectors).found
        for row in picked:
            alone = Sample(operation, quantity, logits[[row]], [v[[row]] for v in vectors]).found
            assert_same(whole, alone, [row])


@every_function
def test_memory_layout_changes_nothing(operation: str, quantity: str) -> None:
    r = np.random.default_rng(8)
    logits, *vectors = r.standard_normal((3, 12, 33))
    plain = Sample(operation, quantity, logits, vectors).found
    strided = Sample(operation, quantity, np.asfortranarray(logits), [np.repeat(v, 2, axis=1)[:, ::2] for v in vectors])
    assert_same(plain, strided.found, list(range(12)))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_row_of_70_000_is_within_its_stated_error(operation: str) -> None:
    r = np.random.default_rng(9)
    logits = np.concatenate([[8.0], 2 * r.standard_normal(69_999)])[None]
    cotangent = r.standard_normal(logits.shape)
    for quantity in ("forward", "vjp"):
        batch = Sample(operation, quantity, logits, [cotangent])
        elements = [0, 1, 40_000, 69_999]
        problem = problem_of(Function(operation, quantity), logits[0], [v[0] for v in batch.vectors])
        for i, judged in zip(elements, accurate(problem, 120, elements), strict=True):
            assert isinstance(judged.value, Enclosure)
            assert is_within(batch.found, (0, i), judged.value)


def test_equal_logits_share_a_row_of_70_000_evenly() -> None:
    found = Sample("softmax", "forward", np.full((1, 70_000), -2.5), []).found
    exact = Fraction(1, 70_000)
    for hi, lo, exponent in {(a, b, c) for a, b, c in zip(found.hi[0], found.lo[0], found.exponent[0], strict=True)}:
        value = (Fraction(float(hi)) + Fraction(float(lo))) * Fraction(2) ** int(exponent)
        assert abs(value / exact - 1) < Fraction(2) ** -98


# -- arguments ---------------------------------------------------------------------------------------------------------


def test_arguments_that_make_no_sense_are_refused() -> None:
    row = np.zeros((2, 3))
    for message, arguments in {
        "unknown operation 'softmin'": ("softmin", "forward", row, None, None),
        "unknown quantity 'grad'": ("softmax", "grad", row, None, None),
        "vjp needs a cotangent": ("softmax", "vjp", row, None, None),
        "forward takes no tangent": ("softmax", "forward", row, None, row),
        "hvp needs a tangent": ("log_softmax", "hvp", row, row, None),
        r"the shape \(1, 3\), the logits \(2, 3\)": ("softmax", "vjp", row, row[:1], None),
        "a row needs at least one logit": ("softmax", "forward", row[:, :0], None, None),
    }.items():
        operation, quantity, logits, cotangent, tangent = arguments
        with pytest.raises(ValueError, match=message):
            reference(Function(operation, quantity), logits, BINARY32, cotangent=cotangent, tangent=tangent)


@every_function
def test_no_rows_give_an_empty_reference(operation: str, quantity: str) -> None:
    empty = np.zeros((0, 3))
    found = Sample(operation, quantity, empty, [empty, empty]).found
    assert found.hi.shape == found.by_oracle.shape == (0, 3)


# -- oracle results as pairs -------------------------------------------------------------------------------------------


def test_a_rational_is_exact_as_a_pair_only_where_it_is_one() -> None:
    assert as_pair(Certified(Fraction(3, 4), 0)) == (0.75, 0.0, 0, 0.0)
    assert as_pair(Certified(Fraction(-6), 0)) == (-0.75, 0.0, 3, 0.0)
    assert as_pair(Certified(Fraction(0), 0)) == (0.0, 0.0, 0, 0.0)
    assert as_pair(Certified(Fraction(1, 2) + Fraction(1, 2**80), 0)) == (0.5, 2.0**-80, 0, 0.0)
    for almost in (Fraction(1, 3), 1 + Fraction(1, 2**60) + Fraction(1, 2**200), 1 + Fraction(1, 2**1000)):
        hi, lo, exponent, error = as_pair(Certified(almost, 0))
        assert abs((Fraction(hi) + Fraction(lo)) * 2**exponent - almost) <= Fraction(error) * 2**exponent
        assert 0 < error <= 2.0**-105


def test_special_results_have_no_error_as_pairs() -> None:
    assert as_pair(Certified(-math.inf, 0)) == (-math.inf, 0.0, 0, 0.0)
    assert math.isnan(as_pair(Certified(math.nan, 0))[0])


def test_a_result_below_every_format_is_a_zero_with_an_error() -> None:
    tiny = mpmath.ldexp(1, -(10**9))
    hi, lo, exponent, error = as_pair(Certified(Enclosure(tiny, 2 * tiny), 64))
    assert (hi, lo) == (0.0, 0.0)
    assert Fraction(error) * Fraction(2) ** exponent < Fraction(2) ** -2000


def test_the_width_of_an_enclosure_is_part_of_the_error() -> None:
    hi, lo, exponent, error = as_pair(Certified(Enclosure(mpmath.mpf(3), mpmath.mpf(3) + mpmath.mpf(2) ** -40), 64))
    low, high = ((Fraction(hi) + Fraction(lo) + sign * Fraction(error)) * 2**exponent for sign in (-1, 1))
    assert low <= 3 < 3 + Fraction(1, 2**40) <= high


def test_plot_values_are_the_nearest_numbers() -> None:
    found = Sample("softmax", "forward", np.array([[0.0, 0.0, -np.inf], [0.0, -1.0, -2000.0]]), [], BFLOAT16).found
    assert found.values()[0].tolist() == [0.5, 0.5, 0.0]
    assert found.values()[1].tolist() == pytest.approx([0.7310585786300049, 0.2689414213699951, 0.0], rel=1e-15)
