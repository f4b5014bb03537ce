"""Every law of sums, order, identities and gradients holds for sound results and catches faults that are planted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from references.formats import Bits, Floats
from suites.driver.profiles import DEFAULT, profile_named
from suites.implementations.catalogue import CATALOGUE
from suites.laws import gradients, identities
from suites.laws.evaluation import Evaluations
from suites.laws.inputs import Input
from suites.laws.law import Law
from suites.laws.subjects import Subject
from suites.paths.taken import Step

pytest.importorskip("torch")

LAWS = (*identities.LAWS, *gradients.LAWS)
EAGER = CATALOGUE["torch/eager"]


def subjects(law: Law, format: str) -> list[Subject]:
    """Whatever of torch/eager along the last axis the law is asked of."""
    profile = profile_named("torch", DEFAULT)
    every = [
        Subject(EAGER, profile, operation, quantity, format, "last")
        for operation in EAGER.calls
        for quantity in EAGER.quantities
    ]
    return [subject for subject in every if law.asked_of(subject)]


class Faulty(Evaluations):
    """Evaluations whose results for one subject are spoilt."""

    def __init__(self, spoilt: Subject, fault: Callable[[Floats], Floats]) -> None:
        super().__init__("smoke")
        self._spoilt, self._fault = spoilt.key, fault

    def fresh(self, subject: Subject, given: Input) -> Bits:
        bits = super().fresh(subject, given)
        if subject.key != self._spoilt:
            return bits
        return subject.format.round_floats(self._fault(subject.format.decode(bits)))


def positive_ones_larger(values: Floats) -> Floats:
    return np.where(values > 0, 1.01, 1.0) * values


def farther_from_zero(values: Floats) -> Floats:
    return 1.01 * values


def first_halved(values: Floats) -> Floats:
    return np.where(np.arange(values.shape[1]), 1.0, 0.5) * values


def no_zeros(values: Floats) -> Floats:
    return np.where(values == 0, 1e-30, values)


def fault_of(law: Law, subject: Subject) -> Callable[[Floats], Floats]:
    if law.name == "zero vector":
        return no_zeros
    if "order" in law.name:
        return first_halved
    return farther_from_zero if subject.quantity == "forward" else positive_ones_larger


each_law = pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)


@each_law
@pytest.mark.parametrize("format", ["binary32", "bfloat16"])
def test_sound_results_keep_the_law(law: Law, format: str) -> None:
    chosen = subjects(law, format)
    assert chosen
    for subject in chosen:
        assert law.check(subject, Evaluations("smoke")) is None


@each_law
def test_a_planted_fault_breaks_the_law_and_is_reported_with_its_bits(law: Law) -> None:
    for subject in subjects(law, "binary32"):
        breach = law.check(subject, Faulty(subject, fault_of(law, subject)))
        assert breach is not None
        assert breach.size > 1
        assert breach.subject == subject.key
        assert "  logits 0x" in breach.text


@each_law
def test_nothing_but_nan_breaks_the_law(law: Law) -> None:
    """Except that minus NaN is NaN."""
    for subject in subjects(law, "binary32"):
        breach = law.check(subject, Faulty(subject, lambda values: np.full_like(values, np.nan)))
        assert (breach is None) == (law.name == "negated vector")


def test_an_implementation_that_lacks_a_function_is_not_asked() -> None:
    values_only = replace(EAGER, quantities=("forward",))
    profile = profile_named("torch", DEFAULT)
    subject = Subject(values_only, profile, "softmax", "forward", "binary32", "last")
    assert [law.name for law in LAWS if law.asked_of(subject)] == [
        "softmax sum",
        "softmax order",
        "merged softmax",
    ]


class Unknown(Faulty):
    """Evaluations of a function whose algorithm the registry of paths doesn't know."""

    def steps(self, subject: Subject, shape: tuple[int, int]) -> tuple[Step, ...]:
        return ()


def test_an_algorithm_that_is_not_known_is_judged_by_the_bounds_of_its_elements() -> None:
    """They are wider: a sum alone is allowed less than its elements are together."""
    law = next(law for law in LAWS if law.name == "softmax sum")
    (subject,) = subjects(law, "binary32")
    known, unknown = (law.check(subject, kind(subject, farther_from_zero)) for kind in (Faulty, Unknown))
    assert known is not None
    assert unknown is not None
    assert known.size > unknown.size > 1000
