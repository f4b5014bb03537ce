"""Judging: equal outputs once, by the right contract, and never by a reference that the oracle contradicts."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from references.bulk.batches import reference, references_of
from references.bulk.exact_pairs import Reference
from references.formats import Floats
from references.functions import Function
from references.verdict.assessment import assess
from suites.implementations.catalogue import CATALOGUE
from suites.inputs import special
from suites.inputs.batch import batch_of
from suites.plan.cell import Cell
from suites.scoring.cell import measure
from suites.scoring.certified_batch import CertificationError
from suites.scoring.output import judge_output
from suites.tests.test_measure import SOUND, cell_of, every_format, exactly, judged_on


def test_equal_outputs_are_judged_once_and_others_are_not_taken_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("suites.scoring.output._JUDGED", {})
    asked = []

    def counted(*arguments: Any, **options: Any) -> Any:
        asked.append(arguments[0])
        return assess(*arguments, **options)

    monkeypatch.setattr("suites.scoring.output.assess", counted)
    shifted, naive = CATALOGUE["numpy/shifted"], CATALOGUE["numpy/naive"]
    cell = Cell("numpy/shifted", "default", "softmax", "forward", "binary64", "last", "gauss1", 9)
    first = measure(cell, shifted)
    again = measure(dataclasses.replace(cell, layout="padded"), shifted)
    assert asked == [cell.function]
    assert dataclasses.replace(again, cell=cell, path=first.path) == first
    other = measure(dataclasses.replace(cell, implementation="numpy/naive"), naive)
    assert other.output_sha256 != first.output_sha256
    measure(dataclasses.replace(cell, quantity="vjp"), shifted)
    measure(dataclasses.replace(cell, row_length=2), shifted)
    assert len(asked) == 4


def test_the_same_special_rows_are_judged_by_the_contract_of_each_framework() -> None:
    batch = batch_of(special.FAMILY, "binary32", len(special.rows_of_length(3)), 3)
    nan = np.full(batch.logits.shape, 0x7FC00000, np.uint32)

    def outcomes(framework: str) -> dict[str, int]:
        judged = judge_output(batch, Function("log_softmax", "forward"), nan, framework=framework, flushes=False)
        return judged.statistics.outcomes

    assert outcomes("torch") == outcomes("jax") != outcomes("scipy")
    assert outcomes("torch") != outcomes("scipy")


def corrupted(monkeypatch: pytest.MonkeyPatch, change: Callable[[Reference], Floats]) -> None:
    """Let every reference be computed with another ``hi``, and kept nowhere."""
    monkeypatch.setenv("SOFTMAX_ACCURACY_CACHE", "off")
    monkeypatch.setattr("suites.scoring.output._JUDGED", {})

    def changed(found: Reference) -> Reference:
        return dataclasses.replace(found, hi=change(found))

    def one(*arguments: Any, **vectors: Any) -> Reference:
        return changed(reference(*arguments, **vectors))

    def several(*arguments: Any, **vectors: Any) -> dict[Function, Reference]:
        return {function: changed(found) for function, found in references_of(*arguments, **vectors).items()}

    monkeypatch.setattr("suites.scoring.certified_batch.reference", one)
    monkeypatch.setattr("suites.scoring.certified_batch.references_of", several)


@every_format
@pytest.mark.parametrize(("operation", "quantity"), list(SOUND))
def test_a_reference_that_is_off_everywhere_is_not_certified(
    monkeypatch: pytest.MonkeyPatch, operation: str, quantity: str, format: str
) -> None:
    corrupted(monkeypatch, lambda found: found.hi * (1 + 2.0**-45))
    fresh = dataclasses.replace(batch_of("gauss1", format, 33, 9))
    message = f"the bulk reference and the oracle disagree on .*softmax .*{format}, family gauss1, row"
    with pytest.raises(CertificationError, match=message):
        judged_on(fresh, cell_of(operation, quantity, format), exactly)


def test_a_reference_that_is_off_at_one_element_is_found_because_that_becomes_the_worst(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def at_one_element(found: Reference) -> Floats:
        hi = found.hi.copy()
        hi[20, 3] *= 1 + 2.0**-22
        return hi

    corrupted(monkeypatch, at_one_element)
    fresh = dataclasses.replace(batch_of("gauss1", "binary32", 33, 9))
    with pytest.raises(CertificationError, match="row 20, element 3"):
        judged_on(fresh, cell_of(), exactly)


def test_what_has_been_judged_keeps_no_batch() -> None:
    cell = Cell("numpy/shifted", "default", "softmax", "vjp", "binary64", "last", "gauss1", 9)
    worst = measure(cell).worst
    assert worst.logits.base is None
    assert all(vector.base is None for vector in worst.vectors.values())
