"""What roundings of random sign add up to: for grading sums of random data, never for a verdict.

Roundings are modelled as independent, of mean zero and at most u (Higham and Mary, 2019).  Equal terms, and equal ones
beside a dominant one, are rounded alike at every addition: on them these figures are exceeded by any factor.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from references.bounds.error_model import Arithmetic
from references.ieee.elementary import expm1


def gamma_tilde(h: float, u: float, spread: float) -> float:
    """exp(spread sqrt(h) u + h u**2 / (1 - u)) - 1: what a product of h factors 1 + delta is off from 1 by.

    It holds with the probability ``confidence_of(spread, u)``; ``spread`` is the lambda of Higham and Mary.
    """
    return float(expm1(np.asarray(spread * math.sqrt(h) * u + h * u * u / (1 - u))))


def confidence_of(spread: float, u: float, products: int = 1) -> float:
    """1 - 2 k exp(-spread**2 (1 - u)**2 / 2): the probability, at least, that k products all keep gamma_tilde.

    A sum of n terms has n of them, one for each term.  Negative where nothing is promised.
    """
    return 1 - 2 * products * math.exp(-((spread * (1 - u)) ** 2) / 2)


def spread_for(confidence: float, u: float, products: int = 1) -> float:
    """The spread for which ``confidence_of`` is ``confidence`` < 1."""
    return math.sqrt(2 * math.log(2 * products / (1 - confidence))) / (1 - u)


def probable_sums(arithmetic: Arithmetic, n: int, confidence: float) -> Arithmetic:
    """The same arithmetic with gamma_tilde for its sums: a bound made of it holds for a row of n with ``confidence``.

    Only the additions are taken for random; every other rounding keeps its largest error.
    """
    spread = spread_for(confidence, arithmetic.sum_unit, n)
    return replace(arithmetic, sum=gamma_tilde(arithmetic.depth, arithmetic.sum_unit, spread))
