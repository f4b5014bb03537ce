"""exp and log of pairs in IEEE arithmetic alone: table-driven, with a separate binary exponent.

The tables are the only transcendental numbers used; mpmath makes them to 400 bits when this module is first used.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import mpmath
import numpy as np

from references.formats import Floats, Integers
from references.ieee import doubledouble as dd
from references.ieee.doubledouble import Pair

# exp is reduced by multiples of ln2 / 2**16, its two tables have 2**8 entries each.
_STEPS = 2**16
_TABLE = 2**8

# Below this exp is taken to be exp(LOWEST): less than 2**-2019, beyond every format; callers watch for it.
LOWEST = -1400.0


@dataclass(frozen=True)
class _ExpTables:
    pieces: tuple[float, float, float, float]  # ln2 / 2**16: three pieces of 26 bits, so that k * piece is exact
    inverse: float
    coarse: Pair  # 2**(j / 2**8)
    fine: Pair  # 2**(j / 2**16)


def _pair_of(values: list[mpmath.mpf]) -> Pair:
    high = np.array([float(v) for v in values])
    return high, np.array([float(v - mpmath.mpf(h)) for v, h in zip(values, high.tolist(), strict=True)])


@cache
def _exp_tables() -> _ExpTables:
    with mpmath.workprec(400):
        step = mpmath.log(2) / _STEPS
        rest, pieces = step, []
        for _ in range(3):
            mantissa, exponent = mpmath.frexp(rest)
            piece = float(mpmath.ldexp(mpmath.floor(mpmath.ldexp(mantissa, 26)), exponent - 26))
            pieces.append(piece)
            rest -= mpmath.mpf(piece)
        coarse = _pair_of([mpmath.mpf(2) ** (mpmath.mpf(j) / _TABLE) for j in range(_TABLE)])
        fine = _pair_of([mpmath.mpf(2) ** (mpmath.mpf(j) / _STEPS) for j in range(_TABLE)])
        return _ExpTables((pieces[0], pieces[1], pieces[2], float(rest)), float(1 / step), coarse, fine)


def exp(d: Pair) -> tuple[Pair, Integers]:
    """exp of pairs d <= 0, as a pair in [0.99, 2.01) and its exponent: relative error <= 2**-101.

    d is reduced to k * ln2/2**16 + r, |r| <= 2**-17.5; exp(d) = 2**(k >> 16) * coarse * fine * (1 + expm1(r)).  In
    units of 2**-103 the budget is: table product 1.15, final sums 1.5, polynomial 0.25, tables and reduction 0.25.
    Arguments below LOWEST are raised to it; -inf is the caller's to mask.
    """
    t = _exp_tables()
    high, low = d
    if not high.min(initial=0.0) >= LOWEST:
        clipped = high < LOWEST
        high, low = np.where(clipped, LOWEST, high), np.where(clipped, 0.0, low)
    steps = np.rint(high * t.inverse)
    r = high - steps * t.pieces[0]
    r, e1 = dd.two_sum(r, -(steps * t.pieces[1]))
    r, e2 = dd.two_sum(r, -(steps * t.pieces[2]))
    # Added to the low word alone, d's own low word would cost five bits.
    r, e3 = dd.two_sum(r, low)
    r, r_low = dd.fast_two_sum(r, (e1 + e2) + (e3 - steps * t.pieces[3]))

    parts = dd.split(r)
    square, square_error = dd.two_product_split(r, parts, r, parts)
    tail = r * square * (1 / 6 + r * (1 / 24 + r * (1 / 120)))
    p, p_error = dd.fast_two_sum(r, 0.5 * square)
    p_low = p_error + (r_low + (tail + (0.5 * square_error + r * r_low)))

    index = steps.astype(np.int64)
    coarse, fine = (index >> 8) & (_TABLE - 1), index & (_TABLE - 1)
    a, a_low, b, b_low = t.coarse[0][coarse], t.coarse[1][coarse], t.fine[0][fine], t.fine[1][fine]
    factor, factor_low = dd.two_product(a, b)
    factor_low = factor_low + (a * b_low + a_low * b)
    product, product_low = dd.two_product(factor, p)
    total, total_low = dd.fast_two_sum(factor, product)
    total_low = total_low + (factor_low + (product_low + (factor * p_low + factor_low * p)))
    return dd.fast_two_sum(total, total_low), index >> 16


@cache
def _log_table() -> tuple[Floats, Floats]:
    """Centres c in [1, 2) and log(c)."""
    centres = 1.0 + (np.arange(_TABLE) + 0.5) / _TABLE
    with mpmath.workprec(100):
        return centres, np.array([float(mpmath.log(mpmath.mpf(c))) for c in centres.tolist()])


def _log_estimate(s: Floats) -> Floats:
    """log(s) for normal s >= 1 in binary64: absolute error <= 2**-51 * max(1, log s)."""
    centres, logs = _log_table()
    mantissa, exponent = np.frexp(s)
    mantissa, exponent = 2.0 * mantissa, exponent - 1
    j = ((mantissa - 1.0) * _TABLE).astype(np.int64)
    z = (mantissa - centres[j]) / centres[j]  # |z| <= 2**-9
    series = z * (1 + z * (-1 / 2 + z * (1 / 3 + z * (-1 / 4 + z * (1 / 5 + z * (-1 / 6))))))
    return np.asarray(exponent * float(np.float64(0.6931471805599453)) + (logs[j] + series), np.float64)


def log1p(t: Pair, exponent: Integers) -> tuple[Pair, Integers]:
    """log(1 + t * 2**exponent) of positive pairs (or zero), as a pair and its exponent: relative error <= 2**-90.

    Sums of up to 2**500 are meant; far beyond, the low word of exp(-y) would underflow.
    Below 2**-8: 2 artanh(z), z = t / (2 + t), by its series, relative error <= 2**-98, at the exponent of t, so that
    nothing underflows.  Above: one Newton step y + w - w**2/2, w = (1 + t) * exp(-y) - 1, from a binary64 estimate y;
    its absolute error 2**-99 is at most 2**-91 of the result.
    """
    plain = dd.scale(t, exponent)
    small = plain[0] < 2.0**-8
    one = np.ones_like(plain[0])
    high, low = dd.two_sum(one, plain[0])
    s = dd.fast_two_sum(high, low + plain[1])

    estimate = _log_estimate(np.where(small, 1.5, s[0]))
    inverse, power = exp((-estimate, np.zeros_like(estimate)))
    w_high, w_low = dd.multiply(s, dd.scale(inverse, power))
    w, w_rest = dd.two_sum(w_high, -one)
    w = w + (w_rest + w_low)
    newton = dd.two_sum(estimate, w - 0.5 * w * w)

    two = dd.fast_two_sum(2.0 * one, plain[0])
    z_over_t = dd.divide((one, np.zeros_like(one)), dd.fast_two_sum(two[0], two[1] + plain[1]))
    z = dd.multiply(plain, z_over_t)
    square = dd.multiply(z, z)
    # 1 + z2/3 + z2**2/5 + ...: the first three terms in pairs, the rest, below 2**-54, in binary64.
    rest = square[0] * square[0] * square[0] * (1 / 7 + square[0] * (1 / 9 + square[0] * (1 / 11)))
    third = dd.divide(square, (3.0 * one, np.zeros_like(one)))
    fifth = dd.divide(dd.multiply(square, square), (5.0 * one, np.zeros_like(one)))
    series = dd.add(fifth, (rest, np.zeros_like(one)))
    series = dd.add((one, np.zeros_like(one)), dd.add(third, series))
    artanh = dd.multiply(dd.multiply(t, z_over_t), series)

    pair = (np.where(small, 2.0 * artanh[0], newton[0]), np.where(small, 2.0 * artanh[1], newton[1]))
    return pair, np.where(small, exponent, 0)


def expm1(t: Floats) -> Floats:
    """exp(t) - 1 for t >= 0 (above 700 as for 700), relative error <= 2**-46; NaN stays NaN."""
    t = np.minimum(np.asarray(t, np.float64), 700.0)
    series = t * (1 + t / 2 * (1 + t / 3 * (1 + t / 4 * (1 + t / 5 * (1 + t / 6)))))
    large = t > 2.0**-7
    if not large.any():
        return np.asarray(series)
    u = np.where(large, t, 1.0)
    (high, low), power = exp((-u, np.zeros_like(u)))
    inverse = np.ldexp(high + low, power.astype(np.int32))
    return np.where(large, (1 - inverse) / inverse, series)


def log_of_inverse(r: Floats) -> Floats:
    """-log(1 - r) for 0 <= r < 1, relative error <= 2**-50; NaN stays NaN."""
    if (r < 2.0**-9).all():
        # What is left out is below r**6 / 7 of the result.
        return np.asarray(r * (1 + r * (1 / 2 + r * (1 / 3 + r * (1 / 4 + r * (1 / 5 + r * (1 / 6)))))))
    valid = np.isfinite(r)
    t = np.where(valid, r, 0.0)
    t = t / (1 - t)
    (high, low), power = log1p((t, np.zeros_like(t)), np.zeros(t.shape, np.int64))
    return np.where(valid, np.ldexp(high + low, power.astype(np.int32)), np.nan)
