"""The vectorised reference: exact rows as unevaluated pairs, with a bound on what each element is off by.

Rows are evaluated in double-double arithmetic (references.doubledouble, references.elementary), in blocks that stay in
cache.  Elements whose bound is too wide for the format asked for (cancellation in a gradient, or numbers beyond the
range of the pairs) are computed again by the oracle, so that every element meets TOLERANCE.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import mpmath
import numpy as np

from references.formats import Floats, Format, Integers, Mask
from references.oracle import Certified, accurate
from references.problem import Problem, needs_cotangent, special_rows
from references.rows import FORMULAS, LOWERED, UNDERFLOW, Rows

# The largest error of a reference element, in ulps of the output format.
TOLERANCE = 2.0**-20

# Exponents below this are raised to it.
_FLOOR = -2100

# Elements per block: the two dozen temporaries of a block fit in a second-level cache.
_BLOCK = 8192

# Accuracy in bits that the oracle is asked for where it replaces an element.
_ORACLE_BITS = 110


@dataclass(frozen=True)
class Reference:
    """Exact values as ``(hi + lo) * 2**exponent``, each off by at most ``error * 2**exponent``; arrays [rows, n].

    NaN and -inf by contract stand in ``hi``.  ``by_oracle`` marks the elements that came from the oracle.
    """

    hi: Floats
    lo: Floats
    exponent: Integers
    error: Floats
    by_oracle: Mask

    def values(self) -> Floats:
        """The nearest binary64 numbers, for scales and plots; errors are never taken from them."""
        clipped = np.clip(self.exponent, -4000, 4000).astype(np.int32)
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            return np.ldexp(self.hi + self.lo, clipped)

    def error_ulps(self, format: Format) -> Floats:
        """What each element may be off by, in ulps of ``format``."""
        shift = self.exponent - format.ulp_exponents(self.hi, self.lo, self.exponent)
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            return np.where(
                np.isfinite(self.hi), np.ldexp(self.error, np.clip(shift, -4000, 4000).astype(np.int32)), 0.0
            )


def reference(
    operation: str,
    quantity: str,
    logits: Floats,
    format: Format,
    *,
    cotangent: Floats | None = None,
    tangent: Floats | None = None,
) -> Reference:
    """The exact result for rows [rows, n] of binary64 numbers that are exact in ``format``.

    Every element that does not overflow is within TOLERANCE ulps of ``format``.  Raises ValueError like ``Problem``.
    """
    logits = np.ascontiguousarray(logits, np.float64)
    rows, n = logits.shape
    given = [v for v in (cotangent, tangent) if v is not None]
    row = [0.0] * n
    Problem(operation, quantity, row, None if cotangent is None else row, None if tangent is None else row)
    for v in given:
        if v.shape != logits.shape:
            raise ValueError(f"a cotangent or tangent has the shape {v.shape}, the logits {logits.shape}")
    step = max(1, _BLOCK // max(n, 1))
    blocks = []
    for start in range(0, max(rows, 1), step):
        part = slice(start, start + step)
        vectors = [np.ascontiguousarray(v[part], np.float64) for v in given]
        blocks.append(_block(operation, quantity, logits[part], vectors, format))
    return Reference(*(np.concatenate(arrays) for arrays in zip(*blocks, strict=True)))


_Parts = tuple[Floats, Floats, Integers, Floats, Mask]


def _block(operation: str, quantity: str, logits: Floats, vectors: list[Floats], format: Format) -> _Parts:
    special = special_rows(logits, *vectors)
    tame = np.where(special[:, None], 0.0, logits)
    with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
        rows = Rows(tame)
        result = FORMULAS[operation, quantity](rows, *vectors)
        hi, lo, exponent, error = _lifted(*result)
        lowered = rows.lowered(vectors)
        error += np.maximum(np.ldexp(lowered, LOWERED - exponent.astype(np.int32)), (lowered > 0) * 2.0**-1074)
    hi[special], lo[special], error[special] = np.nan, 0.0, 0.0
    found = Reference(hi, lo, exponent, error, np.zeros(logits.shape, bool))
    usable = np.isfinite(hi) & np.isfinite(lo) | special[:, None] | (hi == -np.inf) & rows.masked
    needed = ~usable | ~(found.error_ulps(format) <= TOLERANCE)
    if needed.any():
        _ask_oracle(found, needed, operation, quantity, logits, vectors)
    return found.hi, found.lo, found.exponent, found.error, found.by_oracle


def _lifted(hi: Floats, lo: Floats, exponent: Integers, error: Floats) -> tuple[Floats, Floats, Integers, Floats]:
    """The same values with no exponent below _FLOOR: what is lost there is far below every format."""
    down = np.clip(exponent - _FLOOR, -4000, 0).astype(np.int32)
    error = np.ldexp(error, down) + (down < 0) * UNDERFLOW
    return np.ldexp(hi, down), np.ldexp(lo, down), np.maximum(exponent, _FLOOR), error


def _ask_oracle(
    found: Reference, needed: Mask, operation: str, quantity: str, logits: Floats, vectors: list[Floats]
) -> None:
    for row in np.flatnonzero(needed.any(axis=1)):
        elements = np.flatnonzero(needed[row]).tolist()
        problem = problem_of(operation, quantity, logits[row], [v[row] for v in vectors])
        for i, certified in zip(elements, accurate(problem, _ORACLE_BITS, elements), strict=True):
            place = row, i
            found.hi[place], found.lo[place], found.exponent[place], found.error[place] = as_pair(certified)
            found.by_oracle[place] = True


def problem_of(operation: str, quantity: str, logits: Floats, vectors: list[Floats]) -> Problem:
    """One row as the oracle's problem; ``vectors`` are the cotangent, the tangent, or both, as the quantity needs."""
    rest = [v.tolist() for v in vectors]
    cotangent = rest.pop(0) if needs_cotangent(quantity) else None
    return Problem(operation, quantity, logits.tolist(), cotangent, rest[0] if rest else None)


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
        if max(mpmath.mag(centre), mpmath.mag(width)) < _FLOOR:
            return 0.0, 0.0, _FLOOR, 1.0
        hi = float(mantissa)
        lo = float(mantissa - hi)
        exact = value == (Fraction(hi) + Fraction(lo)) * Fraction(2) ** int(exponent)
        return hi, lo, int(exponent), 0.0 if exact else float(mpmath.ldexp(width, -int(exponent))) + 2.0**-105
