"""Which widths are tried, that a fault at one of them is found and reported, and what is left to the known defects."""

from __future__ import annotations

import numpy as np
import pytest

from references.formats import BINARY16, Bits
from suites.driver.profiles import DEFAULT, profile_named
from suites.implementations.catalogue import CATALOGUE, why_not_measured
from suites.laws import widths
from suites.laws.evaluation import Evaluations
from suites.laws.inputs import Input
from suites.laws.row_lengths import DENSE, THRESHOLDS, batch_of_width, boundaries_of, rows_of_width, widths_of
from suites.laws.subjects import Subject
from suites.laws.widths import FailingWidth, every_width

AVX512 = {"cpu capability": "AVX512", "threads": "1"}
DEFAULT_CAPABILITY = {"cpu capability": "DEFAULT", "threads": "1"}


def subject(
    name: str, operation: str = "softmax", quantity: str = "forward", format: str = "binary32", layout: str = "last"
) -> Subject:
    implementation = CATALOGUE[name]
    return Subject(
        implementation, profile_named(implementation.framework, DEFAULT), operation, quantity, format, layout
    )


# -- which widths ------------------------------------------------------------------------------------------------------


def test_the_boundaries_are_those_of_the_registry_and_their_neighbours() -> None:
    """Registers of 16 binary32 numbers with AVX-512, of 8 without; the gradient's rest begins after a register."""
    values, gradient = subject("torch/eager"), subject("torch/eager", quantity="vjp")
    assert boundaries_of(values, AVX512) == (15, 16, 17, 31, 32, 33)
    assert boundaries_of(values, DEFAULT_CAPABILITY) == (7, 8, 9, 15, 16, 17)
    assert boundaries_of(gradient, AVX512) == (15, 16, 17, 18, 31, 32, 33)


def test_the_boundaries_of_sums_that_overflow_are_among_them() -> None:
    found = boundaries_of(subject("torch/eager", "log_softmax", format="binary16"), AVX512)
    assert {65519, 65520, 65521} <= set(found)


def test_a_boundary_in_elements_is_one_in_widths_for_the_rows_there_are() -> None:
    """XLA's own kernels begin at 4096 elements: 820 in each of five rows."""
    assert {819, 820, 821} <= set(boundaries_of(subject("jax/jit"), {"device": "cpu"}))


def test_the_deep_tier_has_every_width() -> None:
    found = set(widths_of(subject("torch/eager"), "deep", AVX512))
    assert set(range(1, 2101)) <= found
    assert {2**k + d for k in range(1, 14) for d in (-1, 0, 1)} <= found
    assert {65535, 65536, 65537} <= found
    assert 0 not in found


@pytest.mark.parametrize("tier", ["smoke", "standard"])
@pytest.mark.parametrize("name", ["torch/eager", "jax/jit", "numpy/shifted"])
def test_a_short_tier_draws_a_few_widths_by_the_subject(name: str, tier: str) -> None:
    drawn = {
        format: widths_of(subject(name, format=format), tier, AVX512) for format in ("binary64", "binary32", "binary16")
    }
    assert len(set(drawn.values())) == 3
    for found in drawn.values():
        assert found == tuple(sorted(set(found)))
        assert 1 <= len(found) <= 30
        assert set(found) & set(DENSE)


def test_a_short_tier_has_all_boundaries_where_nothing_is_compiled() -> None:
    chosen = subject("torch/eager", "log_softmax", format="binary16")
    assert set(boundaries_of(chosen, AVX512)) <= set(widths_of(chosen, "standard", AVX512))
    compiled = subject("jax/jit")
    assert len(widths_of(compiled, "standard", {"device": "cpu"})) <= 3


def test_every_width_has_three_rows_or_more_and_a_register_of_them_along_the_first_axis() -> None:
    for layout in ("last", "inner", "column"):
        assert min(rows_of_width(layout, n) for n in (*DENSE, *THRESHOLDS)) >= 3
    assert rows_of_width("inner", 100) == 33


@pytest.mark.parametrize("n", [1, 2, 17, 700, 8193, 65536])
def test_the_rows_of_a_width_are_of_every_kind(n: int) -> None:
    batch = batch_of_width("binary16", "last", n)
    equal, dominant, random = batch.values[:3]
    assert batch.logits.shape == (rows_of_width("last", n), n)
    assert (equal == equal[0]).all()
    assert n < 3 or (dominant[0] == 0 > dominant[1] == dominant[2])
    assert n < 3 or len(set(random.tolist())) > 1
    assert BINARY16.decode(batch.cotangent)[0].sum() == 1


# -- faults ------------------------------------------------------------------------------------------------------------


class WrongAt(Evaluations):
    """NumPy's shifted formulas, with the last element of every row of one width lost."""

    def __init__(self, n: int) -> None:
        super().__init__("smoke")
        self._n = n

    def fresh(self, subject: Subject, given: Input) -> Bits:
        bits = super().fresh(subject, given)
        if given.shape[1] == self._n:
            bits = bits.copy()
            bits[:, -1] = 0
        return bits


@pytest.mark.parametrize("quantity", ["forward", "vjp"])
def test_a_fault_at_one_width_is_found_and_reported_with_the_width_and_the_bits(quantity: str) -> None:
    chosen = subject("numpy/shifted", quantity=quantity)
    tried = widths_of(chosen, "smoke", Evaluations().settings(chosen))
    assert every_width(chosen, WrongAt(0)) is None
    for n in tried[1:]:
        breach = every_width(chosen, WrongAt(n))
        assert breach is not None
        assert breach.size > 1000
        assert f"1 of {len(tried)} widths are below storage-stable: {n}\n  width {n} is wrong" in breach.text
        assert "computed 0x0 = 0.0, exact " in breach.text.replace("0x00000000", "0x0")
        assert "\n  logits 0x" in breach.text


def test_every_implementation_with_paths_of_its_own_is_asked_and_formulas_are_not() -> None:
    (law,) = widths.LAWS
    asked = {name for name, i in CATALOGUE.items() if law.asked_of(subject(name, next(iter(i.calls))))}
    assert {"torch/eager", "torch/compile", "jax/jit", "jax/eager", "scipy", "numpy/shifted", "torch/sparse"} <= asked
    assert not {"numpy/naive", "torch/log-of-softmax", "torch/out"} & asked
    assert not law.asked_of(subject("torch/eager", quantity="jvp"))
    assert not law.asked_of(subject("torch/eager", layout="middle"))


# -- known defects -----------------------------------------------------------------------------------------------------


def failing(chosen: Subject, n: int, verdict: str) -> FailingWidth:
    batch = batch_of_width(chosen.format_name, chosen.layout, n)
    return FailingWidth(n, verdict, 2.0, (0, 0), batch, np.zeros_like(batch.logits))


def test_a_width_is_left_to_the_entry_that_covers_its_cell_unless_it_is_worse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(widths, "versions_of", lambda framework: {"jax": "0.10.2"})
    chosen = subject("jax/jit", "log_softmax", "vjp", "bfloat16")
    assert widths._is_known(chosen, failing(chosen, 700, "unstable"))
    assert not widths._is_known(chosen, failing(chosen, 700, "wrong"))
    assert not widths._is_known(subject("jax/jit"), failing(subject("jax/jit"), 700, "unstable"))
    monkeypatch.setattr(widths, "versions_of", lambda framework: {"jax": "0.4.30"})  # before the entry's
    assert not widths._is_known(chosen, failing(chosen, 700, "unstable"))


@pytest.mark.skipif(bool(why_not_measured("torch")), reason="the entries are of PyTorch")
def test_an_entry_for_long_rows_covers_no_short_ones() -> None:
    chosen = subject("torch/eager", "log_softmax", format="binary16")
    assert widths._is_known(chosen, failing(chosen, 65520, "wrong"))
    assert not widths._is_known(chosen, failing(chosen, 700, "wrong"))
