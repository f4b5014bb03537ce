"""Attribution: the parts are those of the bound, and an error with one source is found in the part of that source."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from references.bounds.error_model import Arithmetic, compute_arithmetic, storage_arithmetic
from references.bounds.exact_rows import ExactRows
from references.bounds.of_function import Stages, bound_of_route, routes_of
from references.bounds.summation_depth import gamma
from references.bulk.exact_pairs import Reference
from references.formats import BFLOAT16, BINARY32, BINARY64, FLOAT8_E4M3FN, Floats, Format
from references.functions import Function
from references.tests.algorithms import ALGORITHMS
from references.tests.batches import Rows, rows_of
from references.tests.emulated import Planted
from references.verdict.attribution import EXCESS, attribution, described, least_shares, names_of, parts_of, stages_of
from references.verdict.errors import errors_of
from references.vocabulary import OPERATIONS, QUANTITIES

U = BINARY32.unit_roundoff

both = pytest.mark.parametrize("operation", OPERATIONS)
every = pytest.mark.parametrize("quantity", QUANTITIES)


# -- the parts of a bound ----------------------------------------------------------------------------------------------


@both
@every
@pytest.mark.parametrize("format", [BINARY64, BINARY32, BFLOAT16], ids=lambda f: str(f.name))
def test_the_parts_add_up_to_the_bound_and_none_is_negative(format: Format, operation: str, quantity: str) -> None:
    for n in (1, 33):
        rows = rows_of(format, n)
        for arithmetic in (compute_arithmetic(format, n), storage_arithmetic(format, n, flushes=True)):
            limit, judged = rows.bound(Function(operation, quantity), arithmetic)
            parts = parts_of(Function(operation, quantity), rows, arithmetic)
            assert sum(parts.values()) == pytest.approx(limit, rel=1e-12, nan_ok=True)
            assert all((part[judged] >= 0).all() for part in parts.values())


@both
@every
def test_no_part_is_less_than_the_bound_with_its_source_alone(operation: str, quantity: str) -> None:
    """Sources make each other worse, never better; where two algorithms share a bound, the parts are of the worse."""
    rows, arithmetic = rows_of(BFLOAT16, 33), compute_arithmetic(BFLOAT16, 33)
    function = Function(operation, quantity)
    exact = rows.exact(function)
    limit = rows.bound(Function(operation, quantity), arithmetic)[0]
    parts = parts_of(Function(operation, quantity), rows, arithmetic)
    for route in routes_of(Function(operation, quantity)):

        def in_stages(stages: Stages, route: str = route) -> Floats:
            return bound_of_route(route, function, rows, exact, stages)

        worse = in_stages(Stages(arithmetic, arithmetic)) == limit
        for name in names_of(route, quantity):
            alone = in_stages(stages_of(arithmetic, frozenset([name])))
            assert (parts[name] + 1e-12 * limit >= alone)[worse].all(), name


# -- one source of error -----------------------------------------------------------------------------------------------


def _absolute_errors(computed: Floats, exact: Reference) -> Floats:
    shift = np.clip(exact.exponent, -4000, 4000).astype(np.int32)
    with np.errstate(invalid="ignore"):
        error = np.abs((computed - np.ldexp(exact.hi, shift)) - np.ldexp(exact.lo, shift))
    return np.where(np.isfinite(exact.hi), error, 0.0)


FORWARD_SOURCES = {
    "a quotient": ("shift", "exp", "sum", "division"),
    "(x - max) - log S": ("shift", "exp", "sum", "log", "difference"),
}
GRADIENT_SOURCES = {
    name: (*FORWARD_SOURCES[forward], "kernel")
    for name, forward in {
        "s (g - <g, s>)": "a quotient",
        "s (q - <q, s>)": "a quotient",
        "g - s G": "(x - max) - log S",
    }.items()
}
PLANTED = [(name, source) for name, sources in (FORWARD_SOURCES | GRADIENT_SOURCES).items() for source in sources]


@pytest.mark.parametrize(("name", "source"), PLANTED)
def test_an_error_with_one_source_stays_within_its_part_and_is_no_small_one(name: str, source: str) -> None:
    """Everything else is done in binary64, of which nothing is seen in binary32."""
    algorithm, reached = ALGORITHMS[name], 0.0
    for n in (3, 33, 400):
        rows, arithmetic = rows_of(BINARY32, n), compute_arithmetic(BINARY32, n)
        parts = parts_of(algorithm.function, rows, arithmetic)
        limit = np.asarray(sum(parts.values()))
        for push in (0.0, 2.0):
            machine = Planted(BINARY32, BINARY64, BINARY64, BINARY64, push=push, source=source, coarse=BINARY32)
            computed = algorithm.formula(machine, rows.logits, *rows.vectors(algorithm.function).values())
            errors = _absolute_errors(computed, rows.reference(algorithm.function))
            assert (errors <= parts[source] + 2.0**-20 * limit).all()
            weighty = parts[source] > 2.0**-12 * limit
            reached = max(reached, float((errors / np.where(weighty, parts[source], np.inf)).max()))
    assert reached >= (0.5 if algorithm.quantity == "forward" else 0.3)


@pytest.mark.parametrize("source", ["saved output", "output rounding"])
@pytest.mark.parametrize("name", ["s (g - <g, s>)", "s (q - <q, s>)", "g - s G"])
def test_a_rounding_to_the_narrow_format_stays_within_its_part_and_is_no_small_one(name: str, source: str) -> None:
    algorithm, rows = ALGORITHMS[name], rows_of(BFLOAT16, 33)
    parts = parts_of(algorithm.function, rows, compute_arithmetic(BFLOAT16, 33))
    limit = np.asarray(sum(parts.values()))
    machine = Planted(BFLOAT16, BINARY64, BINARY64, BINARY64, source=source)
    computed = machine.stored(algorithm.formula(machine, rows.logits, *rows.vectors(algorithm.function).values()))
    errors = _absolute_errors(computed, rows.reference(algorithm.function))
    assert (errors <= parts[source] + 2.0**-40 * limit).all()
    assert (errors >= 0.4 * parts[source])[parts[source] > 2.0**-12 * limit].any()


def _coarse(source: str, n: int) -> Arithmetic:
    """The binary32 arithmetic whose errors of one source are those of bfloat16."""
    arithmetic, u = compute_arithmetic(BINARY32, n), BFLOAT16.unit_roundoff
    changes: dict[str, dict[str, Any]] = {
        "shift": {"grid": BFLOAT16},
        "exp": {"exp": 6 * u},
        "sum": {"sum": gamma(n - 1, u), "stored_sum": u},
        "log": {"log": 6 * u},
        "division": {"unit": u},
        "difference": {"unit": u},
    }
    return replace(arithmetic, **changes[source])


@pytest.mark.parametrize(("name", "source"), [(n, s) for n, sources in FORWARD_SOURCES.items() for s in sources])
def test_one_coarse_operation_among_fine_ones_is_named(name: str, source: str) -> None:
    """Where it matters, what is certain of an error is certain of it; of some error, that is nearly all."""
    algorithm, n = ALGORITHMS[name], 9
    rows = rows_of(BINARY32, n)
    parts = parts_of(algorithm.function, rows, _coarse(source, n))
    machine = Planted(BINARY32, BINARY32, BINARY32, BINARY32, push=2.0, source=source, coarse=BFLOAT16)
    errors = _absolute_errors(algorithm.formula(machine, rows.logits), rows.reference(algorithm.function))
    certain = []
    for place in np.argwhere(parts[source] > 0.99 * np.asarray(sum(parts.values()))).tolist():
        own, error = {part: float(values[tuple(place)]) for part, values in parts.items()}, float(errors[tuple(place)])
        shares = least_shares(own, error)
        if shares:
            assert max(shares, key=lambda part: shares[part]) == source
            certain.append(shares[source] / error)
    assert max(certain) > 0.95


# -- an element's attribution ------------------------------------------------------------------------------------------


def _attributed(rows: Rows, operation: str, computed: Floats, place: tuple[int, int]) -> dict[str, float] | None:
    quantity = "forward"
    errors = errors_of(
        rows.format.encode(computed),
        rows.reference(Function(operation, quantity)),
        rows.format,
        function=Function(operation, quantity),
        zero_by_rule=np.zeros(computed.shape, bool),
    )
    return attribution(Function(operation, quantity), rows, errors, place)


S1, S2 = 1 / (1 + math.exp(-1)), 1 / (1 + math.exp(1))
TWO = Rows(BINARY32, np.array([[0.0, -1.0]]), np.array([[1.0, 0.0]]))


def test_the_parts_of_two_logits_by_hand() -> None:
    """s2 = 0.269, its ulp is u / 2; exp -1 is off by 6u, alone and in the sum, of depth 5, and there is a quotient."""
    found = _attributed(TWO, "softmax", np.array([[S1, S2]]).astype(np.float32).astype(np.float64), (0, 1))
    assert found is not None
    ulp = U / 2
    expected = {
        "shift": 0.0,
        "exp": S2 * (6 * U + 6 * U * S2) / ulp,
        "sum": S2 * 5 * U / ulp,
        "division": S2 * U / ulp,
        "output rounding": 0.0,
        "excess": 0.0,
    }
    assert found == pytest.approx(expected, rel=1e-5)


def test_what_is_beyond_all_parts_is_the_excess() -> None:
    """100 ulps more than the nearest number; the parts come to 7.4."""
    near = np.array([[S1, S2]]).astype(np.float32).astype(np.float64)
    far = near + np.array([[0.0, 100 * U / 2]])
    found = _attributed(TWO, "softmax", far, (0, 1))
    assert found is not None
    assert found[EXCESS] == pytest.approx(100 - 2 * S2 * (12 + 6 * S2), abs=0.5)


def test_a_narrow_result_has_the_rounding_of_its_output_for_the_largest_part() -> None:
    rows = Rows(BFLOAT16, np.array([[0.0, -1.0]]), np.zeros((1, 2)))
    found = _attributed(rows, "softmax", np.array([[0.75, 0.265625]]), (0, 0))
    assert found is not None
    assert found["output rounding"] == 0.5
    assert sum(found.values()) - found[EXCESS] == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize(
    ("computed", "operation", "logits"),
    [(math.nan, "softmax", [0.0, -1.0]), (-3.0, "log_softmax", [0.0, -math.inf])],
    ids=["NaN for a number", "a number for -inf"],
)
def test_an_error_that_is_no_number_is_not_attributed(computed: float, operation: str, logits: list[float]) -> None:
    rows = Rows(BINARY32, np.array([logits]), np.zeros((1, 2)))
    assert _attributed(rows, operation, np.array([[0.0, computed]]), (0, 1)) is None


def test_without_a_bound_nothing_is_attributed() -> None:
    """1/2048 is half the half of the smallest number of the format: zeros would pass."""
    rows = Rows(FLOAT8_E4M3FN, np.zeros((1, 2048)), np.zeros((1, 2048)))
    assert _attributed(rows, "softmax", np.zeros((1, 2048)), (0, 0)) is None


def test_an_attribution_of_a_gradient_needs_its_vectors() -> None:
    function, none = Function("softmax", "vjp"), np.zeros((1, 2), bool)
    zeros = BINARY32.encode(np.zeros((1, 2)))
    errors = errors_of(zeros, TWO.reference(function), BINARY32, function=function, zero_by_rule=none)
    with pytest.raises(ValueError, match="vjp needs a cotangent"):
        attribution(function, ExactRows(BINARY32, TWO.logits), errors, (0, 0))


def test_the_least_shares_by_hand() -> None:
    """Of 9 ulps the sum, at most 4, leaves 5 to the shift; of 3 nothing is certain; beyond the bound each is full."""
    parts = {"shift": 6.0, "sum": 4.0, EXCESS: 0.0}
    assert least_shares(parts, 9.0) == {"shift": 5.0, "sum": 3.0}
    assert least_shares(parts, 5.0) == {"shift": 1.0}
    assert least_shares(parts, 3.0) == {}
    assert least_shares(parts, 50.0) == {"shift": 6.0, "sum": 4.0}


def test_an_attribution_in_words_names_the_weighty_parts_and_what_is_certain() -> None:
    parts = {"shift": 64.0, "exp": 4.125, "sum": 0.5, EXCESS: 0.0}
    assert described(parts, 50.0) == "68.6 ulp allowed: shift 64, exp 4.12; at least 45.4 ulp from shift"
    assert described(parts, 3.0) == "68.6 ulp allowed: shift 64, exp 4.12"
    assert described(parts | {EXCESS: 12345.0}, 12413.6) == (
        "68.6 ulp allowed: shift 64, exp 4.12; 1.23e4 ulp more than that"
    )
