"""The a-priori bounds, held against algorithms whose every operation is rounded exactly: never exceeded, never idle."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from references.bounds.error_model import compute_arithmetic
from references.bounds.exact_rows import ExactRows
from references.bounds.forward import softmax_bound
from references.bounds.of_function import bound, rounded
from references.formats import BINARY32, BINARY64, FLOAT8_E4M3FN
from references.functions import FUNCTIONS, Function
from references.tests.algorithms import ALGORITHMS, BOUNDS, GRADIENTS, log_softmax_vjp, softmax_by_reciprocal
from references.tests.batches import Rows, rows_of
from references.tests.orders import DEPTHS
from references.tests.other_bounds import softmax_by_reciprocal_bound
from references.tests.settings import FLUSHING, SETTINGS, Setting, own_arithmetic, worst_of
from references.vocabulary import OPERATIONS, QUANTITIES

SMALLEST_NORMAL = BINARY32.smallest_normal

# A reciprocal that is itself stored would be one narrow rounding more than the storage bound has.
TRIED = [
    (setting, name)
    for setting in SETTINGS
    for name in ALGORITHMS
    if not (setting.endswith("binary32 sums") and name == "by the reciprocal")
]


@pytest.mark.parametrize(("setting", "name"), TRIED)
def test_a_sound_algorithm_stays_within_its_bound(setting: str, name: str) -> None:
    assert worst_of(setting, name) <= 1


@pytest.mark.parametrize("kind", ["binary64", "16, computed in binary32", "16, with binary32 sums"])
@pytest.mark.parametrize("name", BOUNDS)
def test_no_bound_is_twice_as_wide_as_it_has_to_be(name: str, kind: str) -> None:
    own = [(setting, formula) for setting, formula in TRIED if ALGORITHMS[formula].bound == name]
    assert max(worst_of(setting, formula) for setting, formula in own if setting.endswith(kind)) >= 0.5


@pytest.mark.parametrize("name", GRADIENTS)
@pytest.mark.parametrize("setting", SETTINGS)
def test_a_gradient_of_a_few_quanta_stays_within_its_bound(setting: str, name: str) -> None:
    quantum = SETTINGS[setting].machine.output.smallest_subnormal
    assert replace(SETTINGS[setting], lengths=(2, 33)).worst(name, scale=12 * quantum) <= 1


# -- orders of summation whose depth is known --------------------------------------------------------------------------


# One pass adds in sequence, whatever the order of other sums.
KNOWN_DEPTH = [("online", "recursive")] + [
    (name, order)
    for name in ("a quotient", "(x - max) - log S", "s (g - <g, s>)", "s (q - <q, s>)")
    for order in DEPTHS
]


@pytest.mark.parametrize(("name", "order"), KNOWN_DEPTH)
@pytest.mark.parametrize("setting", ["binary32", "bfloat16 throughout"])
def test_a_bound_of_the_known_depth_holds_for_that_order(setting: str, name: str, order: str) -> None:
    """Without the four roundings to spare of the depth for any order."""
    chosen, algorithm, largest = SETTINGS[setting], ALGORITHMS[name], 0.0
    format = chosen.machine.output
    depth = DEPTHS[order]
    for n in (2, 9, chosen.lengths[-1]):
        rows = rows_of(format, n)
        limit, judged = rows.bound_of(algorithm, own_arithmetic(format, n, depth(n)))
        for push in (0.0, 2.0):
            machine = replace(chosen.machine, order=order, push=push)
            computed = algorithm.formula(machine, rows.logits, *rows.vectors(algorithm.function).values())
            ratios = rows.ratios(machine.stored(computed), algorithm.function, limit, judged)
            largest = max(largest, float(ratios.max()))
    assert 0.3 < largest <= 1


@pytest.mark.parametrize("order", DEPTHS)
def test_a_reciprocal_is_one_rounding_more_where_the_depth_is_known(order: str) -> None:
    """The reciprocal and the product with it are both rounded."""
    reached = []
    for n in (3, 9, 33):
        rows, arithmetic = rows_of(BINARY32, n), own_arithmetic(BINARY32, n, DEPTHS[order](n))
        exact = rows.exact(Function("softmax", "forward"))
        limit = rounded(softmax_by_reciprocal_bound(rows.shifted, arithmetic), exact, BINARY32, arithmetic)
        machine = replace(SETTINGS["binary32"].machine, order=order, push=2.0)
        computed = softmax_by_reciprocal(machine, rows.logits)
        reached.append(rows.ratios(computed, Function("softmax", "forward"), limit, np.isfinite(limit)).max())
        assert (limit >= softmax_bound(rows.shifted, arithmetic)).all()
    assert 0.5 <= max(reached) <= 1


# -- platforms that flush subnormal numbers ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize("setting", FLUSHING)
def test_a_platform_that_flushes_stays_within_the_bound_for_it(setting: str, name: str) -> None:
    assert FLUSHING[setting].worst(name) <= 1


@pytest.mark.parametrize("name", GRADIENTS)
@pytest.mark.parametrize("setting", FLUSHING)
def test_flushing_the_terms_of_a_gradient_stays_within_the_bound_for_it(setting: str, name: str) -> None:
    assert FLUSHING[setting].worst(name, scale=3 * SMALLEST_NORMAL) <= 1


def test_a_sum_that_is_flushed_at_every_other_step_stays_within_the_bound_for_it() -> None:
    """1.5 - 1 is half the smallest normal number, and gone: the sum of 257 such cotangents is lost altogether."""
    logits = np.where(np.arange(257), -100.0, 0.0)[None, :]
    rows = Rows(BINARY32, logits, np.where(np.arange(257) % 2, -1.0, 1.5)[None, :] * SMALLEST_NORMAL)
    computed = log_softmax_vjp(FLUSHING["binary32"].machine, rows.logits, rows.cotangent)
    lost = abs(computed[0, 0] - rows.exact(Function("log_softmax", "vjp"))[0, 0])
    assert lost > 60 * SMALLEST_NORMAL
    flushing = compute_arithmetic(BINARY32, 257, flushes=True)
    assert rows.ratios_to_bound(computed, Function("log_softmax", "vjp"), flushing).max() <= 1


def test_a_flush_exceeds_the_bound_of_a_platform_that_does_not() -> None:
    honest = Setting(FLUSHING["binary32"].machine, compute_arithmetic, (33,))
    assert honest.worst("a quotient") > 1000


# -- where there is no bound -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("quantity", QUANTITIES)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_bound_with_a_relative_sum_error_of_one_or_more_is_no_number_and_says_nothing(
    operation: str, quantity: str
) -> None:
    rows = Rows(BINARY32, np.zeros((1, 5)), np.ones((1, 5)))
    coarse = replace(compute_arithmetic(BINARY32, 5), sum=1.3)
    limit, judged = rows.bound(Function(operation, quantity), coarse)
    assert np.isnan(limit).all()
    assert not judged.any()


def test_a_bound_that_zeros_would_pass_says_nothing_about_that_row_alone() -> None:
    """1/2048 is half the half of the smallest number of the format: zero is that row, correctly rounded."""
    n = 2048
    logits = np.stack([np.zeros(n), np.where(np.arange(n), -14.0, 0.0)])
    rows = Rows(FLOAT8_E4M3FN, logits, np.zeros((2, n)))
    limit, judged = rows.bound(Function("softmax", "forward"), compute_arithmetic(FLOAT8_E4M3FN, n))
    assert (limit[1, 1:] >= rows.shifted.s[1, 1:]).all()
    assert judged.tolist() == [False, True]


def test_an_overflowing_bound_says_nothing() -> None:
    rows = Rows(BINARY64, np.zeros((2, 3)), np.array([[1e308] * 3, [1.0] * 3]))
    limit, judged = rows.bound(Function("log_softmax", "vjp"), compute_arithmetic(BINARY64, 3))
    assert np.isinf(limit[0]).all()
    assert judged.tolist() == [False, True]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_vector_that_is_missing_is_asked_for(operation: str) -> None:
    rows = ExactRows(BINARY32, np.zeros((1, 3)), np.ones((1, 3)))
    with pytest.raises(ValueError, match="hvp needs a tangent"):
        bound(Function(operation, "hvp"), rows, compute_arithmetic(BINARY32, 3))


# -- bounds are kept with their rows -----------------------------------------------------------------------------------


def test_a_bound_is_made_once_for_its_rows_and_again_for_another_cotangent() -> None:
    rows, function, arithmetic = rows_of(BINARY32, 9), Function("softmax", "vjp"), compute_arithmetic(BINARY32, 9)
    found, again = (bound(function, rows, arithmetic) for _ in range(2))
    assert found is again
    assert not found.flags.writeable
    other = bound(function, rows.with_cotangent(2 * rows.cotangent), arithmetic)
    assert not np.array_equal(found, other)


def test_a_row_alone_has_the_bounds_that_it_has_among_others() -> None:
    rows, arithmetic = rows_of(BINARY32, 33), compute_arithmetic(BINARY32, 33)
    for function in FUNCTIONS:
        together = rows.bound(function, arithmetic)[0]
        for row in (0, 50, 90):
            alone = bound(function, rows.row(row), arithmetic)
            assert alone[0] == pytest.approx(together[row], rel=1e-14)
