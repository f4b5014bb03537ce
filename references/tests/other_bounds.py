"""Bounds of forward algorithms that no verdict uses: how far another formula may be off, by the same assumptions.

The derivations are in docs/theory.md, section 5; the names B3 to B8 are its.  Bounds are absolute, [rows, n], before an
output is rounded to a narrower format; NaN where a bound says nothing.
"""

from __future__ import annotations

import numpy as np

from references.bounds.error_model import Arithmetic, compounded, summation_error
from references.bounds.forward import (
    difference_bound,
    exp_error,
    exp_errors,
    log_softmax_bound,
    log_sum_error,
    lost_terms,
    quotient_bound,
    softmax_bound,
    sum_error,
)
from references.bounds.forward_quantities import Shifted, mean, product
from references.formats import Floats
from references.ieee.elementary import exp, expm1, log_of_inverse

_LN2 = 0.6931471805599453

# A sum of fewer than this is taken as vanished: its terms have lost bits that their weights are made of.
_VANISHED = 2.0**-900


def softmax_by_reciprocal_bound(rows: Shifted, arithmetic: Arithmetic) -> Floats:
    """B1 of exp(x - max) times the reciprocal of the sum, one rounding more than the quotient.

    The depth for any order of summation, n + 3, has room for that rounding; a depth that is known needs it said.
    """
    each, total = sum_error(rows, arithmetic)
    unit, inverse = arithmetic.unit, total / (1 - total)
    lost = arithmetic.exp_lost * (1 + unit) * (1 + inverse) + arithmetic.lost
    # exp(x - max) is at most 1 before its error; a reciprocal that underflows is off by so much of it.
    lost = lost + arithmetic.exp_lost * unit * (1 + unit) * (1 + inverse)
    lost = lost + arithmetic.lost * (1 + unit) * (1 + arithmetic.exp + arithmetic.exp_lost)
    return np.asarray(product(rows.s, compounded(each, unit, unit, inverse)) + lost)


def x_minus_log_sum_exp_bound(rows: Shifted, arithmetic: Arithmetic) -> Floats:
    """B3: x - (max + log(sum)); the inner sum is rounded on the grid of the maximum, so an offset is paid for."""
    total = log_sum_error(rows, arithmetic)
    before = total + arithmetic.unit * (np.abs(rows.maximum + rows.log_total) + total) + 2 * arithmetic.lost_sum
    return difference_bound(rows, before, arithmetic)


def log1p_bound(rows: Shifted, arithmetic: Arithmetic) -> Floats:
    """B4: (x - max) - log1p(sum of all but one maximum): as accurate next to zero as elsewhere."""
    each = np.broadcast_to(compounded(exp_errors(rows, arithmetic), summation_error(arithmetic)), rows.s.shape)
    others = np.arange(rows.n) != rows.top
    weights = np.where(others, rows.s, 0.0)
    total = weights.sum(axis=-1, keepdims=True)
    vanished = total < _VANISHED
    average = mean(weights, each) / np.where(vanished, 1.0, total)
    largest = np.where(others & ~rows.masked, each, 0.0).max(axis=-1, keepdims=True)
    lost = lost_terms(rows, arithmetic) * (1 + arithmetic.log) + arithmetic.log_lost
    log_error = product(rows.log_total, compounded(np.where(vanished, largest, average), arithmetic.log)) + lost
    return difference_bound(rows, rows.subtraction(arithmetic) + log_error, arithmetic)


def exp_of_log_softmax_bound(rows: Shifted, arithmetic: Arithmetic) -> Floats:
    """B5: exp of B2's log_softmax, without a division: an error of u |l| more."""
    error = log_softmax_bound(rows, arithmetic)
    return np.asarray(product(rows.s, exp_error(arithmetic, np.abs(rows.l), error)) + arithmetic.exp_lost)


def log_of_softmax_bound(rows: Shifted, arithmetic: Arithmetic) -> Floats:
    """B6: log of B1's softmax; nothing is said where its error may be the whole of an element."""
    error = softmax_bound(rows, arithmetic)
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.where(rows.masked, 0.0, error / rows.s)
    before = log_of_inverse(np.where(relative < 1, relative, np.nan))
    return np.asarray(before + arithmetic.log * (np.abs(rows.l) + before) + arithmetic.log_lost)


def unshifted_bound(rows: Shifted, arithmetic: Arithmetic) -> Floats:
    """B7: exp x / sum of exp x, without the maximum.

    Nothing is lost to a subtraction; but what is lost near zero counts exp(-max) times, and nothing is said where the
    sum may overflow.
    """
    each = exp_error(arithmetic, np.abs(rows.maximum + rows.difference))
    scale = _exp_of_minus(rows.maximum)
    total = mean(rows.s, compounded(each, summation_error(arithmetic))) + scale * lost_terms(rows, arithmetic)
    # exp(max) S (1 + total) must stay below the largest number, (1 - u) 2**(emax + 1).
    reach = rows.maximum + rows.log_total + total + 2 * arithmetic.grid.unit_roundoff
    total = np.where((reach < _LN2 * (arithmetic.grid.emax + 1)) & (total < 1), total, np.nan)
    inverse = total / (1 - total)
    lost = scale * arithmetic.exp_lost * (1 + arithmetic.unit) * (1 + inverse) + arithmetic.lost
    return np.asarray(product(rows.s, compounded(each, arithmetic.unit, inverse)) + lost)


def online_softmax_bound(rows: Shifted, arithmetic: Arithmetic, rescalings: Floats | int) -> Floats:
    """B8: one pass with a running maximum and a sum that is rescaled whenever it changes, then exp(x - max) / sum.

    ``rescalings``, a number or [rows, 1]: the most that a term of the sum passes through.  In one pass over elements
    they are the changes of the running maximum, in tiles one more; -> [rows, n].
    """
    count = np.asarray(rescalings, np.float64)
    roundings = _power(arithmetic.exp, count + 1), _power(arithmetic.unit, count)
    # The errors of the successive differences add up to no more than u |d|: their sizes have one sign.
    argument = compounded(arithmetic.shift * arithmetic.unit, arithmetic.exp_argument)
    drift = expm1(argument * rows.distance)
    each = np.where(rows.difference == 0, 0.0, compounded(drift, *roundings))
    summed = summation_error(arithmetic)
    lost = (1 + count) * rows.n * arithmetic.exp_lost + (rows.n + count) * arithmetic.lost
    lost = (lost + rows.n * arithmetic.lost_sum) * (1 + compounded(*roundings, summed))
    total = mean(rows.s, compounded(each, summed)) + lost
    own = exp_errors(rows, arithmetic)
    return quotient_bound(rows, arithmetic, own, np.where(total < 1, total, np.nan))


def _power(error: float, count: Floats) -> Floats:
    """(1 + error)**count - 1, rounded up a little: log(1 + e) <= e."""
    return expm1(count * error)


def _exp_of_minus(values: Floats) -> Floats:
    """exp(-v) of finite numbers, infinite beyond the range."""
    size = np.abs(values)
    (high, low), power = exp((-size, np.zeros_like(size)))
    with np.errstate(over="ignore", divide="ignore"):
        falling = np.ldexp(high + low, np.clip(power, -2000, 0).astype(np.int32))
        return np.where(values < 0, 1 / falling, falling)
