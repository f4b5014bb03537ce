"""Unsound algorithms exceed the bound of the sound one, so a verdict can distinguish them; the sound one never does."""

from __future__ import annotations

import math

import numpy as np
import pytest

from references.bounds.error_model import compute_arithmetic, storage_arithmetic
from references.bounds.of_function import rounded
from references.formats import BFLOAT16, BINARY16, BINARY32, Format
from references.functions import Function
from references.tests.algorithms import (
    Formula,
    exp_of_log_softmax,
    log_of_softmax,
    log_softmax,
    log_softmax_by_log1p,
    softmax,
    unshifted,
    x_minus_log_sum_exp,
)
from references.tests.batches import Rows
from references.tests.emulated import Machine
from references.tests.other_bounds import log1p_bound
from references.tests.settings import SETTINGS, THROUGHOUT, Setting


def _excess(formula: Formula, operation: str, logits: list[float], setting: str) -> float:
    """The largest ratio of a formula on one row to the bound that decides a verdict."""
    machine, format = SETTINGS[setting].machine, SETTINGS[setting].machine.output
    rows = Rows(format, np.array([logits]), np.zeros((1, len(logits))))
    computed = machine.stored(formula(machine, rows.logits))
    arithmetic = SETTINGS[setting].arithmetic(format, rows.n)
    return float(rows.ratios_to_bound(computed, Function(operation, "forward"), arithmetic).max())


throughout = pytest.mark.parametrize("setting", THROUGHOUT)


@throughout
def test_subtracting_the_log_sum_exp_fails_under_an_offset(setting: str) -> None:
    format = SETTINGS[setting].machine.output
    offset = 2.0 ** (format.precision - 2)
    row = [offset, offset - 1, offset - 2]
    assert _excess(x_minus_log_sum_exp, "log_softmax", row, setting) > 0.005 / format.unit_roundoff
    assert _excess(log_softmax, "log_softmax", row, setting) <= 1


@throughout
def test_the_logarithm_of_softmax_fails_beside_a_dominant_logit(setting: str) -> None:
    format = SETTINGS[setting].machine.output
    row = [0.0, math.floor(1.5 * math.log(2) * format.quantum)]
    assert _excess(log_of_softmax, "log_softmax", row, setting) > 1000
    assert _excess(log_softmax, "log_softmax", row, setting) <= 1


@throughout
def test_the_unshifted_softmax_fails_on_large_logits_and_not_on_small_ones(setting: str) -> None:
    format = SETTINGS[setting].machine.output
    large = math.ceil(math.log(2) * (format.emax + 1)) + 1.0
    assert _excess(unshifted, "softmax", [large, large - 1, large - 2], setting) == math.inf
    assert _excess(softmax, "softmax", [large, large - 1, large - 2], setting) <= 1
    assert _excess(unshifted, "softmax", [3.0, 2.0, 1.0], setting) <= 1


@pytest.mark.parametrize(
    ("setting", "gap", "offset"), [("binary64", 600, -1.0), ("binary32", 80, -0.25), ("bfloat16 throughout", 80, -1.0)]
)
def test_exp_of_log_softmax_fails_where_the_logarithm_is_large(setting: str, gap: int, offset: float) -> None:
    """It brings an error of u |l|, which a quotient is free of where the difference is exact."""
    row = [0.0, offset, float(-gap)]
    assert _excess(exp_of_log_softmax, "softmax", row, setting) > 2.5
    assert _excess(softmax, "softmax", row, setting) <= 1


@throughout
def test_the_logarithm_of_one_and_a_little_fails_the_bound_for_log1p(setting: str) -> None:
    """log(1 + T) is zero for T below u, and T with all its digits is what log1p gives."""
    machine, format = SETTINGS[setting].machine, SETTINGS[setting].machine.output
    rows = Rows(format, np.array([[0.0, -math.floor((format.precision + 2) * math.log(2))]]), np.zeros((1, 2)))
    arithmetic = SETTINGS[setting].arithmetic(format, 2)
    exact = rows.exact(Function("log_softmax", "forward"))
    limit = rounded(log1p_bound(rows.shifted, arithmetic), exact, format, arithmetic)
    plain, sound = (
        rows.ratios(formula(machine, rows.logits), Function("log_softmax", "forward"), limit, np.isfinite(limit)).max()
        for formula in (log_softmax, log_softmax_by_log1p)
    )
    assert plain > 0.03 / format.unit_roundoff
    assert sound <= 1


@pytest.mark.parametrize(("format", "n"), [(BINARY16, 4096), (BFLOAT16, 1000)], ids=["binary16", "bfloat16"])
def test_a_sum_in_the_narrow_format_fails_the_compute_bound_and_the_storage_bound(format: Format, n: int) -> None:
    """It stops at 2**p: one more is rounded away."""
    rows = Rows(format, np.zeros((1, n)), np.zeros((1, n)))
    computed = softmax(Machine(format, format, format, format), rows.logits)
    assert computed[0, 0] == 2.0**-format.precision
    for arithmetic in (compute_arithmetic(format, n), storage_arithmetic(format, n)):
        assert rows.ratios_to_bound(computed, Function("softmax", "forward"), arithmetic).min() > 10


@pytest.mark.parametrize(
    "name",
    ["a quotient", "(x - max) - log S", "s (g - <g, s>)", "g - s G", "t - <t, s>", "s (q - <q, s>)", "z - s sum z"],
)
@pytest.mark.parametrize("format", [BINARY16, BFLOAT16], ids=["binary16", "bfloat16"])
def test_narrow_intermediate_results_fail_the_compute_bound(format: Format, name: str) -> None:
    stored = Machine(format, format, BINARY32, BINARY32)
    assert Setting(stored, compute_arithmetic, (33,)).worst(name) > 1.5
