"""Special values: the contract for rows with NaN, infinities and extreme numbers, and who departs from it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from references.formats import BINARY32, FORMATS, format_named
from references.functions import Problem
from references.oracle.certified import correctly_rounded
from references.verdict.ladder import FAILED
from references.vocabulary import OPERATIONS, QUANTITIES, VERDICTS
from reports.facts.sentences import Sentence, code, listed
from reports.facts.tally import Tally
from reports.facts.worst_cases import replay_line
from reports.run.records import Record, Run
from reports.wording import decimal, lengths, listing, outcome_words, shortened, vector_text
from suites.inputs import special

_SHOWN_LENGTH = 3


@dataclass(frozen=True)
class ContractRow:
    """What a special row of three binary32 logits gives, rounded.""" ""

    name: str
    logits: str
    softmax: str
    log_softmax: str
    gradients: str


@dataclass(frozen=True)
class Departure:
    """A special row on which an implementation is unstable or wrong, with its shortest example."""

    implementation: str
    operation: str
    quantity: str
    verdict: str
    row: str
    formats: str
    lengths: str
    example: str
    computed: str
    exact: str
    outcome: str
    replay: str


@dataclass(frozen=True)
class SpecialValues:
    """``own`` are sentences on what a framework answers instead of the contract; ``keepers`` depart nowhere."""

    contract: tuple[ContractRow, ...]
    own: tuple[Sentence, ...]
    departures: tuple[tuple[str, tuple[Departure, ...]], ...]
    keepers: tuple[str, ...]


def special_values_of(run: Run, tally: Tally) -> SpecialValues:
    """The contract, and the departures from it by implementation; ``tally`` is that of the special family."""
    departures = [(name, _departures(run, name, tally)) for name in tally.implementations]
    return SpecialValues(
        contract=tuple(map(_contract_row, special.rows_of_length(_SHOWN_LENGTH))),
        own=tuple(map(_own, special.OWN_ANSWERS)),
        departures=tuple((name, found) for name, found in departures if found),
        keepers=tuple(name for name, found in departures if not found),
    )


# -- the contract ----------------------------------------------------------------------------------------------------


def _contract_row(row: special.SpecialRow) -> ContractRow:
    values = row.values(BINARY32, _SHOWN_LENGTH).tolist()
    forward = {o: Problem(o, "forward", values) for o in OPERATIONS}
    nan = forward["softmax"].is_special()
    return ContractRow(
        name=row.name,
        logits=f"[{', '.join(map(_logit, values))}]",
        softmax=_rounded(forward["softmax"]),
        log_softmax=_rounded(forward["log_softmax"]),
        gradients="NaN" if nan else "by the formulas",
    )


def _logit(value: float) -> str:
    named = {BINARY32.largest: "largest", -BINARY32.largest: "lowest", BINARY32.smallest_subnormal: "smallest"}
    text = named.get(value) or f"{value:g}"
    return {"nan": "NaN", "inf": "+inf"}.get(text, text)


def _rounded(problem: Problem) -> str:
    if problem.is_special():
        return "NaN"
    elements = [decimal(bits, BINARY32) for bits in correctly_rounded(problem, BINARY32)]
    return f"[{', '.join(elements)}]" if len(set(elements)) > 1 else elements[0]


def _own(own: special.OwnAnswer) -> Sentence:
    answers = listing(f"{_logit(value)} for {kind}" for kind, value in own.answers.items())
    rows = listed(map(code, own.rows))
    template = Sentence("{} has its own answer for {} on {}: {}; {}.")
    return template.filled(own.framework, own.operation, rows, answers, own.reason)


# -- who departs from it ---------------------------------------------------------------------------------------------


def _departures(run: Run, name: str, tally: Tally) -> tuple[Departure, ...]:
    """One for each operation, quantity and special row that is some failing cell's worst."""
    groups: dict[tuple[str, str, str], list[Record]] = {}
    for record in (r for r in tally.records if r.implementation == name and r.verdict in FAILED):
        groups.setdefault((record.operation, record.quantity, _row_name(record)), []).append(record)
    names = [row.name for row in special.ROWS]

    def place(key: tuple[str, str, str]) -> tuple[int, int, int]:
        row = names.index(key[2]) if key[2] in names else len(names)
        return OPERATIONS.index(key[0]), QUANTITIES.index(key[1]), row

    measured = [f for f in FORMATS if any(key[0] == name and key[3] == f for key in tally.groups)]
    return tuple(_departure(run, key[2], groups[key], measured) for key in sorted(groups, key=place))


def _row_name(record: Record) -> str:
    rows = special.rows_of_length(record.row_length)
    return rows[record.worst.row].name if record.worst.row < len(rows) else f"row {record.worst.row}"


def _departure(run: Run, row: str, records: list[Record], measured: list[str]) -> Departure:
    """The example is the shortest row, binary32 where it has one."""
    formats = [f for f in FORMATS if any(r.format == f for r in records)]
    if formats == measured and len(formats) > 1:
        formats = ["every format"]
    record = min(records, key=lambda r: (r.format != "binary32", r.row_length, r.layout != "last", r.key))
    worst = record.worst
    logits = vector_text(worst.logits, format_named(record.format))
    return Departure(
        implementation=record.implementation,
        operation=record.operation,
        quantity=record.quantity,
        verdict=min((r.verdict for r in records), key=VERDICTS.index),
        row=row,
        formats=listing(formats),
        lengths=lengths(r.row_length for r in records),
        example=f"element {worst.index} of {logits} in {record.format}",
        computed=_value(worst.computed_value),
        exact=_value(worst.exact),
        outcome=outcome_words(worst.outcome, within=False),
        replay=replay_line(run, record),
    )


def _value(number: str) -> str:
    try:
        return "NaN" if math.isnan(float(number)) else shortened(number)
    except (ValueError, OverflowError):
        return shortened(number)
