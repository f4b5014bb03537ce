"""Pseudo-random numbers from integer arithmetic: the same bits on every machine and every NumPy.

The generator is SplitMix64 as a counter: draw k of a stream is the finaliser applied to seed + k * golden ratio
(G. Steele, D. Lea, C. Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).
"""

from __future__ import annotations

import hashlib
import math

import numpy as np
import numpy.typing as npt

from references.formats import Floats

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def seed_of(*words: object) -> int:
    """A stream's seed from words that name it; stable across processes (hash() is not)."""
    digest = hashlib.sha256("/".join(map(str, words)).encode()).digest()
    return int.from_bytes(digest[:8], "little")


def draws(seed: int, shape: tuple[int, ...]) -> npt.NDArray[np.uint64]:
    """64-bit integers, uniform."""
    z = np.arange(1, math.prod(shape) + 1, dtype=np.uint64) * _GOLDEN + np.uint64(seed)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (z ^ (z >> np.uint64(31))).reshape(shape)


def below(seed: int, shape: tuple[int, ...], limit: int) -> npt.NDArray[np.int64]:
    """Integers 0 .. limit-1, limit < 2**31 (bias below 2**-33)."""
    return ((draws(seed, shape) >> np.uint64(32)) * np.uint64(limit) >> np.uint64(32)).astype(np.int64)


def uniform(seed: int, shape: tuple[int, ...]) -> Floats:
    """Multiples of 2**-53 in [0, 1)."""
    return (draws(seed, shape) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def gauss(seed: int, shape: tuple[int, ...]) -> Floats:
    """Bell-shaped, mean 0, variance 1, within +-6: a sum of twelve uniform 32-bit integers, exact in binary64.

    (Irwin and Hall's distribution: the tails are shorter than the normal law's, which no test here relies on.)
    """
    halves = draws(seed, (*shape, 6))
    total = ((halves >> np.uint64(32)) + (halves & np.uint64(0xFFFFFFFF))).sum(axis=-1, dtype=np.uint64)
    return np.asarray((total.astype(np.float64) - 6.0 * 2.0**32) * 2.0**-32)
