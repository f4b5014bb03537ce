"""One row to be evaluated exactly, and the written contract for rows that hold no ordinary numbers.

An operation is ``softmax`` or ``log_softmax``.  A quantity is ``forward``; ``vjp`` (cotangent g, reverse mode);
``jvp`` (tangent t, forward mode); ``hvp`` (the derivative of the vjp along t, with g fixed).

With m = max x, d = x - m, S = sum exp d, s = exp(d) / S, <a, s> = sum a s, G = sum g:

=========  ================================================  ===============================
quantity   softmax                                           log_softmax
=========  ================================================  ===============================
forward    s_i                                               d_i - log S
vjp        s_i (g_i - <g, s>)                                g_i - s_i G
jvp        s_i (t_i - <t, s>)                                t_i - <t, s>
hvp        s_i (a_i c_i - <a c, s>)                          -G s_i a_i
=========  ================================================  ===============================

where c = g - <g, s> and a = t - <t, s>.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np

from references.formats import Floats, Mask
from references.vocabulary import OPERATIONS, QUANTITIES

Vector = TypeVar("Vector")


class Function(NamedTuple):
    """What is computed of a row: an operation, and which quantity of it."""

    operation: str
    quantity: str


FUNCTIONS = tuple(Function(operation, quantity) for operation in OPERATIONS for quantity in QUANTITIES)

# The vectors that a quantity takes, in this order.
_ROLES = {"forward": (), "vjp": ("cotangent",), "jvp": ("tangent",), "hvp": ("cotangent", "tangent")}


def roles_of(quantity: str) -> tuple[str, ...]:
    """The vectors that a quantity takes beside the logits: cotangent, tangent, both or none."""
    return _ROLES[quantity]


def needs_cotangent(quantity: str) -> bool:
    return "cotangent" in _ROLES[quantity]


def needs_tangent(quantity: str) -> bool:
    return "tangent" in _ROLES[quantity]


def vectors_of(
    functions: Sequence[Function], cotangent: Vector | None = None, tangent: Vector | None = None
) -> dict[str, Vector]:
    """The vectors that some functions of the same rows take between them, by role, the cotangent first.

    Raises ValueError for an unknown word, and for a vector that is missing or that none of the functions takes.
    """
    for operation, quantity in functions:
        if operation not in OPERATIONS:
            raise ValueError(f"unknown operation {operation!r}; known are {', '.join(OPERATIONS)}")
        if quantity not in QUANTITIES:
            raise ValueError(f"unknown quantity {quantity!r}; known are {', '.join(QUANTITIES)}")
    found = {}
    for role, vector in (("cotangent", cotangent), ("tangent", tangent)):
        wanted = any(role in roles_of(quantity) for _, quantity in functions)
        if wanted != (vector is not None):
            raise ValueError(f"{', '.join(q for _, q in functions)} {'needs a' if wanted else 'takes no'} {role}")
        if vector is not None:
            found[role] = vector
    return found


def check_length(n: int) -> None:
    """Raises ValueError for rows of no element."""
    if not n:
        raise ValueError("a row needs at least one logit")


@dataclass(frozen=True)
class Problem:
    """An operation, a quantity and one row; every number is exact in binary64.

    Raises ValueError for an unknown word, an empty row, or a cotangent or tangent that is missing, not asked for or of
    another length than the logits.
    """

    operation: str
    quantity: str
    logits: Sequence[float]
    cotangent: Sequence[float] | None = None
    tangent: Sequence[float] | None = None

    def __post_init__(self) -> None:
        check_length(len(self.logits))
        for role, given in vectors_of([self.function], self.cotangent, self.tangent).items():
            if len(given) != len(self.logits):
                raise ValueError(f"the {role} has {len(given)} elements, the row {len(self.logits)}")

    @property
    def function(self) -> Function:
        return Function(self.operation, self.quantity)

    def is_special(self) -> bool:
        """Whether every element is NaN by the contract of ``special_rows``."""
        vectors = [v for v in (self.cotangent, self.tangent) if v is not None]
        return bool(special_rows(np.array([self.logits]), *(np.array([v]) for v in vectors))[0])

    def finite(self) -> list[int]:
        """Indices of the logits that are not masked."""
        return [i for i, x in enumerate(self.logits) if x != -math.inf]


def problem_of(function: Function, logits: Floats, vectors: Sequence[Floats]) -> Problem:
    """One row as a problem; ``vectors`` are those of ``roles_of(function.quantity)``, in that order."""
    given = dict(zip(roles_of(function.quantity), (v.tolist() for v in vectors), strict=True))
    return Problem(*function, logits.tolist(), given.get("cotangent"), given.get("tangent"))


def special_rows(logits: Floats, *vectors: Floats) -> Mask:
    """Which rows are NaN throughout, by contract: [rows, n] -> [rows].

    A NaN or +inf logit, a row of -inf alone, a cotangent or tangent that is not finite.  (A -inf logit beside finite
    ones is an ordinary, masked element: softmax 0, log_softmax -inf, and the gradients by the formulas with s = 0.)
    """
    return np.asarray(np.logical_or.reduce([~np.isfinite(logits.max(axis=-1)), *map(not_finite, vectors)]))


def not_finite(rows: Floats) -> Mask:
    """Rows [rows] with an element that is no finite number."""
    return np.asarray(~(np.isfinite(rows.max(axis=-1)) & np.isfinite(rows.min(axis=-1))))
