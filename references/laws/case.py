"""Rows with a cotangent and a tangent, and the bounds on what is computed of them: what an identity is judged by."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np

from references.bounds.error_model import Arithmetic
from references.bounds.forward_quantities import Shifted
from references.bounds.of_function import bound
from references.bulk.batches import reference, references_of
from references.formats import Bits, Floats, Format
from references.functions import OPERATIONS, Function, roles_of

# The arithmetic that rows of some length are computed in.
Arithmetics = Callable[[Format, int], Arithmetic]


class Case:
    """Ordinary rows [rows, n] of numbers of a format, the vectors too."""

    def __init__(
        self, format: Format, logits: Floats, cotangent: Floats, tangent: Floats, arithmetic: Arithmetics
    ) -> None:
        self.format, self.logits, self.cotangent, self.tangent = format, logits, cotangent, tangent
        self.arithmetics, self.arithmetic = arithmetic, arithmetic(format, logits.shape[-1])
        self._exact: dict[Function, Floats] = {}
        self._limits: dict[Function, Floats] = {}
        self._encoded: dict[str, Bits] = {}
        self._parts: dict[tuple[int | None, int | None], Case] = {}

    def vectors(self, function: Function) -> dict[str, Floats]:
        """The vectors that a function takes, by role, the cotangent first."""
        return {role: getattr(self, role) for role in roles_of(function.quantity)}

    def bits(self, function: Function) -> tuple[Bits, dict[str, Bits]]:
        """The logits and the vectors of a function as bit patterns."""
        return self._bits("logits"), {role: self._bits(role) for role in roles_of(function.quantity)}

    def _bits(self, name: str) -> Bits:
        if name not in self._encoded:
            self._encoded[name] = self.format.encode(getattr(self, name))
        return self._encoded[name]

    @cached_property
    def rows(self) -> Shifted:
        forward = [Function(operation, "forward") for operation in OPERATIONS]
        both = references_of(forward, self.logits, self.format)
        return Shifted(self.logits, *(both[function] for function in forward))

    def exact(self, function: Function) -> Floats:
        """The exact values, rounded to binary64: the sizes that bounds are made of."""
        if function not in self._exact:
            found = reference(function, self.logits, self.format, **self.vectors(function))
            self._exact[function] = found.values()
        return self._exact[function]

    def limit(self, function: Function) -> Floats:
        """The bound on each element, the output's rounding included."""
        if function not in self._limits:
            self._limits[function] = self.limit_of_size(function, self.exact(function))
        return self._limits[function]

    def limit_of_size(self, function: Function, size: Floats) -> Floats:
        """The same from magnitudes that the exact elements do not exceed: no bound is smaller for a larger element."""
        return bound(
            function.operation,
            function.quantity,
            self.rows,
            size,
            self.format,
            self.arithmetic,
            **self.vectors(function),
        )

    def with_cotangent(self, cotangent: Floats) -> Case:
        """The same rows with another cotangent."""
        other = Case(self.format, self.logits, cotangent, self.tangent, self.arithmetics)
        other.__dict__["rows"] = self.rows
        other._encoded = {name: bits for name, bits in self._encoded.items() if name != "cotangent"}
        return other

    def part(self, columns: slice) -> Case:
        """Some columns as rows of their own; where those are all masked, zeros stand in (``has_part``)."""
        key = columns.start, columns.stop
        if key not in self._parts:
            logits, g, t = (a[:, columns] for a in (self.logits, self.cotangent, self.tangent))
            logits = np.where(self.has_part(columns), logits, 0.0)
            self._parts[key] = Case(self.format, logits, g, t, self.arithmetics)
        return self._parts[key]

    def has_part(self, columns: slice) -> np.typing.NDArray[np.bool_]:
        """The rows [rows, 1] with a finite logit in those columns."""
        return np.asarray((self.logits[:, columns] != -np.inf).any(axis=-1, keepdims=True))
