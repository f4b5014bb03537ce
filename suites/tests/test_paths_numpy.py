"""NumPy's and SciPy's paths, by observation: orders of summation, the exponential, SciPy's formulas."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from packaging.version import Version

from suites.implementations.call import Call
from suites.implementations.catalogue import settings_of
from suites.implementations.numpy.recipes import evaluator
from suites.paths import summation
from suites.paths.places import Place
from suites.paths.taken import path_of
from suites.tests import observed_numpy
from suites.tests.observed_numpy import arguments, exponential_taken, libm_exp

ROOT = Path(__file__).parents[2]
Array = npt.NDArray[Any]

_KINDS: dict[str, tuple[type[np.floating[Any]], float, float]] = {
    "binary64": (np.float64, 2.0**300, 1.0),
    "binary32": (np.float32, 2.0**60, 1.0),
    "binary16": (np.float16, 2.0**15, 2.0**-24),
}
_ORDERS: dict[str, Callable[[Array], Array]] = {
    "numpy-sum-pairwise": summation.numpy_pairwise,
    "numpy-sum-pairwise-binary16": lambda v: summation.numpy_pairwise(v.astype(np.float32)).astype(np.float16),
    "numpy-sum-buffered": summation.numpy_buffered,
    "numpy-sum-buffered-binary16": lambda v: _halves_between(summation.numpy_pieces(v)),
    "numpy-sum-sequential": summation.sequential,
}


def _halves_between(pieces: list[Array]) -> Array:
    """Each piece in binary32 onto the sum so far, which is rounded to binary16."""
    total = np.zeros(len(pieces[0]), np.float16)
    for piece in pieces:
        total = (total.astype(np.float32) + summation.numpy_pairwise(piece.astype(np.float32))).astype(np.float16)
    return total


_MADE: dict[str, tuple[Callable[[Array], Array], Callable[[Array], Array], int]] = {
    "rows, n": (lambda a: a, lambda a: a, 1),
    "rows, n, 1": (lambda a: a[:, :, None], lambda a: a[:, :, 0], 1),
    "n, rows": (lambda a: np.ascontiguousarray(a.T), lambda a: a.T, 0),
    "rows, n in column order": (np.asfortranarray, lambda a: a, 1),
}


@pytest.mark.parametrize("made", _MADE)
@pytest.mark.parametrize("format", _KINDS)
@pytest.mark.parametrize("n", [7, 8, 20, 128, 129, 200])
def test_sums_add_up_in_the_order_of_the_registry(n: int, format: str, made: str) -> None:
    # The gradient g - exp(l) sum g is g - sum g at the only logit that is not masked.
    kind, large, unit = _KINDS[format]
    probe = summation.probe(n, large=large, unit=unit)
    some = np.linspace(0, len(probe.pairs) - 1, min(len(probe.pairs), 500)).astype(int)
    probe = summation.Probe([probe.pairs[i] for i in some], probe.terms[some], unit)
    rows = np.arange(len(some))
    read = np.array([next(r for r in range(n) if r not in pair) for pair in probe.pairs])
    g, x = probe.terms.astype(kind), np.full(probe.terms.shape, -np.inf, kind)
    x[rows, read] = 0
    lay, back, axis = _MADE[made]
    bits = f"u{kind().itemsize}"
    call = Call("log_softmax", "vjp", format, axis, lay(x).view(bits), lay(g).view(bits))
    seen = back(evaluator("shifted")(call).view(kind))
    (order,) = {
        step.path.id
        for step in path_of(
            "numpy/shifted", "log_softmax", "vjp", format, Place.of_array(lay(x), axis), settings_of("numpy")
        )
        if step.path.id in _ORDERS
    }
    sums = g[rows, read].astype(float) - seen[rows, read].astype(float)
    assert np.array_equal(probe.meetings(sums), probe.meetings(_ORDERS[order](g)))
    if n >= 8:
        other = summation.sequential if "pairwise" in order else summation.numpy_pairwise
        assert not np.array_equal(probe.meetings(sums), probe.meetings(other(g.astype(np.float64))))


@pytest.mark.parametrize("made", _MADE)
@pytest.mark.parametrize("format", _KINDS)
@pytest.mark.parametrize("n", [8192, 8193, 20000])
def test_sums_of_long_rows_have_the_bits_of_the_registrys_order(n: int, format: str, made: str) -> None:
    lay, back, axis = _MADE[made]
    values = np.random.default_rng(n).standard_normal((40, n)).astype(_KINDS[format][0])
    laid = lay(values)
    place = Place.of_array(laid, axis)
    steps = path_of("numpy/shifted", "softmax", "forward", format, place, settings_of("numpy"))
    (order,) = {step.path.id for step in steps if step.path.id in _ORDERS}
    buffered = place.fastest and n > 8192 and Version(np.__version__) < Version("2.3.0rc1")
    assert ("buffered" in order) == buffered
    seen = back(laid.sum(axis=axis, keepdims=True)).ravel()
    assert np.array_equal(seen, _ORDERS[order](values))
    whole, pieces = (name for name in _ORDERS if "sequential" not in name and ("16" in name) == (format == "binary16"))
    if n == 20000:
        others = {whole, pieces, "numpy-sum-sequential"} - {order}
        assert not any(np.array_equal(seen, _ORDERS[other](values)) for other in others)


def test_exp_is_libms_exactly_where_the_registry_says() -> None:
    assert observed_numpy.contradictions() == []


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the levels X86_V3 and X86_V4 are of x86-64 processors")
@pytest.mark.parametrize(("disabled", "target"), [("X86_V4", "X86_V3"), ("X86_V4 X86_V3", "baseline(X86_V2)")])
def test_another_instruction_set_takes_another_exponential(disabled: str, target: str) -> None:
    if not settings_of("numpy").get("exp f", "").startswith("X86_V"):
        pytest.skip("this NumPy has no such levels, or this processor none of them")
    done = subprocess.run(
        [sys.executable, "-m", "suites.tests.observed_numpy"],
        cwd=ROOT,
        env={**os.environ, "NPY_DISABLE_CPU_FEATURES": disabled},
        capture_output=True,
        text=True,
        check=True,
    )
    seen = json.loads(done.stdout)
    assert seen["settings"]["exp f"] == target
    assert seen["contradictions"] == []


def test_exp_of_a_reversed_array_is_libms() -> None:
    values = arguments("binary64")
    backwards, forwards = Place((4096,), 0, True, reversed=True), Place.contiguous((4096,), 0)
    if "svml" not in exponential_taken("binary64", forwards):
        pytest.skip("SVML does not run here, so there is nothing to turn back")
    assert Place.of_array(values[::-1], 0) == backwards
    assert exponential_taken("binary64", backwards) == "numpy-exp-log-libm-reversed"
    assert np.array_equal(np.exp(values[::-1]), libm_exp(values[::-1]))
    assert not np.array_equal(np.exp(values), libm_exp(values))
    # What a formula computes from it walks forwards again.
    assert exponential_taken("binary64", backwards, "numpy/shifted") == "numpy-exp-log-svml-reversed"
    difference = values[::-1] - values.max()
    assert difference.strides[0] > 0
    assert not np.array_equal(np.exp(difference), libm_exp(difference))


# -- SciPy -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("format", _KINDS)
def test_scipy_has_the_bits_of_its_formula_in_numpy(format: str, axis: int) -> None:
    special = pytest.importorskip("scipy.special")
    x = np.random.default_rng(1).normal(scale=3, size=(40, 50)).astype(_KINDS[format][0])
    d = x - x.max(axis=axis, keepdims=True)
    e = np.exp(d)
    total = e.sum(axis=axis, keepdims=True)
    assert np.array_equal(special.softmax(x, axis=axis), e / total)
    assert np.array_equal(special.log_softmax(x, axis=axis), d - np.log(total))
    assert not np.array_equal(special.softmax(x, axis=axis), e * (1 / total))


def test_logsumexp_of_scipy_keeps_what_its_log_softmax_loses() -> None:
    special = pytest.importorskip("scipy.special")
    row = np.array([0.0, -40.0])
    assert special.logsumexp(row) == pytest.approx(4.248354255291589e-18, rel=1e-15)  # log1p(exp(-40))
    assert special.log_softmax(row)[0] == 0.0
