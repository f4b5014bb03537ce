"""A bulk reference against the oracle, element for element.

An element disagrees if the exact value lies outside the interval that the bulk reference states for it, or if the
rounding that it decides is not the right one.  The oracle raises its precision until it can decide, so there is no
third answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import mpmath
import numpy as np

from references.bulk.exact_pairs import Reference
from references.formats import Floats, Format, Integers
from references.functions import Function, Problem, problem_of
from references.oracle.certified import Certified, Enclosure, OracleError, certified, rounded_ends

# The working precision that decides nearly every element is this far beyond the stated error.
_GUARD_BITS = 8
_LEAST_BITS, _MOST_BITS = 53, 160


@dataclass(frozen=True)
class _Stated:
    """What the bulk reference says of an element: an interval around its centre, NaN or an infinity; and its bits.

    ``bits`` is None where the reference leaves the rounding open.
    """

    centre: mpmath.mpf
    lower: mpmath.mpf
    upper: mpmath.mpf
    bits: int | None

    def decides(self, enclosure: Enclosure) -> bool:
        """Whether an enclosure lies inside the stated interval or outside of it."""
        outside = enclosure.upper < self.lower or self.upper < enclosure.lower or mpmath.isnan(self.centre)
        return bool(outside) or self.holds(enclosure)

    def holds(self, exact: Enclosure | Fraction) -> bool:
        """Whether the whole enclosure, or the exact number, lies inside the stated interval."""
        if isinstance(exact, Enclosure):
            return bool(self.lower <= exact.lower and exact.upper <= self.upper)
        return bool(mpmath.isfinite(self.centre)) and _fraction(self.lower) <= exact <= _fraction(self.upper)


def disagreements(
    operation: str, quantity: str, format: Format, found: Reference, logits: Floats, vectors: Sequence[Floats]
) -> list[str]:
    """The elements of rows [rows, n] that disagree, each in words; ``vectors`` as ``problem_of`` takes them."""
    bits, undecided = format.round_pairs(found.hi, found.lo, found.exponent, found.error)
    wrong = []
    for row, start in enumerate(_starts(found).tolist()):
        problem = problem_of(Function(operation, quantity), logits[row], [v[row] for v in vectors])
        decided = [None if open else int(b) for b, open in zip(bits[row], undecided[row], strict=True)]
        stated = [_stated(found, row, i, b) for i, b in enumerate(decided)]
        for text in _complaints(problem, stated, start, format):
            given = "; ".join(" ".join(number.hex() for number in v[row].tolist()) for v in (logits, *vectors))
            wrong.append(f"row {row}, {text} of {given}")
    return wrong


def _complaints(problem: Problem, stated: list[_Stated], start: int, format: Format) -> list[str]:
    """What is wrong with the elements of one row."""
    try:
        judged = certified(problem, lambda i, enclosure: stated[i].decides(enclosure), start)
    except OracleError as error:
        return [str(error)]
    found = ((i, _complaint(mine, exact, format)) for i, (mine, exact) in enumerate(zip(stated, judged, strict=True)))
    return [f"element {i}: {text}" for i, text in found if text]


def _stated(found: Reference, row: int, i: int, bits: int | None) -> _Stated:
    hi, lo, error = (float(part[row, i]) for part in (found.hi, found.lo, found.error))
    exponent = int(found.exponent[row, i])
    if not np.isfinite(hi):
        return _Stated(mpmath.mpf(hi), mpmath.mpf(hi), mpmath.mpf(hi), bits)
    centre = mpmath.ldexp(mpmath.fadd(hi, lo, exact=True), exponent)
    radius = mpmath.ldexp(mpmath.mpf(error), exponent)
    return _Stated(centre, mpmath.fsub(centre, radius, exact=True), mpmath.fadd(centre, radius, exact=True), bits)


def _starts(found: Reference) -> Integers:
    """For each row the bits that its smallest relative error asks for."""
    _, size = np.frexp(found.hi)
    _, error = np.frexp(found.error)
    bits = np.where(np.isfinite(found.hi) & (found.error > 0), size - error, 0).max(axis=1)
    return np.asarray(np.clip(bits + _GUARD_BITS, _LEAST_BITS, _MOST_BITS), np.int64)


def _complaint(stated: _Stated, exact: Certified, format: Format) -> str | None:
    """What is wrong with an element; None where it agrees."""
    value = exact.value
    if isinstance(value, float):
        same = np.array_equal(float(stated.centre), value, equal_nan=True)
        return None if same else f"{stated.centre} is {value} by rule"
    if not stated.holds(value):
        return f"{mpmath.nstr(stated.centre, 40)} is not within its error of {exact.decimal(40)}"
    right = set(rounded_ends(value, format)) if isinstance(value, Enclosure) else {format.round_rational(value)}
    either_zero = right | {stated.bits} <= {0, format.sign_bit}
    if stated.bits is None or stated.bits in right or either_zero:
        return None
    return f"rounded to {format.hexadecimal(stated.bits)}, not to {' or '.join(map(format.hexadecimal, right))}"


def _fraction(number: mpmath.mpf) -> Fraction:
    sign, mantissa, exponent, _ = number._mpf_
    return Fraction(-int(mantissa) if sign else int(mantissa)) * Fraction(2) ** int(exponent)
