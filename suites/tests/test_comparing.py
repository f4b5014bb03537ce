"""How results are held against each other: bits, numbers in between, and ulps of the row."""

from __future__ import annotations

import numpy as np
import pytest

from references.formats import BINARY16, BINARY32, Format
from suites.laws.comparing import row_ulps_apart, same, ulps_apart

INF, NAN = float("inf"), float("nan")


def bits(format: Format, *numbers: float) -> np.typing.NDArray[np.unsignedinteger]:
    return format.encode(np.array([numbers]))


def test_a_difference_in_a_row_is_counted_in_ulps_of_its_largest_number() -> None:
    one = bits(BINARY32, 1.0, 2.0**-40, 0.0)
    other = bits(BINARY32, 1.0 + 2.0**-23, 2.0**-24, -(2.0**-149))
    assert row_ulps_apart(BINARY32, one, other).tolist() == [[1.0, 0.5 - 2.0**-17, 2.0**-126]]
    assert ulps_apart(BINARY32, one, other).tolist() == [[1.0, 16 * 2.0**23, 1.0]]


@pytest.mark.parametrize(
    ("before", "after", "apart"),
    [(NAN, NAN, 0.0), (INF, INF, 0.0), (NAN, 1.0, INF), (1.0, NAN, INF), (INF, 1.0, INF), (0.0, -0.0, 0.0)],
)
def test_what_is_no_number_is_infinitely_far_from_one(before: float, after: float, apart: float) -> None:
    one, other = bits(BINARY16, before, 1.0), bits(BINARY16, after, 1.0)
    assert row_ulps_apart(BINARY16, one, other).tolist() == [[apart, 0.0]]


def test_the_vectors_of_a_derivative_belong_to_the_row() -> None:
    one, other, cotangent = bits(BINARY32, 0.0), bits(BINARY32, 2.0**-23), bits(BINARY32, -1.0)
    assert row_ulps_apart(BINARY32, one, other, [cotangent]).tolist() == [[1.0]]


def test_a_row_of_zeros_is_counted_in_the_smallest_numbers() -> None:
    assert row_ulps_apart(BINARY16, bits(BINARY16, 0.0), bits(BINARY16, 3 * 2.0**-24)).tolist() == [[3.0]]


def test_the_bits_of_nan_are_no_matter_and_the_sign_of_zero_is_where_it_is_asked_for() -> None:
    one, other = np.array([[0x7E00, 0x8000]], np.uint16), np.array([[0xFE01, 0x0000]], np.uint16)
    assert same(BINARY16, one, other).tolist() == [[True, False]]
    assert same(BINARY16, one, other, signed_zeros=False).tolist() == [[True, True]]
