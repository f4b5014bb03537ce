"""log(softmax(x)) or log_softmax(x)?  The answer in measured numbers: errors, gradients and time."""

from __future__ import annotations

import math
from dataclasses import dataclass

from references.formats import format_named
from reports.facts.examples import Example, smallest_with
from reports.facts.formulas import Formula, formula_matrices, formula_of, missing_formulas, present_formulas
from reports.facts.matrix import Matrix
from reports.facts.pairs import PAIRS, Pair, answer_on_errors, pair_of
from reports.facts.sentences import Sentence, code, listed
from reports.facts.tally import Tally
from reports.facts.timing_lines import TimingLine, answer_on_time, timing_line
from reports.run.records import Run


@dataclass(frozen=True)
class Threshold:
    """Where a format's exp breaks, in nats: overflow, loss of bits, and zero."""

    format: str
    overflow: str
    subnormal: str
    zero: str


@dataclass(frozen=True)
class Vanishing:
    """The log_softmax that are stable and yet lose results near zero, with the smallest example."""

    names: Sentence
    example: Example


@dataclass(frozen=True)
class Question:
    answers: tuple[str, ...]
    matrices: tuple[Matrix, ...]
    formulas: tuple[Formula, ...]
    missing_formulas: tuple[str, ...]
    pairs: tuple[Pair, ...]
    timings: tuple[TimingLine, ...]
    thresholds: tuple[Threshold, ...]
    vanishing: Vanishing | None


def question_of(run: Run, tally: Tally) -> Question:
    """The section; ``tally`` is that of the ordinary families."""
    pairs = tuple(pair_of(run, tally, *pair) for pair in PAIRS)
    timings = tuple(map(timing_line, run.manifest.timings))
    return Question(
        answers=(answer_on_errors(pairs), answer_on_time(timings)),
        matrices=formula_matrices(tally),
        formulas=tuple(formula_of(run, tally, *formula) for formula in present_formulas(tally)),
        missing_formulas=missing_formulas(tally),
        pairs=pairs,
        timings=timings,
        thresholds=tuple(map(_threshold, tally.formats)),
        vanishing=_vanishing(run, tally),
    )


def _threshold(name: str) -> Threshold:
    format = format_named(name)
    return Threshold(
        format=name,
        overflow=f"{math.log(format.largest):.2f}",
        subnormal=f"{format.emin * math.log(2):.2f}",
        zero=f"{(format.quantum - 1) * math.log(2):.2f}",
    )


def _vanishing(run: Run, tally: Tally) -> Vanishing | None:
    """By rule: forward cells of ``dominant`` that are within their bound and not accurate."""
    records = [r for r in tally.records if r.operation == "log_softmax" and r.quantity == "forward"]
    records = [r for r in records if r.family == "dominant" and r.verdict == "stable"]
    example = smallest_with(run, records, "stable")
    if example is None:
        return None
    names = [name for name in tally.implementations if any(r.implementation == name for r in records)]
    return Vanishing(listed(map(code, names)), example)
