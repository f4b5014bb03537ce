"""Cotangents and tangents: the vectors that a derivative is multiplied with, a kind for each row in turn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from references.formats import Bits, Floats, Format
from suites.inputs.integers import below, gauss, seed_of, uniform


def _one_hot(format: Format, n: int, seed: int) -> Floats:
    vector = np.zeros(n)
    vector[below(seed, (1,), n)[0]] = 1.0
    return vector


def _gauss(format: Format, n: int, seed: int) -> Floats:
    return gauss(seed, (n,))


def _constant(format: Format, n: int, seed: int) -> Floats:
    return np.full(n, 0.5 + uniform(seed, (1,))[0])


def _alternating(format: Format, n: int, seed: int) -> Floats:
    return np.asarray(np.where(np.arange(n) % 2, -1.0, 1.0) * (0.5 + uniform(seed, (1,))[0]))


def _cancelling(format: Format, n: int, seed: int) -> Floats:
    """A common value with a small spread that the format still resolves: v - <v, s> loses what they share."""
    return (6.0 if format.precision < 16 else 96.0) + gauss(seed, (n,)) * 0.125


_KINDS: dict[str, Callable[[Format, int, int], Floats]] = {
    "one-hot": _one_hot,
    "gauss": _gauss,
    "constant": _constant,
    "alternating": _alternating,
    "cancelling": _cancelling,
}

KINDS = tuple(_KINDS)


def kind_of_row(row: int) -> str:
    """Which kind a row of a cell has: they take turns, so that every cell with five rows has met them all."""
    return KINDS[row % len(KINDS)]


def vectors_of(role: str, format: Format, rows: int, n: int) -> Bits:
    """Rows [rows, n] of cotangents or tangents (``role`` names the stream), as bit patterns of the format."""
    seed = seed_of(role, format.name, rows, n)
    values = np.stack([_KINDS[kind_of_row(row)](format, n, seed + row * 1000003) for row in range(rows)])
    return format.round_floats(values)
