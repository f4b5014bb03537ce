"""The conditioning scales, held against derivatives by differences in many digits, and the limits by hand."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

from references.bounds.conditioning import conditioning_limit, conditioning_scale
from references.formats import BINARY32, BINARY64, Floats
from references.functions import Function
from references.tests.batches import Rows
from references.vocabulary import OPERATIONS, QUANTITIES

U = BINARY32.unit_roundoff
Numbers = list[mpmath.mpf]


def _value(operation: str, quantity: str, d: Numbers, g: Numbers, t: Numbers) -> Numbers:
    e = [mpmath.exp(x) for x in d]
    s = [x / sum(e) for x in e]

    def centred(v: Numbers) -> Numbers:
        mean = mpmath.fdot(v, s)
        return [x - mean for x in v]

    if quantity == "forward":
        return s if operation == "softmax" else [mpmath.log(x) for x in s]
    if quantity == "hvp" and operation == "softmax":
        products = centred([a * c for a, c in zip(centred(t), centred(g), strict=True)])
        return [a * b for a, b in zip(s, products, strict=True)]
    if quantity == "hvp":
        return [-sum(g) * a * b for a, b in zip(s, centred(t), strict=True)]
    v = g if quantity == "vjp" else t
    if operation == "softmax":
        return [a * b for a, b in zip(s, centred(v), strict=True)]
    return [b - a * sum(v) for a, b in zip(s, v, strict=True)] if quantity == "vjp" else centred(v)


def _relative_changes(operation: str, quantity: str, row: list[list[float]], i: int) -> float:
    """|y_i| + the sum over d, g and t of |dy_i/da| |a|, by differences in 80 digits."""
    n, step = len(row[0]), mpmath.mpf(10) ** -30
    arguments = [mpmath.mpf(a) for vector in row for a in vector]

    def moved(index: int, sign: int) -> mpmath.mpf:
        there = list(arguments)
        there[index] += sign * step
        return _value(operation, quantity, there[:n], there[n : 2 * n], there[2 * n :])[i]

    slopes = (abs(moved(j, 1) - moved(j, -1)) / (2 * step) * abs(a) for j, a in enumerate(arguments))
    here = _value(operation, quantity, arguments[:n], arguments[n : 2 * n], arguments[2 * n :])[i]
    return float(abs(here) + sum(slopes))


def _scale(rows: Rows, operation: str, quantity: str) -> Floats:
    return conditioning_scale(Function(operation, quantity), rows)


@pytest.mark.parametrize("quantity", QUANTITIES)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_conditioning_scale_bounds_what_relative_errors_do_and_is_near_on_tame_rows(
    operation: str, quantity: str
) -> None:
    """Within a factor of 2; the double backward's, made of g and t and not of what their means leave, mostly of 6."""
    r = np.random.default_rng(11)
    d = -np.abs(r.standard_normal((5, 4))) * np.array([0.1, 1.0, 3.0, 10.0, 30.0])[:, None]
    d[:, 0] = 0.0
    g = r.standard_normal((5, 4)) + np.array([0.0, 0.0, 10.0, 0.0, -3.0])[:, None]
    t = r.standard_normal((5, 4)) * np.array([1.0, -4.0, 0.1, 1.0, 2.0])[:, None]
    rows = Rows(BINARY64, d, g, t)
    scale = _scale(rows, operation, quantity)
    with mpmath.workdps(80):
        triples = [list(row) for row in zip(*(a.tolist() for a in (d, g, t)), strict=True)]
        changes = np.array([[_relative_changes(operation, quantity, row, i) for i in range(4)] for row in triples])
    assert (scale >= changes * (1 - 1e-12)).all()
    excess = (scale / changes)[rows.shifted.s <= 0.5]
    assert np.median(excess) <= 6 if quantity == "hvp" else excess.max() <= 2


def test_constant_vectors_leave_the_double_backward_a_scale_of_their_sizes() -> None:
    """It is zero then, and so are all its derivatives, yet no algorithm computes a - mean without a rounding of a."""
    rows = Rows(BINARY32, np.array([[0.0, -1.0]]), np.array([[3.0, 3.0]]), np.array([[5.0, 5.0]]))
    s = rows.shifted.s
    assert _scale(rows, "softmax", "hvp") == pytest.approx(2 * s * 6 * 15, rel=1e-12)
    assert _scale(rows, "log_softmax", "hvp") == pytest.approx(s * 2 * 5 * (6 + 6), rel=1e-12)


def test_a_masked_element_adds_nothing_to_the_conditioning_of_the_others() -> None:
    here = Rows(BINARY32, np.array([[0.0, -1.0]]), np.array([[1.0, 2.0]]))
    there = Rows(BINARY32, np.array([[0.0, -1.0, -np.inf]]), np.array([[1.0, 2.0, 0.0]]))
    for operation in OPERATIONS:
        for quantity in QUANTITIES:
            scales = [_scale(rows, operation, quantity) for rows in (here, there)]
            assert scales[1][0, :2] == pytest.approx(scales[0][0], rel=1e-15)


def test_the_conditioning_limit_of_two_equal_logits_is_three_units() -> None:
    """K = 1/2 and ulp(1/2) = u: (1 + 4) u / 2 + u / 2."""
    rows = Rows(BINARY32, np.zeros((1, 2)), np.array([[3.0, -8.0]]))
    limit = conditioning_limit(Function("softmax", "forward"), rows, flushes=False)
    assert limit[0] == pytest.approx([3 * U] * 2, rel=1e-12)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_near_zero_the_conditioning_limit_counts_smallest_numbers_and_vector_sizes(operation: str) -> None:
    """Half an ulp, and 1 + max |g| = 9 of them, times 1 + max |t| = 3: subnormal, or normal where they are flushed."""
    rows = Rows(BINARY32, np.array([[0.0, -200.0]]), np.array([[0.0, 8.0]]), np.array([[-2.0, 0.0]]))
    for flushes, least in ((False, BINARY32.smallest_subnormal), (True, BINARY32.smallest_normal)):
        for quantity, sizes in (("vjp", 9), ("hvp", 27)):
            if (operation, quantity) == ("log_softmax", "vjp"):
                continue  # its scale is |g| there
            limit = conditioning_limit(Function(operation, quantity), rows, flushes=flushes)
            assert limit[0, 1] == pytest.approx(BINARY32.smallest_subnormal / 2 + sizes * least, rel=1e-9)


def test_a_limit_is_kept_for_the_same_vectors_alone() -> None:
    rows, function = Rows(BINARY32, np.array([[0.0, -2.0]]), np.array([[1.0, 8.0]])), Function("softmax", "vjp")
    one, again = (conditioning_limit(function, rows, flushes=False) for _ in range(2))
    other = conditioning_limit(function, rows.with_cotangent(3 * rows.cotangent), flushes=False)
    assert one is again
    assert (other > one).all()
