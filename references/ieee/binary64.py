"""exp and sums in plain binary64, by IEEE arithmetic and bit operations alone: the cheap tier's building blocks.

u = 2**-53.  Temporaries are reused in place: at this speed memory traffic is most of the cost.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import mpmath
import numpy as np

from references.formats import Floats, Integers
from references.ieee import doubledouble as dd

# exp is reduced by multiples of ln2 / 2**11; one table of that many entries fits in a first-level cache.
_LOG_STEPS = 11
_STEPS = 2**_LOG_STEPS

# exp(LOWEST) > 2**-1021 is still a normal number; below it exp is taken to be exp(LOWEST).
LOWEST = -707.0

# Adding this rounds a number below 2**51 to an integer, which then stands in the low bits of the sum.
_ROUNDER = 1.5 * 2.0**52

# Relative error of exp, in units of u.
EXP_ERROR = 3.0


@dataclass(frozen=True)
class _Tables:
    inverse: float
    pieces: tuple[float, float]  # ln2 / 2**11: 30 bits, so that k * piece is exact, and the rest
    powers: Integers  # the bits of 2**(j / 2**11)


@cache
def _tables() -> _Tables:
    with mpmath.workprec(200):
        step = mpmath.log(2) / _STEPS
        mantissa, exponent = mpmath.frexp(step)
        piece = float(mpmath.ldexp(mpmath.floor(mpmath.ldexp(mantissa, 30)), exponent - 30))
        powers = np.array([float(mpmath.mpf(2) ** (mpmath.mpf(j) / _STEPS)) for j in range(_STEPS)])
        return _Tables(float(1 / step), (piece, float(step - piece)), powers.view(np.int64))


def exp(high: Floats, low: Floats | None) -> Floats:
    """exp(high + low) for LOWEST <= high <= 0 and |low| <= u |high| (None: zero); relative error <= EXP_ERROR u.

    high + low = k ln2/2**11 + r, |r| <= 2**-12.5, and exp = 2**(k >> 11) * 2**(j / 2**11) * (1 + r + r**2/2 + r**3/6)
    with j the low bits of k (after P.-T. P. Tang, "Table-driven implementation of the exponential function", ACM TOMS
    15(2), 1989).  In units of u: table 1/2, final sum 1/2 (twice that at a power of two), series 0.3, reduction and
    product 0.01; together less than 2.
    """
    t = _tables()
    k = high * t.inverse
    k += _ROUNDER
    j = k.view(np.int64) & (_STEPS - 1)
    bits = t.powers.take(j)
    k -= _ROUNDER
    # k - j is a multiple of 2**11, so the shift adds k >> 11 to the exponent field.
    whole = k.astype(np.int64)
    whole -= j
    whole <<= 52 - _LOG_STEPS
    bits += whole
    r = k * t.pieces[0]
    np.subtract(high, r, out=r)
    k *= t.pieces[1]
    r -= k
    if low is not None:
        r += low
    series = r * (1 / 6)
    series += 0.5
    series *= r
    series *= r
    series += r
    power = bits.view(np.float64)
    series *= power
    series += power
    return series


# log takes the nearest of this many centres to the octave.
_LOG_STEPS_LOG = 7

# Relative error of log1p, in units of u.
LOG1P_ERROR = 6.0


@cache
def _log_tables() -> tuple[Floats, Floats, float]:
    """Centres c = 1 + j / 128, their logarithms, and log 2."""
    centres = 1.0 + np.arange(2**_LOG_STEPS_LOG + 1) / 2**_LOG_STEPS_LOG
    with mpmath.workprec(100):
        return centres, np.array([float(mpmath.log(mpmath.mpf(c))) for c in centres.tolist()]), float(mpmath.log(2))


def log1p(t: Floats) -> Floats:
    """log(1 + t) for 0 <= t < 2**1000, relative error <= LOG1P_ERROR u.

    1 + t = 2**k c (1 + z) with c the nearest of 129 centres in [1, 2]: k log 2 + log c + log1p(z), |z| <= 2**-8.  The
    rounding of 1 + t is put back into z, and c = 1 where 1 + t is below 1 + 2**-8: then nothing cancels.
    """
    centres, logs, log2 = _log_tables()
    high, low = dd.two_sum(np.ones_like(t), t)
    mantissa, exponent = np.frexp(high)
    mantissa, exponent = 2.0 * mantissa, exponent - 1
    j = np.rint((mantissa - 1.0) * 2**_LOG_STEPS_LOG).astype(np.int64)
    c = centres[j]
    z = ((mantissa - c) + np.ldexp(low, -exponent)) / c
    series = 1 / 7 + z * (-1 / 8)
    for k in (6, 5, 4, 3, 2, 1):
        series = (1 / k if k % 2 else -1 / k) + z * series
    return np.asarray((exponent * log2 + logs[j]) + z * series)


# Columns that are left to NumPy's own sum, in whichever order it takes.
_ANY_ORDER = 128


def sum_depth(n: int) -> int:
    """Additions on the longest path of ``sum_last``."""
    return max(math.ceil(math.log2(n / _ANY_ORDER)), 0) + min(n, _ANY_ORDER) - 1


def sum_last(a: Floats) -> Floats:
    """Sum over the last axis, pairwise down to a few: error <= sum_depth(n) u * sum of magnitudes (+ higher order)."""
    while (n := a.shape[-1]) > _ANY_ORDER:
        half = n // 2
        total = np.empty((*a.shape[:-1], half + n % 2))
        np.add(a[..., :half], a[..., half : 2 * half], out=total[..., :half])
        if n % 2:
            total[..., -1] = a[..., -1]
        a = total
    return np.asarray(np.add.reduce(a, axis=-1))
