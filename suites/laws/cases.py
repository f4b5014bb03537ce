"""The mixed rows as a case of the references' identities, and a subject's results for it as numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import numpy as np

from references.bounds.error_model import Arithmetic, compute_arithmetic, storage_arithmetic
from references.bounds.exact_rows import ExactRows
from references.formats import Floats, Format, compute_format
from references.functions import Function
from references.laws.case import Case
from references.laws.identity import Difference, Evaluate, Identity
from suites.laws.comparing import beyond
from suites.laws.evaluation import Evaluations
from suites.laws.inputs import Input, lengths_of, mixed
from suites.laws.law import BITWISE, WITHIN, Breach, Law, worst
from suites.laws.subjects import Subject


@lru_cache(maxsize=16)
def case_of(format_name: str, n: int, flushes: bool) -> Case:
    """The mixed rows, whose tangents are those of the hvp, in the arithmetic that the required verdict allows."""
    batch = mixed(format_name, n)
    decode = batch.format.decode
    rows = ExactRows(batch.format, batch.values, decode(batch.cotangent), decode(batch.partners))
    return Case(rows, _allowed(flushes))


def _allowed(flushes: bool) -> Callable[[Format, int], Arithmetic]:
    """A narrow format may have its results stored on the way (docs/theory.md 5.5)."""

    def arithmetic(format: Format, n: int) -> Arithmetic:
        make = compute_arithmetic if compute_format(format) is format else storage_arithmetic
        return make(format, n, flushes=flushes)

    return arithmetic


def evaluate_of(subject: Subject, on: Evaluations) -> Evaluate:
    """The subject's implementation on any function of a case.  Raises what ``on.bits`` raises."""

    def evaluate(function: Function, case: Case) -> Floats:
        other = replace(subject, operation=function.operation, quantity=function.quantity)
        return case.format.decode(on.bits(other, input_of_case(case, function)))

    return evaluate


def input_of_case(case: Case, function: Function) -> Input:
    return Input(*case.bits(function))


def law_of(identity: Identity, code: str) -> Law:
    """An identity as a law of every implementation that has the functions it needs.

    It is asked of the last of them; the others are evaluated beside it.
    """

    def check(subject: Subject, on: Evaluations) -> Breach | None:
        return worst([_broken(identity, subject, on, n) for n in lengths_of(subject, on.tier)])

    def asked_of(subject: Subject) -> bool:
        supports = subject.implementation.supports
        here = subject.function == identity.needs[-1]
        return here and all(supports(*function, subject.format_name) for function in identity.needs)

    bound = f"{identity.code} (docs/theory.md 11)"
    if identity.otherwise:
        bound += f", or L6 of an algorithm that is not known to be that of {identity.algorithm}"
    promise = "exact results keep it, and computed ones are within their bounds"
    if not identity.allows:
        return Law(identity.name, code, identity.says, BITWISE, "monotone operations", check, asked_of=asked_of)
    return Law(identity.name, code, identity.says, WITHIN, promise, check, bound, asked_of)


def _broken(identity: Identity, subject: Subject, on: Evaluations, n: int) -> Breach | None:
    case = case_of(subject.format_name, n, on.flushes(subject))
    of = identity.of
    if identity.otherwise and not _has(subject, on, case, identity.algorithm):
        of = identity.otherwise
    found: Difference = of(case, evaluate_of(subject, on))
    allowed = np.where(np.isfinite(found.bound), found.bound, np.inf)
    zero = np.zeros_like(found.residual)
    given = input_of_case(case, subject.function)
    return beyond(subject, given, found.residual, zero, allowed, identity.says)


def _has(subject: Subject, on: Evaluations, case: Case, bound: str) -> bool:
    """Whether the registry of paths knows an algorithm by this bound among those that run."""
    rows, n = case.logits.shape
    return any(bound in step.path.bound for step in on.steps(subject, (rows, n)))
