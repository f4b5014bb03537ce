"""Dyadic numbers from mpmath to Arb and back, exactly."""

from __future__ import annotations

import mpmath
from flint import arb


def unrounded(mantissa: int, exponent: int) -> mpmath.mpf:
    """mantissa * 2**exponent whatever the working precision is."""
    return mpmath.mp.make_mpf(mpmath.libmp.from_man_exp(mantissa, exponent))


def ball(number: mpmath.mpf) -> arb:
    """The ball of radius zero around a finite mpmath number."""
    sign, mantissa, exponent, _ = number._mpf_
    return arb((-int(mantissa) if sign else int(mantissa), int(exponent)))
