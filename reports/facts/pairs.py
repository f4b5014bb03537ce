"""log(softmax(x)) against log_softmax(x) in one framework, over the cells that both have."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from references.verdict.ladder import FAILED, rank
from reports.facts.examples import Example, smallest_failures
from reports.facts.formulas import VALUES_AND_GRADIENTS
from reports.facts.matrix import MatrixCell, cell_of
from reports.facts.sentences import Sentence, code, listed
from reports.facts.tally import Tally, entry_of
from reports.run.records import Record, Run
from reports.wording import count, listing, whole
from suites.implementations.frameworks import frameworks

# log(softmax(x)) against log_softmax(x): the framework, the composed call, the fused one.
PAIRS = tuple(
    (name, framework.log_of_softmax.composed, framework.log_of_softmax.fused)
    for name, framework in frameworks().items()
    if framework.log_of_softmax
)


@dataclass(frozen=True)
class PairLine:
    """log(softmax(x)) against log_softmax(x) in one format, over the cells that both have."""

    heading: str
    format: str
    cells: int
    composed: MatrixCell | None
    fused: MatrixCell | None
    worse: int
    same: int
    better: int


@dataclass(frozen=True)
class Pair:
    """The two calls of one framework; ``missing`` says which of them the run has no records of.

    ``failing`` counts the unstable and wrong cells of either call among those ``shared``.
    """

    framework: str
    composed: str
    fused: str
    missing: str | None
    lines: tuple[PairLine, ...]
    shared: int
    failing: tuple[int, int]
    alike: Sentence
    examples: tuple[Example, ...]


def _place(record: Record) -> tuple[str, str, str, str, int]:
    return record.quantity, record.format, record.layout, record.family, record.row_length


def pair_of(run: Run, tally: Tally, framework: str, composed: str, fused: str) -> Pair:
    sides = [{_place(r): r for r in tally.of(name, "log_softmax")} for name in (composed, fused)]
    shared = [(sides[0][key], sides[1][key]) for key in sides[0] if key in sides[1]]
    if not shared:
        absent = [name for name, side in zip((composed, fused), sides, strict=True) if not side]
        missing = f"{listing(absent)}: not measured" if absent else "the two have no cell in common"
        return Pair(framework, composed, fused, missing, (), 0, (0, 0), Sentence(""), ())
    calls = [record.call for record in shared[0]]
    failing = (sum(a.verdict in FAILED for a, _ in shared), sum(b.verdict in FAILED for _, b in shared))
    return Pair(
        framework=framework,
        composed=calls[0],
        fused=calls[1],
        missing=None,
        lines=tuple(_pair_lines(tally, shared)),
        shared=len(shared),
        failing=failing,
        alike=_alike(shared),
        examples=tuple(e for _, q in VALUES_AND_GRADIENTS for e in _failures(run, shared, q)),
    )


def _failures(run: Run, shared: list[tuple[Record, Record]], quantities: tuple[str, ...]) -> tuple[Example, ...]:
    return smallest_failures(run, [composed for composed, _ in shared if composed.quantity in quantities])


def _pair_lines(tally: Tally, shared: list[tuple[Record, Record]]) -> Iterable[PairLine]:
    for heading, quantities in VALUES_AND_GRADIENTS:
        for format in tally.formats:
            pairs = [(a, b) for a, b in shared if a.quantity in quantities and a.format == format]
            if not pairs:
                continue
            steps = [rank(a.verdict) - rank(b.verdict) for a, b in pairs]
            gradient = heading != "forward"
            composed, fused = (cell_of(entry_of(s), gradient=gradient, linked=False) for s in zip(*pairs, strict=True))
            worse, better = sum(s < 0 for s in steps), sum(s > 0 for s in steps)
            same = len(pairs) - worse - better
            yield PairLine(heading, format, len(pairs), composed, fused, worse, same, better)


def _alike(shared: list[tuple[Record, Record]]) -> Sentence:
    """The families on which the composed call never fails."""
    every = dict.fromkeys(a.family for a, _ in shared)
    failing = {a.family for a, _ in shared if a.verdict in FAILED}
    sound = [code(family) for family in every if family not in failing]
    if not sound:
        return Sentence("It fails on every family.")
    return Sentence("It never fails on {}.").filled(listed(sound))


def answer_on_errors(pairs: tuple[Pair, ...]) -> str:
    """One sentence over the frameworks: which call fails more often."""
    question = "Is log(softmax(x)) the same as log_softmax(x)?"
    measured = [pair for pair in pairs if not pair.missing]
    if not measured:
        return f"{question} Not measured: no framework of this run has both calls."
    counts = [
        f"{whole(pair.failing[0])} against {whole(pair.failing[1])} of {count(pair.shared, 'cell')} in {pair.framework}"
        for pair in measured
    ]
    signs = {(pair.failing[0] > pair.failing[1]) - (pair.failing[0] < pair.failing[1]) for pair in measured}
    judged = {1: "No, prefer log_softmax", 0: "It fails as often", -1: "No, and log_softmax fails more often"}
    answer = judged[signs.pop()] if len(signs) == 1 else "That depends on the framework"
    return f"{question} {answer}: unstable or wrong are {listing(counts)}."
