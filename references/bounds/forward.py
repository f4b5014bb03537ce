"""A-priori bounds of the algorithms for softmax and log_softmax, before an output is rounded to a narrower format.

The derivations are in docs/theory.md; the names B1 and B2 are its.  Every function returns absolute bounds per element,
[rows, n], in binary64, and NaN where the bound says nothing.
"""

from __future__ import annotations

import numpy as np

from references.bounds.error_model import Arithmetic, compounded, summation_error
from references.bounds.forward_quantities import Shifted, mean, product
from references.formats import Floats
from references.ieee.elementary import expm1, log_of_inverse


def softmax_bound(rows: Shifted, arithmetic: Arithmetic) -> Floats:
    """B1: exp(x - max) / sum."""
    return quotient_bound(rows, arithmetic, *sum_error(rows, arithmetic))


def log_softmax_bound(rows: Shifted, arithmetic: Arithmetic) -> Floats:
    """B2: (x - max) - log(sum)."""
    before = rows.subtraction(arithmetic) + log_sum_error(rows, arithmetic)
    return difference_bound(rows, before, arithmetic)


# -- what they share ---------------------------------------------------------------------------------------------------


def exp_error(arithmetic: Arithmetic, size: Floats, moved: Floats | float = 0.0) -> Floats:
    """The relative error of exp of a number of the given size that is off by ``moved`` already."""
    return compounded(expm1(np.asarray(moved + arithmetic.exp_argument * (size + moved))), arithmetic.exp)


def exp_errors(rows: Shifted, arithmetic: Arithmetic) -> Floats:
    """a, the relative error of exp(x - max): that of a maximum is exactly 1."""
    each = exp_error(arithmetic, rows.distance, rows.subtraction(arithmetic))
    return np.where(rows.difference == 0, 0.0, each)


def lost_terms(rows: Shifted, arithmetic: Arithmetic) -> float:
    """What n exps and n additions lose near zero."""
    return float(rows.n * (1 + summation_error(arithmetic)) * (arithmetic.exp_lost + arithmetic.lost_sum))


def sum_error(rows: Shifted, arithmetic: Arithmetic) -> tuple[Floats, Floats]:
    """a, and R = sum s ((1 + a)(1 + gamma_h)(1 + stored) - 1) and what is lost near zero, relative to S >= 1.

    R is NaN from 1 on.
    """
    each = rows.kept(("exp", arithmetic), lambda: exp_errors(rows, arithmetic))
    total = rows.kept(("sum", arithmetic), lambda: mean(rows.s, compounded(each, summation_error(arithmetic))))
    total = total + lost_terms(rows, arithmetic)
    return each, np.where(total < 1, total, np.nan)


def quotient_bound(rows: Shifted, arithmetic: Arithmetic, each: Floats, total: Floats) -> Floats:
    """The last division: exponentials off by ``each``, relatively, over a sum that is off by ``total``."""
    unit, inverse = arithmetic.unit, total / (1 - total)
    lost = arithmetic.exp_lost * (1 + unit) * (1 + inverse) + arithmetic.lost
    return np.asarray(product(rows.s, compounded(each, unit, inverse)) + lost)


def log_sum_error(rows: Shifted, arithmetic: Arithmetic) -> Floats:
    """B_L: the absolute error of the logarithm of the sum, [rows, 1]."""
    _, total = sum_error(rows, arithmetic)
    before = log_of_inverse(total)
    return np.asarray(before + arithmetic.log * (rows.log_total + before) + arithmetic.log_lost)


def difference_bound(rows: Shifted, before: Floats, arithmetic: Arithmetic) -> Floats:
    """The last subtraction, of numbers that are off by ``before`` together."""
    return np.asarray(before + arithmetic.unit * (np.abs(rows.l) + before))
