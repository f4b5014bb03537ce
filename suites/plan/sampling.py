"""What the standard and the smoke tier sample of the many ways to call a framework, and of the memory layouts.

The main implementations meet the tier's inputs (suites/plan/tiers.py); the others meet those that reach a path of their
own, which their frameworks declare.
"""

from __future__ import annotations

from collections.abc import Iterable

from suites.implementations.catalogue import Implementation, means_something_to
from suites.implementations.inputs import FEW_LONG_ROWS, MIDDLE, SHIFTED, SINGLE, STRIDES, Input

# A user's function may do anything with strides, offsets and shapes.
_OWN = (*STRIDES, *MIDDLE, *SHIFTED, *SINGLE, *FEW_LONG_ROWS)


def sampled(implementation: Implementation, tier: str) -> tuple[Input, ...]:
    """The inputs of an implementation that it doesn't share with the main ones, in the standard or the smoke tier."""
    own = bool(implementation.own)
    chosen: Iterable[Input] = _OWN if own else implementation.inputs or ()
    found = tuple(i for i in dict.fromkeys(chosen) if means_something_to(implementation.framework, i[0]))
    if tier == "smoke":  # one input each of what is called otherwise; a compilation takes too long
        return () if implementation.compiles or implementation.main or own else found[:1]
    return found


def worth_compiling(implementation: Implementation, input: Input, quantity: str, format: str) -> bool:
    """Whether the standard tier has the second that a C++ compiler takes for a kernel: always where there is none."""
    return implementation.budget is None or implementation.budget.has(input, quantity, format)


def affordable(implementation: Implementation, n: int, layout: str, tier: str) -> bool:
    """Whether a short tier has the time for a main implementation's shape."""
    lengths = None if implementation.own or implementation.lengths is None else implementation.lengths.get(tier)
    return lengths is None or n in lengths.get(layout, ())
