"""What is kept of a judged output settles its verdict: the given one is always possible, and hardly ever another."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from references.formats import Bits, format_named
from references.functions import FUNCTIONS, Function
from references.verdict.assessment import assess
from references.verdict.errors import OUTCOMES, statistics_of
from references.verdict.possible import CellFigures, possible_verdicts
from references.vocabulary import NOT_APPLICABLE
from suites.inputs.batch import batch_of
from suites.scoring.certified_batch import exact_of
from suites.vocabulary import FORMATS

FAMILIES = ("gauss1", "gauss300", "dominant", "equal", "masked", "special")


def finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def answers(right: Bits, top: int, sign: int, r: np.random.Generator) -> list[Bits]:
    """Right ones, and such as are off by ever more: in the last places, in sign, by zeros and by no numbers."""
    found = [right, np.zeros_like(right)]
    for steps in (1, 3, 40, 3000):
        moved = right.astype(np.int64) + r.integers(-steps, steps + 1, right.shape)
        found.append(np.clip(moved, 0, top).astype(right.dtype))
    few = r.uniform(size=right.shape) < 0.02
    strange = [np.full_like(right, bits) for bits in (0, sign, top + 1, top + 2)]
    return [*found, *(np.where(few, other, right) for other in [*strange, right ^ right.dtype.type(sign)])]


def judged_figures(function: Function, family: str, format: str, n: int, seed: int) -> list[tuple[str, CellFigures]]:
    """Verdicts on ``answers``, with what is kept of them."""
    exact = exact_of(batch_of(family, format, 5, n))
    reference, binary = exact.reference(function), format_named(format)
    right, _ = binary.round_pairs(reference.hi, reference.lo, reference.exponent)
    found = []
    for number, computed in enumerate(
        answers(right, binary.largest_bits, binary.sign_bit, np.random.default_rng(seed))
    ):
        assessed = assess(function, exact, computed, reference, flushes=number % 4 == 3)
        errors, judgement, ratio = assessed.errors, assessed.judgement, assessed.ratios.bound
        statistics, place = statistics_of(errors), assessed.worst_place()

        figures = CellFigures(
            binary,
            statistics.elements,
            statistics.outcomes,
            finite(judgement.bound_ratio),
            judgement.infinite_ratios,
            finite(judgement.storage_ratio),
            finite(judgement.conditioning_ratio),
            statistics.correctly_rounded_share,
            statistics.faithful_share,
            judgement.rows_without_bound,
            OUTCOMES[int(errors.outcome[place])],
            finite(float(ratio[place])),
        )
        found.append((judgement.verdict, figures))
    return found


@pytest.mark.parametrize("format", FORMATS)
def test_the_verdict_is_always_among_the_few_that_its_figures_allow(format: str) -> None:
    met: set[str] = set()
    several = cases = 0
    for family in FAMILIES:
        for n in (2, 33):
            for seed, function in enumerate(FUNCTIONS):
                for verdict, figures in judged_figures(function, family, format, n, seed):
                    possible = possible_verdicts(figures)
                    assert verdict in possible, (function, family, n, figures)
                    uncounted = possible_verdicts(replace(figures, rows_without_bound=None))
                    assert set(possible) <= set(uncounted) <= {*possible, NOT_APPLICABLE, "wrong"}
                    met.add(verdict)
                    either = possible == ("wrong", "unstable") and format in ("binary16", "bfloat16")
                    several, cases = several + (len(possible) > 1 and not either), cases + 1
    assert met >= {"wrong", "unstable", "accurate", "correctly rounded"}
    assert several < 0.02 * cases, f"{several} of {cases}"
