"""P1, P7, P8, P9 on any bits at all: Hypothesis draws rows and vectors, the oracle judges them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from references.formats import Bits, format_named
from references.verdict.ladder import at_least
from suites.driver.tasks import task_of
from suites.implementations.catalogue import CATALOGUE, Implementation
from suites.inputs import special, strategies
from suites.inputs.batch import Batch
from suites.plan.cell import Cell
from suites.plan.cells import PROFILE
from suites.scoring.cell import request_of, score
from suites.session import BelowRequired, Session, answer_of, failure_text
from suites.vocabulary import FORMATS

_IMPLEMENTATIONS = ("torch/eager", "jax/jit", "scipy", "numpy/shifted")

# JAX compiles each new shape, so the lengths are few; they straddle an unrolled loop of eight.
_LENGTHS = (1, 2, 3, 9)

_CASES = [
    pytest.param(name, operation, format, id=f"{name}-{operation}-{format}")
    for name in _IMPLEMENTATIONS
    for operation in CATALOGUE[name].calls
    for format in FORMATS
    if CATALOGUE[name].supports(operation, "forward", format)
]


def _implementation(session: Session, name: str) -> Implementation:
    implementation = session.by_name.get(name)
    if implementation is None:
        pytest.skip(f"{name} is not selected")
    cell = Cell(name, PROFILE, "softmax", "forward", "binary32", "last", "drawn", 1)
    reason = session.missing(cell)
    if reason:
        pytest.skip(reason)
    return implementation


def _judge(
    session: Session,
    implementation: Implementation,
    what: tuple[str, str],
    rows: Bits,
    vector: Bits,
    format: str,
) -> None:
    batch = Batch(format_named(format), "drawn", rows, vector, vector)
    cell = Cell(implementation.name, PROFILE, *what, format, "last", "drawn", rows.shape[1])
    answer = answer_of(cell.key, task_of(session.profile(cell), batch, (request_of(cell, implementation),)))
    assert answer.bits is not None
    introduction = session.introduction(cell)
    measurement = score(cell, implementation, batch, answer.bits, introduction=introduction, touched=answer.touched)
    if not at_least(measurement.judgement.verdict, "storage-stable"):
        raise BelowRequired(failure_text(measurement, "storage-stable"))


@pytest.mark.parametrize(("name", "operation", "format"), _CASES)
def test_any_row_is_evaluated_within_the_bound(session: Session, name: str, operation: str, format: str) -> None:
    implementation = _implementation(session, name)
    nothing = np.zeros((1, 1), format_named(format).bits_dtype)

    @given(st.sampled_from(_LENGTHS).flatmap(lambda n: strategies.rows(format_named(format), n)))
    def holds(rows: Bits) -> None:
        _judge(session, implementation, (operation, "forward"), rows, nothing, format)

    holds()


@pytest.mark.parametrize(("name", "operation", "format"), _CASES)
def test_any_row_with_nan_or_infinity_follows_the_contract(
    request: pytest.FixtureRequest, session: Session, name: str, operation: str, format: str
) -> None:
    implementation = _implementation(session, name)
    if name == "scipy" and operation == "log_softmax":
        pytest.skip("SciPy has its own contract for +inf: docs/special-values.md")
    defect = session.defect(Cell(name, PROFILE, operation, "forward", format, "last", special.FAMILY, 3))
    if defect and defect.law == "P7":
        # Whether one of a few drawn rows shows it is chance; that it is there, the test of the entry asserts.
        request.applymarker(pytest.mark.xfail(raises=AssertionError, reason=f"known: {defect.id}", strict=False))
    nothing = np.zeros((1, 1), format_named(format).bits_dtype)

    @given(st.sampled_from(_LENGTHS).flatmap(lambda n: strategies.special_rows(format_named(format), n)))
    def holds(rows: Bits) -> None:
        _judge(session, implementation, (operation, "forward"), rows, nothing, format)

    holds()


@pytest.mark.parametrize("quantity", ["vjp", "jvp"])
@pytest.mark.parametrize(("name", "operation", "format"), _CASES)
def test_any_gradient_is_within_the_bound(
    session: Session, name: str, operation: str, format: str, quantity: str
) -> None:
    implementation = _implementation(session, name)
    if not implementation.supports(operation, quantity, format):
        pytest.skip(f"{name} has no {quantity}")
    kind = format_named(format)

    @given(
        st.sampled_from(_LENGTHS).flatmap(lambda n: st.tuples(strategies.rows(kind, n), strategies.vectors(kind, n)))
    )
    def holds(drawn: tuple[Bits, Bits]) -> None:
        _judge(session, implementation, (operation, quantity), *drawn, format)

    holds()
