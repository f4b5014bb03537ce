"""The double backward of every implementation that has one is the derivative of its vjp, and no other vector."""

from __future__ import annotations

import numpy as np
import pytest

from references.bulk.batches import reference
from references.formats import BINARY64, Floats
from references.functions import Function
from suites.implementations.catalogue import CATALOGUE, why_not_measured, why_skipped
from suites.inputs.batch import Batch, batch_of
from suites.inputs.cotangents import KINDS, kind_of_row
from suites.scoring.cell import evaluator_of
from suites.worker.evaluation import evaluate_rows

# JAX compiles every primitive of an eager call.
_CASES = [
    (name, operation, layout)
    for name, implementation in CATALOGUE.items()
    for operation in implementation.calls
    if implementation.supports(operation, "hvp", "binary64")
    for layout in (["last"] if name.startswith("jax/eager") else ["last", "inner"])
]


def exact(batch: Batch, operation: str, quantity: str) -> Floats:
    vectors = {role: batch.format.decode(bits) for role, bits in batch.vectors(quantity).items()}
    return reference(Function(operation, quantity), batch.values, batch.format, **vectors).values()


@pytest.mark.parametrize(("name", "operation", "layout"), _CASES)
def test_the_double_backward_is_the_one_that_the_reference_defines(name: str, operation: str, layout: str) -> None:
    """To half the digits of binary64: how good the others are is for a verdict to say."""
    implementation = CATALOGUE[name]
    reason = why_not_measured(implementation.framework) or why_skipped(implementation)
    if reason:
        pytest.skip(reason)
    batch = batch_of("gauss1", "binary64", 33, 9)
    given = operation, "hvp", "binary64", layout, batch.logits
    found = BINARY64.decode(evaluate_rows(evaluator_of(implementation), *given, batch.vectors("hvp")))
    right = exact(batch, operation, "hvp")
    assert np.abs(found - right).max() <= 2.0**-26
    for other in ("vjp", "jvp"):
        assert np.abs(right - exact(batch, operation, other)).max() > 0.1


def test_a_masked_logit_has_no_part_in_the_double_backward_of_softmax() -> None:
    pytest.importorskip("torch")
    batch = batch_of("masked", "binary64", 33, 9)
    right = exact(batch, "softmax", "hvp")
    assert (right[batch.values == -np.inf] == 0).all()
    for name in ("torch/eager", "torch/masked"):
        given = "softmax", "hvp", "binary64", "last", batch.logits
        found = BINARY64.decode(evaluate_rows(evaluator_of(CATALOGUE[name]), *given, batch.vectors("hvp")))
        assert np.abs(found - right).max() <= 2.0**-26


# -- its vectors -----------------------------------------------------------------------------------------------------


def test_a_batch_of_five_rows_meets_neighbouring_kinds_and_one_of_33_every_pair() -> None:
    few, many = batch_of("gauss1", "binary32", 5, 3), batch_of("gauss1", "binary32", 33, 3)
    pairs = [(kind_of_row(row), kind_of_row(few.partner(row))) for row in range(5)]
    assert pairs == [(KINDS[k], KINDS[(k + 1) % 5]) for k in range(5)]
    found = {(kind_of_row(row), kind_of_row(many.partner(row))) for row in range(33)}
    assert len(found) == 25
    assert many.kind_of_row("hvp", 6) == "gauss and alternating"
    assert many.kind_of_row("vjp", 6) == "gauss"


def test_a_row_has_its_partners_tangent_for_the_hvp_and_its_own_for_the_jvp() -> None:
    batch = batch_of("gauss1", "binary32", 33, 3)
    assert np.array_equal(batch.vectors("jvp")["tangent"], batch.tangent)
    both = batch.vectors("hvp")
    assert np.array_equal(both["cotangent"], batch.cotangent)
    assert [batch.partner(row) for row in (0, 4, 5, 32)] == [1, 5, 7, 6]
    assert np.array_equal(both["tangent"][5], batch.tangent[7])
