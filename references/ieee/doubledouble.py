"""Arithmetic on unevaluated pairs hi + lo of binary64 arrays, with nothing but IEEE + - * / and no fused operations.

With u = 2**-53 the relative errors are those of M. Joldes, J.-M. Muller and V. Popescu, "Tight and rigorous error
bounds for basic building blocks of double-word arithmetic", ACM TOMS 44(2), 2017 (hal-01351529).  They hold while no
intermediate result overflows or falls below 2**-969, where the error-free products stop being exact; callers keep a
separate exponent for that reason.
"""

from __future__ import annotations

import numpy as np

from references.formats import Floats

Pair = tuple[Floats, Floats]

UNIT = 2.0**-53
_SPLITTER = 2.0**27 + 1.0


def two_sum(a: Floats, b: Floats | float) -> Pair:
    """a + b exactly (Knuth): (a - (total - shadow)) + (b - shadow) is what the total lacks."""
    total = a + b
    shadow = total - a
    rest = total - shadow
    np.subtract(a, rest, out=rest)
    np.subtract(b, shadow, out=shadow)
    rest += shadow
    return total, rest


def fast_two_sum(a: Floats, b: Floats) -> Pair:
    """a + b exactly where |a| >= |b| or a = 0 (Dekker)."""
    total = a + b
    rest = total - a
    return total, np.subtract(b, rest, out=rest)


def split(a: Floats) -> Pair:
    """a as a sum of two numbers of 26 bits each (Veltkamp); |a| < 2**995."""
    scaled = _SPLITTER * a
    high = scaled - (scaled - a)
    return high, a - high


def two_product_split(a: Floats, a_parts: Pair, b: Floats, b_parts: Pair) -> Pair:
    """a * b exactly, for factors that are split already (Dekker)."""
    product = a * b
    (ah, al), (bh, bl) = a_parts, b_parts
    return product, ((ah * bh - product) + ah * bl + al * bh) + al * bl


def two_product(a: Floats, b: Floats) -> Pair:
    """a * b exactly."""
    return two_product_split(a, split(a), b, split(b))


def add(a: Pair, b: Pair) -> Pair:
    """a + b, relative error <= 3u**2 + 13u**3 (AccurateDWPlusDW), for any signs."""
    high, high_error = two_sum(a[0], b[0])
    low, low_error = two_sum(a[1], b[1])
    high, rest = fast_two_sum(high, high_error + low)
    return fast_two_sum(high, low_error + rest)


def add_same_sign(a: Pair, b: Pair) -> Pair:
    """a + b for a and b of one sign, relative error <= 3u**2 (SloppyDWPlusDW)."""
    high, error = two_sum(a[0], b[0])
    return fast_two_sum(high, error + (a[1] + b[1]))


def multiply(a: Pair, b: Pair) -> Pair:
    """a * b, relative error <= 7u**2 (DWTimesDW1)."""
    high, error = two_product(a[0], b[0])
    return fast_two_sum(high, error + (a[0] * b[1] + a[1] * b[0]))


def multiply_double(a: Pair, b: Floats) -> Pair:
    """a * b for a single b, relative error <= 3u**2 (DWTimesFP1 needs 1.5u**2 + 4u**3; this is its one-sum variant)."""
    high, error = two_product(a[0], b)
    return fast_two_sum(high, error + a[1] * b)


def divide(a: Pair, b: Pair) -> Pair:
    """a / b by three quotient digits, relative error <= 16u**2."""
    first = a[0] / b[0]
    rest = add(a, negate(multiply_double(b, first)))
    second = rest[0] / b[0]
    rest = add(rest, negate(multiply_double(b, second)))
    high, low = fast_two_sum(first, second)
    return fast_two_sum(high, low + rest[0] / b[0])


def negate(a: Pair) -> Pair:
    return -a[0], -a[1]


def sum_last(a: Pair, *, same_sign: bool = False) -> Pair:
    """Sum over the last axis, pairwise: error <= ceil(log2 n) * 3u**2 * sum of magnitudes (+ higher order)."""
    plus = add_same_sign if same_sign else add
    high, low = a
    while (n := high.shape[-1]) > 1:
        half = n // 2
        head, tail = (high[..., :half], low[..., :half]), (high[..., half : 2 * half], low[..., half : 2 * half])
        total = plus(head, tail)
        if n % 2:
            total = (
                np.concatenate([total[0], high[..., -1:]], axis=-1),
                np.concatenate([total[1], low[..., -1:]], axis=-1),
            )
        high, low = total
    return high[..., 0], low[..., 0]


def scale(a: Pair, exponent: np.typing.NDArray[np.int64]) -> Pair:
    """a * 2**exponent; exact unless it underflows (below 2**-1074 the rest is dropped)."""
    clipped = np.clip(exponent, -2200, 2200).astype(np.int32)
    return np.ldexp(a[0], clipped), np.ldexp(a[1], clipped)
