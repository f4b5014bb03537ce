"""The exact forward quantities of a batch of rows that bounds and conditioning scales are made of."""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable
from functools import cached_property

import numpy as np

from references.bounds.error_model import Arithmetic
from references.bulk.exact_pairs import Reference
from references.formats import Floats, Format, Mask
from references.ieee import doubledouble as dd


class Kept:
    """Arrays that are made once for a key, and then read-only."""

    def __init__(self) -> None:
        self._arrays: dict[Hashable, Floats] = {}

    def of(self, key: Hashable, make: Callable[[], Floats]) -> Floats:
        """What ``make`` gives, or gave before."""
        if key not in self._arrays:
            made = make()
            made.flags.writeable = False
            self._arrays[key] = made
        return self._arrays[key]


class Shifted:
    """s, l = log s, the maximum, d = x - max x and its size, log S, for ordinary rows; arrays [rows, n] or [rows, 1].

    Masked elements have d = l = 0 and s = 0.
    """

    def __init__(self, logits: Floats, softmax: Reference, log_softmax: Reference) -> None:
        self.n = logits.shape[-1]
        self.masked = logits == -np.inf
        self.top = logits.argmax(axis=-1)[:, None]
        self.maximum = np.take_along_axis(logits, self.top, axis=-1)
        with np.errstate(invalid="ignore", over="ignore"):
            high, low = dd.two_sum(logits, -self.maximum)
        self.difference = np.where(self.masked, 0.0, high)
        self.difference_low = np.where(self.masked | ~np.isfinite(low), 0.0, low)
        self.distance = np.abs(self.difference)
        self.s = softmax.values()
        self.l = np.where(self.masked, 0.0, log_softmax.values())
        self.log_total = np.abs(np.take_along_axis(self.l, self.top, axis=-1))
        self._kept = Kept()

    @cached_property
    def mean_distance(self) -> Floats:
        """D, the mean of |d| under s: [rows, 1]."""
        return mean(self.s, self.distance)

    def row(self, index: int) -> Shifted:
        """One row as a batch of its own."""
        one = copy.copy(self)
        one.__dict__.pop("mean_distance", None)
        for name, value in vars(self).items():
            if isinstance(value, np.ndarray):
                setattr(one, name, value[index : index + 1])
        one._kept = Kept()
        return one

    def kept(self, key: Hashable, make: Callable[[], Floats]) -> Floats:
        """What ``make`` gives for these rows, made once for a key, and then read-only."""
        return self._kept.of(key, make)

    def subtraction(self, arithmetic: Arithmetic) -> Floats:
        """tau: the absolute error of x - max in the arithmetic's grid; zero where the difference is on it."""
        return arithmetic.shift * self.kept(("tau", arithmetic.grid), lambda: self._tau(arithmetic.grid))

    def _tau(self, grid: Format) -> Floats:
        inexact = ~on_grid(self.difference, grid) | (self.difference_low != 0)
        half_ulp = np.ldexp(0.5, ulp_exponents(self.distance, grid))
        return np.where(inexact, np.minimum(grid.unit_roundoff * self.distance, half_ulp), 0.0)


def on_grid(values: Floats, format: Format) -> Mask:
    """Which binary64 numbers the format holds exactly."""
    _, power = np.frexp(values)
    quantum = np.maximum(power - format.precision, format.quantum)
    units = np.ldexp(values, -quantum)
    return np.asarray((units == np.rint(units)) & (np.abs(values) <= format.largest))


def ulp_exponents(values: Floats, format: Format) -> np.typing.NDArray[np.int32]:
    """log2 of the ulp at each number; above the largest, and at infinity, as at the largest."""
    _, power = np.frexp(values)
    binade = np.where(values == 0, format.emin, np.clip(power - 1, format.emin, format.emax))
    binade = np.where(np.isfinite(values), binade, format.emax)
    return np.asarray(binade - (format.precision - 1), np.int32)


def product(a: Floats, b: Floats) -> Floats:
    """a b with 0 * inf = 0: a masked or vanished element carries no error."""
    with np.errstate(invalid="ignore", over="ignore", under="ignore"):
        plain = np.asarray(a * b)
        if np.isfinite(plain).all():
            return plain
        return np.where((a == 0) | (b == 0), 0.0, plain)


def mean(weights: Floats, values: Floats) -> Floats:
    """The sum over a row of weights times values, [rows, 1]."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(product(weights, values).sum(axis=-1, keepdims=True))
