"""A reference: exact rows as unevaluated pairs, each element with a bound on its error and the tier it came from."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import mpmath
import numpy as np
import numpy.typing as npt

from references.formats import Floats, Format, Integers, Mask
from references.oracle.certified import Certified

# The largest error of a reference element, in ulps of the output format.
TOLERANCE = 2.0**-20

# What an element was evaluated in, cheapest first; ``Reference.tier`` holds indices into it.
TIERS = ("binary64", "double-double", "mpmath")
BINARY64, DOUBLE_DOUBLE, MPMATH = range(len(TIERS))

# Exponents below this are raised to it: what is lost there is far below every format.
LOWEST_EXPONENT = -2100


@dataclass(frozen=True, eq=False)
class Reference:
    """Exact values as ``(hi + lo) * 2**exponent``, each off by at most ``error * 2**exponent``; arrays [rows, n].

    NaN and -inf by contract stand in ``hi``.  Arrays of one value throughout may be broadcast, and can't be written to.
    """

    hi: Floats
    lo: Floats
    exponent: Integers
    error: Floats
    tier: npt.NDArray[np.uint8]

    @property
    def by_oracle(self) -> Mask:
        """The elements that came from the oracle itself."""
        return np.asarray(self.tier == MPMATH)

    def tier_counts(self) -> dict[str, int]:
        """How many elements each tier gave, those that gave none left out."""
        counts = np.bincount(self.tier.ravel(), minlength=len(TIERS)).tolist()
        return {name: count for name, count in zip(TIERS, counts, strict=True) if count}

    def values(self) -> Floats:
        """The nearest binary64 numbers, for scales and plots; errors are never taken from them."""
        if not self.exponent.any():
            return self.hi + self.lo
        return _shifted(self.hi + self.lo, self.exponent)

    def error_ulps(self, format: Format) -> Floats:
        """What each element may be off by, in ulps of ``format``."""
        shift = self.exponent - format.ulp_exponents(self.hi, self.lo, self.exponent)
        return np.where(np.isfinite(self.hi), _shifted(self.error, shift), 0.0)


def _shifted(values: Floats, exponent: Integers) -> Floats:
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        return np.ldexp(values, np.clip(exponent, -4000, 4000).astype(np.int32))


def as_pair(certified: Certified) -> tuple[float, float, int, float]:
    """hi, lo, exponent, error of an oracle result: hi in [0.5, 1), relative error 2**-105 and the enclosure's width."""
    value = certified.value
    if isinstance(value, float):
        return value, 0.0, 0, 0.0
    with mpmath.workprec(400):
        if isinstance(value, Fraction):
            centre, width = mpmath.mpf(value.numerator) / value.denominator, mpmath.mpf(0)
        else:
            centre, width = (value.lower + value.upper) / 2, value.upper - value.lower
        if not centre and not width:
            return 0.0, 0.0, 0, 0.0
        mantissa, exponent = mpmath.frexp(centre)
        if max(mpmath.mag(centre), mpmath.mag(width)) < LOWEST_EXPONENT:
            return 0.0, 0.0, LOWEST_EXPONENT, 1.0
        hi = float(mantissa)
        lo = float(mantissa - hi)
        exact = value == (Fraction(hi) + Fraction(lo)) * Fraction(2) ** int(exponent)
        return hi, lo, int(exponent), 0.0 if exact else float(mpmath.ldexp(width, -int(exponent))) + 2.0**-105
