"""A-priori bounds of the algorithms for softmax and log_softmax, before an output is rounded to a narrower format.

The derivations are in docs/theory.md; the names B1 to B8 are its.  Every function returns absolute bounds per element,
[rows, n], in binary64, and NaN where the bound says nothing.  B1 and B2 decide a verdict; the others tell how far
another algorithm may be off, and whether an error is one that it explains.
"""

from __future__ import annotations

import numpy as np

from references.bounds.error_model import Arithmetic, compounded, summation_error
from references.bounds.forward_quantities import Shifted, mean, product
from references.formats import Floats
from references.ieee.elementary import exp, expm1, log_of_inverse

_LN2 = 0.6931471805599453

# A sum of fewer than this is taken as vanished: its terms have lost bits that their weights are made of.
_VANISHED = 2.0**-900


def softmax_bound(rows: Shifted, arithmetic: Arithmetic, *, reciprocal: bool = False) -> Floats:
    """B1: exp(x - max) / sum.

    ``reciprocal``: times the reciprocal of the sum, one rounding more.  The depth for any order of summation, n + 3,
    has room for that rounding; a depth that is known needs it said.
    """
    return _quotient(rows, arithmetic, _sum_error(rows, arithmetic), reciprocal)


def log_softmax_bound(rows: Shifted, arithmetic: Arithmetic) -> Floats:
    """B2: (x - max) - log(sum)."""
    before = rows.subtraction(arithmetic) + _log_sum_error(rows, arithmetic)
    return _difference(rows, before, arithmetic)


def x_minus_log_sum_exp_bound(rows: Shifted, arithmetic: Arithmetic) -> Floats:
    """B3: x - (max + log(sum)); the inner sum is rounded on the grid of the maximum, so an offset is paid for."""
    total = _log_sum_error(rows, arithmetic)
    before = total + arithmetic.unit * (np.abs(rows.maximum + rows.log_total) + total) + 2 * arithmetic.lost_sum
    return _difference(rows, before, arithmetic)


def log1p_bound(rows: Shifted, arithmetic: Arithmetic) -> Floats:
    """B4: (x - max) - log1p(sum of all but one maximum): as accurate next to zero as elsewhere."""
    each = np.broadcast_to(compounded(_exp_errors(rows, arithmetic), summation_error(arithmetic)), rows.s.shape)
    others = np.arange(rows.n) != rows.top
    weights = np.where(others, rows.s, 0.0)
    total = weights.sum(axis=-1, keepdims=True)
    vanished = total < _VANISHED
    average = mean(weights, each) / np.where(vanished, 1.0, total)
    largest = np.where(others & ~rows.masked, each, 0.0).max(axis=-1, keepdims=True)
    lost = _lost_terms(rows, arithmetic) * (1 + arithmetic.log) + arithmetic.log_lost
    log_error = product(rows.log_total, compounded(np.where(vanished, largest, average), arithmetic.log)) + lost
    return _difference(rows, rows.subtraction(arithmetic) + log_error, arithmetic)


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
    total = mean(rows.s, compounded(each, summation_error(arithmetic))) + scale * _lost_terms(rows, arithmetic)
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
    own = _exp_errors(rows, arithmetic)
    return _quotient(rows, arithmetic, (own, np.where(total < 1, total, np.nan)), reciprocal=False)


# -- what they share ---------------------------------------------------------------------------------------------------


def exp_error(arithmetic: Arithmetic, size: Floats, moved: Floats | float = 0.0) -> Floats:
    """The relative error of exp of a number of the given size that is off by ``moved`` already."""
    return compounded(expm1(np.asarray(moved + arithmetic.exp_argument * (size + moved))), arithmetic.exp)


def _exp_errors(rows: Shifted, arithmetic: Arithmetic) -> Floats:
    """a, the relative error of exp(x - max): that of a maximum is exactly 1."""
    each = exp_error(arithmetic, rows.distance, rows.subtraction(arithmetic))
    return np.where(rows.difference == 0, 0.0, each)


def _lost_terms(rows: Shifted, arithmetic: Arithmetic) -> float:
    """What n exps and n additions lose near zero."""
    return float(rows.n * (1 + summation_error(arithmetic)) * (arithmetic.exp_lost + arithmetic.lost_sum))


def _sum_error(rows: Shifted, arithmetic: Arithmetic) -> tuple[Floats, Floats]:
    """a, and R = sum s ((1 + a)(1 + gamma_h)(1 + stored) - 1) and what is lost near zero, relative to S >= 1.

    R is NaN from 1 on.
    """
    each = rows.kept(("exp", arithmetic), lambda: _exp_errors(rows, arithmetic))
    total = rows.kept(("sum", arithmetic), lambda: mean(rows.s, compounded(each, summation_error(arithmetic))))
    total = total + _lost_terms(rows, arithmetic)
    return each, np.where(total < 1, total, np.nan)


def _quotient(rows: Shifted, arithmetic: Arithmetic, sum_error: tuple[Floats, Floats], reciprocal: bool) -> Floats:
    each, total = sum_error
    unit, inverse = arithmetic.unit, total / (1 - total)
    lost = arithmetic.exp_lost * (1 + unit) * (1 + inverse) + arithmetic.lost
    if reciprocal:
        # exp(x - max) is at most 1 before its error; a reciprocal that underflows is off by so much of it.
        lost = lost + arithmetic.exp_lost * unit * (1 + unit) * (1 + inverse)
        lost = lost + arithmetic.lost * (1 + unit) * (1 + arithmetic.exp + arithmetic.exp_lost)
        return np.asarray(product(rows.s, compounded(each, unit, unit, inverse)) + lost)
    return np.asarray(product(rows.s, compounded(each, unit, inverse)) + lost)


def _log_sum_error(rows: Shifted, arithmetic: Arithmetic) -> Floats:
    """B_L: the absolute error of the logarithm of the sum, [rows, 1]."""
    _, total = _sum_error(rows, arithmetic)
    before = log_of_inverse(total)
    return np.asarray(before + arithmetic.log * (rows.log_total + before) + arithmetic.log_lost)


def _difference(rows: Shifted, before: Floats, arithmetic: Arithmetic) -> Floats:
    """The last subtraction, of numbers that are off by ``before`` together."""
    return np.asarray(before + arithmetic.unit * (np.abs(rows.l) + before))


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
