"""Rows and vectors at the ends of a format's range, where what lies between underflows, overflows or is absorbed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from references.formats import Floats, Format
from references.tests.samples import Generator, stored

Maker = Callable[[Generator, Format, int], Floats]

# Distances from the maximum at which exp underflows in one of the formats, or in what the tiers compute in.
_NEAR = (10.0, 17.0, 87.0, 104.0, 690.0, 706.5, 708.0, 720.0, 745.0, 1000.0, 1399.5, 1401.0, 1500.0)
GAPS = (*_NEAR, 3000.0, 1e5, 1e30, 1e300)


def _levels(r: Generator, format: Format, n: int) -> Floats:
    """A few levels, any of them met more than once; all 0.5 or less beside a gap of GAPS."""
    gaps = np.array([0.0, *r.choice(GAPS, 3)])
    logits = -r.choice(gaps, n, p=[0.4, 0.3, 0.2, 0.1]) * r.choice([1.0, 1.0, 1.0, 0.5])
    return np.asarray(logits - r.choice([0.0, 0.0, 0.5]) * r.random(n), np.float64)


def _one_far(r: Generator, format: Format, n: int) -> Floats:
    """Equal logits and one far below them."""
    logits = np.zeros(n)
    logits[r.integers(n)] = -r.choice(GAPS)
    return logits


def _spread(r: Generator, format: Format, n: int) -> Floats:
    """Any distances, from a last place to beyond the range of exp."""
    logits = -(2.0 ** r.uniform(-20, 11, n))
    logits[r.integers(n)] = 0.0
    return np.asarray(logits)


def _around_underflow(r: Generator, format: Format, n: int) -> Floats:
    """Distances next to one gap, which every intermediate result crosses at a place of its own."""
    logits = -(r.choice(_NEAR) + r.uniform(-40, 40, n))
    logits[r.random(n) < 0.3] = 0.0
    logits[r.integers(n)] = 0.0
    return np.asarray(logits)


def _smallest(r: Generator, format: Format, n: int) -> Floats:
    return np.asarray(r.integers(-3, 4, n) * format.smallest_subnormal, np.float64)


def _masked(r: Generator, format: Format, n: int) -> Floats:
    logits = _levels(r, format, n)
    logits[1:][r.random(n - 1) < 0.3] = -np.inf
    return logits


LOGITS: tuple[Maker, ...] = (_levels, _one_far, _spread, _around_underflow, _smallest, _masked)


def _quanta(r: Generator, format: Format, n: int) -> Floats:
    return np.asarray(r.integers(-2, 3, n) * format.smallest_subnormal, np.float64)


def _nearly_constant(r: Generator, format: Format, n: int) -> Floats:
    """One number of any size, and its neighbours in a few places."""
    bits = int(r.integers(1, format.largest_bits))
    picked = bits + (r.random(n) < 0.2) * r.integers(-1, 2, n)
    return format.decode(np.maximum(picked, 0).astype(format.bits_dtype))


def _any_number(r: Generator, format: Format, n: int) -> Floats:
    patterns = r.integers(0, format.largest_bits, n, dtype=np.uint64).astype(format.bits_dtype)
    return r.choice([-1.0, 1.0], n) * format.decode(patterns)


def _one_quantum(r: Generator, format: Format, n: int) -> Floats:
    vector = np.zeros(n)
    vector[r.integers(n)] = r.choice([-1.0, 1.0]) * format.smallest_subnormal
    return vector


def _small(r: Generator, format: Format, n: int) -> Floats:
    """Near the smallest normal number, where products of two lose their last bits."""
    return np.asarray(r.standard_normal(n) * 2.0 ** r.integers(format.quantum, format.emin + 2 * format.precision, n))


def _cancelling(r: Generator, format: Format, n: int) -> Floats:
    """A sum of zero, or of one quantum."""
    vector = r.standard_normal(n) * 2.0 ** int(r.integers(format.quantum, 4))
    vector[n // 2 : 2 * (n // 2)] = -vector[: n // 2]
    vector[2 * (n // 2) :] = r.integers(0, 2) * format.smallest_subnormal
    return np.asarray(vector)


def _largest(r: Generator, format: Format, n: int) -> Floats:
    return r.choice([1.0, -1.0, 0.5, 0.0], n) * format.largest


def _ordinary(r: Generator, format: Format, n: int) -> Floats:
    return np.asarray(r.standard_normal(n))


VECTORS: tuple[Maker, ...] = (
    _quanta,
    _nearly_constant,
    _any_number,
    _one_quantum,
    _small,
    _cancelling,
    _largest,
    _ordinary,
)


def row(r: Generator, format: Format, n: int) -> tuple[Floats, Floats, Floats]:
    """Logits, a cotangent and a tangent of numbers of the format, each of a kind of its own: [n]."""

    def picked(makers: tuple[Maker, ...]) -> Floats:
        return stored(makers[int(r.integers(len(makers)))](r, format, n), format)

    return picked(LOGITS), picked(VECTORS), picked(VECTORS)
