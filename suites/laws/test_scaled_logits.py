"""P11: a compiler that scales the logits itself stays within what its roundings explain.

With q the scaled logits in real arithmetic, and each of them rounded twice (a reciprocal and a product), or left
unrounded in one place and not in another: every q_j is off by at most e = 2 u max |q|, so that each difference
q_j - max, and with it log_softmax, is off by 2 e more than the bound of the shifted algorithm on q.  Differences that
were exact numbers are so no more: each is rounded once, by less than e.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from references.bounds.error_model import compute_arithmetic
from references.bounds.exact_rows import ExactRows
from references.bounds.of_function import bound
from references.formats import BINARY32, Bits, Floats
from references.functions import Function
from suites.driver.availability import not_installed
from suites.driver.profiles import DEFAULT, profile_named
from suites.implementations.catalogue import CATALOGUE, why_skipped
from suites.implementations.tripled import tripled
from suites.inputs.integers import below, seed_of
from suites.laws.evaluation import Evaluations
from suites.laws.inputs import Input
from suites.laws.subjects import Subject

_ROWS, _N = 6, 64


def logits(size: float) -> Bits:
    """Numbers of twelve bits from ``size`` to twice that: three times each is a binary32 number too."""
    units = 2.0 ** (np.floor(np.log2(size)) - 11)
    return BINARY32.encode((np.floor(size / units) + below(seed_of("scaled", size), (_ROWS, _N), 512)) * units)


def allowed(values: Floats) -> tuple[Floats, Floats]:
    """The exact log_softmax of rows, and how far a scaled one may be off."""
    rows, function = ExactRows(BINARY32, values), Function("log_softmax", "forward")
    limit = bound(function, rows, compute_arithmetic(BINARY32, _N))
    off = 2 * BINARY32.unit_roundoff * np.abs(values).max(axis=1, keepdims=True)
    return rows.exact(function), limit + 4 * off


def check(name: str, size: float) -> None:
    implementation = CATALOGUE[name]
    profile = profile_named(implementation.framework, DEFAULT)
    reason = not_installed(profile) or why_skipped(implementation)
    if reason:
        pytest.skip(reason)
    bits = logits(size)
    subject = Subject(implementation, profile, "log_softmax", "forward", "binary32", "last")
    found = Evaluations().fresh(subject, Input(bits, {}))
    right, room = allowed(BINARY32.decode(bits))
    error = np.abs(BINARY32.decode(found) - right)
    assert (error <= room).all(), f"off by {np.nanmax(error / room):.3g} times what is allowed, or NaN"


@pytest.mark.parametrize("size", [30.0, 3e5, 3e7, 3e9, 3e12])
def test_torch_compile_scales_within_its_roundings(size: float) -> None:
    check("torch/compile-x-over-3", size)


@pytest.mark.parametrize("size", [30.0, 3e5, 3e7])
def test_jit_scales_within_its_roundings(size: float) -> None:
    check("jax/jit-x-over-3", size)


@pytest.mark.parametrize("size", [3e9, 3e12])
@pytest.mark.xfail(
    strict=True,
    raises=AssertionError,
    reason="XLA scales once for the maximum and again, unrounded, for the exponents: jax-ml/jax#37234",
)
def test_jit_scales_large_logits_within_its_roundings(size: float) -> None:
    check("jax/jit-x-over-3", size)


def test_what_a_quotient_needs_is_exact_in_the_rows() -> None:
    for size in (30.0, 3e5, 3e12):
        values = BINARY32.decode(logits(size))
        assert (size / 2 < values).all()
        assert (values < 3 * size).all()
        assert BINARY32.decode(BINARY32.encode(3 * values)).tolist() == (3 * values).tolist()


def test_logits_whose_triple_is_no_number_of_the_format_are_refused() -> None:
    from suites.implementations.call import Call

    bits: Any = np.array([[1.0, 1 + 2.0**-23]], np.float32).view(np.uint32)
    with pytest.raises(ValueError, match="three times 1.0000001.* is no binary32 number"):
        tripled(Call("softmax", "forward", "binary32", 1, bits))
    largest: Any = np.array([[1.0, 3e38]], np.float32).view(np.uint32)
    with pytest.raises(ValueError, match="three times 3.* is no binary32 number"):
        tripled(Call("softmax", "forward", "binary32", 1, largest))
    masked: Any = np.array([[1.0, -np.inf]], np.float32).view(np.uint32)
    tripled_bits = tripled(Call("softmax", "forward", "binary32", 1, masked)).logits
    assert tripled_bits.view(np.float32).tolist() == [[3.0, -np.inf]]
