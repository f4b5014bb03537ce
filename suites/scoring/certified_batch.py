"""The exact results of a batch: computed once, shared by every implementation, and certified by the oracle."""

from __future__ import annotations

from functools import cached_property, lru_cache

import mpmath
import numpy as np

from references.bounds.exact_rows import ExactRows
from references.bulk.batches import reference, references_of
from references.bulk.cache import cached, keeping_pays
from references.bulk.exact_pairs import Reference, as_pair
from references.formats import Floats
from references.functions import Function
from references.oracle.certified import Certified, accurate
from references.verdict.assessment import CHECK_BITS
from references.vocabulary import OPERATIONS
from suites.inputs.batch import Batch, arrays_of
from suites.inputs.integers import below, seed_of
from suites.scoring.stopwatch import timed


class CertificationError(ArithmeticError):
    """The bulk reference and the oracle disagree by more than the stated error; the message names the row."""


class Exact(ExactRows):
    """The rows of one batch, whose references are certified by the oracle and kept between runs."""

    def __init__(self, batch: Batch) -> None:
        super().__init__(batch.format, batch.values)
        self.batch = batch
        self._certified: dict[tuple[Function, int, int], Certified] = {}

    @cached_property
    def _vectors(self) -> dict[str, Floats]:
        return {
            name: self.batch.format.decode(getattr(self.batch, name)) for name in ("cotangent", "tangent", "partners")
        }

    def vectors(self, function: Function) -> dict[str, Floats]:
        """The vectors that a function takes, by role; the hvp takes other rows' tangents."""
        return {role: self._vectors[name] for role, name in arrays_of(function.quantity).items()}

    @timed("reference")
    def reference(self, function: Function) -> Reference:
        """The exact result.

        Raises CertificationError where the oracle contradicts it at a sampled element, and UnsoundArithmetic; what this
        thread has computed in another way than IEEE 754 says is not kept.
        """
        if function not in self._references:
            if keeping_pays(function.quantity, self.batch.format):
                self._look_up(function)
            else:
                self._make_both(function.quantity)
        return self._references[function]

    def _make_both(self, quantity: str) -> None:
        """Both operations share their exponentials, and whoever wants the one nearly always wants the other."""
        functions = [Function(operation, quantity) for operation in OPERATIONS]
        vectors = self.vectors(functions[0])
        self._references |= references_of(functions, self.logits, self.format, **vectors)
        for function in functions:
            self.certified(function, *self._sample(function))

    def _look_up(self, function: Function) -> None:
        """From the cache between runs, if it is there; whatever was believed before, it is certified anew."""
        place, values, vectors = self._sample(function), self.logits, self.vectors(function)

        def compute() -> Reference:
            return reference(function, values, self.format, **vectors)

        def check(found: Reference) -> None:
            self._references[function] = found
            self._certified.pop((function, *place), None)
            self.certified(function, *place)

        cached(function, values, self.format, **vectors, compute=compute, check=check)

    def _sample(self, function: Function) -> tuple[int, int]:
        """A random row, the same for all functions (its exponentials are most of the oracle's work), and a column."""
        rows, n = self.batch.logits.shape
        row = int(below(seed_of(self.batch.sha256), (1,), rows)[0])
        return row, int(below(seed_of(*function, self.batch.sha256), (1,), n)[0])

    @timed("certification")
    def certified(self, function: Function, row: int, column: int) -> Certified:
        """The oracle's enclosure of one element, held against the reference.

        Raises CertificationError where the two differ by more than the reference's stated error.
        """
        key = function, row, column
        if key not in self._certified:
            found = accurate(self.problem(function, row), CHECK_BITS, [column])[0]
            self._certified[key] = found
            self._compare(found, function, row, column)
        return self._certified[key]

    def _compare(self, found: Certified, function: Function, row: int, column: int) -> None:
        bulk, place = self._references[function], (row, column)
        hi, lo, exponent, error = as_pair(found)
        mine = float(bulk.hi[place]), float(bulk.lo[place]), int(bulk.exponent[place]), float(bulk.error[place])
        if not np.isfinite(hi) or not np.isfinite(mine[0]):
            agree = np.array_equal(hi, mine[0], equal_nan=True)
        else:
            with mpmath.workprec(300):
                difference = abs(_number(hi, lo, exponent) - _number(*mine[:3]))
                agree = difference <= mpmath.ldexp(error, exponent) + mpmath.ldexp(mine[3], mine[2])
        if not agree:
            logits = [self.format.hexadecimal(int(b)) for b in self.batch.logits[row, :8]]
            raise CertificationError(
                f"the bulk reference and the oracle disagree on {' '.join(function)} ({self.format.name}, "
                f"family {self.batch.family}, row {row}, element {column}, logits {' '.join(logits)} ...): "
                f"{_text(mine)} against {_text((hi, lo, exponent, error))}"
            )


def _text(pair: tuple[float, float, int, float]) -> str:
    """A number to more digits than two that disagree can share."""
    with mpmath.workprec(300):
        return str(mpmath.nstr(_number(*pair[:3]), 36)) if np.isfinite(pair[0]) else str(pair[0])


def _number(hi: float, lo: float, exponent: int) -> mpmath.mpf:
    return mpmath.ldexp(mpmath.mpf(hi) + mpmath.mpf(lo), exponent)


@lru_cache(maxsize=16)
def exact_of(batch: Batch) -> Exact:
    """The shared Exact of a batch."""
    return Exact(batch)
