"""Golden vectors, against closed forms, the oracle at other precisions and the written edges of their range."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest

from references.formats import BINARY16, BINARY32, BINARY64, FLOAT8_E4M3FN, FORMATS, Floats, Format
from references.functions import Problem, needs_cotangent, needs_tangent
from references.oracle.certified import Certified, Enclosure, OracleError, correctly_rounded, enclose
from references.oracle.golden import VANISHED, Golden, golden, pair_of
from references.vocabulary import OPERATIONS, QUANTITIES

INF, NAN = math.inf, math.nan

every_format = pytest.mark.parametrize("format", list(FORMATS.values()), ids=list(FORMATS))
every_function = pytest.mark.parametrize(
    ("operation", "quantity"), [(operation, quantity) for operation in OPERATIONS for quantity in QUANTITIES]
)


def values_of(found: Golden, row: int = 0) -> list[Fraction]:
    """A row's pairs as rationals; the elements are numbers and their exponents of ordinary size."""
    parts = zip(found.hi[row].tolist(), found.lo[row].tolist(), found.exponent[row].tolist(), strict=True)
    return [(Fraction(hi) + Fraction(lo)) * Fraction(2) ** exponent for hi, lo, exponent in parts]


def forward(operation: str, row: list[float], format: Format = BINARY64) -> Golden:
    return golden(operation, "forward", np.array([row]), format)


def made(operation: str, quantity: str, rows: Floats, format: Format, vectors: dict[str, Floats]) -> Golden:
    given = {role: vectors.get(role) for role in ("cotangent", "tangent")}
    return golden(operation, quantity, rows, format, cotangent=given["cotangent"], tangent=given["tangent"])


def element(found: Golden, i: int) -> list[Any]:
    """bits, hi, lo, exponent and precision of an element of the first row."""
    return [a[0, i].item() for a in (found.bits, found.hi, found.lo, found.exponent, found.precision)]


def vectors_of(quantity: str, shape: tuple[int, int], format: Format) -> dict[str, Floats]:
    r = np.random.default_rng(len(quantity))
    roles = {"cotangent": needs_cotangent(quantity), "tangent": needs_tangent(quantity)}
    return {
        role: format.decode(format.round_floats(r.standard_normal(shape))) for role, wanted in roles.items() if wanted
    }


ROWS = np.array([[0.5, -1.25, 3.0, 0.5], [0.0, -90.0, -104.0, -0.0], [-INF, 1.0, -2.5, -INF], [2.0, 2.0, 2.0, 2.0]])


def stored(format: Format) -> Floats:
    """The rows as the format can hold them: -inf becomes its lowest number where it has no infinity."""
    rows = ROWS if format.infinities else np.maximum(ROWS, -format.largest)
    return format.decode(format.round_floats(rows))


# -- what is promised ------------------------------------------------------------------------------------------------


@every_format
@every_function
def test_every_element_is_the_oracles_to_106_bits_and_correctly_rounded(
    operation: str, quantity: str, format: Format
) -> None:
    rows = stored(format)
    vectors = vectors_of(quantity, rows.shape, format)
    found = made(operation, quantity, rows, format, vectors)
    assert found.bits.dtype == format.bits_dtype
    assert found.exponent.dtype == found.precision.dtype == np.int32
    for row, logits in enumerate(rows.tolist()):
        problem = Problem(operation, quantity, logits, **{role: v[row].tolist() for role, v in vectors.items()})
        assert found.bits[row].tolist() == correctly_rounded(problem, format)
        unproved = [i for i in range(4) if found.precision[row, i]]
        for i, enclosure in zip(unproved, enclose(problem, 400, unproved), strict=True):
            hi, lo, exponent = (float(found.hi[row, i]), float(found.lo[row, i]), int(found.exponent[row, i]))
            assert 0.5 <= abs(hi) < 1
            assert abs(lo) <= 2.0**-54
            with mpmath.workprec(400):
                exact = mpmath.ldexp((enclosure.lower + enclosure.upper) / 2, -exponent)
                assert abs(mpmath.mpf(hi) + mpmath.mpf(lo) - exact) <= mpmath.ldexp(abs(exact), -106)


@every_function
def test_the_stored_precision_proves_the_bits_and_the_pair_again(operation: str, quantity: str) -> None:
    rows = stored(BINARY32)
    vectors = vectors_of(quantity, rows.shape, BINARY32)
    found = made(operation, quantity, rows, BINARY32, vectors)
    for row, i in np.argwhere(found.precision > 0).tolist():
        problem = Problem(
            operation, quantity, rows[row].tolist(), **{role: v[row].tolist() for role, v in vectors.items()}
        )
        precision = int(found.precision[row, i])
        again = Certified(enclose(problem, precision, [i])[0], precision)
        assert pair_of(again) == (found.hi[row, i], found.lo[row, i], found.exponent[row, i])


def test_a_pair_does_not_depend_on_the_precision_that_found_it(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = stored(BINARY64)
    vectors = vectors_of("hvp", rows.shape, BINARY64)
    first = made("softmax", "hvp", rows, BINARY64, vectors)
    monkeypatch.setattr("references.oracle.golden._GUARD_BITS", 300)
    second = made("softmax", "hvp", rows, BINARY64, vectors)
    assert (second.precision >= first.precision).all()
    assert (second.precision > first.precision).any()
    for name in ("bits", "hi", "lo", "exponent"):
        assert np.array_equal(getattr(first, name), getattr(second, name))


def test_a_rational_is_as_near_as_106_bits_allow_and_needs_no_precision() -> None:
    found = forward("softmax", [7.0] * 3, BINARY32)
    assert found.precision.tolist() == [[0, 0, 0]]
    assert found.bits.tolist() == [[0x3EAAAAAB] * 3]
    assert all(0 < abs(3 * value - 1) <= Fraction(1, 2**106) for value in values_of(found))
    assert element(forward("softmax", [1.0, 1.0]), 0) == [0x3FE0000000000000, 0.5, 0.0, 0, 0]


def test_a_value_just_below_one_has_a_leading_half_and_a_negative_rest() -> None:
    """1 - exp(-45) / (1 + exp(-45)) rounds to 1 in binary64, which is 0.5 * 2."""
    bits, hi, lo, exponent, _ = element(forward("softmax", [0.0, -45.0]), 0)
    assert (bits, hi, exponent) == (0x3FF0000000000000, 0.5, 1)
    assert -2 * lo == pytest.approx(2.8625185805493937e-20, rel=1e-15)


# -- the ends of the range -------------------------------------------------------------------------------------------


def test_zero_and_minus_infinity_and_nan_are_written_as_promised() -> None:
    assert element(forward("softmax", [0.0, -INF]), 1) == [0, 0.0, 0.0, 0, 0]
    assert element(forward("log_softmax", [0.0, -INF]), 1) == [0xFFF0000000000000, -INF, 0.0, 0, 0]
    bits, hi, *rest = element(forward("softmax", [0.0, NAN], BINARY16), 0)
    assert (bits, rest) == (0x7E00, [0.0, 0, 0])
    assert math.isnan(hi)


def test_a_result_beyond_the_format_keeps_its_own_value() -> None:
    bits, hi, lo, exponent, _ = element(forward("log_softmax", [65504.0, -65504.0], BINARY16), 1)
    assert (bits, hi, lo, exponent) == (0xFC00, -131008 / 2**17, 0.0, 17)
    bits, hi, _, exponent, _ = element(forward("softmax", [0.0, -1000.0], BINARY16), 1)
    assert bits == 0
    assert math.log(hi) + exponent * math.log(2) == pytest.approx(-1000)


def test_a_format_without_infinities_gives_nan_with_the_sign() -> None:
    found = forward("log_softmax", [448.0, -448.0], FLOAT8_E4M3FN)
    assert found.bits.tolist() == [[0x80, 0xFF]]
    assert found.hi[0, 1] == -896 / 1024


def test_what_no_int32_exponent_can_express_is_a_zero_of_its_sign_with_the_least_exponent() -> None:
    softmax, logs = forward("softmax", [0.0, -1e308]), forward("log_softmax", [0.0, -1e308])
    assert element(softmax, 1)[:4] == [0, 0.0, 0.0, VANISHED]
    bits, hi, lo, exponent, precision = element(logs, 0)
    assert (bits, hi, lo, exponent) == (0x8000000000000000, 0.0, 0.0, -(2**31))
    assert math.copysign(1.0, hi) == -1
    assert precision > 0
    assert VANISHED < element(forward("softmax", [0.0, -1e9]), 1)[3] < -1.4e9


def test_the_least_exponent_that_is_written_is_the_one_before_the_mark() -> None:
    for offset, expected in ((1, (0.5, 0.0, VANISHED + 1)), (0, (0.0, 0.0, VANISHED)), (-5, (0.0, 0.0, VANISHED))):
        number = mpmath.ldexp(1, VANISHED - 1 + offset)
        assert pair_of(Certified(Enclosure(number, number), 138)) == expected


def test_a_logit_far_below_leaves_the_pair_of_the_others_alone() -> None:
    """Half of 1 - exp(-1e308) is 0.5 in every number of bits that could be written."""
    assert element(forward("softmax", [1.0, 1.0, -1e308]), 0)[1:4] == [0.5, 0.0, 0]


def test_a_value_next_to_a_midpoint_of_106_bits_is_settled_by_either_neighbour() -> None:
    """-1 - 2**-106 - exp(-1e5), in the 144,270th bit below."""
    rows, tangent = np.array([[0.0, -1e5]]), np.array([[1.0, -(2.0**-106)]])
    found = golden("log_softmax", "jvp", rows, BINARY64, tangent=tangent)
    assert abs(values_of(found)[1] - (-1 - Fraction(1, 2**106))) <= Fraction(1, 2**106)


# -- arguments -------------------------------------------------------------------------------------------------------


def test_progress_is_reported_of_each_row() -> None:
    told: list[int] = []
    golden("softmax", "forward", ROWS, BINARY64, progress=told.append)
    assert told == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("quantity", "vectors", "message"),
    [
        ("grad", {}, "unknown quantity 'grad'"),
        ("vjp", {}, "vjp needs a cotangent"),
        ("forward", {"tangent": ROWS}, "forward takes no tangent"),
        ("jvp", {"tangent": ROWS[:, :3]}, "the tangent has 3 elements, the row 4"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(quantity: str, vectors: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        golden("softmax", quantity, ROWS, BINARY64, **vectors)


def test_an_element_that_can_not_be_proved_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("references.oracle.certified.MAX_PRECISION", 60)
    with pytest.raises(OracleError, match="is undecided at 60 bits"):
        forward("softmax", [0.0, 1.0])
