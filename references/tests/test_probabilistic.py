"""The square-root figures: kept by sums of random terms with the confidence that they state, broken by equal ones."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from references.bounds.error_model import compute_arithmetic
from references.bounds.forward import softmax_bound
from references.bounds.summation_depth import gamma
from references.formats import BINARY32, Floats
from references.functions import Function
from references.tests.algorithms import softmax
from references.tests.batches import Rows
from references.tests.emulated import Machine
from references.tests.orders import DEPTHS
from references.tests.probabilistic import confidence_of, gamma_tilde, probable_sums, spread_for

U = BINARY32.unit_roundoff
N = 4096


def _random(r: np.random.Generator, rows: int) -> Floats:
    """What a softmax adds: exp of differences, here of normal ones."""
    return np.asarray(2.0 ** -np.abs(2 * r.standard_normal((rows, N))))


def _equal(r: np.random.Generator, rows: int) -> Floats:
    return np.asarray(np.repeat(r.uniform(0.1, 1, (rows, 1)), N, axis=1))


def _equal_but_one(r: np.random.Generator, rows: int) -> Floats:
    terms = np.repeat(r.uniform(0.55, 0.95, (rows, 1)), N, axis=1) * 2.0**-24 * N
    terms[:, 0] = N
    return np.asarray(terms)


def _sums(make: Callable[[np.random.Generator, int], Floats], order: str, rows: int) -> Floats:
    """Relative errors of binary32 sums [rows], in units of sqrt(h) u: the spread that each would need."""
    terms = make(np.random.default_rng(17), rows).astype(np.float32).astype(np.float64)
    machine = Machine(BINARY32, BINARY32, BINARY32, BINARY32, order)
    exact = np.array([math.fsum(row) for row in terms.tolist()])
    relative = np.abs(machine.sum(terms)[:, 0] - exact) / exact
    return np.asarray(relative / (U * math.sqrt(DEPTHS[order](N))))


@pytest.mark.parametrize("order", ["recursive", "lanes", "pairwise", "numpy"])
def test_sums_of_random_terms_keep_a_spread_at_least_as_often_as_is_stated(order: str) -> None:
    """200 sums: all keep the spread of 99 %, and the shares that keep 1, 2 and 3 are no less than one product's."""
    needed = _sums(_random, order, 200)
    assert needed.max() <= spread_for(0.99, U, N)
    for spread in (1.0, 2.0, 3.0):
        assert (needed <= spread).mean() >= confidence_of(spread, U)
    assert needed.max() > 0.05


@pytest.mark.parametrize("make", [_equal, _equal_but_one])
def test_sums_of_equal_terms_break_what_is_stated_for_random_ones(
    make: Callable[[np.random.Generator, int], Floats],
) -> None:
    """Every addition rounds alike: most rows need more than the spread that one sum in 10**9 would."""
    needed = _sums(make, "recursive", 50)
    assert np.median(needed) > spread_for(1 - 1e-9, U, N) / 2
    assert needed.max() > spread_for(1 - 1e-9, U, N)
    assert needed.max() <= gamma(N - 1, U) / (U * math.sqrt(N - 1))


def test_a_bound_of_probable_sums_holds_for_random_logits_and_fails_for_equal_ones() -> None:
    r = np.random.default_rng(3)
    n = 2000
    random, equal = r.standard_normal((20, n)), np.repeat(-r.uniform(0, 12, (20, 1)), n, axis=1)
    equal[:, 0] = 0.0
    arithmetic = probable_sums(compute_arithmetic(BINARY32, n), n, 0.99)
    worst = []
    for logits in (random, equal):
        rows = Rows(BINARY32, logits, np.zeros_like(logits))
        computed = softmax(Machine(BINARY32, BINARY32, BINARY32, BINARY32), rows.logits)
        limit = softmax_bound(rows.shifted, arithmetic)
        worst.append(rows.ratios(computed, Function("softmax", "forward"), limit, np.ones_like(limit, bool)).max())
    assert worst[0] <= 1 < worst[1]


def test_the_probabilistic_figures_by_hand() -> None:
    """gamma_tilde is lambda sqrt(h) u to first order; 4 is kept by one product with 1 - 2 exp(-8)."""
    assert gamma_tilde(100, U, 4.0) == pytest.approx(40 * U, rel=1e-5)
    assert confidence_of(4.0, U) == pytest.approx(1 - 2 * math.exp(-8), rel=1e-9)
    assert confidence_of(4.0, U, products=10**6) < 0
    assert confidence_of(spread_for(0.99, U, 1000), U, 1000) == pytest.approx(0.99)
    assert spread_for(0.99, U, 10**6) == pytest.approx(math.sqrt(2 * math.log(2e8)), rel=1e-6)
