"""The exact results of a batch: computed once, shared by every implementation, and certified by the oracle."""

from __future__ import annotations

from functools import cached_property, lru_cache

import mpmath
import numpy as np

from references.bounds import Shifted
from references.bulk import Reference, as_pair, problem_of, reference
from references.formats import Floats
from references.oracle import Certified, accurate
from references.problem import Problem, special_rows
from suites.inputs.batch import Batch
from suites.inputs.integers import below, seed_of
from suites.stopwatch import timed

# What the oracle is asked for where it checks the bulk reference: far beyond any pair.
_BITS = 130

# In rows longer than this a check costs a tenth of a second and more; they are certified at one element per reference.
_LONG_ROW = 1100


class CertificationError(ArithmeticError):
    """The bulk reference and the oracle disagree by more than the stated error; the message names the row."""


class Exact:
    """The references of one batch, made when they are first asked for."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self._references: dict[tuple[str, str], Reference] = {}
        self._certified: dict[tuple[str, str, int, int], Certified] = {}

    @cached_property
    def special(self) -> np.typing.NDArray[np.bool_]:
        """Rows that are NaN by contract."""
        return special_rows(self.batch.values)

    @cached_property
    def shifted(self) -> Shifted:
        """The forward quantities that the bounds are made of; special rows stand in as rows of zeros."""
        tame = np.where(self.special[:, None], 0.0, self.batch.values)
        forward = {
            operation: reference(operation, "forward", tame, self.batch.format)
            if self.special.any()
            else self.reference(operation, "forward")
            for operation in ("softmax", "log_softmax")
        }
        return Shifted(tame, forward["softmax"], forward["log_softmax"])

    def numbers(self, quantity: str) -> dict[str, Floats]:
        """The vectors of a quantity as numbers, by role."""
        return {role: self.batch.format.decode(bits) for role, bits in self.batch.vectors(quantity).items()}

    @timed("reference")
    def reference(self, operation: str, quantity: str) -> Reference:
        """The exact result.  Raises CertificationError where the oracle contradicts it at a sampled element."""
        key = operation, quantity
        if key not in self._references:
            batch = self.batch
            self._references[key] = reference(operation, quantity, batch.values, batch.format, **self.numbers(quantity))
            rows, n = batch.logits.shape
            # One row for all quantities: its exponentials are most of the oracle's work, and are kept.
            row = int(below(seed_of(batch.sha256), (1,), rows)[0])
            column = int(below(seed_of(*key, batch.sha256), (1,), n)[0])
            self.certified(operation, quantity, row, column)
        return self._references[key]

    @timed("certification")
    def certified(self, operation: str, quantity: str, row: int, column: int) -> Certified:
        """The oracle's enclosure of one element, held against the reference.

        Raises CertificationError where the two differ by more than the reference's stated error.
        """
        key = operation, quantity, row, column
        if key not in self._certified:
            found = accurate(self.problem(operation, quantity, row), _BITS, [column])[0]
            self._certified[key] = found
            self._compare(found, self._references[operation, quantity], operation, quantity, row, column)
        return self._certified[key]

    def problem(self, operation: str, quantity: str, row: int) -> Problem:
        """One row as the oracle's problem."""
        vectors = [v[row] for v in self.numbers(quantity).values()]
        return problem_of(operation, quantity, self.batch.values[row], vectors)

    def can_certify(self) -> bool:
        """Whether another element may be certified without a second's wait."""
        return bool(self.batch.logits.shape[1] <= _LONG_ROW)

    def _compare(self, found: Certified, bulk: Reference, operation: str, quantity: str, row: int, column: int) -> None:
        place = row, column
        hi, lo, exponent, error = as_pair(found)
        mine = float(bulk.hi[place]), float(bulk.lo[place]), int(bulk.exponent[place]), float(bulk.error[place])
        if not np.isfinite(hi) or not np.isfinite(mine[0]):
            agree = np.array_equal(hi, mine[0], equal_nan=True)
        else:
            with mpmath.workprec(300):
                difference = abs(_number(hi, lo, exponent) - _number(*mine[:3]))
                agree = difference <= mpmath.ldexp(error, exponent) + mpmath.ldexp(mine[3], mine[2])
        if not agree:
            logits = [self.batch.format.hexadecimal(int(b)) for b in self.batch.logits[row, :8]]
            raise CertificationError(
                f"the bulk reference and the oracle disagree on {operation} {quantity} ({self.batch.format.name}, "
                f"family {self.batch.family}, row {row}, element {column}, logits {' '.join(logits)} ...): "
                f"{mine[0]!r} against {hi!r}"
            )


def _number(hi: float, lo: float, exponent: int) -> mpmath.mpf:
    return mpmath.ldexp(mpmath.mpf(hi) + mpmath.mpf(lo), exponent)


@lru_cache(maxsize=16)
def exact_of(batch: Batch) -> Exact:
    """The shared Exact of a batch."""
    return Exact(batch)
