"""Bounds of the laws: how far computed arrays may be from what exact ones keep, by the bounds on their elements.

The derivations are in docs/theory.md, section 11; the names L1 to L11 are its.  ``limit`` and ``beta`` are bounds on
elements, the output's rounding included (references.bounds.of_function.bound); all are in binary64, [rows, n], or
[rows, 1] for what is said of a row.  NaN where nothing is said.
"""

from __future__ import annotations

import numpy as np

from references.bounds.error_model import Arithmetic, compounded, summation_error
from references.bounds.forward import softmax_bound
from references.bounds.forward_quantities import Shifted, mean, product, ulp_exponents
from references.bounds.gradients import log_softmax_vjp_kernel, softmax_product_kernel
from references.bounds.of_function import rounded
from references.formats import Floats, Format
from references.ieee.elementary import expm1


def agreement_bound(one: Floats, other: Floats) -> Floats:
    """L1: two results for the same row, in another order of summation, layout or path: both bounds add up."""
    return np.asarray(one + other)


# -- sums of rows ------------------------------------------------------------------------------------------------------


def softmax_sum_bound(rows: Shifted, format: Format, arithmetic: Arithmetic) -> Floats:
    """L2: |sum of a softmax - 1|, where what is divided is what was summed: only the sum and the quotient count."""
    off = summation_error(arithmetic)
    off = off + rows.n * (1 + off) * arithmetic.lost_sum
    inverse = off / (1 - off) if off < 1 else np.nan
    limit = compounded(arithmetic.unit, inverse) + rows.n * arithmetic.lost
    return np.asarray(limit) + _roundings(rows.s, softmax_bound(rows, arithmetic), format, arithmetic)


def log_softmax_sum_bound(rows: Shifted, limit: Floats) -> Floats:
    """L3: |sum of exp of a log_softmax - 1|."""
    return mean(rows.s, expm1(limit))


def softmax_vjp_sum_bound(
    rows: Shifted, g: Floats, exact: Floats, beta: Floats, format: Format, arithmetic: Arithmetic
) -> Floats:
    """L4: |sum of a softmax vjp|, from a saved softmax off by ``beta`` whose sum keeps L2."""
    kernel, size, centre = softmax_product_kernel(rows, g, beta, arithmetic), np.abs(g), mean(rows.s, g)
    saved = softmax_sum_bound(rows, format, arithmetic) * (np.abs(centre) + mean(beta, size))
    within = kernel + product(beta, np.abs(g - centre)) + (rows.s + beta) * mean(beta, size)
    return saved + _row(kernel) + _roundings(exact, within, format, arithmetic)


def log_softmax_vjp_sum_bound(
    rows: Shifted, g: Floats, exact: Floats, beta: Floats, format: Format, arithmetic: Arithmetic
) -> Floats:
    """L5: |sum of a log_softmax vjp|, from a saved log_softmax off by ``beta``."""
    kernel, total = log_softmax_vjp_kernel(rows, g, exact, beta, arithmetic), np.abs(_row(g))
    within = kernel + product(rows.s, expm1(beta)) * total
    return total * log_softmax_sum_bound(rows, beta) + _row(kernel) + _roundings(exact, within, format, arithmetic)


def row_sum_bound(limit: Floats) -> Floats:
    """L6: how far the sum of a row may be from the exact one, whatever the algorithm: the errors of its elements."""
    return _row(limit)


# -- the order of elements ---------------------------------------------------------------------------------------------


def order_bound(rows: Shifted, format: Format, arithmetic: Arithmetic) -> Floats:
    """L7: by how much a softmax element of a logit that is no larger may exceed an element, whose bound this is.

    An exp that errs is not monotone; everything after it is, and so is all of a log_softmax, for which it is zero.
    """
    away = 2 * arithmetic.exp / (1 - arithmetic.exp)
    least = 1 - summation_error(arithmetic) - 2 * rows.n * arithmetic.lost_sum
    lost = arithmetic.exp_lost * (2 + away) * (1 + arithmetic.unit) / (least if least > 0 else np.nan)
    own = softmax_bound(rows, arithmetic)
    limit = (rows.s + own) * compounded(away, arithmetic.unit, arithmetic.unit) + lost + 2 * arithmetic.lost
    if arithmetic.grid is format:
        return np.asarray(limit)
    return np.asarray(limit + np.ldexp(1.0, ulp_exponents(rows.s + own + limit, format)))


# -- between functions -------------------------------------------------------------------------------------------------


def exp_identity_bound(rows: Shifted, softmax_limit: Floats, log_softmax_limit: Floats) -> Floats:
    """L8: |exp of a log_softmax - a softmax|, exp taken exactly."""
    return np.asarray(product(rows.s, expm1(log_softmax_limit)) + softmax_limit)


def merged_softmax_bound(whole: Floats, part: Floats, part_softmax: Floats, weight: Floats) -> Floats:
    """L9: |softmax of all - softmax of a part times the sum of the part|, for the elements of the part.

    ``whole`` and ``part`` are bounds of the two on those elements, ``weight`` [rows, 1] what the part has of the whole.
    """
    return np.asarray(whole + (part_softmax + part) * _row(whole) + weight * part)


def merged_log_sum_bound(offs: list[Floats], weights: list[Floats]) -> Floats:
    """L9: |sum over parts of exp(log-sum-exp of the part - that of the whole) - 1|.

    Each difference is read off one element of two log_softmaxes, whose bounds add up to one of ``offs``.
    """
    return np.asarray(sum(weight * expm1(off) for off, weight in zip(offs, weights, strict=True)))


def chain_rule_bound(rows: Shifted, one: Floats, other: Floats, moved: Floats) -> Floats:
    """L10: |softmax vjp of g - log_softmax vjp of c|, c within ``moved`` of s g: the gradient of exp(log_softmax)."""
    return np.asarray(one + other + moved + rows.s * _row(moved))


def product_rule_bound(
    rows: Shifted, g: Floats, hvp_limit: Floats, jvp: Floats, jvp_limit: Floats, beta: Floats
) -> Floats:
    """L10: |softmax hvp - (j (g - <g, s>) - s <j, g>)| with a computed jvp j and softmax s."""
    size, j = np.abs(g), np.abs(jvp) + jvp_limit
    carried = product(jvp_limit, np.abs(g - mean(rows.s, g))) + j * mean(beta, size)
    return np.asarray(hvp_limit + carried + (rows.s + beta) * mean(jvp_limit, size) + beta * np.abs(mean(jvp, g)))


def duality_bound(g: Floats, t: Floats, vjp_limit: Floats, jvp_limit: Floats) -> Floats:
    """L11: |<g, jvp of t> - <vjp of g, t>|."""
    return mean(np.abs(g), jvp_limit) + mean(np.abs(t), vjp_limit)


# -- what they share ---------------------------------------------------------------------------------------------------


def _row(values: Floats) -> Floats:
    return np.asarray(values.sum(axis=-1, keepdims=True))


def _roundings(exact: Floats, limit: Floats, format: Format, arithmetic: Arithmetic) -> Floats:
    """What rounding the elements to a narrower format adds to their sum."""
    return _row(rounded(np.zeros_like(limit), np.abs(exact) + limit, format, arithmetic))
