"""The oracle, against closed forms, exact rationals, numerical derivatives and itself at other precisions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from references.formats import BFLOAT16, BINARY16, BINARY32, BINARY64, FLOAT8_E4M3FN, FLOAT8_E5M2, FORMATS, Format
from references.functions import Problem, needs_cotangent, needs_tangent
from references.oracle.certified import (
    Enclosure,
    OracleError,
    accurate,
    certified,
    correctly_rounded,
    enclose,
    round_number,
    rounded,
)
from references.oracle.comparisons import side
from references.oracle.exact_cases import exact_elements
from references.vocabulary import OPERATIONS, QUANTITIES

INF, NAN = math.inf, math.nan

every_format = pytest.mark.parametrize("format", list(FORMATS.values()), ids=list(FORMATS))
every_function = pytest.mark.parametrize(
    ("operation", "quantity"), [(operation, quantity) for operation in OPERATIONS for quantity in QUANTITIES]
)


def problem_of(
    operation: str, quantity: str, logits: Sequence[float], cotangent: Sequence[float], tangent: Sequence[float]
) -> Problem:
    """A problem with those of the two vectors that its quantity needs."""
    g = cotangent if needs_cotangent(quantity) else None
    return Problem(operation, quantity, logits, g, tangent if needs_tangent(quantity) else None)


def values(problem: Problem, format: Format = BINARY64) -> list[float]:
    """The correctly rounded elements as binary64 numbers."""
    return [float(format.value(bits)) for bits in correctly_rounded(problem, format)]


def exact(problem: Problem) -> dict[int, Fraction | float]:
    return exact_elements(problem, range(len(problem.logits)))


def contains(enclosure: Enclosure | Fraction | float, value: mpmath.mpf) -> bool:
    assert isinstance(enclosure, Enclosure)
    return bool(enclosure.lower <= value <= enclosure.upper)


# -- problems --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("softmin", "forward", [0.0]), "unknown operation 'softmin'; known are softmax, log_softmax"),
        (("softmax", "grad", [0.0]), "unknown quantity 'grad'; known are forward, vjp, jvp, hvp"),
        (("softmax", "forward", []), "a row needs at least one logit"),
        (("softmax", "vjp", [0.0]), "vjp needs a cotangent"),
        (("softmax", "forward", [0.0], [1.0]), "forward takes no cotangent"),
        (("softmax", "jvp", [0.0], [1.0]), "jvp takes no cotangent"),
        (("softmax", "jvp", [0.0]), "jvp needs a tangent"),
        (("softmax", "hvp", [0.0], [1.0]), "hvp needs a tangent"),
        (("softmax", "vjp", [0.0, 1.0], [1.0]), "the cotangent has 1 elements, the row 2"),
        (("softmax", "jvp", [0.0], None, [1.0, 2.0]), "the tangent has 2 elements, the row 1"),
    ],
)
def test_a_problem_that_makes_no_sense_is_refused(arguments: tuple[str, str, list[float]], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        Problem(*arguments)


def test_only_masked_logits_are_left_out_of_a_row() -> None:
    assert Problem("softmax", "forward", [-INF, 3.0, -INF, -1e308]).finite() == [1, 3]


# -- closed forms ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "level"), [(n, level) for n in (1, 2, 3, 257, 2049) for level in (0.0, -3.25, 1e308)] + [(4097, 0.0)]
)
def test_equal_logits_share_the_row_evenly(n: int, level: float) -> None:
    for format in (BINARY64, BINARY32, BFLOAT16):
        row = [level] * n
        assert correctly_rounded(Problem("softmax", "forward", row), format, [0]) == [
            format.round_rational(Fraction(1, n))
        ]
        with mpmath.workprec(300):
            expected = round_number(-mpmath.log(n), format)
        assert correctly_rounded(Problem("log_softmax", "forward", row), format, [n - 1]) == [expected]


@every_format
@given(a=st.floats(-800, 800), b=st.floats(-800, 800))
@settings(max_examples=40, deadline=None)
def test_two_logits_give_the_logistic_function_of_their_difference(format: Format, a: float, b: float) -> None:
    if a == b:
        return
    with mpmath.workprec(4000):
        tail = mpmath.exp(mpmath.mpf(b) - mpmath.mpf(a))
        logistic, log_logistic = 1 / (1 + tail), -mpmath.log(1 + tail)
    assert correctly_rounded(Problem("softmax", "forward", [a, b]), format, [0]) == [round_number(logistic, format)]
    found = correctly_rounded(Problem("log_softmax", "forward", [a, b]), format, [0])
    assert found == [round_number(log_logistic, format)]


@every_function
def test_a_single_logit_has_no_freedom(operation: str, quantity: str) -> None:
    problem = problem_of(operation, quantity, [7.5], [3.0], [-2.0])
    assert values(problem) == [1.0 if (operation, quantity) == ("softmax", "forward") else 0.0]


def test_a_row_of_three_agrees_with_its_hand_computed_decimals() -> None:
    """softmax and log_softmax of [1, 2, 3], to the digits that tables of them give."""
    row = [1.0, 2.0, 3.0]
    assert values(Problem("softmax", "forward", row)) == pytest.approx(
        [0.09003057317038046, 0.24472847105479767, 0.6652409557748219], rel=1e-15
    )
    assert values(Problem("log_softmax", "forward", row)) == pytest.approx(
        [-2.4076059644443806, -1.4076059644443806, -0.4076059644443806], rel=1e-15
    )


def test_a_dominant_logit_keeps_its_tiny_log_probability() -> None:
    found = values(Problem("log_softmax", "forward", [90.0, 0.0, 0.0]))
    assert found[0] == pytest.approx(-1.6388e-39, rel=1e-4)


# -- exact cases -----------------------------------------------------------------------------------------------------


def test_gradients_of_equal_logits_are_rational() -> None:
    third, logits = Fraction(1, 3), [0.5] * 3
    assert exact(Problem("softmax", "vjp", logits, [1.0, 2.0, 4.0])) == {
        0: Fraction(-4, 9),
        1: Fraction(-1, 9),
        2: Fraction(5, 9),
    }
    assert exact(Problem("log_softmax", "vjp", logits, [1.0, 2.0, 4.0])) == {0: -4 * third, 1: -third, 2: 5 * third}
    assert exact(Problem("log_softmax", "jvp", logits, None, [1.0, 2.0, 4.0])) == {
        0: -4 * third,
        1: -third,
        2: 5 * third,
    }
    first = [1.0, 0.0, 0.0]
    assert exact(Problem("softmax", "hvp", logits, first, first)) == {
        0: Fraction(2, 27),
        1: Fraction(-1, 27),
        2: Fraction(-1, 27),
    }
    assert exact(Problem("log_softmax", "hvp", logits, first, first)) == {
        0: Fraction(-2, 9),
        1: Fraction(1, 9),
        2: Fraction(1, 9),
    }


def test_equal_means_in_every_group_of_equal_logits_make_a_jvp_exact() -> None:
    logits, tangent = [0.0, 1.0, 0.0, 1.0], [1.0, 0.0, 3.0, 4.0]
    assert exact(Problem("log_softmax", "jvp", logits, None, tangent)) == {0: -1, 1: -2, 2: 1, 3: 2}
    assert exact(Problem("softmax", "jvp", logits, None, [1.0, 2.0, 3.0, 2.0])) == {1: 0, 3: 0}


def test_a_cotangent_that_sums_to_zero_passes_through_log_softmax() -> None:
    cotangent = [0.1, -0.1, 1e-300, -1e-300]
    problem = Problem("log_softmax", "vjp", [0.0, 1.0, 2.0, 3.0], cotangent)
    assert values(problem) == cotangent
    assert values(problem_of("log_softmax", "hvp", problem.logits, cotangent, [1.0, 2.0, 3.0, 4.0])) == [0.0] * 4


@pytest.mark.parametrize("operation", OPERATIONS)
def test_constant_vectors_give_exact_zeros(operation: str) -> None:
    logits, constant, other = [0.0, 1.5, -3.0], [0.1] * 3, [1.0, -2.0, 0.7]
    assert values(Problem(operation, "jvp", logits, None, constant)) == [0.0] * 3
    assert values(Problem(operation, "hvp", logits, other, constant)) == [0.0] * 3
    if operation == "softmax":
        assert values(Problem(operation, "vjp", logits, constant)) == [0.0] * 3
        assert values(Problem(operation, "hvp", logits, constant, other)) == [0.0] * 3


def test_a_double_backward_that_vanishes_by_coincidence_ends_the_loop() -> None:
    """Neither vector has one mean in both groups and neither is constant, and yet 2 U V = S P for element 0."""
    problem = Problem("softmax", "hvp", [0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0], [0.0, 1.0, 0.0, 3.0])
    assert 0 not in exact(problem)
    assert side(problem, 0, Fraction(0)) == 0
    assert side(problem, 1, Fraction(0)) != 0
    assert correctly_rounded(problem, BINARY64, [0]) == [0]
    assert accurate(problem, 100, [0])[0].value == Fraction(0)


@every_format
def test_a_rational_midpoint_goes_to_its_even_neighbour_and_a_far_logit_breaks_the_tie(format: Format) -> None:
    """(g_0 - g_1) / 4 and (t_0 - t_1) / 4 for two equal logits: 1 + u is half way from 1, 1 + 3u to 1 + 4u."""
    u = format.unit_roundoff
    for rest, even in ((4 * u, 1.0), (12 * u, 1 + 4 * u)):
        v = [4.0, -rest]
        for problem in (Problem("softmax", "vjp", [1.0, 1.0], v), Problem("softmax", "jvp", [1.0, 1.0], None, v)):
            assert values(problem, format) == [even, -even]
            assert [r.precision for r in rounded(problem, format)] == [0, 0]
    far = -min(format.largest, 1e308)
    for pull, expected in ((1.0, 1.0), (-4.0, 1 + 2 * u)):
        # To first order the far logit moves the first element by -s_2 v_2 / 4.
        assert values(Problem("softmax", "vjp", [1.0, 1.0, far], [4.0, -4 * u, pull]), format)[0] == expected


def test_an_exact_element_needs_no_working_precision() -> None:
    assert [c.precision for c in accurate(Problem("softmax", "forward", [2.0, 2.0]), 100)] == [0, 0]
    assert [(r.bits, r.precision) for r in rounded(Problem("softmax", "forward", [2.0, 2.0]), FLOAT8_E5M2)] == [
        (0x38, 0),
        (0x38, 0),
    ]


@every_format
@every_function
def test_at_the_stored_precision_both_ends_of_the_enclosure_round_alike(
    operation: str, quantity: str, format: Format
) -> None:
    for problem in sample(operation, quantity, 5):
        for i, found in enumerate(rounded(problem, format)):
            if found.precision:
                enclosure = enclose(problem, found.precision, [i])[0]
                assert round_number(enclosure.lower, format) == round_number(enclosure.upper, format) == found.bits


# -- the contract for rows without ordinary numbers --------------------------------------------------------------------


@every_function
@pytest.mark.parametrize(
    "logits", [[0.0, NAN], [0.0, INF], [INF, -INF], [NAN, -INF], [-INF, -INF], [-INF], [INF], [NAN]]
)
def test_a_row_without_a_maximum_among_the_numbers_is_nan_throughout(
    operation: str, quantity: str, logits: list[float]
) -> None:
    ones = [1.0] * len(logits)
    problem = problem_of(operation, quantity, logits, ones, ones)
    assert correctly_rounded(problem, BINARY32) == [BINARY32.nan_bits] * len(logits)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("bad", [NAN, INF, -INF])
def test_a_vector_that_is_not_finite_makes_the_row_nan(operation: str, bad: float) -> None:
    nan, ones = [BINARY64.nan_bits] * 2, [1.0, 1.0]
    for masked in (0.0, -INF):
        assert correctly_rounded(Problem(operation, "vjp", [1.0, masked], [1.0, bad]), BINARY64) == nan
        assert correctly_rounded(Problem(operation, "jvp", [1.0, masked], None, [1.0, bad]), BINARY64) == nan
        assert correctly_rounded(Problem(operation, "hvp", [1.0, masked], ones, [1.0, bad]), BINARY64) == nan
        assert correctly_rounded(Problem(operation, "hvp", [1.0, masked], [1.0, bad], ones), BINARY64) == nan


@every_format
def test_masked_logits_have_probability_zero_and_leave_the_others_alone(format: Format) -> None:
    masked, plain = [1.0, -INF, 2.0, -INF], [1.0, 2.0]
    found = correctly_rounded(Problem("softmax", "forward", masked), format)
    expected = correctly_rounded(Problem("softmax", "forward", plain), format)
    assert [found[0], found[2]] == expected
    assert [found[1], found[3]] == [0, 0]
    logs = correctly_rounded(Problem("log_softmax", "forward", masked), format)
    assert logs[1] == format.sign_bit | format.infinity_bits


def test_gradients_at_masked_logits_follow_the_formulas_with_probability_zero() -> None:
    logits, g, t = [1.0, -INF, 2.0], [0.25, 0.5, -1.0], [3.0, 5.0, 3.0]
    for operation in OPERATIONS:
        assert values(Problem(operation, "hvp", logits, g, t))[1] == 0.0
    assert values(Problem("softmax", "vjp", logits, g))[1] == 0.0
    assert values(Problem("softmax", "jvp", logits, None, t))[1] == 0.0
    assert values(Problem("log_softmax", "vjp", logits, g))[1] == 0.5
    assert values(Problem("log_softmax", "jvp", logits, None, t))[1] == 2.0


# -- hard cases --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("format", "logits", "expected"),
    [
        (BINARY32, [0.0, -(1024 + 2.0**-14)], -(1024 + 2.0**-13)),
        (BINARY64, [2.0**-43, -1024.0], -(1024 + 2.0**-42)),
        (BINARY32, [0.0, -(2.0**17 + 2.0**-7)], -(2.0**17 + 2.0**-6)),
        (BFLOAT16, [0.0, -(2.0**100 + 2.0**92)], -(2.0**100 + 2.0**93)),
        (BINARY64, [2.0**970, -(2.0**1023)], -(2.0**1023 + 2.0**971)),
    ],
)
def test_a_difference_on_a_midpoint_is_decided_by_a_logarithm_however_tiny(
    format: Format, logits: list[float], expected: float
) -> None:
    assert values(Problem("log_softmax", "forward", logits), format)[1] == expected


@every_format
def test_gaps_up_to_the_range_of_binary64_are_no_obstacle(format: Format) -> None:
    one, tiny = correctly_rounded(Problem("softmax", "forward", [0.0, -1e308]), format)
    assert (format.value(one), tiny) == (1, 0)
    assert correctly_rounded(Problem("softmax", "forward", [1e308, -1e308]), format) == [one, 0]
    zero, infinite = correctly_rounded(Problem("log_softmax", "forward", [1e308, -1e308]), format)
    assert (zero, infinite) == (format.sign_bit, format.sign_bit | format.infinity_bits)


def test_far_logits_break_the_ties_of_gradients() -> None:
    """Each first value is a midpoint of the format but for a share of exp(-30000), which would take 43 281 bits."""
    g = [1.0, 1.0, 2.0**-8]
    assert values(Problem("log_softmax", "vjp", [0.0, -3e4, -3e4], g), BFLOAT16)[0] == -1.0
    assert values(Problem("log_softmax", "vjp", [0.0, -3e4, -3e4], [-3.0, *g[1:]]), BFLOAT16)[0] == -1.0 - 2.0**-7
    tangent = [-(2.0**-53), 1.0]
    assert values(Problem("log_softmax", "jvp", [0.0, -1e5], None, tangent))[1] == 1.0
    assert values(Problem("log_softmax", "jvp", [0.0, -1e5], None, [2.0**-53, -1 - 2.0**-52]))[1] == -1 - 2.0**-52
    for far in (-3e4, -1e308):
        assert values(Problem("softmax", "vjp", [0.0, 0.0, far], [1.0, -(2.0**-53), 1.0]))[:2] == [0.25, -0.25]
        assert values(Problem("softmax", "vjp", [0.0, 0.0, far], [1.0, -(2.0**-53), -3.0]))[0] == 0.25 + 2.0**-54


@pytest.mark.parametrize(
    ("format", "logits", "cotangent", "expected"),
    [
        (FLOAT8_E5M2, [0.0, 0.0, -5000.0, -12000.0], [-1.75, -0.625, -0.625, 0.25], -0.25),
        (BINARY64, [0.0, 0.0, -5000.0, -9500.0], [1.0, -(2.0**-53), -(2.0**-53), -0.1], 0.25 + 2.0**-54),
    ],
)
def test_far_logits_break_ties_in_the_order_of_their_products(
    format: Format, logits: list[float], cotangent: list[float], expected: float
) -> None:
    """The terms of exp(d_2) cancel: exp(2 d_2) is weighed against exp(d_3), and either can be the larger."""
    assert values(Problem("softmax", "vjp", logits, cotangent), format)[0] == expected


def towards_midpoint(boundary: Fraction, bits: int) -> list[float]:
    """A row whose log_softmax[0] is above ``boundary`` by less than 2**-bits: each logit fills most of what is left."""
    row = [-1.0, 0.0]
    with mpmath.workprec(2 * bits + 1000):
        rest = mpmath.exp(-1 - mpmath.mpf(boundary.numerator) / boundary.denominator) - 1 - mpmath.exp(-1)
        while rest > mpmath.ldexp(1, -bits):
            logit = float(mpmath.log(rest))
            row.append(logit if mpmath.exp(logit) < rest else math.nextafter(logit, -INF))
            rest -= mpmath.exp(row[-1])
    return row


def test_a_logarithm_as_near_to_a_midpoint_as_logits_can_bring_it_is_compared_with_it() -> None:
    midpoint = -3 - Fraction(1, 2**52)
    row = towards_midpoint(midpoint, 1400)
    above, below = Problem("log_softmax", "forward", row), Problem("log_softmax", "forward", [*row, row[-1]])
    assert (side(above, 0, midpoint), side(below, 0, midpoint)) == (1, -1)
    assert rounded(above, BINARY64, [0])[0].precision == 1360  # the enclosures alone need twice that
    assert values(above)[0] == -3.0
    assert values(below)[0] == math.nextafter(-3.0, -INF)


@pytest.mark.parametrize("gap", [30.0, 3000.0, 30000.0])
def test_a_double_backward_whose_leading_terms_cancel_is_enclosed_all_the_same(gap: float) -> None:
    """Of order exp(-2 gap): found by working precision alone it would take 3 gap bits.  No sum of it vanishes."""
    logits, g, t = [0.0, -gap, -gap, -gap], [0.0, 1.0, -2.0, 0.0], [0.0, 0.0, 1.0, 1.0]

    def narrow(i: int, enclosure: Enclosure) -> bool:
        return bool(enclosure.upper - enclosure.lower <= mpmath.ldexp(abs(enclosure.lower), -100))

    found = certified(Problem("softmax", "hvp", logits, g, t), narrow, 116, [1])[0]
    assert found.precision < 2000
    with mpmath.workprec(200_000):
        e = mpmath.exp(-gap)
        s = [v / (1 + 3 * e) for v in (1, e, e, e)]
        g_mean, t_mean = (sum(a * b for a, b in zip(v, s, strict=True)) for v in (g, t))
        products = [(a - g_mean) * (b - t_mean) for a, b in zip(g, t, strict=True)]
        assert contains(found.value, s[1] * (products[1] - sum(a * b for a, b in zip(products, s, strict=True))))


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("gap", [2900.0, 1e5, 1e308])
def test_the_largest_vectors_do_not_raise_a_vanished_probability(operation: str, gap: float) -> None:
    """G a or a c is as large as 2**2050, and exp(-2900) * 2**2050 still below every number."""
    vectors = ([1e308, 1e308], [1e308, -1e308]) if operation == "log_softmax" else ([1e308, -1e308],) * 2
    assert values(Problem(operation, "hvp", [0.0, -gap], *vectors)) == [0.0, 0.0]


@pytest.mark.parametrize("count", [1, 2, 3, 7])
@pytest.mark.parametrize("gap", [10.0, 500.0, 3000.0])
def test_a_dominant_value_does_not_cancel_however_often_it_occurs(count: int, gap: float) -> None:
    """With N equal logits at the top and one below, vjp = s (g - <g, s>) in closed form; 60 + 40 bits must do."""
    logits, g = [5.0] * count + [5.0 - gap], [1.0] * count + [3.0]
    found = accurate(Problem("softmax", "vjp", logits, g), 60)
    assert {c.precision for c in found} == {76}
    with mpmath.workprec(20000):
        e = mpmath.exp(-gap)
        top = -2 * e / (count + e) ** 2
        low = e / (count + e) * (2 * count / (count + e))
    assert all(contains(c.value, top) for c in found[:-1])
    assert contains(found[-1].value, low)


@pytest.mark.parametrize(
    ("format", "gap"),
    [(BINARY64, 708.5), (BINARY64, 740.0), (BINARY64, 745.1), (BINARY64, 745.2), (BINARY32, 103.9), (BINARY32, 104.0)]
    + [(BINARY16, 9.8), (BINARY16, 17.0), (BINARY16, 17.4), (FLOAT8_E4M3FN, 6.0), (FLOAT8_E4M3FN, 7.0)],
)
def test_subnormal_probabilities_are_rounded_once(format: Format, gap: float) -> None:
    with mpmath.workprec(300):
        exact_value = Fraction(
            int(mpmath.floor(mpmath.ldexp(mpmath.exp(-gap) / (1 + mpmath.exp(-gap)), 1400))), 2**1400
        )
    expected = format.round_rational(exact_value)
    assert correctly_rounded(Problem("softmax", "forward", [gap, 0.0]), format, [1]) == [expected]


def test_overflowing_results_become_infinite() -> None:
    assert values(Problem("log_softmax", "forward", [65504.0, -65504.0]), BINARY16)[1] == -INF
    assert math.isnan(values(Problem("log_softmax", "forward", [448.0, -448.0]), FLOAT8_E4M3FN)[1])
    huge, alternating = [1.7e308] * 2, [1.7e308, -1.7e308]
    assert values(Problem("log_softmax", "vjp", [0.0, 1.0], [1.7e308, -1.6e308]))[0] < 1.7e308
    jvp = values(Problem("log_softmax", "jvp", [0.0, 3.0], None, alternating))
    assert jvp == [INF, pytest.approx(-3.4 * 4.74258731775668e306, rel=1e-14)]
    assert values(Problem("log_softmax", "hvp", [0.0, 1.0], huge, alternating)) == [-INF, INF]


def test_logits_keep_all_53_bits_when_the_format_has_few() -> None:
    """2**52 + 1 and 2**52 are one number in 40 bits."""
    problem = Problem("softmax", "forward", [2.0**52 + 1, 2.0**52])
    assert values(problem, FLOAT8_E4M3FN) == values(Problem("softmax", "forward", [1.0, 0.0]), FLOAT8_E4M3FN)
    assert contains(accurate(problem, 10, [0])[0].value, 1 / (1 + mpmath.exp(-1)))


# -- the enclosures ----------------------------------------------------------------------------------------------------

Generator = np.random.Generator


def _gauss(r: Generator, n: int) -> list[float]:
    return [float(v) for v in 3 * r.standard_normal(n)]


def _wide(r: Generator, n: int) -> list[float]:
    return [float(v) for v in 300 * r.standard_normal(n)]


def _dominant(r: Generator, n: int) -> list[float]:
    """One to three equal logits on top, the others 1 to 1000 below."""
    row = -(10 ** r.uniform(0, 3, n))
    row[: r.integers(1, 4)] = 0.0
    return [float(v) for v in row]


def _groups(r: Generator, n: int) -> list[float]:
    return [float(v) for v in r.integers(-2, 3, n)]


def _masked(r: Generator, n: int) -> list[float]:
    row = r.standard_normal(n)
    row[1:][r.random(n - 1) < 0.4] = -INF
    return [float(v) for v in row]


FAMILIES: list[Callable[[Generator, int], list[float]]] = [_gauss, _wide, _dominant, _groups, _masked]


def sample(operation: str, quantity: str, seed: int) -> list[Problem]:
    r = np.random.default_rng(seed)
    problems = []
    for family in FAMILIES:
        for n in (2, 3, 5, 12):
            vectors = [(r.standard_normal(n) + offset).tolist() for offset in r.choice([0.0, 1000.0], 2)]
            problems.append(problem_of(operation, quantity, family(r, n), vectors[0], vectors[1]))
    return problems


def unknown(problem: Problem) -> list[int]:
    """The elements that are left to arithmetic."""
    known = exact(problem)
    return [i for i in range(len(problem.logits)) if i not in known]


@every_function
def test_an_enclosure_holds_those_of_twice_and_four_times_the_precision(operation: str, quantity: str) -> None:
    for problem in sample(operation, quantity, 1):
        elements = unknown(problem)
        coarse, fine, finest = (enclose(problem, bits, elements) for bits in (60, 120, 240))
        for outer, inner in (*zip(coarse, fine, strict=True), *zip(fine, finest, strict=True)):
            assert outer.lower <= inner.lower <= inner.upper <= outer.upper


@every_function
def test_the_error_constants_leave_a_factor_of_two(operation: str, quantity: str) -> None:
    """At 60 bits the centre of an enclosure is off by less than half its radius, whichever path led to it."""
    for problem in sample(operation, quantity, 2):
        elements = unknown(problem)
        for coarse, fine in zip(enclose(problem, 60, elements), enclose(problem, 300, elements), strict=True):
            with mpmath.workprec(4000):
                centre, radius = (coarse.lower + coarse.upper) / 2, (coarse.upper - coarse.lower) / 2
                assert 2 * abs(centre - (fine.lower + fine.upper) / 2) <= radius


@every_function
def test_accurate_elements_are_as_narrow_as_asked(operation: str, quantity: str) -> None:
    for problem in sample(operation, quantity, 3):
        for found in accurate(problem, 150, unknown(problem)):
            if isinstance(found.value, Enclosure):
                with mpmath.workprec(400):
                    lower, upper = sorted((abs(found.value.lower), abs(found.value.upper)))
                    assert mpmath.ldexp(upper - lower, 150) <= lower


@every_function
def test_elements_asked_for_alone_are_those_of_the_whole_row(operation: str, quantity: str) -> None:
    for problem in sample(operation, quantity, 4):
        whole = correctly_rounded(problem, BINARY32)
        assert correctly_rounded(problem, BINARY32, [1, 0]) == [whole[1], whole[0]]


def test_what_is_never_decided_is_an_error_and_not_a_loop() -> None:
    problem = Problem("softmax", "forward", [0.0, 1.0])
    with pytest.raises(OracleError, match="element 0 of .* is undecided at 32768 bits"):
        certified(problem, lambda i, enclosure: False, 16384)


@every_format
@given(mantissa=st.integers(-(2**80), 2**80), exponent=st.integers(-1300, 1100) | st.integers(-(10**12), 10**12))
@settings(max_examples=100, deadline=None)
def test_an_mpmath_number_is_rounded_from_its_integers(format: Format, mantissa: int, exponent: int) -> None:
    with mpmath.workprec(200):
        number = mpmath.ldexp(mantissa, exponent)
    near = max(min(exponent, 1300), -1500)  # beyond, the rounding is that of an overflow or of an underflow
    assert round_number(number, format) == format.round_dyadic(mantissa, near)


@every_format
def test_what_lies_beside_a_number_is_rounded_to_its_own_side(format: Format) -> None:
    """Midpoints among subnormal and normal numbers and at the largest go to that neighbour, numbers to themselves."""
    normal = 1 << (format.precision - 1)
    for low in (0, 1, 2, normal - 1, normal, 2 * normal - 1, format.largest_bits - 1):
        below, above = Fraction(format.value(low)), Fraction(format.value(low + 1))
        for sign, flag in ((1, 0), (-1, format.sign_bit)):
            with mpmath.workprec(60):
                middle, number = (mpmath.mpf(sign * v.numerator) / v.denominator for v in ((below + above) / 2, above))
            assert round_number(middle, format, sign) == flag | low + 1
            assert round_number(middle, format, -sign) == flag | low
            assert round_number(middle, format) == flag | low + low % 2
            assert {round_number(number, format, beside) for beside in (-1, 0, 1)} == {flag | low + 1}
    zero = mpmath.mpf(0)
    assert [round_number(zero, format, beside) for beside in (-1, 0, 1)] == [format.sign_bit, 0, 0]


# -- the derivatives ---------------------------------------------------------------------------------------------------


def _textbook(operation: str, x: list[mpmath.mpf]) -> list[mpmath.mpf]:
    e = [mpmath.exp(v) for v in x]
    return [v / sum(e) if operation == "softmax" else mpmath.log(v / sum(e)) for v in e]


def _along(function: Callable[[list[mpmath.mpf]], mpmath.mpf], x: list[mpmath.mpf], t: list[mpmath.mpf]) -> mpmath.mpf:
    """The derivative of a function of the row, at x along t."""
    return mpmath.diff(lambda step: function([v + step * w for v, w in zip(x, t, strict=True)]), 0)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("logits", [[0.0, 1.0], [0.5, -1.25, 0.5], [2.0, -3.0, 0.25]])
def test_vjp_jvp_and_hvp_are_the_derivatives_that_they_are_called(operation: str, logits: list[float]) -> None:
    n = len(logits)
    g, t = [1.0, -0.5, 2.25][:n], [0.75, 3.0, -1.5][:n]
    with mpmath.workdps(60):
        x, exact_t = [mpmath.mpf(v) for v in logits], [mpmath.mpf(v) for v in t]
        unit = [[mpmath.mpf(i == j) for j in range(n)] for i in range(n)]

        def objective(row: list[mpmath.mpf]) -> mpmath.mpf:
            return sum(a * b for a, b in zip(g, _textbook(operation, row), strict=True))

        def element(i: int) -> Callable[[list[mpmath.mpf]], mpmath.mpf]:
            return lambda row: _textbook(operation, row)[i]

        def slope(i: int) -> Callable[[list[mpmath.mpf]], mpmath.mpf]:
            return lambda row: _along(objective, row, unit[i])

        expected = {
            "vjp": [slope(i)(x) for i in range(n)],
            "jvp": [_along(element(i), x, exact_t) for i in range(n)],
            "hvp": [_along(slope(i), x, exact_t) for i in range(n)],
        }
        for quantity, derivatives in expected.items():
            problem = problem_of(operation, quantity, logits, g, t)
            for enclosure, derivative in zip(enclose(problem, 200, range(n)), derivatives, strict=True):
                assert abs(enclosure.lower - derivative) < mpmath.mpf(10) ** -25
