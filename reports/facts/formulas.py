"""The formulas that people write, side by side: what each call is worth, forward and gradients, and where it breaks."""

from __future__ import annotations

from dataclasses import dataclass

from references.verdict.ladder import FAILED
from reports.facts.examples import Example, smallest_failures
from reports.facts.matrix import Matrix, matrix_of
from reports.facts.sentences import Sentence
from reports.facts.summary import families
from reports.facts.tally import GRADIENTS, Tally
from reports.run.records import Record, Run
from reports.wording import count, whole

FORMULAS = (
    ("numpy/naive", "softmax"),
    ("numpy/shifted", "softmax"),
    ("numpy/log-of-softmax", "log_softmax"),
    ("numpy/x-minus-log-sum-exp", "log_softmax"),
    ("numpy/x-minus-logsumexp", "log_softmax"),
    ("numpy/shifted", "log_softmax"),
)
# The quantities that are taken together, under one heading.
VALUES_AND_GRADIENTS = (("forward", ("forward",)), ("gradients", GRADIENTS))

_MOST_FAMILIES = 6


@dataclass(frozen=True)
class Formula:
    """Where one of the formulas breaks; ``breaks`` holds a sentence for the values and one for the gradients."""

    implementation: str
    operation: str
    call: str
    breaks: tuple[tuple[str, Sentence], ...]
    examples: tuple[Example, ...]


def present_formulas(tally: Tally) -> list[tuple[str, str]]:
    return [(name, operation) for name, operation in FORMULAS if tally.of(name, operation)]


def missing_formulas(tally: Tally) -> tuple[str, ...]:
    return tuple(f"{name} ({operation})" for name, operation in FORMULAS if not tally.of(name, operation))


def formula_matrices(tally: Tally) -> tuple[Matrix, ...]:
    present = present_formulas(tally)
    operations = dict.fromkeys(operation for _, operation in present)
    return tuple(
        matrix_of(tally, operation, VALUES_AND_GRADIENTS, names=[n for n, o in present if o == operation])
        for operation in operations
    )


def formula_of(run: Run, tally: Tally, name: str, operation: str) -> Formula:
    parts = [(heading, tally.of(name, operation, quantities)) for heading, quantities in VALUES_AND_GRADIENTS]
    return Formula(
        implementation=name,
        operation=operation,
        call=tally.of(name, operation)[0].call,
        breaks=tuple((heading, _breaks(records)) for heading, records in parts if records),
        examples=tuple(e for _, records in parts for e in smallest_failures(run, records)),
    )


def _breaks(records: list[Record]) -> Sentence:
    failed = [r for r in records if r.verdict in FAILED]
    if not failed:
        return Sentence("nothing unstable or wrong")
    where = families(failed, records, _MOST_FAMILIES)
    template = Sentence("{} of {} unstable or wrong, on {}")
    return template.filled(whole(len(failed)), count(len(records), "cell"), where)
