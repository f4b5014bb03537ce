"""Exact results of a batch between runs: read where they were kept, and certified all the same."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from references.bulk.batches import reference
from references.bulk.exact_pairs import Reference
from references.functions import Function
from suites.inputs.batch import Batch, batch_of
from suites.scoring.certified_batch import CertificationError, Exact


@pytest.fixture
def computed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The quantities that are computed, in order, with a cache of their own in which everything is kept."""
    monkeypatch.setenv("SOFTMAX_ACCURACY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("references.bulk.cache._pays", lambda seconds, size: True)
    quantities: list[str] = []

    def counted(function: Function, *rest: Any, **vectors: Any) -> Reference:
        quantities.append(function.quantity)
        return reference(function, *rest, **vectors)

    monkeypatch.setattr("suites.scoring.certified_batch.reference", counted)
    return quantities


def wrong(*arguments: Any, **vectors: Any) -> Reference:
    """A reference that is off everywhere."""
    found = reference(*arguments, **vectors)
    return dataclasses.replace(found, hi=found.hi * (1 + 2.0**-50))


def fresh() -> Batch:
    return dataclasses.replace(batch_of("gauss1", "binary64", 33, 9))


@pytest.mark.parametrize("quantity", ["forward", "vjp", "jvp", "hvp"])
def test_a_second_run_reads_what_the_first_has_kept(computed: list[str], quantity: str) -> None:
    first, second = (Exact(fresh()).reference(Function("softmax", quantity)) for _ in range(2))
    assert computed == [quantity]
    for field in dataclasses.fields(Reference):
        assert np.array_equal(getattr(first, field.name), getattr(second, field.name))


def test_what_was_kept_is_held_against_the_oracle_and_computed_again_where_it_fails(
    computed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("suites.scoring.certified_batch.reference", wrong)
        patch.setattr(Exact, "_compare", lambda *_: None)
        Exact(fresh()).reference(Function("softmax", "forward"))
    assert computed == []
    found = Exact(fresh()).reference(Function("softmax", "forward"))
    assert computed == ["forward"]
    assert np.array_equal(found.hi, Exact(fresh()).reference(Function("softmax", "forward")).hi)
    assert computed == ["forward"]


def test_a_reference_that_is_not_certified_is_not_kept(
    computed: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("suites.scoring.certified_batch.reference", wrong)
        with pytest.raises(CertificationError):
            Exact(fresh()).reference(Function("softmax", "forward"))
    assert not (tmp_path / "cache").exists()
    Exact(fresh()).reference(Function("softmax", "forward"))
    assert computed == ["forward"]
