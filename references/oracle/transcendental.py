"""exp to within 1 ulp of any working precision: with the log of mpmath, all that the oracle takes on trust."""

from __future__ import annotations

from math import isqrt
from typing import Any

import mpmath
from mpmath import libmp

# mpmath's raw numbers are tuples that only its own functions look into.
Raw = Any

# Up to this precision what mpmath's own exp loses is far below a unit in the last place.
_GOOD = 4096


def exp_raw(x: Raw, precision: int) -> Raw:
    """exp of a raw number, to nearest but for a hair.

    mpmath halves a small argument x about sqrt(w)/2 times, whatever its size, takes a square root of cosh**2 - 1 and
    squares back: with 24 bits in hand it loses up to sqrt(w)/4, where |x| is about 2**(-sqrt(w)/4).  That is two units
    in the last place of 10,000 bits, and a million of 30,000; sqrt(w)/2 bits more pay for it twice over.
    """
    if precision <= _GOOD:
        return libmp.mpf_exp(x, precision, "n")
    return libmp.mpf_pos(libmp.mpf_exp(x, precision + isqrt(precision) // 2, "n"), precision, "n")


def exp(x: mpmath.mpf) -> mpmath.mpf:
    """exp at mpmath's working precision."""
    return mpmath.mp.make_mpf(exp_raw(x._mpf_, mpmath.mp.prec))
