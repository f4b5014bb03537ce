"""Which verdicts are possible for a cell's largest ratios, shares and counts: the ladder again, from its figures alone.

The ladder decides element by element.  What is kept of the elements, their largest ratios and how many had which
outcome, settles the verdict nearly always; where it leaves more than one open, all of them are given.  (What it often
leaves open is, in a narrow format, whether an element that was lost is beyond both bounds or another one is: wrong or
unstable.)
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from references.formats import Format, compute_format
from references.verdict.ladder import ALWAYS_WRONG
from references.vocabulary import NOT_APPLICABLE

_WRONG = "wrong"
_LOST, _OVERFLOW = ("underflow", "flipped"), "infinite_for_finite"

# A conditioning limit has half an ulp of the exact value in it, so a ratio of two is an error of an ulp or more; the
# rest is for the rounding of the ratio itself.
_AN_ULP = 2 * (1 + 1e-9)


@dataclass(frozen=True, slots=True)
class CellFigures:
    """What is kept of the elements of a cell.

    ``outcomes`` counts what is not ordinary.  A ratio is None where it is infinite or there is none, which
    ``infinite_ratios`` distinguishes.  ``rows_without_bound`` is None where they weren't counted.  ``worst_outcome``
    and ``worst_ratio`` (None where infinite) are of the element that the cell is remembered by: one that is wrong where
    any is, else the one farthest beyond its bound.
    """

    format: Format
    elements: int
    outcomes: Mapping[str, int]
    bound_ratio: float | None
    infinite_ratios: int
    storage_ratio: float | None
    conditioning_ratio: float | None
    correctly_rounded_share: float
    faithful_share: float
    rows_without_bound: int | None
    worst_outcome: str
    worst_ratio: float | None

    @property
    def largest(self) -> float | None:
        """The largest ratio to the bound, None without one."""
        return math.inf if self.infinite_ratios else self.bound_ratio

    @property
    def beyond(self) -> float | None:
        """The largest ratio to whichever bound is wider."""
        if self.largest is None or compute_format(self.format) is self.format:
            return self.largest
        return math.inf if self.storage_ratio is None else self.storage_ratio


def possible_verdicts(figures: CellFigures) -> tuple[str, ...]:
    """The verdicts that the ladder may have given to elements with these figures."""
    wrong = _wrong(figures) if figures.outcomes else None
    if wrong is True:
        return (_WRONG,)
    others = _not_wrong(figures)
    return others if wrong is None else (_WRONG, *others)


def _wrong(figures: CellFigures) -> bool | None:
    """True where the outcomes are wrong for certain, False where they may be, None where they are not."""
    outcomes, worst = figures.outcomes, figures.worst_outcome
    if any(outcomes.get(name) for name in ALWAYS_WRONG):
        return True
    if worst in _LOST:
        beyond = _above(figures.worst_ratio if figures.worst_ratio is not None else math.inf)
        if not beyond or not _above(figures.beyond):
            return None
        # In a narrow format it may be within the wider bound, and another element beyond it.
        return figures.beyond == figures.largest
    if worst == _OVERFLOW:
        if figures.largest is None or figures.worst_ratio is None or figures.worst_ratio > 1:
            return True  # without any bound, or beyond it
        return None if figures.rows_without_bound == 0 else False  # beyond it if its row has none
    return None


def _not_wrong(figures: CellFigures) -> tuple[str, ...]:
    if _above(figures.beyond):
        return ("unstable",)
    if _above(figures.largest):
        return ("storage-stable",)
    if figures.rows_without_bound or (figures.largest is None and figures.conditioning_ratio is not None):
        return (NOT_APPLICABLE,)
    words = _within(figures)
    return words if figures.rows_without_bound == 0 else (NOT_APPLICABLE, *words)


def _within(figures: CellFigures) -> tuple[str, ...]:
    """Where every element is within a bound that says something."""
    if figures.correctly_rounded_share == 1:
        return ("correctly rounded",)
    if figures.faithful_share == 1:
        return ("faithful",)
    ratio = figures.conditioning_ratio
    if ratio is not None and ratio <= 1:
        return ("accurate",)
    return ("stable",) if ratio is None or ratio >= _AN_ULP else ("stable", "accurate")


def _above(ratio: float | None) -> bool:
    return ratio is not None and ratio > 1
