"""Golden vectors: each element of the exact result as rounded bits and as a pair, straight from the oracle.

An element's pair is ``(hi + lo) * 2**exponent``: the exact value rounded to nearest at 106 bits, cut into two binary64
numbers, so it is within 2**-106 of the value, relatively.  It depends on the input alone, not on the precision or the
library that found it.  (Where the value lies within a relative 2**-1024 of a midpoint of 106 bits, it may be either
neighbour.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import mpmath
import numpy as np
import numpy.typing as npt

from references.formats import Bits, Floats, Format
from references.functions import Problem
from references.oracle.certified import Certified, Enclosure, Rounding, certified

# Significant bits of hi + lo, and how many more the first attempt works with.
PAIR_BITS = 106
_GUARD_BITS = 32

# The exponent of an element that is not zero but too small for an int32 exponent: hi is a zero of its sign.
VANISHED = -(2**31)

# Relative widths below this settle for a neighbour of a midpoint of PAIR_BITS.
_HOPELESS = -1024


@dataclass(frozen=True)
class Golden:
    """The exact results of rows, arrays [rows, n].

    ``bits`` are correctly rounded patterns of the format.  ``hi`` and ``lo`` are binary64, ``hi`` in [0.5, 1) in
    magnitude or zero, and ``exponent`` is int32.  An exact zero is 0, 0, 0; NaN and -inf by contract stand in ``hi``
    with 0, 0; an element below 2**VANISHED in magnitude is a signed zero with the exponent VANISHED.  ``precision`` is
    the working precision in bits that proved both (int32), 0 where a rule makes the element exact.
    """

    bits: Bits
    hi: Floats
    lo: Floats
    exponent: npt.NDArray[np.int32]
    precision: npt.NDArray[np.int32]


def golden(
    operation: str,
    quantity: str,
    logits: Floats,
    format: Format,
    *,
    cotangent: Floats | None = None,
    tangent: Floats | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> Golden:
    """The golden vectors of rows [rows, n] of binary64 numbers;
    ``progress`` is called after each row with how many are done.

    Raises ValueError like ``Problem``, and OracleError where an element can't be proved.
    """
    shape = logits.shape
    found = Golden(
        np.zeros(shape, format.bits_dtype),
        np.zeros(shape),
        np.zeros(shape),
        np.zeros(shape, np.int32),
        np.zeros(shape, np.int32),
    )
    for row in range(shape[0]):
        vectors = (None if v is None else v[row].tolist() for v in (cotangent, tangent))
        problem = Problem(operation, quantity, logits[row].tolist(), *vectors)
        decision = _Decision(problem, format)
        for i, element in enumerate(certified(problem, decision, decision.start)):
            place = row, i
            found.bits[place] = decision.rounding.bits(i, element)
            found.hi[place], found.lo[place], found.exponent[place] = pair_of(element)
            found.precision[place] = element.precision
        progress(row + 1)
    return found


class _Decision:
    """Whether an enclosure determines both the rounded bits and the pair."""

    def __init__(self, problem: Problem, format: Format) -> None:
        self.rounding = Rounding(problem, format)
        self.start = max(self.rounding.start, PAIR_BITS + _GUARD_BITS)

    def __call__(self, i: int, enclosure: Enclosure) -> bool:
        return self.rounding(i, enclosure) and _rounded(enclosure) is not None


def _rounded(enclosure: Enclosure) -> mpmath.mpf | None:
    """The number of PAIR_BITS that the enclosed value rounds to, if the enclosure decides it."""
    with mpmath.workprec(PAIR_BITS):
        low, high = +enclosure.lower, +enclosure.upper
        width = enclosure.upper - enclosure.lower
        hopeless = width < mpmath.ldexp(abs(low), _HOPELESS) and width < mpmath.ldexp(abs(high), _HOPELESS)
        return low if low == high or hopeless else None


def pair_of(element: Certified) -> tuple[float, float, int]:
    """hi, lo and exponent of an element that is exact or enclosed tightly enough."""
    if isinstance(element.value, float):
        return element.value, 0.0, 0
    if isinstance(element.value, Fraction):
        ratio = element.value.numerator, element.value.denominator
        number = mpmath.mp.make_mpf(mpmath.libmp.from_rational(*ratio, PAIR_BITS, "n"))
    else:
        number = _rounded(element.value)
        assert number is not None
    with mpmath.workprec(PAIR_BITS):
        mantissa, exponent = mpmath.frexp(number)
        with mpmath.workprec(53):
            leading = +mantissa
        if abs(leading) == 1:
            mantissa, leading, exponent = mantissa / 2, leading / 2, exponent + 1
        if exponent <= VANISHED:
            return (-0.0 if number < 0 else 0.0), 0.0, VANISHED
        return float(leading), float(mantissa - leading), int(exponent)
