"""Rows that stress the bounds, with their exact results and the ratios of errors to bounds."""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from references.bounds.error_model import Arithmetic
from references.bounds.exact_rows import ExactRows
from references.bounds.of_function import bound, rounded, says_nothing
from references.formats import Floats, Format, Mask
from references.functions import Function
from references.tests.algorithms import Algorithm
from references.verdict.errors import errors_of

Generator = np.random.Generator
ROWS = 12


class Rows(ExactRows):
    """Rows of a format, with a cotangent and a tangent each; one vector serves as both unless two are given."""

    def __init__(self, format: Format, logits: Floats, vector: Floats, tangent: Floats | None = None) -> None:
        rounded_logits, cotangent, other = (
            format.decode(format.round_floats(a)) for a in (logits, vector, vector if tangent is None else tangent)
        )
        super().__init__(format, rounded_logits, cotangent, other)
        self.cotangent, self.tangent = cotangent, other

    def bound(self, function: Function, arithmetic: Arithmetic) -> tuple[Floats, Mask]:
        """The bound [rows, n] that decides a verdict, and the rows [rows] for which it says something."""
        limit = bound(function, self, arithmetic)
        return limit, ~says_nothing(function, self, limit)

    def bound_of(self, algorithm: Algorithm, arithmetic: Arithmetic) -> tuple[Floats, Mask]:
        """The bound of an algorithm, and the elements [rows, n] for which it says something."""
        function = algorithm.function
        if algorithm.limit is None:
            limit, says_something = self.bound(function, arithmetic)
            return limit, np.broadcast_to(says_something[:, None], limit.shape)
        inner = algorithm.limit(self.shifted, self.logits, arithmetic)
        limit = rounded(inner, self.exact(function), self.format, arithmetic)
        return limit, np.isfinite(limit)

    def ratios(self, computed: Floats, function: Function, limit: Floats, judged: Mask) -> Floats:
        """error / limit [rows, n]; zero where nothing is ``judged``."""
        bits, never = self.format.encode(computed), np.zeros(computed.shape, bool)
        errors = errors_of(bits, self.reference(function), self.format, function=function, zero_by_rule=never)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            scaled = np.ldexp(limit, -errors.quantum.astype(np.int32))
            plain = np.isinf(scaled) | np.isinf(errors.ulps)
            ratio = np.where(plain, errors.absolute / limit, errors.ulps / scaled)
        return np.where((errors.ulps == 0) | ~judged, 0.0, ratio)

    def ratios_to_bound(self, computed: Floats, function: Function, arithmetic: Arithmetic) -> Floats:
        """error / the bound that decides a verdict; zero in rows about which it says nothing."""
        limit, judged = self.bound(function, arithmetic)
        return self.ratios(computed, function, limit, judged[:, None])


# -- families of logits ------------------------------------------------------------------------------------------------


def _gauss(r: Generator, n: int, format: Format) -> Floats:
    return np.asarray(r.standard_normal((ROWS, n)) * np.array([1.0, 10.0])[np.arange(ROWS) % 2][:, None])


def _offset(r: Generator, n: int, format: Format) -> Floats:
    """Differences that the subtraction has to round: logits near zero are on a finer grid than the shifted ones."""
    shift = np.array([1.0, -1.0, 10.0, -30.0, 100.0])[np.arange(ROWS) % 5][:, None]
    return np.asarray(shift + 3 * r.standard_normal((ROWS, n)))


def _equal(r: Generator, n: int, format: Format) -> Floats:
    return np.repeat(r.standard_normal((ROWS, 1)), n, axis=1)


def _equal_but_one(r: Generator, n: int, format: Format) -> Floats:
    """Every addition to the dominant one is rounded alike: the sum drifts by nearly n u."""
    logits = np.repeat(-r.uniform(0, 12, (ROWS, 1)), n, axis=1)
    logits[:, 0] = 0.0
    return logits


def _ascending(r: Generator, n: int, format: Format) -> Floats:
    """A running maximum that changes at every step, or at every third."""
    step = np.array([1.0, 0.01])[np.arange(ROWS) % 2][:, None]
    return np.asarray(
        np.arange(n) // np.array([1, 3])[np.arange(ROWS) % 2][:, None] * step + 0.001 * r.random((ROWS, 1))
    )


def _geometric(r: Generator, n: int, format: Format) -> Floats:
    """A softmax that runs through the subnormal numbers to zero."""
    depth = -1.1 * math.log(2) * format.quantum
    return np.asarray(-depth * (np.arange(n) + r.random((ROWS, n))) / n)


def _dominant(r: Generator, n: int, format: Format) -> Floats:
    depth = -1.1 * math.log(2) * format.quantum
    logits = -(depth ** r.uniform(0, 1, (ROWS, n)))
    logits[np.arange(ROWS), r.integers(0, n, ROWS)] = r.random(ROWS)
    return np.asarray(logits)


def _masked(r: Generator, n: int, format: Format) -> Floats:
    logits = 3 * r.standard_normal((ROWS, n))
    logits[:, 1:][r.random((ROWS, n - 1)) < 0.4] = -np.inf
    return np.asarray(logits)


FAMILIES = (_gauss, _offset, _equal, _equal_but_one, _ascending, _geometric, _dominant, _masked)


def _vectors(r: Generator, n: int) -> Floats:
    """Cotangents in turn: random, one-hot, constant, of sum zero, of one sign, the first against the rest."""
    v = r.standard_normal((ROWS, n))
    v[1::6] = np.eye(n)[np.arange(v[1::6].shape[0]) % n]
    v[2::6] = 0.75
    v[3::6] -= v[3::6].mean(axis=-1, keepdims=True)
    v[4::6] = np.abs(v[4::6]) + 1
    v[5::6] = np.where(np.arange(n), -1.0, 1.0)
    return np.asarray(v)


@cache
def rows_of(format: Format, n: int, scale: float = 1.0) -> Rows:
    """ROWS rows of every family in turn; ``scale`` multiplies the cotangents.

    Half of the tangents are the cotangents, half of another kind.
    """
    r = np.random.default_rng([n, format.precision])
    logits = np.concatenate([family(r, n, format) for family in FAMILIES])
    vector = np.concatenate([_vectors(r, n) for _ in FAMILIES])
    other = np.concatenate([_vectors(r, n)[r.permutation(ROWS)] for _ in FAMILIES])
    tangent = np.where(np.arange(logits.shape[0])[:, None] // 6 % 2 == 0, vector, other)
    return Rows(format, logits, scale * vector, scale * tangent)
