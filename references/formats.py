"""Binary floating-point formats: the value of a bit pattern, the ulp of a number, and correct rounding.

A value is handled in one of three exact shapes: a ``Fraction``; a dyadic ``mantissa * 2**exponent`` in integers; or,
for arrays, an unevaluated pair ``(hi + lo) * 2**exponent`` of binary64 numbers.  Nothing passes through a float that is
narrower than it is, so nothing is rounded twice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Bits = npt.NDArray[np.unsignedinteger]
Mask = npt.NDArray[np.bool_]

# Shifts beyond this move a binary64 number out of every format; np.ldexp takes 32-bit exponents only.
_FAR = 4000

# Binary64's smallest number.
_TINY = 2.0**-1074


class FormatError(ValueError):
    """A format that is not known, or a value that a format can't hold; the message names both."""


@dataclass(frozen=True)
class Format:
    """A binary format: ``precision`` significand bits (the hidden one counted), exponents ``emin .. emax``.

    ``infinities`` is False for the formats that spend the top exponent on finite numbers; overflow gives NaN there.
    """

    name: str
    width: int
    precision: int
    emin: int
    emax: int
    infinities: bool = True

    @property
    def unit_roundoff(self) -> float:
        """u = 2**-p, the largest relative error of a rounding to nearest."""
        return math.ldexp(1.0, -self.precision)

    @property
    def quantum(self) -> int:
        """Exponent of the smallest subnormal number."""
        return self.emin - self.precision + 1

    @property
    def smallest_subnormal(self) -> float:
        return math.ldexp(1.0, self.quantum)

    @property
    def smallest_normal(self) -> float:
        return math.ldexp(1.0, self.emin)

    @cached_property
    def largest_bits(self) -> int:
        """The bit pattern of the largest finite number."""
        top = (self.emax - self.emin + 2) << (self.precision - 1)
        return top - (1 if self.infinities else 2)

    @cached_property
    def largest(self) -> float:
        return float(self.value(self.largest_bits))

    @property
    def sign_bit(self) -> int:
        return 1 << (self.width - 1)

    @property
    def infinity_bits(self) -> int:
        """The pattern that overflow gives: infinity, or NaN where the format has none."""
        return self.largest_bits + 1

    @property
    def nan_bits(self) -> int:
        """The canonical quiet NaN."""
        quiet = 1 << (self.precision - 2)
        return self.infinity_bits | quiet if self.infinities else self.infinity_bits

    @property
    def bits_dtype(self) -> np.dtype[np.unsignedinteger]:
        return np.dtype(f"uint{self.width}")

    # -- what a bit pattern means ----------------------------------------------------------------------------------

    def value(self, bits: int) -> Fraction | float:
        """The number that ``bits`` stands for: an exact ``Fraction``, or a float ``inf``, ``-inf`` or ``nan``."""
        magnitude = bits & (self.sign_bit - 1)
        sign = -1 if bits & self.sign_bit else 1
        if magnitude > self.largest_bits:
            return sign * math.inf if self.infinities and magnitude == self.infinity_bits else math.nan
        field = magnitude >> (self.precision - 1)
        mantissa = magnitude & ((1 << (self.precision - 1)) - 1)
        if field:
            mantissa |= 1 << (self.precision - 1)
        return sign * Fraction(mantissa) * Fraction(2) ** (self.quantum + max(field, 1) - 1)

    def decode(self, bits: Bits) -> Floats:
        """The values of an array of bit patterns, exactly (every format here fits in binary64)."""
        if self.width == 64:
            return bits.astype(np.uint64, copy=False).view(np.float64)
        if self.width == 32:
            with np.errstate(invalid="ignore"):  # a signalling NaN is converted quietly
                return bits.astype(np.uint32, copy=False).view(np.float32).astype(np.float64)
        return self._table[bits]

    @cached_property
    def _table(self) -> Floats:
        magnitude = np.arange(self.sign_bit, dtype=np.int64)
        field = magnitude >> (self.precision - 1)
        mantissa = magnitude & ((1 << (self.precision - 1)) - 1)
        mantissa = np.where(field > 0, mantissa | 1 << (self.precision - 1), mantissa)
        values = np.ldexp(mantissa.astype(np.float64), (self.quantum + np.maximum(field, 1) - 1).astype(np.int32))
        values[magnitude > self.largest_bits] = np.nan
        if self.infinities:
            values[self.infinity_bits] = np.inf
        return np.concatenate([values, -values])

    # -- the ulp ---------------------------------------------------------------------------------------------------

    def ulp(self, exact: Fraction) -> Fraction:
        """Goldberg's ulp at an exact real value: 2**(clip(floor(log2|y|), emin, emax) - p + 1), ulp(0) the quantum."""
        if exact == 0:
            return Fraction(2) ** self.quantum
        exponent = min(max(floor_log2(exact), self.emin), self.emax)
        return Fraction(2) ** (exponent - self.precision + 1)

    def ulp_exponents(self, hi: Floats, lo: Floats, exponent: Integers) -> Integers:
        """log2 of the ulp of each ``(hi + lo) * 2**exponent``; a pair just below a power of two has the smaller ulp."""
        mantissa, power = np.frexp(np.abs(hi))
        below = (mantissa == 0.5) & (lo * np.sign(hi) < 0)
        binade = power.astype(np.int64) - 1 - below + exponent
        binade = np.where(hi == 0, self.emin, np.clip(binade, self.emin, self.emax))
        return binade - self.precision + 1

    # -- rounding to nearest, ties to even -------------------------------------------------------------------------

    def round_dyadic(self, mantissa: int, exponent: int) -> int:
        """The bits of ``mantissa * 2**exponent`` correctly rounded."""
        if mantissa == 0:
            return 0
        sign, magnitude = (self.sign_bit, -mantissa) if mantissa < 0 else (0, mantissa)
        quantum = max(magnitude.bit_length() + exponent - self.precision, self.quantum)
        shift = quantum - exponent
        if shift <= 0:
            rounded = magnitude << -shift
        elif shift > magnitude.bit_length() + 1:
            rounded = 0
        else:
            rounded = magnitude >> shift
            rest, half = magnitude - (rounded << shift), 1 << (shift - 1)
            rounded += rest > half or (rest == half and rounded & 1)
        return sign | min(((quantum - self.quantum) << (self.precision - 1)) + rounded, self.infinity_bits)

    def round_rational(self, exact: Fraction) -> int:
        """The bits of a rational number correctly rounded (a sticky bit stands for the rest of the division)."""
        if exact.denominator & (exact.denominator - 1) == 0:
            return self.round_dyadic(exact.numerator, 1 - exact.denominator.bit_length())
        shift = max(self.precision + 3 - floor_log2(exact), 0)
        quotient, rest = divmod(abs(exact.numerator) << shift, exact.denominator)
        sticky = quotient << 1 | (rest != 0)
        return self.round_dyadic(-sticky if exact < 0 else sticky, -shift - 1)

    def round_pairs(self, hi: Floats, lo: Floats, exponent: Integers, error: Floats | float = 0.0) -> tuple[Bits, Mask]:
        """Bits of each ``(hi + lo) * 2**exponent`` correctly rounded, and where that is undecided.

        ``error`` bounds what the pair is off by, in units of ``2**exponent`` (and below a quarter of an ulp): an
        element nearer than that to a midpoint of the format is undecided.  NaN becomes the canonical NaN.
        """
        quantum = self.ulp_exponents(hi, lo, exponent)
        shift = np.clip(exponent - quantum, -_FAR, _FAR).astype(np.int32)
        with np.errstate(invalid="ignore", over="ignore", under="ignore"):
            # Above 2**precision only an overflow is left; the cap keeps its count within an integer.
            large = np.minimum(np.ldexp(np.abs(hi), shift), 2.0 ** (self.precision + 1))
            small = np.ldexp(lo * np.where(np.signbit(hi), -1.0, 1.0), shift)
            slack = np.ldexp(np.broadcast_to(np.asarray(error, np.float64), hi.shape), shift)
            if shift.min(initial=0) < 0:
                # A rest or an error that underflows here still breaks a tie, or leaves it open.
                small = np.where((small == 0) & (lo != 0), np.copysign(_TINY, lo) * np.copysign(1.0, hi), small)
                slack = np.maximum(slack, np.minimum(error, _TINY))
            whole = np.floor(large)
            part = large - whole
            above = _three_sum_sign(part, -0.5, small)
            below = _three_sum_sign(part, 0.5, small)
            odd = np.fmod(whole, 2.0) == 1.0
            up = (above > 0) | ((above == 0) & odd)
            down = (below < 0) | ((below == 0) & odd)
            undecided = (slack > 0) & ((np.abs(above) <= slack) | (np.abs(below) <= slack)) & np.isfinite(hi)
            count = np.where(np.isfinite(whole), whole, 0.0) + up - down
        base = (quantum - self.quantum).astype(np.uint64) << np.uint64(self.precision - 1)
        bits = np.minimum(base + count.astype(np.uint64), np.uint64(self.infinity_bits))
        bits = np.where(np.isinf(hi), np.uint64(self.infinity_bits), bits)
        bits |= np.where(np.signbit(hi), np.uint64(self.sign_bit), np.uint64(0))
        bits = np.where(np.isnan(hi), np.uint64(self.nan_bits), bits)
        return bits.astype(self.bits_dtype), undecided

    def round_floats(self, values: Floats) -> Bits:
        """Bits of binary64 numbers correctly rounded to this format."""
        values = np.asarray(values, np.float64)
        return self.round_pairs(values, np.zeros_like(values), np.zeros(values.shape, np.int64))[0]

    def encode(self, values: Floats) -> Bits:
        """Bits of numbers that the format holds exactly.

        Raises FormatError, with the first value that needs rounding.
        """
        values = np.asarray(values, np.float64)
        bits = self.round_floats(values)
        differs = ~((self.decode(bits) == values) | np.isnan(values))
        if differs.any():
            raise FormatError(f"{float(values[differs].flat[0])!r} is not a {self.name} number; round it first")
        return bits

    def hexadecimal(self, bits: int) -> str:
        """The pattern as fixed-width hexadecimal, ``0x3f800000``."""
        return f"0x{int(bits):0{self.width // 4}x}"


def floor_log2(exact: Fraction) -> int:
    """floor(log2|y|) of a non-zero rational, in integers."""
    numerator, denominator = abs(exact.numerator), exact.denominator
    guess = numerator.bit_length() - denominator.bit_length()
    reached = numerator >= denominator << guess if guess >= 0 else numerator << -guess >= denominator
    return guess if reached else guess - 1


def _three_sum_sign(part: Floats, step: float, small: Floats) -> Floats:
    """part + step + small, whose sign is that of the exact sum."""
    total = part + step
    kept = total - step
    lost = (part - kept) + (step - (total - kept))
    result = total + small
    kept = result - small
    lost = lost + ((total - kept) + (small - (result - kept)))
    return np.asarray(result + lost, np.float64)


BINARY64 = Format("binary64", 64, 53, -1022, 1023)
BINARY32 = Format("binary32", 32, 24, -126, 127)
BINARY16 = Format("binary16", 16, 11, -14, 15)
BFLOAT16 = Format("bfloat16", 16, 8, -126, 127)
FLOAT8_E5M2 = Format("float8_e5m2", 8, 3, -14, 15)
FLOAT8_E4M3FN = Format("float8_e4m3fn", 8, 4, -6, 8, infinities=False)

FORMATS: dict[str, Format] = {
    format.name: format for format in (BINARY64, BINARY32, BINARY16, BFLOAT16, FLOAT8_E5M2, FLOAT8_E4M3FN)
}


def format_named(name: str) -> Format:
    """The format of that name.  Raises FormatError, with the names that exist."""
    try:
        return FORMATS[name]
    except KeyError:
        raise FormatError(f"unknown format {name!r}; known are {', '.join(FORMATS)}") from None


def compute_format(format: Format) -> Format:
    """The wider of binary32 and ``format``: what an implementation is expected to compute in."""
    return format if format.precision > BINARY32.precision else BINARY32
