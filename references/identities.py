"""The identities that exact results keep, and how far computed ones may be from them: residual and bound.

An identity asks for what it needs by an ``Evaluate``: of a framework, or of an emulated machine that its bound is
checked with.  Derivations: docs/theory.md, section 11.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from references import doubledouble as dd
from references import law_bounds as bounds
from references.formats import Floats
from references.law_case import Case
from references.problem import OPERATIONS, QUANTITIES
from references.residuals import difference, exponential, inner, inversions, off_from, pair, sum_of
from references.shifted import ulp_exponents


class Evaluate(Protocol):
    """Computes a quantity of a case: numbers of its format, [rows, n]."""

    def __call__(self, operation: str, quantity: str, case: Case) -> Floats: ...


@dataclass(frozen=True)
class Difference:
    """How far from an identity, and how far is allowed: of each element [rows, n], or of each row [rows, 1]."""

    residual: Floats
    bound: Floats

    def ratio(self) -> Floats:
        """residual / bound; 0 where there is no residual or the bound says nothing, inf for a residual of NaN."""
        with np.errstate(all="ignore"):
            ratio = np.where(self.residual == 0, 0.0, self.residual / self.bound)
        return np.where(np.isnan(self.residual), np.inf, np.where(np.isfinite(self.bound), ratio, 0.0))


@dataclass(frozen=True)
class Identity:
    """``code`` is its L number in docs/theory.md, ``needs`` the functions that it asks for.

    Where the bound is of one algorithm only, ``algorithm`` is the name of its bound, and ``otherwise`` judges others.
    ``allows`` says that there is a bound which is not 0.
    """

    code: str
    name: str
    says: str
    needs: tuple[tuple[str, str], ...]
    of: Callable[[Case, Evaluate], Difference]
    algorithm: str = ""
    otherwise: Callable[[Case, Evaluate], Difference] | None = None
    allows: bool = True


def _softmax_sum(case: Case, evaluate: Evaluate) -> Difference:
    total = sum_of(pair(evaluate("softmax", "forward", case)))
    return Difference(off_from(total, 1.0), bounds.softmax_sum_bound(case.rows, case.format, case.arithmetic))


def _log_softmax_sum(case: Case, evaluate: Evaluate) -> Difference:
    total = sum_of(exponential(evaluate("log_softmax", "forward", case)))
    return Difference(
        off_from(total, 1.0), bounds.log_softmax_sum_bound(case.rows, case.limit("log_softmax", "forward"))
    )


def _softmax_vjp_sum(case: Case, evaluate: Evaluate) -> Difference:
    exact, beta = case.exact("softmax", "vjp"), case.limit("softmax", "forward")
    limit = bounds.softmax_vjp_sum_bound(case.rows, case.cotangent, exact, beta, case.format, case.arithmetic)
    return Difference(off_from(sum_of(pair(evaluate("softmax", "vjp", case))), 0.0), limit)


def _log_softmax_vjp_sum(case: Case, evaluate: Evaluate) -> Difference:
    exact, beta = case.exact("log_softmax", "vjp"), case.limit("log_softmax", "forward")
    limit = bounds.log_softmax_vjp_sum_bound(case.rows, case.cotangent, exact, beta, case.format, case.arithmetic)
    return Difference(off_from(sum_of(pair(evaluate("log_softmax", "vjp", case))), 0.0), limit)


def _any_sum(operation: str, quantity: str, expected: float = 0.0) -> Callable[[Case, Evaluate], Difference]:
    def of(case: Case, evaluate: Evaluate) -> Difference:
        total = sum_of(pair(evaluate(operation, quantity, case)))
        return Difference(off_from(total, expected), bounds.row_sum_bound(case.limit(operation, quantity)))

    return of


def _softmax_order(case: Case, evaluate: Evaluate) -> Difference:
    computed = evaluate("softmax", "forward", case)
    return Difference(inversions(case.logits, computed), bounds.order_bound(case.rows, case.format, case.arithmetic))


def _log_softmax_order(case: Case, evaluate: Evaluate) -> Difference:
    residual = inversions(case.logits, evaluate("log_softmax", "forward", case))
    return Difference(residual, np.zeros_like(residual))


def _exp(case: Case, evaluate: Evaluate) -> Difference:
    softmax, log_softmax = (evaluate(operation, "forward", case) for operation in OPERATIONS)
    limits = (case.limit(operation, "forward") for operation in OPERATIONS)
    return Difference(
        difference(exponential(log_softmax), pair(softmax)), bounds.exp_identity_bound(case.rows, *limits)
    )


def _halves(case: Case) -> list[slice]:
    half = -(-case.logits.shape[-1] // 2)
    return [part for part in (slice(0, half), slice(half, None)) if case.logits[:, part].size]


def _merged_softmax(case: Case, evaluate: Evaluate) -> Difference:
    whole, limit = evaluate("softmax", "forward", case), case.limit("softmax", "forward")
    residuals, limits = [], []
    for columns in _halves(case):
        part, there = case.part(columns), case.has_part(columns)
        own = evaluate("softmax", "forward", part)
        weight = sum_of(pair(whole[:, columns]))
        scaled = dd.multiply(pair(own), weight)
        residuals.append(np.where(there, difference(scaled, pair(whole[:, columns])), 0.0))
        exact = case.rows.s[:, columns].sum(axis=-1, keepdims=True)
        beta = part.limit("softmax", "forward")
        limits.append(bounds.merged_softmax_bound(limit[:, columns], beta, part.rows.s, exact))
    return Difference(np.concatenate(residuals, axis=-1), np.concatenate(limits, axis=-1))


def _merged_log_sum(case: Case, evaluate: Evaluate) -> Difference:
    whole, limit = evaluate("log_softmax", "forward", case), case.limit("log_softmax", "forward")
    total, offs, weights = pair(np.zeros((len(whole), 1))), [], []
    for columns in _halves(case):
        part, there = case.part(columns), case.has_part(columns)
        own, top = evaluate("log_softmax", "forward", part), part.rows.top
        read = [np.take_along_axis(a, top, axis=-1) for a in (whole[:, columns], own)]
        share = _exp_of_difference(*read)
        total = dd.add(total, (np.where(there, share[0], 0.0), np.where(there, share[1], 0.0)))
        beta = part.limit("log_softmax", "forward")
        own_limits = (np.take_along_axis(a, top, axis=-1) for a in (limit[:, columns], beta))
        offs.append(bounds.agreement_bound(*own_limits))
        weights.append(np.where(there, case.rows.s[:, columns].sum(axis=-1, keepdims=True), 0.0))
    return Difference(off_from(total, 1.0), bounds.merged_log_sum_bound(offs, weights))


def _exp_of_difference(a: Floats, b: Floats) -> dd.Pair:
    """exp(a - b), the low word of the difference by its first order."""
    with np.errstate(invalid="ignore"):
        high, low = dd.two_sum(a, -b)
    low = np.where(np.isfinite(low), low, 0.0)
    return dd.multiply(exponential(high), dd.two_sum(np.ones_like(low), low))


def _chain(case: Case, evaluate: Evaluate) -> Difference:
    s, g = evaluate("softmax", "forward", case), case.cotangent
    c = case.format.decode(case.format.round_floats(s * g))
    other = case.with_cotangent(c)
    moved = np.abs(g) * case.limit("softmax", "forward") + np.ldexp(0.5, ulp_exponents(c, case.format))
    moved = np.where(g == 0, 0.0, moved)
    one, two = evaluate("softmax", "vjp", case), evaluate("log_softmax", "vjp", other)
    limits = case.limit("softmax", "vjp"), other.limit("log_softmax", "vjp")
    return Difference(difference(pair(one), pair(two)), bounds.chain_rule_bound(case.rows, *limits, moved))


def _one_hot(case: Case, evaluate: Evaluate) -> Difference:
    """The gradient of a cross-entropy: one-hot minus softmax."""
    target = np.zeros_like(case.logits)
    np.put_along_axis(target, np.argmin(case.logits, axis=-1, keepdims=True), 1.0, axis=-1)
    other = case.with_cotangent(target)
    s, h = evaluate("softmax", "forward", case), evaluate("log_softmax", "vjp", other)
    limit = bounds.agreement_bound(case.limit("softmax", "forward"), other.limit("log_softmax", "vjp"))
    return Difference(difference(pair(h), dd.add(pair(target), pair(-s))), limit)


def _duality(operation: str) -> Callable[[Case, Evaluate], Difference]:
    def of(case: Case, evaluate: Evaluate) -> Difference:
        g, t = case.cotangent, case.tangent
        limits = (case.limit(operation, quantity) for quantity in ("vjp", "jvp"))
        forward, reverse = inner(g, evaluate(operation, "jvp", case)), inner(evaluate(operation, "vjp", case), t)
        return Difference(difference(forward, reverse), bounds.duality_bound(g, t, *limits))

    return of


def _softmax_product_rule(case: Case, evaluate: Evaluate) -> Difference:
    s, j = evaluate("softmax", "forward", case), evaluate("softmax", "jvp", case)
    g = case.cotangent
    centred = dd.add(pair(g), dd.negate(inner(s, g)))
    expected = dd.add(dd.multiply(pair(j), centred), dd.negate(dd.multiply(pair(s), inner(j, g))))
    limit = bounds.product_rule_bound(
        case.rows,
        g,
        case.limit("softmax", "hvp"),
        case.exact("softmax", "jvp"),
        case.limit("softmax", "jvp"),
        case.limit("softmax", "forward"),
    )
    return Difference(difference(pair(evaluate("softmax", "hvp", case)), expected), limit)


def _log_softmax_product_rule(case: Case, evaluate: Evaluate) -> Difference:
    total = sum_of(pair(case.cotangent))
    expected = dd.negate(dd.multiply(pair(evaluate("softmax", "jvp", case)), total))
    limit = case.limit("log_softmax", "hvp") + np.abs(total[0]) * case.limit("softmax", "jvp")
    return Difference(difference(pair(evaluate("log_softmax", "hvp", case)), expected), limit)


_S, _S_VJP, _S_JVP, _S_HVP = (("softmax", quantity) for quantity in QUANTITIES)
_L, _L_VJP, _L_JVP, _L_HVP = (("log_softmax", quantity) for quantity in QUANTITIES)

# Of values.
FORWARD = (
    Identity(
        "L2",
        "softmax sum",
        "the elements of a softmax sum to 1, summed exactly",
        (_S,),
        _softmax_sum,
        "B1",
        _any_sum(*_S, 1.0),
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

# Of gradients.
GRADIENTS = (
    Identity(
        "L4",
        "softmax vjp sum",
        "the elements of a softmax vjp sum to 0",
        (_S_VJP,),
        _softmax_vjp_sum,
        "B9",
        _any_sum(*_S_VJP),
    ),
    Identity("L6", "softmax jvp sum", "the elements of a softmax jvp sum to 0", (_S_JVP,), _any_sum(*_S_JVP)),
    Identity(
        "L5",
        "log_softmax vjp sum",
        "the elements of a log_softmax vjp sum to 0",
        (_L_VJP,),
        _log_softmax_vjp_sum,
        "B11",
        _any_sum(*_L_VJP),
    ),
    Identity("L6", "softmax hvp sum", "the elements of a softmax hvp sum to 0", (_S_HVP,), _any_sum(*_S_HVP)),
    Identity("L6", "log_softmax hvp sum", "the elements of a log_softmax hvp sum to 0", (_L_HVP,), _any_sum(*_L_HVP)),
    Identity(
        "L10",
        "chain rule",
        "the softmax vjp of g is the log_softmax vjp of softmax times g: softmax is exp of log_softmax",
        (_S, _S_VJP, _L_VJP),
        _chain,
    ),
    Identity(
        "L10",
        "one-hot cotangent",
        "the log_softmax vjp of a one-hot cotangent is it minus the softmax: the gradient of a cross-entropy",
        (_S, _L_VJP),
        _one_hot,
    ),
    Identity(
        "L10",
        "softmax product rule",
        "the softmax hvp is the derivative of s (g - <g, s>), by the product rule",
        (_S, _S_JVP, _S_HVP),
        _softmax_product_rule,
    ),
    Identity(
        "L10",
        "log_softmax product rule",
        "the log_softmax hvp is the derivative of g - s sum g: -sum g times the softmax jvp",
        (_S_JVP, _L_HVP),
        _log_softmax_product_rule,
    ),
    Identity(
        "L11", "softmax duality", "<g, jvp of t> = <vjp of g, t> for softmax", (_S_VJP, _S_JVP), _duality("softmax")
    ),
    Identity(
        "L11",
        "log_softmax duality",
        "<g, jvp of t> = <vjp of g, t> for log_softmax",
        (_L_VJP, _L_JVP),
        _duality("log_softmax"),
    ),
)

IDENTITIES = (*FORWARD, *GRADIENTS)
