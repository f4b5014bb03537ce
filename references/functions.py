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

import numpy as np

from references.formats import Floats, Mask
from references.vocabulary import OPERATIONS as OPERATIONS
from references.vocabulary import QUANTITIES as QUANTITIES

# The vectors that a quantity takes, in this order.
_ROLES = {"forward": (), "vjp": ("cotangent",), "jvp": ("tangent",), "hvp": ("cotangent", "tangent")}


def roles_of(quantity: str) -> tuple[str, ...]:
    """The vectors that a quantity takes beside the logits: cotangent, tangent, both or none."""
    return _ROLES[quantity]


def needs_cotangent(quantity: str) -> bool:
    return "cotangent" in _ROLES[quantity]


def needs_tangent(quantity: str) -> bool:
    return "tangent" in _ROLES[quantity]


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
        if self.operation not in OPERATIONS:
            raise ValueError(f"unknown operation {self.operation!r}; known are {', '.join(OPERATIONS)}")
        if self.quantity not in QUANTITIES:
            raise ValueError(f"unknown quantity {self.quantity!r}; known are {', '.join(QUANTITIES)}")
        if not len(self.logits):
            raise ValueError("a row needs at least one logit")
        for name, given, wanted in (
            ("cotangent", self.cotangent, needs_cotangent(self.quantity)),
            ("tangent", self.tangent, needs_tangent(self.quantity)),
        ):
            if (given is not None) != wanted:
                raise ValueError(f"{self.quantity} {'needs a' if wanted else 'takes no'} {name}")
            if given is not None and len(given) != len(self.logits):
                raise ValueError(f"the {name} has {len(given)} elements, the row {len(self.logits)}")

    def is_special(self) -> bool:
        """Whether every element is NaN by the contract of ``special_rows``."""
        vectors = [v for v in (self.cotangent, self.tangent) if v is not None]
        return bool(special_rows(np.array([self.logits]), *(np.array([v]) for v in vectors))[0])

    def finite(self) -> list[int]:
        """Indices of the logits that are not masked."""
        return [i for i, x in enumerate(self.logits) if x != -math.inf]


def problem_of(operation: str, quantity: str, logits: Floats, vectors: Sequence[Floats]) -> Problem:
    """One row as a problem; ``vectors`` are those of ``roles_of(quantity)``, in that order."""
    given = dict(zip(roles_of(quantity), (v.tolist() for v in vectors), strict=True))
    return Problem(operation, quantity, logits.tolist(), given.get("cotangent"), given.get("tangent"))


def special_rows(logits: Floats, *vectors: Floats) -> Mask:
    """Which rows are NaN throughout, by contract: [rows, n] -> [rows].

    A NaN or +inf logit, a row of -inf alone, a cotangent or tangent that is not finite.  (A -inf logit beside finite
    ones is an ordinary, masked element: softmax 0, log_softmax -inf, and the gradients by the formulas with s = 0.)
    """
    return np.asarray(np.logical_or.reduce([~np.isfinite(logits.max(axis=-1)), *map(not_finite, vectors)]))


def not_finite(rows: Floats) -> Mask:
    """Rows [rows] with an element that is no finite number."""
    return np.asarray(~(np.isfinite(rows.max(axis=-1)) & np.isfinite(rows.min(axis=-1))))
