"""Paired tests on the largest errors of rows, for thousands of cells at once: exact sign tests, Tarone's count, Holm.

Null hypothesis: of a row's two errors either could have been the one before.  Then the number of rows whose error grew,
among those where it moved, is binomial with one half, whatever the errors' scale and tails (Dixon and Mood, "The
statistical sign test", JASA 41, 1946).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import exp, lgamma, log

import numpy as np

from references.formats import Floats, Integers, Mask


@dataclass(frozen=True)
class Signs:
    """How many rows of each cell [cells] have an error that grew, shrank, or stayed.

    Rows that repeat one pair of errors count once: rows of equal logits are one computation, not evidence many times.
    ``ratios`` [cells, rows] is after / before of the rows that count, NaN elsewhere; 0 / 0 is 1.
    """

    grew: Integers
    shrank: Integers
    stayed: Integers
    ratios: Floats


def signs_of(before: Floats, after: Floats) -> Signs:
    """The signs of pairs of errors [cells, rows]; NaN where a row has no error that is a number on either side."""
    order = np.lexsort((after, before), axis=-1)
    before, after = np.take_along_axis(before, order, axis=-1), np.take_along_axis(after, order, axis=-1)
    counts = ~(np.isnan(before) | np.isnan(after))
    counts[:, 1:] &= (before[:, 1:] != before[:, :-1]) | (after[:, 1:] != after[:, :-1])
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratios = np.where(before == after, 1.0, after / before)
    return Signs(
        grew=(counts & (after > before)).sum(axis=-1),
        shrank=(counts & (after < before)).sum(axis=-1),
        stayed=(counts & (after == before)).sum(axis=-1),
        ratios=np.where(counts, ratios, np.nan),
    )


@lru_cache(maxsize=4096)
def sign_test(grew: int, shrank: int) -> float:
    """The two-sided p-value: how often chance alone is as one-sided as this.  Relative error below 1e-9.

    The binomial tail is summed from its largest term inwards; each is the one before times a ratio below 1.
    """
    trials, fewer = grew + shrank, min(grew, shrank)
    if 2 * fewer >= trials - 1:
        return 1.0
    logarithm = lgamma(trials + 1) - lgamma(fewer + 1) - lgamma(trials - fewer + 1) - trials * log(2)
    term = tail = 1.0
    for successes in range(fewer, 0, -1):
        term *= successes / (trials - successes + 1)
        tail += term
        if term < 1e-17 * tail:
            break
    return min(1.0, 2 * exp(logarithm) * tail)


def smallest_possible(trials: int) -> float:
    """The p-value if all rows had moved the same way: with five rows 1/16, which proves nothing."""
    return min(1.0, 2.0 ** (1 - trials))


def level_of_each(trials: Sequence[int], level: float) -> float:
    """What a single test may take of a familywise ``level``: its share among the tests that could reject at that share.

    Tarone ("A modified Bonferroni method for discrete data", Biometrics 46, 1990): a test that could not reject even if
    all its rows moved the same way doesn't count among the many.  ``trials`` are the rows of each, or more.
    """
    possible = np.sort([smallest_possible(n) for n in trials])
    shares = level / np.arange(1, len(possible) + 1)
    able = np.searchsorted(possible, shares, side="right")
    return float(shares[able <= np.arange(1, len(possible) + 1)][0]) if len(possible) else level


def beyond_chance(p_values: Sequence[float], trials: Sequence[int], level: float) -> Mask:
    """Which tests [cells] reject at a familywise error rate of ``level``, whatever their dependence.

    Holm ("A simple sequentially rejective multiple test procedure", Scand. J. Statist. 6, 1979), over the tests that
    count in the sense of ``level_of_each``.
    """
    values = np.asarray(p_values, float)
    share = level_of_each(trials, level)
    counted = np.flatnonzero([smallest_possible(n) <= share for n in trials])
    order = counted[np.argsort(values[counted], kind="stable")]
    passed = values[order] <= level / np.arange(len(order), 0, -1)
    rejected = np.zeros(len(values), bool)
    rejected[order[: np.argmin(np.append(passed, False))]] = True
    return rejected
