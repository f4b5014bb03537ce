"""When two results are promised the same bits: where both take the same code, as the registry of paths knows it."""

from __future__ import annotations

from collections.abc import Iterable

from suites.laws.evaluation import Evaluations
from suites.laws.subjects import Subject
from suites.paths.places import SomeElements
from suites.paths.taken import Step

# Sums that serve any tensor: the order of a row's terms depends on the sizes and strides of the whole array.
_GENERAL_SUMS = ("cascade", "library")

# Bounds of algorithms that add the maximum to a logarithm, or don't subtract it: docs/theory.md 5.3.
_OF_THE_LOGITS = {"B3", "B7"}

Evaluated = tuple[Subject, tuple[int, int]]


def same_code(on: Evaluations, one: Evaluated, *others: Evaluated) -> bool:
    """Whether every row takes the same code in some evaluations, each a subject and (rows, n).

    False for a function whose kernels the registry doesn't know, and where code is made for each function and shape and
    these differ.
    """
    steps = on.steps(*one)
    if not _are_known(steps) or _divides_rows(steps) or _sums_by_shape(steps, one[0].layout):
        return False
    for subject, shape in others:
        made_for = subject.implementation.name, shape, subject.layout
        other_code = subject.compiles and made_for != (one[0].implementation.name, one[1], one[0].layout)
        if other_code or _codes(on.steps(subject, shape)) != _codes(steps):
            return False
    return all(not _sums_by_shape(steps, subject.layout) for subject, _ in others)


def one_code_along_a_row(on: Evaluations, subject: Subject, shape: tuple[int, int]) -> bool:
    """Whether every element of each row takes the same code."""
    steps = on.steps(subject, shape)
    return bool(steps) and not _divides_elements(steps)


def takes_differences(on: Evaluations, subject: Subject, shape: tuple[int, int]) -> bool:
    """Whether the registry knows the algorithm by the bound of one that is a function of x - max x."""
    bounds = {name for step in on.steps(subject, shape) for name in step.path.bound}
    return bool(bounds) and not bounds & _OF_THE_LOGITS


def _divides_rows(steps: Iterable[Step]) -> bool:
    """Whether some rows take other code than the rest: those that fill a vector register, and those left over."""
    return any(step.rows is not None and not step.rows.are_all for step in steps)


def _divides_elements(steps: Iterable[Step]) -> bool:
    return any(step.elements is not None and not step.elements.are_all for step in steps)


def _are_known(steps: Iterable[Step]) -> bool:
    """Whether the registry knows the order of a sum that is taken; what it knows by name alone may be many kernels."""
    return any(step.path.order for step in steps)


def _codes(steps: Iterable[Step]) -> tuple[tuple[str, SomeElements | None], ...]:
    return tuple((step.path.id, step.elements) for step in steps if not step.path.hands_on)


def _sums_by_shape(steps: Iterable[Step], layout: str) -> bool:
    return layout != "last" and any(step.path.order in _GENERAL_SUMS for step in steps)
