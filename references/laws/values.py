"""The identities that values of softmax and log_softmax keep: L2, L3 and L7 to L9 of docs/theory.md, section 11."""

from __future__ import annotations

import numpy as np

from references.formats import Floats
from references.functions import Function
from references.ieee import doubledouble as dd
from references.laws import bounds
from references.laws.case import Case
from references.laws.identity import Difference, Evaluate, Identity, any_sum
from references.laws.residuals import difference, exponential, inversions, off_from, pair, sum_of
from references.vocabulary import OPERATIONS

_S, _L = (Function(operation, "forward") for operation in OPERATIONS)


def _softmax_sum(case: Case, evaluate: Evaluate) -> Difference:
    total = sum_of(pair(evaluate(_S, case)))
    return Difference(off_from(total, 1.0), bounds.softmax_sum_bound(case.shifted, case.format, case.arithmetic))


def _log_softmax_sum(case: Case, evaluate: Evaluate) -> Difference:
    total = sum_of(exponential(evaluate(_L, case)))
    return Difference(off_from(total, 1.0), bounds.log_softmax_sum_bound(case.shifted, case.limit(_L)))


def _softmax_order(case: Case, evaluate: Evaluate) -> Difference:
    computed = evaluate(_S, case)
    return Difference(inversions(case.logits, computed), bounds.order_bound(case.shifted, case.format, case.arithmetic))


def _log_softmax_order(case: Case, evaluate: Evaluate) -> Difference:
    residual = inversions(case.logits, evaluate(_L, case))
    return Difference(residual, np.zeros_like(residual))


def _exp(case: Case, evaluate: Evaluate) -> Difference:
    softmax, log_softmax = (evaluate(Function(operation, "forward"), case) for operation in OPERATIONS)
    limits = (case.limit(Function(operation, "forward")) for operation in OPERATIONS)
    return Difference(
        difference(exponential(log_softmax), pair(softmax)), bounds.exp_identity_bound(case.shifted, *limits)
    )


def _halves(case: Case) -> list[slice]:
    half = -(-case.logits.shape[-1] // 2)
    return [part for part in (slice(0, half), slice(half, None)) if case.logits[:, part].size]


def _merged_softmax(case: Case, evaluate: Evaluate) -> Difference:
    whole, limit = evaluate(_S, case), case.limit(_S)
    residuals, limits = [], []
    for columns in _halves(case):
        part, there = case.part(columns), case.has_part(columns)
        own = evaluate(_S, part)
        weight = sum_of(pair(whole[:, columns]))
        scaled = dd.multiply(pair(own), weight)
        residuals.append(np.where(there, difference(scaled, pair(whole[:, columns])), 0.0))
        exact = case.shifted.s[:, columns].sum(axis=-1, keepdims=True)
        beta = part.limit(_S)
        limits.append(bounds.merged_softmax_bound(limit[:, columns], beta, part.shifted.s, exact))
    return Difference(np.concatenate(residuals, axis=-1), np.concatenate(limits, axis=-1))


def _merged_log_sum(case: Case, evaluate: Evaluate) -> Difference:
    whole, limit = evaluate(_L, case), case.limit(_L)
    total, offs, weights = pair(np.zeros((len(whole), 1))), [], []
    for columns in _halves(case):
        part, there = case.part(columns), case.has_part(columns)
        own, top = evaluate(_L, part), part.shifted.top
        read = [np.take_along_axis(a, top, axis=-1) for a in (whole[:, columns], own)]
        share = _exp_of_difference(*read)
        total = dd.add(total, (np.where(there, share[0], 0.0), np.where(there, share[1], 0.0)))
        beta = part.limit(_L)
        own_limits = (np.take_along_axis(a, top, axis=-1) for a in (limit[:, columns], beta))
        offs.append(bounds.agreement_bound(*own_limits))
        weights.append(np.where(there, case.shifted.s[:, columns].sum(axis=-1, keepdims=True), 0.0))
    return Difference(off_from(total, 1.0), bounds.merged_log_sum_bound(offs, weights))


def _exp_of_difference(a: Floats, b: Floats) -> dd.Pair:
    """exp(a - b), the low word of the difference by its first order."""
    with np.errstate(invalid="ignore"):
        high, low = dd.two_sum(a, -b)
    low = np.where(np.isfinite(low), low, 0.0)
    return dd.multiply(exponential(high), dd.two_sum(np.ones_like(low), low))


VALUES = (
    Identity(
        "L2",
        "softmax sum",
        "the elements of a softmax sum to 1, summed exactly",
        (_S,),
        _softmax_sum,
        "B1",
        any_sum(_S, 1.0),
    ),
    Identity(
        "L3",
        "log_softmax sum",
        "the exponentials of a log_softmax sum to 1, taken and summed exactly",
        (_L,),
        _log_softmax_sum,
    ),
    Identity(
        "L7",
        "softmax order",
        "a larger logit has no smaller softmax, and equal ones have equal ones",
        (_S,),
        _softmax_order,
    ),
    Identity(
        "L7",
        "log_softmax order",
        "a larger logit has no smaller log_softmax, and equal ones have the same bits",
        (_L,),
        _log_softmax_order,
        allows=False,
    ),
    Identity("L8", "exp of log_softmax", "exp of a log_softmax is the softmax", (_S, _L), _exp),
    Identity(
        "L9",
        "merged softmax",
        "the softmax of a part of a row, times what the part has of the whole, is the softmax of the whole",
        (_S,),
        _merged_softmax,
    ),
    Identity(
        "L9",
        "merged log-sum-exp",
        "the log-sum-exps of the parts of a row, read off their log_softmaxes, add up to that of the whole",
        (_L,),
        _merged_log_sum,
    ),
)
