"""Worst cases: the element that each entry of the matrix is remembered by, and the line that replays it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Any

from references.formats import Format, format_named
from references.verdict.attribution import described
from references.verdict.ladder import BELOW_STABLE
from reports.facts.tally import Entry, Tally, ratio_of, severity
from reports.run.records import Record, Run, RunError
from reports.wording import OUTCOMES, significant, vector_text

# Entries that a page shows before it folds the rest away.
MOST_SHOWN = 120

_FIRST_BITS = 8


@dataclass(frozen=True)
class WorstCase:
    """A record's worst element.  ``vectors`` are (role, hex bits) pairs; numbers are text, ready to be read.

    ``parts`` says what its bound is made of; it is empty where there is none.
    """

    anchor: str
    implementation: str
    operation: str
    quantity: str
    format: str
    layout: str
    family: str
    row_length: int
    verdict: str
    evidence: str
    path: tuple[str, ...]
    cells: int
    cells_alike: int
    row: int
    index: int
    vectors: tuple[tuple[str, str], ...]
    decimals: str
    computed: str
    computed_value: str
    exact: str
    error: str
    parts: str
    cell_error: str
    replay: str


@dataclass(frozen=True)
class ImplementationCases:
    """The worst cases of one implementation, worst first."""

    implementation: str
    call: str
    cases: tuple[WorstCase, ...]


@dataclass(frozen=True)
class WorstCases:
    """``shown`` are those below ``stable``, as far as there is room; ``folded`` the rest."""

    shown: tuple[ImplementationCases, ...]
    folded: tuple[ImplementationCases, ...]
    left_out: int


def anchor_of(record: Record) -> str:
    return f"cell-{record.cell.digest[:12]}"


def worst_cases(run: Run, tally: Tally) -> WorstCases:
    """One case for each entry of the tally."""
    below = [entry for entry in tally.entries.values() if entry.verdict in BELOW_STABLE]
    below.sort(key=lambda entry: severity(entry.worst))
    shown = {id(entry) for entry in below[:MOST_SHOWN]}
    return WorstCases(
        shown=_grouped(run, tally, [e for e in tally.entries.values() if id(e) in shown]),
        folded=_grouped(run, tally, [e for e in tally.entries.values() if id(e) not in shown]),
        left_out=max(len(below) - MOST_SHOWN, 0),
    )


def _grouped(run: Run, tally: Tally, entries: list[Entry]) -> tuple[ImplementationCases, ...]:
    groups = []
    for name in tally.implementations:
        own = sorted((e for e in entries if e.worst.implementation == name), key=lambda e: severity(e.worst))
        calls = dict.fromkeys(entry.worst.call for entry in own)
        if own:
            groups.append(ImplementationCases(name, "; ".join(calls), tuple(case_of(run, entry) for entry in own)))
    return tuple(groups)


def case_of(run: Run, entry: Entry) -> WorstCase:
    record, worst, format = entry.worst, entry.worst.worst, format_named(entry.worst.format)
    given = {"logits": worst.logits, f"{worst.vector_kind} cotangent": worst.cotangent}
    given[f"{worst.vector_kind} tangent"] = worst.tangent
    decimals = vector_text(worst.logits, format) if isinstance(worst.logits, list) else ""
    return WorstCase(
        anchor=anchor_of(record),
        implementation=record.implementation,
        operation=record.operation,
        quantity=record.quantity,
        format=record.format,
        layout=record.layout,
        family=record.family,
        row_length=record.row_length,
        verdict=record.verdict,
        evidence=record.evidence,
        path=tuple(record.path),
        cells=entry.cells,
        cells_alike=entry.with_verdict,
        row=worst.row,
        index=worst.index,
        vectors=tuple((role, _bits(run, vector, format)) for role, vector in given.items() if vector is not None),
        decimals=decimals,
        computed=worst.computed,
        computed_value=worst.computed_value,
        exact=worst.exact,
        error=_error(worst.ulp_error, worst.bound_ratio, worst.outcome),
        parts=described(worst.attribution, worst.ulp_error),
        cell_error=_error(record.max_ulp, ratio_of(record), "ordinary"),
        replay=replay_line(run, record),
    )


def _error(ulps: float | None, ratio: float | None, outcome: str) -> str:
    parts = [] if outcome == "ordinary" else [OUTCOMES[outcome]]
    parts += [f"{significant(ulps, 6)} ulp"] if ulps is not None else []
    parts += [f"{significant(ratio)} of the bound"] if ratio is not None else []
    return "; ".join(parts) or "none that is a number"


def replay_line(run: Run, record: Record) -> str:
    return f"softmax-accuracy replay {shlex.quote(str(run.path))} {record.cell.digest[:12]}"


def _bits(run: Run, vector: Any, format: Format) -> str:
    """Hex bit strings; of a vector kept in rows/ the first few and the file's name."""
    if isinstance(vector, list):
        return " ".join(vector)
    try:
        first = [format.hexadecimal(b) for b in run.bits(vector, format)[:_FIRST_BITS].tolist()]
    except RunError:
        first = []
    return " ".join([*first, f"… {vector['length']} elements in rows/{vector['file']}"])
