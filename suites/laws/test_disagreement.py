"""P1: where two implementations differ, the oracle names who is right."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from references.formats import format_named
from references.functions import Function
from references.verdict.errors import errors_of
from suites.driver.profiles import profile_named
from suites.driver.tasks import task_of
from suites.implementations.catalogue import CATALOGUE
from suites.inputs.batch import batch_of
from suites.plan.cell import Cell
from suites.plan.cells import PROFILE, rows_of
from suites.scoring.cell import request_of
from suites.scoring.certified_batch import exact_of
from suites.session import Session, answer_of

_PEERS = ("torch/eager", "jax/jit", "scipy", "numpy/shifted")


@pytest.mark.parametrize("family", ["gauss1", "dominant", "geometric"])
@pytest.mark.parametrize("format_name", ["binary64", "binary32"])
@pytest.mark.parametrize("operation", ["softmax", "log_softmax"])
def test_each_disagreement_has_a_side_that_is_nearer_to_the_truth(
    session: Session, operation: str, format_name: str, family: str
) -> None:
    n = 33
    batch = batch_of(family, format_name, rows_of(family, n), n)
    reference = exact_of(batch).reference(Function(operation, "forward"))
    nothing = np.zeros(batch.logits.shape, bool)
    outputs = {}
    for name in _PEERS:
        implementation = CATALOGUE[name]
        profile = profile_named(implementation.framework, PROFILE)
        if session.introductions.missing(profile) is None:
            cell = Cell(name, PROFILE, operation, "forward", format_name, "last", family, n)
            bits = answer_of(cell.key, task_of(profile, batch, (request_of(cell, implementation),))).bits
            assert bits is not None
            errors = errors_of(
                bits,
                reference,
                format_named(format_name),
                function=Function(operation, "forward"),
                zero_by_rule=nothing,
            )
            outputs[name] = bits, errors
    assert len(outputs) >= 1, "no implementation is installed"
    for (one, (a, a_errors)), (other, (b, b_errors)) in itertools.combinations(outputs.items(), 2):
        for row, column in np.argwhere(a != b).tolist():
            error, rival = a_errors.ulps[row, column], b_errors.ulps[row, column]
            right = one if error < rival else other
            # Two numbers that differ by an ulp or more can't both be within half an ulp of the truth.
            assert max(error, rival) >= 0.5 or float(batch.format.decode(a[row, column : column + 1])[0]) == 0.0, (
                f"{one} and {other} differ at row {row}, element {column} of {operation} {format_name} {family}, "
                f"and both claim to be right ({error} and {rival} ulp); {right} is nearer"
            )
            assert not (a_errors.rounded[row, column] and b_errors.rounded[row, column] and error != rival)
