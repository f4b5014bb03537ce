"""P17: every law holds for a sound softmax, and catches a fault that is planted for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from suites.driver.profiles import DEFAULT, profile_named
from suites.driver.tasks import Answer, Loss, Request, Task
from suites.implementations.call import AnyBits, Call, Evaluator
from suites.implementations.catalogue import CATALOGUE
from suites.laws import edge_cases, gradients, identities, independence, layouts, values, widths
from suites.laws.catalogue import LAWS, law_named
from suites.laws.evaluation import Evaluations
from suites.laws.inputs import Input
from suites.laws.law import Breach
from suites.laws.subjects import Subject
from suites.scoring.cell import evaluator_of
from suites.worker.evaluation import evaluate_array, evaluate_rows

pytest.importorskip("torch")

Fault = Callable[[Evaluator, Call], AnyBits]


class Planted(Evaluations):
    """Evaluations in this process, in which one implementation has a fault."""

    def __init__(self, name: str, fault: Fault) -> None:
        super().__init__("smoke", engine=self._answers)
        self._name, self._fault = name, fault

    def _answers(self, task: Task) -> list[Answer]:
        (request,) = task.requests
        sound = evaluator_of(CATALOGUE[request.implementation])
        planted = (lambda call: self._fault(sound, call)) if request.implementation == self._name else sound
        what = request.operation, request.quantity, task.format
        try:
            if request.axis is None:
                return [Answer(evaluate_rows(planted, *what, request.layout, task.logits, task.vectors))]
            return [Answer(evaluate_array(planted, Call(*what, request.axis, task.logits)))]
        except _Crash as crash:
            return [Answer(None, loss=Loss(str(crash), signal="SIGSEGV"))]
        except (ValueError, TypeError, IndexError, RuntimeError) as error:
            return [Answer(None, loss=Loss(str(error), refused=True))]


class _Crash(Exception):
    """Stands for a fault that ends the process."""


def _sound(evaluator: Evaluator, call: Call) -> AnyBits:
    return evaluator(call)


def _one_ulp_up(bits: AnyBits, where: Any) -> AnyBits:
    """The next pattern in some places of the result."""
    result = bits.copy()
    result[where] += np.array(1, bits.dtype)
    return result


class _Counts:
    """Another last digit every time."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, evaluator: Evaluator, call: Call) -> AnyBits:
        self.calls += 1
        return evaluator(call) ^ np.array(self.calls & 1, call.logits.dtype)


def _looks_aside(evaluator: Evaluator, call: Call) -> AnyBits:
    """A NaN anywhere spoils everything: one maximum for the whole batch."""
    result = evaluator(call)
    return np.full_like(result, 0x7FC00000) if np.isnan(_numbers(call)).any() else result


def _first_row_apart(evaluator: Evaluator, call: Call) -> AnyBits:
    return _one_ulp_up(evaluator(call), 0)


def _small_batches_apart(evaluator: Evaluator, call: Call) -> AnyBits:
    result = evaluator(call)
    return _one_ulp_up(result, ...) if call.logits.shape[0] == 1 else result


def _ignores_strides(evaluator: Evaluator, call: Call) -> AnyBits:
    """A transposed array is taken as if it were contiguous."""
    if call.logits.flags.c_contiguous or call.logits.ndim != 2:
        return evaluator(call)
    memory = np.ascontiguousarray(call.logits.T).reshape(call.logits.shape)
    return evaluator(replace(call, logits=memory))


def _off_along_columns(evaluator: Evaluator, call: Call) -> AnyBits:
    result = evaluator(call)
    return _tenth_more(result) if call.axis == 0 else result


def _off(evaluator: Evaluator, call: Call) -> AnyBits:
    return _tenth_more(evaluator(call))


def _tenth_more(bits: AnyBits) -> AnyBits:
    return (bits.view(np.float32) * np.float32(1.1)).view(bits.dtype)


def _adds_the_maximum(evaluator: Evaluator, call: Call) -> AnyBits:
    """x - (max + log(sum)), as is often written."""
    x = _numbers(call)
    top = x.max(axis=call.axis, keepdims=True)
    total = np.exp(x - top).sum(axis=call.axis, keepdims=True)
    return np.ascontiguousarray(x - (top + np.log(total))).view(call.logits.dtype)


def _forgets_the_last(evaluator: Evaluator, call: Call) -> AnyBits:
    """The sum ends one term too soon."""
    x = _numbers(call)
    with np.errstate(all="ignore"):
        e = np.exp(x - x.max(axis=call.axis, keepdims=True))
        result = e / np.delete(e, -1, call.axis).sum(axis=call.axis, keepdims=True)
    return np.ascontiguousarray(result).view(call.logits.dtype)


def _above_one(evaluator: Evaluator, call: Call) -> AnyBits:
    result = evaluator(call)
    return np.where(result == 0x3F800000, np.array(0x3F800001, result.dtype), result)


def _last_lane_apart(evaluator: Evaluator, call: Call) -> AnyBits:
    return _one_ulp_up(evaluator(call), np.s_[:, -1])


def _drops_nan(evaluator: Evaluator, call: Call) -> AnyBits:
    result = evaluator(call)
    return np.where(np.isnan(result.view(np.float32)), np.array(0, result.dtype), result)


def _flushes(evaluator: Evaluator, call: Call) -> AnyBits:
    result = evaluator(call)
    return np.where(result < 0x00800000, np.array(0, result.dtype), result)


def _never_quite_one(evaluator: Evaluator, call: Call) -> AnyBits:
    result = evaluator(call)
    return np.where(result == 0x3F800000, np.array(0x3F7FFFFF, result.dtype), result)


def _crashes_when_empty(evaluator: Evaluator, call: Call) -> AnyBits:
    if not call.logits.size:
        raise _Crash("no first element")
    return evaluator(call)


def _numbers(call: Call) -> Any:
    return call.logits.view(np.float32)


# law -> the fault, and of whom: implementation, operation, layout
FAULTS: dict[str, tuple[Fault, str, str, str]] = {
    "run to run": (_Counts(), "torch/eager", "softmax", "last"),
    "neighbours": (_looks_aside, "torch/eager", "softmax", "last"),
    "position": (_first_row_apart, "torch/eager", "softmax", "last"),
    "batch size": (_small_batches_apart, "torch/eager", "log_softmax", "last"),
    "memory": (_ignores_strides, "torch/eager", "softmax", "last"),
    "axis": (_off_along_columns, "torch/eager", "softmax", "inner"),
    "call": (_off, "torch/vmap", "softmax", "last"),
    "shift": (_adds_the_maximum, "torch/eager", "log_softmax", "last"),
    "permutation": (_forgets_the_last, "torch/eager", "softmax", "last"),
    "sign and range": (_above_one, "torch/eager", "softmax", "last"),
    "equal logits": (_last_lane_apart, "torch/eager", "softmax", "last"),
    "special values": (_drops_nan, "torch/eager", "softmax", "last"),
    "subnormal results": (_flushes, "torch/eager", "softmax", "last"),
    "one element": (_never_quite_one, "torch/eager", "softmax", "last"),
    "degenerate shapes": (_crashes_when_empty, "torch/eager", "softmax", "last"),
    "dtype argument": (_last_lane_apart, "torch/bfloat16-to-binary32", "softmax", "last"),
}


def _subject(law: str) -> Subject:
    _, name, operation, layout = FAULTS[law]
    return Subject(CATALOGUE[name], profile_named("torch", DEFAULT), operation, "forward", "binary32", layout)


def _breach(law: str, fault: Fault) -> Breach | None:
    subject = _subject(law)
    assert law_named(law).is_asked(subject)
    return law_named(law).check(subject, Planted(subject.implementation.name, fault))


@pytest.mark.parametrize("law", FAULTS)
def test_a_sound_softmax_keeps_the_law(law: str) -> None:
    assert _breach(law, _sound) is None


@pytest.mark.parametrize("law", FAULTS)
def test_a_planted_fault_breaks_the_law(law: str) -> None:
    breach = _breach(law, FAULTS[law][0])
    assert breach is not None
    assert breach.size > 1 or breach.unit == "ulp"
    assert breach.subject.startswith(f"{FAULTS[law][1]}/")
    assert breach.text.startswith(breach.subject)


def test_every_law_has_a_planted_fault() -> None:
    elsewhere = (*identities.LAWS, *gradients.LAWS, *widths.LAWS)  # in test_law_identities.py and test_widths.py
    here = (*independence.LAWS, *layouts.LAWS, *values.LAWS, *edge_cases.LAWS)
    assert [law.name for law in here] == list(FAULTS)
    assert {law.name for law in (*here, *elsewhere)} == {law.name for law in LAWS}


def test_a_breach_shows_the_bits_that_reproduce_it() -> None:
    breach = _breach("sign and range", _above_one)
    assert breach is not None
    assert "are not in [0, 1], 1.0000001192092896 at row 8" in breach.text
    assert "\n  logits 0x" in breach.text


# -- who is asked ------------------------------------------------------------------------------------------------------


def test_requests_of_workers_carry_what_they_need() -> None:
    asked: list[Task] = []

    def answer(task: Task) -> list[Answer]:
        asked.append(task)
        return [Answer(task.logits)]

    subject = _subject("run to run")
    given = Input(np.zeros((2, 3), np.uint32), {})
    on = Evaluations("smoke", engine=answer)
    assert np.array_equal(on.bits(subject, given), given.logits)
    assert on.bits(subject, given) is on.bits(subject, given)
    assert len(asked) == 1
    assert asked[0].requests == (Request("torch/eager", "softmax", "forward", "last"),)
