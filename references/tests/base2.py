"""The error model of exponentials and logarithms that are computed in base 2, as on most GPUs."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import mpmath
import numpy as np

from references.bounds.error_model import Arithmetic, compounded
from references.formats import Format


def by_exp2(arithmetic: Arithmetic) -> Arithmetic:
    """The same arithmetic where exp d is exp2(d log2 e) and log S is log2(S) ln 2, as on most GPUs.

    Each product is rounded and its constant was: kappa u of the number that exp2 is taken of, kappa = 1.23 in binary32,
    and as much of the logarithm.  A fused x log2 e - max log2 e errs by more, and is not covered.
    """
    log2_e, ln_2 = _constant_errors(arithmetic.grid)
    return replace(
        arithmetic,
        exp_argument=float(compounded(arithmetic.unit, log2_e)),
        exp_lost=arithmetic.exp_lost + arithmetic.lost,
        log=float(compounded(arithmetic.log, arithmetic.unit, ln_2)),
        log_lost=arithmetic.log_lost + arithmetic.lost,
    )


@cache
def _constant_errors(format: Format) -> tuple[float, float]:
    """The relative errors of log2 e and ln 2 in a format, rounded up."""
    with mpmath.workprec(200):
        errors = []
        for exact in (1 / mpmath.log(2), mpmath.log(2)):
            stored = format.decode(format.round_floats(np.array([float(exact)])))[0]
            errors.append(float(abs(mpmath.mpf(float(stored)) / exact - 1)) * (1 + 2.0**-50))
    return errors[0], errors[1]
