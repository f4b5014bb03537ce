"""The errors of elements over what is allowed: ratios to the bounds, and to the conditioning limit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from references.bounds.conditioning import conditioning_limit
from references.bounds.error_model import Arithmetic, compute_arithmetic, storage_arithmetic
from references.bounds.exact_rows import ExactRows
from references.bounds.of_function import bound, says_nothing
from references.formats import Floats, Mask, compute_format
from references.functions import Function
from references.verdict.errors import Errors


@dataclass(frozen=True)
class Ratios:
    """error / allowed of each element, [rows, n]; 0 in rows [rows, 1] that are NaN by contract or have no bound.

    ``bound``: to the bound of an implementation that computes in the compute format; ``storage``: to whichever is
    wider, that or the bound of results stored in a narrow format (None where the format is not narrow);
    ``conditioning``: to the conditioning limit.  ``ordinary`` marks the rows that are not NaN by contract, ``bounded``
    those whose bound says something.  ``order_assumed``: the bound took the depth of a pairwise sum.
    """

    bound: Floats
    storage: Floats | None
    conditioning: Floats
    ordinary: Mask
    bounded: Mask
    order_assumed: bool

    @property
    def widest(self) -> Floats:
        """The ratio to whichever bound is wider."""
        return self.bound if self.storage is None else self.storage

    @property
    def unbounded(self) -> Mask:
        """The ordinary rows [rows, 1] whose bound says nothing."""
        return np.asarray(self.ordinary & ~self.bounded)


def ratios_of(function: Function, rows: ExactRows, errors: Errors, *, flushes: bool = False) -> Ratios:
    """The ratios of computed elements, by their errors; ``flushes`` says that subnormal numbers are flushed to zero.

    Raises ValueError for a vector that the function takes and the rows don't have.
    """
    format, ordinary = rows.format, ~rows.special[:, None]
    arithmetic = compute_arithmetic(format, rows.n, flushes=flushes)
    ratio, bounded = _to_bound(function, rows, errors, arithmetic)
    storage = None
    if compute_format(format) is not format:
        stored, excused = _to_bound(function, rows, errors, storage_arithmetic(format, rows.n, flushes=flushes))
        # A bound that says nothing excuses nothing, and what is within the one bound needs no other: so the largest of
        # these decides whether any element is beyond both.
        storage = np.where(excused, np.minimum(stored, ratio), ratio)
    explained = conditioning_limit(function, rows, flushes=flushes)
    conditioning = np.where(ordinary, _ratio(errors, explained), 0.0)
    return Ratios(ratio, storage, conditioning, ordinary, bounded, arithmetic.assumed)


def _to_bound(function: Function, rows: ExactRows, errors: Errors, arithmetic: Arithmetic) -> tuple[Floats, Mask]:
    """The ratio to a bound, and the rows [rows, 1] for which it says something."""
    limit = bound(function, rows, arithmetic)
    bounded = ~says_nothing(function, rows, limit)[:, None] & ~rows.special[:, None]
    return np.where(bounded, _ratio(errors, limit), 0.0), bounded


def _ratio(errors: Errors, limit: Floats) -> Floats:
    """error / limit, through ulps where those are numbers: they keep the fraction that binary64 subnormals drop."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
        scaled = np.ldexp(limit, -errors.quantum.astype(np.int32))
        plain = errors.absolute / limit
        ratio = np.where(np.isfinite(errors.ulps) & np.isfinite(scaled), errors.ulps / scaled, plain)
        return np.where(errors.ulps == 0, 0.0, np.where(np.isnan(ratio), np.inf, ratio))
