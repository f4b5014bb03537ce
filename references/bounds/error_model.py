"""What a bound assumes of an implementation's arithmetic: the error of each kind of operation, near zero too."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from references.bounds.summation_depth import any_order_depth, gamma
from references.formats import Floats, Format, compute_format

# exp and log are granted this many ulps.
ELEMENTARY_ULPS = 3.0


@dataclass(frozen=True)
class Arithmetic:
    """The errors of one arithmetic, relative unless they are said to be absolute; a zero switches an error off.

    ``grid``: the format that x - max, and every elementwise result, is rounded to; ``shift``: how much of that rounding
    x - max is charged with, 1 or 0.  ``unit``: of one elementwise result; ``lost``, absolute: by a product, a quotient
    or a stored sum near zero (half the smallest subnormal; flushing: the smallest normal number).  ``exp``, ``log``: of
    the function; ``exp_lost``, ``log_lost``, absolute: near zero; ``exp_argument``: of the number that exp is taken of,
    beyond the rounding of the difference.  ``sum``: of a sum, whose additions have ``sum_unit`` and the ``depth``, the
    additions on its longest path; ``stored_sum``: of storing it; ``lost_sum``, absolute: by one addition (nothing,
    unless it is flushed).  ``assumed``: the depth is no theorem for any order of summation.
    """

    grid: Format
    depth: int
    assumed: bool
    sum_unit: float
    shift: float
    unit: float
    lost: float
    exp: float
    exp_argument: float
    exp_lost: float
    log: float
    log_lost: float
    sum: float
    stored_sum: float
    lost_sum: float


# What can be switched on alone: a source of error, and the fields that are its own.
SOURCES: dict[str, tuple[str, ...]] = {
    "shift": ("shift",),
    "exp": ("exp", "exp_argument", "exp_lost"),
    "sum": ("sum", "stored_sum", "lost_sum"),
    "log": ("log", "log_lost"),
    "elementwise": ("unit", "lost"),
}


def only(arithmetic: Arithmetic, sources: frozenset[str]) -> Arithmetic:
    """The same arithmetic with every other source of SOURCES free of error."""
    silent: dict[str, Any] = {name: 0.0 for source in SOURCES if source not in sources for name in SOURCES[source]}
    return replace(arithmetic, **silent)


def compute_arithmetic(format: Format, n: int, *, flushes: bool = False, depth: int | None = None) -> Arithmetic:
    """Everything inside in the compute format; sums in any order, or of a ``depth`` that is known.

    A flush takes up to N, the smallest normal number, from an operand or a result: an exp may lose its own result and
    2N of the difference that it is taken of.
    """
    wide = compute_format(format)
    unit = wide.unit_roundoff
    chosen, assumed = any_order_depth(n, unit) if depth is None else (depth, False)
    flushed = wide.smallest_normal if flushes else 0.0
    near_zero = 4 * flushed or ELEMENTARY_ULPS * wide.smallest_subnormal
    return Arithmetic(
        grid=wide,
        depth=chosen,
        assumed=assumed,
        sum_unit=unit,
        shift=1.0,
        unit=unit,
        lost=flushed or _halved(wide.smallest_subnormal),
        exp=2 * ELEMENTARY_ULPS * unit,
        exp_argument=0.0,
        exp_lost=near_zero,
        log=2 * ELEMENTARY_ULPS * unit,
        log_lost=near_zero,
        sum=gamma(chosen, unit),
        stored_sum=0.0,
        lost_sum=flushed,
    )


def storage_arithmetic(format: Format, n: int, *, flushes: bool = False, depth: int | None = None) -> Arithmetic:
    """Sums in binary32, and every elementwise result, a stored sum too, rounded to the narrow storage format."""
    inner = compute_arithmetic(format, n, flushes=flushes, depth=depth)
    narrow, half = format.unit_roundoff, _halved(format.smallest_subnormal)
    return replace(
        inner,
        grid=format,
        unit=float(compounded(inner.unit, narrow)),
        lost=inner.lost + half,
        exp=float(compounded(inner.exp, narrow)),
        exp_lost=inner.exp_lost + half,
        log=float(compounded(inner.log, narrow)),
        log_lost=inner.log_lost + half,
        stored_sum=narrow,
    )


def narrow_arithmetic(format: Format, n: int, *, flushes: bool = False, depth: int | None = None) -> Arithmetic:
    """The storage arithmetic with its sums in the narrow format too: each addition is rounded to it."""
    inner = storage_arithmetic(format, n, flushes=flushes, depth=depth)
    narrow = format.unit_roundoff
    chosen, assumed = any_order_depth(n, narrow) if depth is None else (depth, False)
    return replace(inner, depth=chosen, assumed=assumed, sum_unit=narrow, sum=gamma(chosen, narrow), stored_sum=0.0)


def compounded(*relative: Floats | float) -> Floats:
    """(1 + a)(1 + b)... - 1 of non-negative errors, each step as a + b + a b.

    1 + u is never formed: for u = 2**-53 that would turn a bound into zero.
    """
    total: Floats = np.zeros(())
    for error in relative:
        total = total + error + total * error
    return total


def summation_error(arithmetic: Arithmetic) -> float:
    """The relative error of a sum and of storing it."""
    return float(compounded(arithmetic.sum, arithmetic.stored_sum))


def _halved(quantum: float) -> float:
    """Half the smallest number, rounded up: half of binary64's own smallest number would be zero."""
    return max(quantum / 2, math.ulp(0.0))
