"""The verdict ladder: what the errors of a cell amount to, tested from the bad end."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from references.formats import Mask
from references.verdict.errors import Errors, outcome_is
from references.verdict.ratios import Ratios
from references.vocabulary import NOT_APPLICABLE, VERDICTS

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


def judgement_of(errors: Errors, ratios: Ratios) -> Judgement:
    """The verdict on computed elements, by their errors and how these compare with what is allowed."""
    any_bounded = ratios.bounded.any()
    return Judgement(
        verdict=_verdict(errors, ratios),
        bound_ratio=float(ratios.bound.max()) if any_bounded else None,
        storage_ratio=float(ratios.storage.max()) if any_bounded and ratios.storage is not None else None,
        conditioning_ratio=float(ratios.conditioning.max()) if ratios.ordinary.any() else None,
        order_assumed=ratios.order_assumed,
        infinite_ratios=int(np.isinf(ratios.bound).sum()),
        rows_without_bound=int(ratios.unbounded.any(axis=-1).sum()),
    )


def _verdict(errors: Errors, ratios: Ratios) -> str:
    """The first word from the bad end that fits."""
    if _wrong(errors, ratios).any():
        return "wrong"
    if (ratios.widest > 1).any():
        return "unstable"
    if (ratios.bound > 1).any():
        return "storage-stable"
    if ratios.unbounded.any():
        return NOT_APPLICABLE
    if errors.rounded.all():
        return "correctly rounded"
    if (errors.ulps < 1).all():
        return "faithful"
    return "accurate" if ((ratios.conditioning <= 1) | (errors.ulps < 1)).all() else "stable"


def _wrong(errors: Errors, ratios: Ratios) -> Mask:
    """Elements that no rounding explains."""
    lost = outcome_is(errors, "underflow", "flipped") & (ratios.widest > 1)
    # Only next to the largest number does the bound reach infinity.
    overflowed = outcome_is(errors, "infinite_for_finite") & ((ratios.bound > 1) | ~ratios.bounded)
    return np.asarray(outcome_is(errors, *ALWAYS_WRONG) | lost | overflowed)
