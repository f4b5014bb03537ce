"""Rows of numbers with their vectors, and what is exact about them: each is made when it is first asked for, once."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import fields
from functools import cached_property

import numpy as np

from references.bounds.forward_quantities import Kept, Shifted
from references.bulk.batches import references_of
from references.bulk.exact_pairs import Reference
from references.formats import Floats, Format, Mask
from references.functions import Function, Problem, problem_of, roles_of, special_rows, vectors_of
from references.vocabulary import OPERATIONS

FORWARD = tuple(Function(operation, "forward") for operation in OPERATIONS)


class ExactRows:
    """Rows [rows, n] of numbers of a format, with a cotangent and a tangent where they are given.

    What bounds and verdicts are made of: the references of every function, their values in binary64, the forward
    quantities.  Bounds that were made for them are kept with them (``kept``).
    """

    def __init__(
        self, format: Format, logits: Floats, cotangent: Floats | None = None, tangent: Floats | None = None
    ) -> None:
        self.format, self.logits, self.n = format, logits, logits.shape[-1]
        self._given = {"cotangent": cotangent, "tangent": tangent}
        self._references: dict[Function, Reference] = {}
        self._values: dict[Function, Floats] = {}
        self._kept = Kept()

    @cached_property
    def special(self) -> Mask:
        """Rows [rows] that are NaN by contract, for their logits."""
        return special_rows(self.logits)

    def vectors(self, function: Function) -> dict[str, Floats]:
        """The vectors that a function takes, by role, the cotangent first.

        Raises ValueError for one that the rows don't have.
        """
        return vectors_of([function], **{role: self._given[role] for role in roles_of(function.quantity)})

    def reference(self, function: Function) -> Reference:
        """The exact result.  Values of both operations share their exponentials, so they are made together."""
        if function not in self._references:
            together = FORWARD if function.quantity == "forward" else (function,)
            self._references |= references_of(together, self.logits, self.format, **self.vectors(function))
        return self._references[function]

    def exact(self, function: Function) -> Floats:
        """The exact result rounded to binary64: the sizes that bounds are made of."""
        if function not in self._values:
            self._values[function] = self.reference(function).values()
        return self._values[function]

    @cached_property
    def shifted(self) -> Shifted:
        """The forward quantities; special rows stand in as rows of zeros."""
        if not self.special.any():
            return Shifted(self.logits, *map(self.reference, FORWARD))
        tame = np.where(self.special[:, None], 0.0, self.logits)
        forward = references_of(FORWARD, tame, self.format)
        return Shifted(tame, *(forward[function] for function in FORWARD))

    def kept(self, key: Hashable, make: Callable[[], Floats]) -> Floats:
        """What ``make`` gives for these rows and their vectors, made once for a key, and then read-only.

        Every implementation over a batch is held against the same bounds: they are computed for the first one.
        """
        return self._kept.of(key, make)

    def problem(self, function: Function, row: int) -> Problem:
        """One row as the oracle's problem."""
        return problem_of(function, self.logits[row], [v[row] for v in self.vectors(function).values()])

    def row(self, index: int) -> ExactRows:
        """One row as a batch of its own."""
        return _OneRow(self, index)

    def with_cotangent(self, cotangent: Floats) -> ExactRows:
        """The same rows with another cotangent; what no vector is needed for is shared."""
        other = ExactRows(self.format, self.logits, cotangent, self._given["tangent"])
        other.__dict__["shifted"] = self.shifted
        other._references = {f: found for f, found in self._references.items() if f.quantity == "forward"}
        return other


class _OneRow(ExactRows):
    """A row of others, cut out of what is known of them."""

    def __init__(self, rows: ExactRows, index: int) -> None:
        self._own = slice(index, index + 1)
        super().__init__(rows.format, rows.logits[self._own])
        self._rows, self._index = rows, index

    def vectors(self, function: Function) -> dict[str, Floats]:
        return {role: vector[self._own] for role, vector in self._rows.vectors(function).items()}

    def reference(self, function: Function) -> Reference:
        found = self._rows.reference(function)
        return Reference(*(getattr(found, field.name)[self._own] for field in fields(Reference)))

    @cached_property
    def shifted(self) -> Shifted:
        return self._rows.shifted.row(self._index)
