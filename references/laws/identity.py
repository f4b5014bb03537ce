"""What an identity between results is: what it asks for, and how far from it computed results are and may be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from references.formats import Floats
from references.functions import Function
from references.laws import bounds
from references.laws.case import Case
from references.laws.residuals import off_from, pair, sum_of


class Evaluate(Protocol):
    """Computes a quantity of a case: numbers of its format, [rows, n]."""

    def __call__(self, function: Function, case: Case) -> Floats: ...


@dataclass(frozen=True)
class Difference:
    """How far from an identity, and how far is allowed: of each element [rows, n], or of each row [rows, 1]."""

    residual: Floats
    bound: Floats

    def ratio(self) -> Floats:
        """residual / bound; 0 where there is no residual or the bound says nothing, inf for a residual of NaN."""
        with np.errstate(all="ignore"):
            ratio = np.where(self.residual == 0, 0.0, self.residual / self.bound)
        return np.where(np.isnan(self.residual), np.inf, np.where(np.isfinite(self.bound), ratio, 0.0))


@dataclass(frozen=True)
class Identity:
    """``code`` is its L number in docs/theory.md, ``needs`` the functions that it asks for.

    Where the bound is of one algorithm only, ``algorithm`` is the name of its bound, and ``otherwise`` judges others.
    ``allows`` says that there is a bound which is not 0.
    """

    code: str
    name: str
    says: str
    needs: tuple[Function, ...]
    of: Callable[[Case, Evaluate], Difference]
    algorithm: str = ""
    otherwise: Callable[[Case, Evaluate], Difference] | None = None
    allows: bool = True


def any_sum(function: Function, expected: float = 0.0) -> Callable[[Case, Evaluate], Difference]:
    """The sum of a result's rows, whatever its algorithm: L6."""

    def of(case: Case, evaluate: Evaluate) -> Difference:
        total = sum_of(pair(evaluate(function, case)))
        return Difference(off_from(total, expected), bounds.row_sum_bound(case.limit(function)))

    return of
