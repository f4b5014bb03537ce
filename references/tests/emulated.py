"""Arithmetic whose every operation is rounded exactly, for algorithms to be emulated in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import mpmath
import numpy as np

from references.formats import BINARY32, BINARY64, Floats, Format, Integers
from references.ieee import doubledouble as dd
from references.ieee.elementary import exp, log1p
from references.tests.orders import ORDERS


@dataclass(frozen=True)
class Machine:
    """Elementwise results in ``elementwise``, sums in ``sums``, exp and log in ``elementary``, results in ``output``.

    A sum, product or quotient of numbers of 24 bits or fewer, taken in binary64 and rounded once more, is rounded
    correctly (53 >= 2 * 24 + 2).  ``push`` moves exp and log by that many ulps before they are rounded; with 2, they
    are within 3.  ``flushes`` takes subnormal numbers for zero, as operands and as results.
    """

    output: Format
    elementwise: Format
    sums: Format
    elementary: Format
    order: str = "recursive"
    push: float = 0.0
    flushes: bool = False

    @property
    def kernel(self) -> Machine:
        """The machine that a gradient's kernel runs on."""
        return self

    def rounded(self, values: Floats, format: Format | None = None) -> Floats:
        return self.flushed(to_format(values, format or self.elementwise))

    def saved(self, values: Floats) -> Floats:
        """A forward result as it is handed to a gradient."""
        return self.rounded(values, self.output)

    def stored(self, values: Floats) -> Floats:
        """A result as it is returned."""
        return self.rounded(values, self.output)

    def flushed(self, values: Floats) -> Floats:
        if not self.flushes:
            return values
        return np.where(np.abs(values) < self.sums.smallest_normal, 0.0, values)

    def add(self, a: Floats, b: Floats) -> Floats:
        return self.rounded(np.asarray(self.flushed(a) + self.flushed(b)))

    def subtract(self, a: Floats, b: Floats) -> Floats:
        return self.add(a, -b)

    def shift(self, x: Floats, maximum: Floats) -> Floats:
        """x - max x: a subtraction, of a name of its own for a machine that errs there alone."""
        with np.errstate(over="ignore"):
            return self.subtract(x, maximum)

    def multiply(self, a: Floats, b: Floats) -> Floats:
        return self.rounded(np.asarray(self.flushed(a) * self.flushed(b)))

    def divide(self, a: Floats, b: Floats) -> Floats:
        return self.rounded(np.asarray(self.flushed(a) / self.flushed(b)))

    def exp(self, x: Floats) -> Floats:
        """exp x, pushed up in one half of the row and down in the other."""
        away = np.where(np.arange(x.shape[-1]) < x.shape[-1] // 2, 1.0, -1.0)
        x = self.flushed(x)
        size = np.where(np.isinf(x), 0.0, np.abs(x))
        (high, low), power = exp((-size, np.zeros_like(x)))
        if (x > 0).any():
            inverse = dd.divide((np.ones_like(x), np.zeros_like(x)), (high, low))
            high, low = np.where(x > 0, inverse[0], high), np.where(x > 0, inverse[1], low)
            power = np.where(x > 0, -power, power)
        result = self._pushed(high, low, power, np.where(x == 0, 0.0, away))
        return self.rounded(np.where(np.isinf(x), 0.0, np.maximum(result, 0.0)))

    def log(self, s: Floats) -> Floats:
        """log s of sums and of softmaxes, pushed up and down in turn; -inf of 0."""
        high, low, power = _log(np.where(s == 0, 1.0, s))
        away = np.where(np.arange(s.shape[0]) % 2, 1.0, -1.0)[:, None]
        result = self._pushed(high, low, power, np.where(s == 1, 0.0, away))
        return self.rounded(np.where(s == 0, -np.inf, result))

    def log1p(self, t: Floats) -> Floats:
        """log(1 + t) for t >= 0, pushed up and down in turn."""
        t = self.flushed(t)
        mantissa, power = np.frexp(t)
        (high, low), exponent = log1p((mantissa, np.zeros_like(t)), power.astype(np.int64))
        away = np.where(np.arange(t.shape[0]) % 2, 1.0, -1.0)[:, None]
        return self.rounded(self._pushed(high, low, exponent, np.where(t == 0, 0.0, away)))

    def _pushed(self, high: Floats, low: Floats, power: Integers, away: Floats) -> Floats:
        format = self.elementary
        if self.push:
            quantum = format.ulp_exponents(high, low, power)
            shift = np.ldexp(self.push * away, np.clip(quantum - power, -4000, 1000).astype(np.int32))
            high, error = dd.two_sum(high, shift)
            low = error + low
        return self.flushed(format.decode(format.round_pairs(high, low, power)[0]))

    def sum(self, a: Floats) -> Floats:
        """The sum over a row, [rows, 1], stored as an elementwise result is."""
        return self.rounded(ORDERS[self.order](self.accumulate, self.flushed(a)))

    def accumulate(self, a: Floats, b: Floats) -> Floats:
        """One addition in a sum."""
        return self.rounded(a + b, self.sums)


@dataclass(frozen=True)
class ByExp2(Machine):
    """A machine whose exp x is exp2(x log2 e) and whose log s is log2(s) ln 2."""

    def exp(self, x: Floats) -> Floats:
        scaled = self.multiply(np.where(np.isinf(x), 0.0, x), to_format(np.array(_LOG2_E), self.elementwise))
        # 2**y as the exp of the pair y ln 2.
        high, low = dd.two_product(scaled, np.full_like(scaled, _LN_2[0]))
        pair, power = exp((high, low + scaled * _LN_2[1]))
        away = np.where(scaled == 0, 0.0, np.where(np.arange(x.shape[-1]) < x.shape[-1] // 2, 1.0, -1.0))
        result = self._pushed(*pair, power, away)
        return self.rounded(np.where(np.isinf(x), 0.0, np.maximum(result, 0.0)))

    def log(self, s: Floats) -> Floats:
        high, low, power = _log(s)
        inverse = _LOG2_E * np.ones_like(s), _LOG2_E_LOW * np.ones_like(s)
        away = np.where(np.arange(s.shape[0]) % 2, 1.0, -1.0)[:, None]
        scaled = self._pushed(*dd.multiply((high, low), inverse), power, np.where(s == 1, 0.0, away))
        return self.multiply(scaled, to_format(np.array(_LN_2[0]), self.elementwise))


@dataclass(frozen=True)
class Planted(Machine):
    """A machine that is ``coarse`` in the operations of one source of error, exp and log pushed there, and itself else.

    The saved output and the output are rounded to their format only where that is the source.
    """

    source: str = ""
    coarse: Format = BINARY32

    def _of(self, source: str) -> Machine:
        if source != self.source:
            return Machine(self.output, self.elementwise, self.sums, self.elementary, self.order)
        return Machine(self.output, self.coarse, self.coarse, self.coarse, self.order, self.push)

    @property
    def kernel(self) -> Machine:
        return self._of("kernel")

    def shift(self, x: Floats, maximum: Floats) -> Floats:
        return self._of("shift").shift(x, maximum)

    def exp(self, x: Floats) -> Floats:
        return self._of("exp").exp(x)

    def sum(self, a: Floats) -> Floats:
        return self._of("sum").sum(a)

    def divide(self, a: Floats, b: Floats) -> Floats:
        return self._of("division").divide(a, b)

    def log(self, s: Floats) -> Floats:
        return self._of("log").log(s)

    def subtract(self, a: Floats, b: Floats) -> Floats:
        return self._of("difference").subtract(a, b)

    def saved(self, values: Floats) -> Floats:
        return to_format(values, self.output) if self.source == "saved output" else values

    def stored(self, values: Floats) -> Floats:
        return to_format(values, self.output) if self.source == "output rounding" else values


def _constant(make: Callable[[], mpmath.mpf]) -> tuple[float, float]:
    with mpmath.workprec(200):
        whole = make()
        return float(whole), float(whole - float(whole))


_LN_2 = _constant(lambda: mpmath.log(2))
_LOG2_E, _LOG2_E_LOW = _constant(lambda: 1 / mpmath.log(2))
_600_LN_2 = _constant(lambda: 600 * mpmath.log(2))


def to_format(values: Floats, format: Format) -> Floats:
    """Binary64 numbers rounded to nearest, ties to even; beyond the largest number to infinity."""
    if format is BINARY64:
        return values
    if format is BINARY32:
        with np.errstate(over="ignore"):
            return np.asarray(values.astype(np.float32), np.float64)
    _, power = np.frexp(values)
    quantum = np.maximum(power - format.precision, format.quantum)
    with np.errstate(invalid="ignore"):
        result: Floats = np.ldexp(np.rint(np.ldexp(values, -quantum)), quantum)
        return np.where(np.abs(result) > format.largest, np.copysign(np.inf, result), result)


def _log(s: Floats) -> tuple[Floats, Floats, Integers]:
    """log s of positive numbers, as a pair and its exponent; tiny ones by way of log(2**600 s)."""
    tiny = s < 2.0**-400
    s = np.where(tiny, np.ldexp(s, 600), s)
    one, zero = np.ones_like(s), np.zeros_like(s)
    sign = np.where(s < 1, -1.0, 1.0)
    inverse = dd.divide((one, zero), (s, zero))
    size = np.where(s < 1, inverse[0], s), np.where(s < 1, inverse[1], 0.0)
    (high, low), power = log1p(dd.add(size, (-one, zero)), np.zeros(s.shape, np.int64))
    pair = sign * high, sign * low
    moved = dd.add(dd.scale(pair, power), (-_600_LN_2[0] * one, -_600_LN_2[1] * one))
    return np.where(tiny, moved[0], pair[0]), np.where(tiny, moved[1], pair[1]), np.where(tiny, 0, power)
