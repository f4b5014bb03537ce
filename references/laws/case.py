"""Rows with a cotangent and a tangent, and the bounds on what is computed of them: what an identity is judged by."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from references.bounds.error_model import Arithmetic
from references.bounds.exact_rows import ExactRows
from references.bounds.forward_quantities import Shifted
from references.bounds.of_function import bound
from references.formats import Bits, Floats, Format
from references.functions import Function, roles_of

_BOTH_VECTORS = Function("softmax", "hvp")

# The arithmetic that rows of some length are computed in.
Arithmetics = Callable[[Format, int], Arithmetic]


class Case:
    """Ordinary rows, and the arithmetic that they are computed in."""

    def __init__(self, rows: ExactRows, arithmetic: Arithmetics) -> None:
        self.rows, self.format, self.logits = rows, rows.format, rows.logits
        self.cotangent, self.tangent = rows.vectors(_BOTH_VECTORS).values()
        self.arithmetics, self.arithmetic = arithmetic, arithmetic(rows.format, rows.n)
        self._encoded: dict[str, Bits] = {}
        self._parts: dict[tuple[int | None, int | None], Case] = {}

    @property
    def shifted(self) -> Shifted:
        """The forward quantities of the rows."""
        return self.rows.shifted

    def vectors(self, function: Function) -> dict[str, Floats]:
        """The vectors that a function takes, by role, the cotangent first."""
        return self.rows.vectors(function)

    def bits(self, function: Function) -> tuple[Bits, dict[str, Bits]]:
        """The logits and the vectors of a function as bit patterns."""
        return self._bits("logits"), {role: self._bits(role) for role in roles_of(function.quantity)}

    def _bits(self, name: str) -> Bits:
        if name not in self._encoded:
            self._encoded[name] = self.format.encode(getattr(self, name))
        return self._encoded[name]

    def exact(self, function: Function) -> Floats:
        """The exact values, rounded to binary64: the sizes that bounds are made of."""
        return self.rows.exact(function)

    def limit(self, function: Function, size: Floats | None = None) -> Floats:
        """The bound on each element, the output's rounding included; ``size`` as in ``bound``."""
        return bound(function, self.rows, self.arithmetic, size)

    def with_cotangent(self, cotangent: Floats) -> Case:
        """The same rows with another cotangent."""
        other = Case(self.rows.with_cotangent(cotangent), self.arithmetics)
        other._encoded = {name: bits for name, bits in self._encoded.items() if name != "cotangent"}
        return other

    def part(self, columns: slice) -> Case:
        """Some columns as rows of their own; where those are all masked, zeros stand in (``has_part``)."""
        key = columns.start, columns.stop
        if key not in self._parts:
            logits, g, t = (a[:, columns] for a in (self.logits, self.cotangent, self.tangent))
            logits = np.where(self.has_part(columns), logits, 0.0)
            self._parts[key] = Case(ExactRows(self.format, logits, g, t), self.arithmetics)
        return self._parts[key]

    def has_part(self, columns: slice) -> np.typing.NDArray[np.bool_]:
        """The rows [rows, 1] with a finite logit in those columns."""
        return np.asarray((self.logits[:, columns] != -np.inf).any(axis=-1, keepdims=True))
