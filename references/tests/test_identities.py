"""The identities, held against algorithms whose every operation is rounded exactly: no bound exceeded, none idle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from references.bounds.exact_rows import ExactRows
from references.formats import BFLOAT16, BINARY32, Floats
from references.functions import Function
from references.laws.case import Case
from references.laws.gradients import GRADIENTS
from references.laws.identity import Evaluate, Identity
from references.laws.values import VALUES
from references.tests.algorithms import ALGORITHMS
from references.tests.batches import rows_of
from references.tests.emulated import Machine
from references.tests.settings import FLUSHING, SETTINGS, TRIED, Setting

IDENTITIES = (*VALUES, *GRADIENTS)

Formulas = dict[Function, Callable[..., Floats]]

# Every formula of a function takes its turn: the first of each, the second of each where there is one, and so on.
_VARIANTS = 3


def formulas(variant: int) -> Formulas:
    """A formula for each function, of those whose bound decides a verdict."""
    found: dict[Function, list[Callable[..., Floats]]] = {}
    for algorithm in ALGORITHMS.values():
        if algorithm.limit is None:
            found.setdefault(algorithm.function, []).append(algorithm.formula)
    return {function: own[variant % len(own)] for function, own in found.items()}


def evaluator(machine: Machine, own: Formulas) -> Evaluate:
    def evaluate(function: Function, case: Case) -> Floats:
        with np.errstate(all="ignore"):
            return machine.stored(own[function](machine, case.logits, *case.vectors(function).values()))

    return evaluate


def case_of(setting: Setting, n: int, scale: float = 1.0) -> Case:
    rows = rows_of(setting.machine.output, n, scale)
    return Case(rows, setting.arithmetic)


@cache
def _cases(name: str, n: int, flushing: bool) -> Case:
    return case_of((FLUSHING if flushing else SETTINGS)[name], n)


@cache
def worst_of(name: str, identity: Identity, flushing: bool = False) -> float:
    setting, largest = (FLUSHING if flushing else SETTINGS)[name], 0.0
    for n in (2, 33):
        case = _cases(name, n, flushing)
        for variant in range(_VARIANTS):
            # A reciprocal that is stored is one narrow rounding more than the storage bound has.
            own = formulas(0 if variant and name.endswith("sums") else variant)
            for order, push in TRIED[1::2]:
                machine = replace(setting.machine, order=order, push=push)
                largest = max(largest, float(identity.of(case, evaluator(machine, own)).ratio().max()))
    return largest


each_identity = pytest.mark.parametrize("identity", IDENTITIES, ids=lambda i: f"{i.code}: {i.name}")


@each_identity
@pytest.mark.parametrize("setting", SETTINGS)
def test_sound_algorithms_keep_every_identity_within_its_bound(setting: str, identity: Identity) -> None:
    assert worst_of(setting, identity) <= 1


@each_identity
@pytest.mark.parametrize("setting", FLUSHING)
def test_a_platform_that_flushes_keeps_every_identity(setting: str, identity: Identity) -> None:
    assert worst_of(setting, identity, flushing=True) <= 1


_BOUNDED = [identity for identity in IDENTITIES if identity.allows]


@pytest.mark.parametrize("identity", _BOUNDED, ids=lambda i: f"{i.code}: {i.name}")
def test_no_identity_is_granted_twenty_times_what_it_needs(identity: Identity) -> None:
    reached = {name: worst_of(name, identity) for name in SETTINGS}
    assert max(reached["binary64"], reached["binary32"]) >= 0.05
    assert max(reached.values()) >= 0.2


# -- faults ------------------------------------------------------------------------------------------------------------


class Forgetful(Machine):
    """A machine whose sums leave out the last term, as a loop that stops early does."""

    def sum(self, a: Floats) -> Floats:
        return super().sum(a[:, :-1])


@pytest.mark.parametrize(
    "identity", [i for i in IDENTITIES if i.code not in ("L7", "L11")], ids=lambda i: f"{i.code}: {i.name}"
)
def test_sums_that_leave_a_term_out_break_an_identity(identity: Identity) -> None:
    """Of an identity between the operations, in one of them: together they would agree."""
    sound, broken = (
        evaluator(kind(BINARY32, BINARY32, BINARY32, BINARY32), formulas(0)) for kind in (Machine, Forgetful)
    )
    operations = {operation for operation, _ in identity.needs}

    def evaluate(function: Function, case: Case) -> Floats:
        return (broken if len(operations) == 1 or function.operation == "softmax" else sound)(function, case)

    assert identity.of(_cases("binary32", 33, False), evaluate).ratio().max() > 1000


def named(name: str) -> Identity:
    return next(identity for identity in IDENTITIES if identity.name == name)


@pytest.mark.parametrize("operation", ["softmax", "log_softmax"])
def test_a_jvp_that_sums_less_than_the_vjp_is_not_its_transpose(operation: str) -> None:
    sound, broken = (
        evaluator(kind(BINARY32, BINARY32, BINARY32, BINARY32), formulas(0)) for kind in (Machine, Forgetful)
    )

    def mixed(function: Function, case: Case) -> Floats:
        return (broken if function.quantity == "jvp" else sound)(function, case)

    found = named(f"{operation} duality").of(_cases("binary32", 33, False), mixed)
    assert found.ratio().max() > 1000


def test_an_exp_that_errs_by_ten_ulps_inverts_more_of_a_softmax_than_three_explain() -> None:
    machine = Machine(BINARY32, BINARY32, BINARY32, BINARY32, push=10.0)
    found = named("softmax order").of(_cases("binary32", 33, False), evaluator(machine, formulas(0)))
    assert 1 < found.ratio().max() < 4


def test_one_ulp_between_equal_logits_is_an_inversion_of_a_log_softmax() -> None:
    sound = evaluator(Machine(BINARY32, BINARY32, BINARY32, BINARY32), formulas(0))
    rows = ExactRows(BINARY32, np.zeros((1, 9)), np.ones((1, 9)), np.ones((1, 9)))
    case = Case(rows, SETTINGS["binary32"].arithmetic)

    def uneven(function: Function, case: Case) -> Floats:
        values = sound(function, case).copy()
        values[0, -1] = np.nextafter(np.float32(values[0, -1]), np.float32(0))
        return values

    order = named("log_softmax order")
    assert order.of(case, sound).ratio().max() == 0
    assert order.of(case, uneven).ratio()[0].tolist() == [np.inf] * 8 + [0.0]


def test_the_quotient_is_what_makes_a_softmax_sum_to_one() -> None:
    """exp of log_softmax is off by u |l|, each element by its own."""
    own = {**formulas(0), Function("softmax", "forward"): ALGORITHMS["exp of log_softmax"].formula}
    machine = Machine(BFLOAT16, BINARY32, BINARY32, BINARY32)
    narrow = replace(machine, output=BFLOAT16, elementwise=BFLOAT16)
    case = case_of(SETTINGS["bfloat16, computed in binary32"], 400)
    assert named("softmax sum").of(case, evaluator(machine, formulas(0))).ratio().max() <= 1
    assert named("softmax sum").of(case, evaluator(narrow, own)).ratio().max() > 3


def test_a_result_that_is_no_number_breaks_every_identity() -> None:
    case = case_of(SETTINGS["binary32"], 3)

    def nothing(function: Function, case: Case) -> Floats:
        return np.full_like(case.logits, np.nan)

    for identity in IDENTITIES:
        assert identity.of(case, nothing).ratio().max() == np.inf, identity.name
