"""The verdict ladder: what the errors of a cell amount to, tested from the bad end."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from references.bounds import of_function
from references.bounds.conditioning import conditioning_limit
from references.bounds.of_function import Shifted
from references.formats import Floats, Format, Mask, compute_format
from references.verdict.errors import Errors, outcome_is
from references.vocabulary import NOT_APPLICABLE as NOT_APPLICABLE
from references.vocabulary import VERDICTS as VERDICTS

# Best last; ``n/a`` is no evidence against.
LADDER = (*VERDICTS, NOT_APPLICABLE)
FAILED = ("wrong", "unstable")
BELOW_STABLE = (*FAILED, "storage-stable")

ALWAYS_WRONG = ("out_of_range", "nonzero_for_zero", "finite_for_infinite", "finite_for_nan", "nan_for_number")


@dataclass(frozen=True)
class Judgement:
    """The verdict over all elements, and the largest ratios (None where there is no bound; inf is a real answer).

    ``order_assumed``: the bound took the depth of a pairwise sum (the row is too long for one that holds in any order).
    ``infinite_ratios`` counts the elements whose ratio is infinite, ``rows_without_bound`` the rows whose bound says
    nothing.
    """

    verdict: str
    bound_ratio: float | None
    storage_ratio: float | None
    conditioning_ratio: float | None
    order_assumed: bool
    infinite_ratios: int
    rows_without_bound: int


def rank(verdict: str) -> int:
    """A verdict's place on the ladder, the worst one's being 0."""
    return LADDER.index(verdict)


def at_least(verdict: str, required: str) -> bool:
    """Whether a verdict is the required word or a better one; ``n/a`` is no evidence against."""
    return verdict == NOT_APPLICABLE or VERDICTS.index(verdict) >= VERDICTS.index(required)


def judge(
    operation: str,
    quantity: str,
    errors: Errors,
    rows: Shifted,
    format: Format,
    *,
    special: Mask,
    flushes: bool = False,
    cotangent: Floats | None = None,
    tangent: Floats | None = None,
) -> tuple[Judgement, Floats]:
    """The verdict on computed elements, by their errors and the exact forward quantities of their rows.

    With it, the bound ratio of each element, [rows, n], for those who look for the worst.

    ``special`` marks the rows [rows] that are NaN by contract: only their outcomes count.  ``flushes`` says that the
    platform flushes subnormal numbers to zero.  Raises ValueError for a cotangent or tangent, [rows, n], that the
    quantity needs and misses, or does not take.
    """
    vectors = {"cotangent": cotangent, "tangent": tangent}
    ordinary = ~special[:, None]

    def ratio_to(arithmetic: of_function.Arithmetic) -> tuple[Floats, Mask]:
        limit = of_function.bound(operation, quantity, rows, errors.exact, format, arithmetic, **vectors)
        says_something = ~of_function.says_nothing(operation, quantity, rows, limit)[:, None] & ordinary
        return np.where(says_something, _ratio(errors, limit), 0.0), says_something

    arithmetic = of_function.compute_arithmetic(format, rows.n, flushes=flushes)
    ratio, judged = ratio_to(arithmetic)
    nothing = ordinary & ~judged
    narrow = compute_format(format) is not format
    storage = ratio
    if narrow:
        storage, excused = ratio_to(of_function.storage_arithmetic(format, rows.n, flushes=flushes))
        # A bound that says nothing excuses nothing, and what is within the one bound needs no other: so the largest of
        # these decides whether any element is beyond both.
        storage = np.where(excused, np.minimum(storage, ratio), ratio)
    explained = conditioning_limit(operation, quantity, rows, errors.exact, format, flushes=flushes, **vectors)
    conditioning = np.where(ordinary, _ratio(errors, explained), 0.0)

    beyond = storage > 1
    lost_sign = outcome_is(errors, "underflow", "flipped") & beyond
    # Only next to the largest number does the bound reach infinity.
    overflowed = outcome_is(errors, "infinite_for_finite") & ((ratio > 1) | ~judged)
    if (outcome_is(errors, *ALWAYS_WRONG) | lost_sign | overflowed).any():
        verdict = "wrong"
    elif beyond.any():
        verdict = "unstable"
    elif (ratio > 1).any():
        verdict = "storage-stable"
    elif nothing.any():
        verdict = NOT_APPLICABLE
    elif errors.rounded.all():
        verdict = "correctly rounded"
    elif (errors.ulps < 1).all():
        verdict = "faithful"
    elif ((conditioning <= 1) | (errors.ulps < 1)).all():
        verdict = "accurate"
    else:
        verdict = "stable"
    empty = not judged.any()
    judgement = Judgement(
        verdict=verdict,
        bound_ratio=None if empty else float(ratio.max()),
        storage_ratio=None if empty or not narrow else float(storage.max()),
        conditioning_ratio=float(conditioning.max()) if ordinary.any() else None,
        order_assumed=arithmetic.assumed,
        infinite_ratios=int(np.isinf(ratio).sum()),
        rows_without_bound=int(nothing.any(axis=-1).sum()),
    )
    return judgement, ratio


def _ratio(errors: Errors, limit: Floats) -> Floats:
    """error / limit, through ulps where those are numbers: they keep the fraction that binary64 subnormals drop."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
        scaled = np.ldexp(limit, -errors.quantum.astype(np.int32))
        plain = errors.absolute / limit
        ratio = np.where(np.isfinite(errors.ulps) & np.isfinite(scaled), errors.ulps / scaled, plain)
        return np.where(errors.ulps == 0, 0.0, np.where(np.isnan(ratio), np.inf, ratio))
