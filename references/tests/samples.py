"""Rows and vectors of every kind that a reference has to stand, and how a result is held against the oracle."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import mpmath
import numpy as np

from references.bulk.batches import reference
from references.bulk.exact_pairs import Reference
from references.formats import BINARY64, Floats, Format
from references.functions import Function, needs_cotangent, needs_tangent, problem_of
from references.oracle.certified import Certified, Enclosure, accurate, correctly_rounded

Generator = np.random.Generator
Maker = Callable[[Generator, int, int], Floats]


def _gauss(scale: float) -> Maker:
    return lambda r, rows, n: np.asarray(scale * r.standard_normal((rows, n)))


def _dominant(r: Generator, rows: int, n: int) -> Floats:
    """One logit above the others by 1 to 2000."""
    logits = -(10 ** r.uniform(0, math.log10(2000), (rows, n)))
    logits[np.arange(rows), r.integers(0, n, rows)] = 0.0
    return np.asarray(logits)


def _twice_dominant(r: Generator, rows: int, n: int) -> Floats:
    logits = _dominant(r, rows, n)
    logits[:, :2] = 0.0
    return logits


def _geometric(r: Generator, rows: int, n: int) -> Floats:
    return r.permuted(np.broadcast_to(-np.geomspace(1e-3, 2500, n), (rows, n)), axis=1)


def _masked(r: Generator, rows: int, n: int) -> Floats:
    logits = 3 * r.standard_normal((rows, n))
    logits[:, 1:][r.random((rows, n - 1)) < 0.5] = -np.inf
    return np.asarray(logits)


def _equal(r: Generator, rows: int, n: int) -> Floats:
    return np.repeat(r.standard_normal((rows, 1)), n, axis=1)


def _groups(r: Generator, rows: int, n: int) -> Floats:
    return r.integers(-2, 2, (rows, n)).astype(np.float64)


def _near_tie(r: Generator, rows: int, n: int) -> Floats:
    return np.asarray(1.5 + r.integers(-4, 5, (rows, n)) * 2.0**-52)


def _offset(r: Generator, rows: int, n: int) -> Floats:
    return np.asarray(2.0**52 + r.integers(-30, 31, (rows, n)))


def _huge(r: Generator, rows: int, n: int) -> Floats:
    return r.choice([1.0, -1.0, 1e4, -1e4, 1e308, -1e308], (rows, n))


LOGITS: dict[str, Maker] = {
    "gauss 0.1": _gauss(0.1),
    "gauss 1": _gauss(1.0),
    "gauss 10": _gauss(10.0),
    "gauss 300": _gauss(300.0),
    "dominant": _dominant,
    "twice dominant": _twice_dominant,
    "geometric": _geometric,
    "masked": _masked,
    "equal": _equal,
    "groups": _groups,
    "near-tie": _near_tie,
    "offset": _offset,
    "huge": _huge,
}


def _one_hot(r: Generator, rows: int, n: int) -> Floats:
    vector = np.zeros((rows, n))
    vector[np.arange(rows), r.integers(0, n, rows)] = 1.0
    return vector


def _constant(r: Generator, rows: int, n: int) -> Floats:
    return np.full((rows, n), 0.1)


def _alternating(r: Generator, rows: int, n: int) -> Floats:
    return np.broadcast_to((-1.0) ** np.arange(n), (rows, n)).copy()


def _cancelling(r: Generator, rows: int, n: int) -> Floats:
    """A sum that is zero, or tiny beside its terms."""
    vector = r.standard_normal((rows, n))
    vector[:, n // 2 : 2 * (n // 2)] = -vector[:, : n // 2]
    vector[:, 2 * (n // 2) :] *= 2.0**-60
    return np.asarray(vector)


def _zero(r: Generator, rows: int, n: int) -> Floats:
    return np.zeros((rows, n))


def _common_offset(r: Generator, rows: int, n: int) -> Floats:
    return np.asarray(1e6 + r.standard_normal((rows, n)))


def _every_size(r: Generator, rows: int, n: int) -> Floats:
    """From subnormal numbers to the largest, in one row."""
    return np.asarray(r.standard_normal((rows, n)) * 10.0 ** r.uniform(-310, 307, (rows, n)))


VECTORS: dict[str, Maker] = {
    "gauss": _gauss(1.0),
    "one-hot": _one_hot,
    "constant": _constant,
    "alternating": _alternating,
    "cancelling": _cancelling,
    "zero": _zero,
    "common offset": _common_offset,
    "subnormal": _gauss(1e-310),
    "tiny": _gauss(1e-295),
    "large": _gauss(1e300),
    "largest": _gauss(5e307),
    "every size": _every_size,
}


class Sample:
    """Rows of one kind with the vectors that the quantity needs, and what the bulk reference says of them."""

    def __init__(
        self,
        operation: str,
        quantity: str,
        logits: Floats,
        vectors: list[Floats],
        format: Format = BINARY64,
    ) -> None:
        self.operation, self.quantity = operation, quantity
        self.logits = logits
        rest = list(vectors)
        cotangent = rest.pop(0) if needs_cotangent(quantity) else None
        tangent = rest.pop(0) if needs_tangent(quantity) else None
        self.vectors = [v for v in (cotangent, tangent) if v is not None]
        self.found = reference(Function(operation, quantity), logits, format, cotangent=cotangent, tangent=tangent)

    def certified(self, row: int, bits: int) -> list[Certified]:
        vectors = [v[row] for v in self.vectors]
        return accurate(problem_of(Function(self.operation, self.quantity), self.logits[row], vectors), bits)

    def rounded(self, row: int, format: Format) -> list[int]:
        vectors = [v[row] for v in self.vectors]
        return correctly_rounded(problem_of(Function(self.operation, self.quantity), self.logits[row], vectors), format)


def is_within(found: Reference, place: tuple[int, int], exact: Fraction | Enclosure) -> bool:
    """Whether an element is as near to the exact one as its stated error allows."""
    hi, lo, error = (Fraction(float(a[place])) for a in (found.hi, found.lo, found.error))
    scale = Fraction(2) ** int(found.exponent[place])
    least, most = (hi + lo - error) * scale, (hi + lo + error) * scale
    if isinstance(exact, Fraction):
        return least <= exact <= most
    with mpmath.workprec(6000):
        return bool(
            mpmath.mpf(least.numerator) / least.denominator <= exact.upper
            and exact.lower <= mpmath.mpf(most.numerator) / most.denominator
        )


def assert_within_stated_errors(batch: Sample) -> None:
    """Every pair is as near to the oracle's enclosure, of 2**-130, as its stated error allows."""
    for row in range(len(batch.logits)):
        for i, judged in enumerate(batch.certified(row, 130)):
            if isinstance(judged.value, float):
                assert np.array_equal(batch.found.hi[row, i], judged.value, equal_nan=True)
            else:
                given = batch.logits[row].tolist(), [v[row].tolist() for v in batch.vectors]
                assert is_within(batch.found, (row, i), judged.value), (batch.operation, batch.quantity, given, i)


def stored(values: Floats, format: Format) -> Floats:
    """The values rounded to the format; too large ones become its largest, and what is masked stays so."""
    rounded = format.decode(format.round_floats(np.clip(values, -format.largest, format.largest)))
    return np.where(np.isinf(values), values, rounded)


def vectors_of(r: Generator, kind: str, rows: int, n: int) -> list[Floats]:
    """A cotangent and a tangent of one kind; beside the zero and the constant one the other is an ordinary one."""
    other = "gauss" if kind in ("zero", "constant") and r.random() < 0.5 else kind
    pair = [VECTORS[kind](r, rows, n), VECTORS[other](r, rows, n)]
    return pair if r.random() < 0.5 else pair[::-1]
