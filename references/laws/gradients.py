"""The identities that gradients keep: L4 to L6, L10 and L11 of docs/theory.md, section 11."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from references.bounds.forward_quantities import ulp_exponents
from references.functions import FUNCTIONS, Function
from references.ieee import doubledouble as dd
from references.laws import bounds
from references.laws.case import Case
from references.laws.identity import Difference, Evaluate, Identity, any_sum
from references.laws.residuals import difference, inner, off_from, pair, sum_of

_S, _S_VJP, _S_JVP, _S_HVP, _L, _L_VJP, _L_JVP, _L_HVP = FUNCTIONS


def _softmax_vjp_sum(case: Case, evaluate: Evaluate) -> Difference:
    exact, beta = case.exact(_S_VJP), case.limit(_S)
    limit = bounds.softmax_vjp_sum_bound(case.shifted, case.cotangent, exact, beta, case.format, case.arithmetic)
    return Difference(off_from(sum_of(pair(evaluate(_S_VJP, case))), 0.0), limit)


def _log_softmax_vjp_sum(case: Case, evaluate: Evaluate) -> Difference:
    exact, beta = case.exact(_L_VJP), case.limit(_L)
    limit = bounds.log_softmax_vjp_sum_bound(case.shifted, case.cotangent, exact, beta, case.format, case.arithmetic)
    return Difference(off_from(sum_of(pair(evaluate(_L_VJP, case))), 0.0), limit)


def _chain(case: Case, evaluate: Evaluate) -> Difference:
    s, g = evaluate(_S, case), case.cotangent
    c = case.format.decode(case.format.round_floats(s * g))
    other = case.with_cotangent(c)
    moved = np.abs(g) * case.limit(_S) + np.ldexp(0.5, ulp_exponents(c, case.format))
    moved = np.where(g == 0, 0.0, moved)
    one, two = evaluate(_S_VJP, case), evaluate(_L_VJP, other)
    # The exact vjp of c, which cancels, is no farther from that of g than c is moved.
    size = np.abs(case.exact(_S_VJP)) + moved + case.shifted.s * moved.sum(axis=-1, keepdims=True)
    limits = case.limit(_S_VJP), other.limit(_L_VJP, size)
    return Difference(difference(pair(one), pair(two)), bounds.chain_rule_bound(case.shifted, *limits, moved))


def _one_hot(case: Case, evaluate: Evaluate) -> Difference:
    """The gradient of a cross-entropy: one-hot minus softmax."""
    target = np.zeros_like(case.logits)
    np.put_along_axis(target, np.argmin(case.logits, axis=-1, keepdims=True), 1.0, axis=-1)
    other = case.with_cotangent(target)
    s, h = evaluate(_S, case), evaluate(_L_VJP, other)
    limit = bounds.agreement_bound(case.limit(_S), other.limit(_L_VJP))
    return Difference(difference(pair(h), dd.add(pair(target), pair(-s))), limit)


def _duality(operation: str) -> Callable[[Case, Evaluate], Difference]:
    vjp, jvp = Function(operation, "vjp"), Function(operation, "jvp")

    def of(case: Case, evaluate: Evaluate) -> Difference:
        g, t = case.cotangent, case.tangent
        forward, reverse = inner(g, evaluate(jvp, case)), inner(evaluate(vjp, case), t)
        limit = bounds.duality_bound(g, t, case.limit(vjp), case.limit(jvp))
        return Difference(difference(forward, reverse), limit)

    return of


def _softmax_product_rule(case: Case, evaluate: Evaluate) -> Difference:
    s, j = evaluate(_S, case), evaluate(_S_JVP, case)
    g = case.cotangent
    centred = dd.add(pair(g), dd.negate(inner(s, g)))
    expected = dd.add(dd.multiply(pair(j), centred), dd.negate(dd.multiply(pair(s), inner(j, g))))
    limit = bounds.product_rule_bound(
        case.shifted,
        g,
        case.limit(_S_HVP),
        case.exact(_S_JVP),
        case.limit(_S_JVP),
        case.limit(_S),
    )
    return Difference(difference(pair(evaluate(_S_HVP, case)), expected), limit)


def _log_softmax_product_rule(case: Case, evaluate: Evaluate) -> Difference:
    total = sum_of(pair(case.cotangent))
    expected = dd.negate(dd.multiply(pair(evaluate(_S_JVP, case)), total))
    limit = case.limit(_L_HVP) + np.abs(total[0]) * case.limit(_S_JVP)
    return Difference(difference(pair(evaluate(_L_HVP, case)), expected), limit)


GRADIENTS = (
    Identity(
        "L4",
        "softmax vjp sum",
        "the elements of a softmax vjp sum to 0",
        (_S_VJP,),
        _softmax_vjp_sum,
        "B9",
        any_sum(_S_VJP),
    ),
    Identity("L6", "softmax jvp sum", "the elements of a softmax jvp sum to 0", (_S_JVP,), any_sum(_S_JVP)),
    Identity(
        "L5",
        "log_softmax vjp sum",
        "the elements of a log_softmax vjp sum to 0",
        (_L_VJP,),
        _log_softmax_vjp_sum,
        "B11",
        any_sum(_L_VJP),
    ),
    Identity("L6", "softmax hvp sum", "the elements of a softmax hvp sum to 0", (_S_HVP,), any_sum(_S_HVP)),
    Identity("L6", "log_softmax hvp sum", "the elements of a log_softmax hvp sum to 0", (_L_HVP,), any_sum(_L_HVP)),
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
