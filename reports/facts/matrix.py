"""The matrix: implementation against operation, quantity and format, each cell an entry ready to be printed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from references.verdict.ladder import FAILED
from reports.facts.tally import Entry, Tally, entry_of
from reports.facts.worst_cases import anchor_of
from reports.wording import significant, whole


@dataclass(frozen=True)
class MatrixCell:
    """One entry in print.  ``ratio`` is the bound ratio, for gradients; ``anchor`` is the worst case, if listed."""

    verdict: str
    ulps: str
    ratio: str | None
    share: str | None
    cells: int
    anchor: str | None


@dataclass(frozen=True)
class MatrixRow:
    implementation: str
    call: str
    flushes: bool
    cells: tuple[MatrixCell | None, ...]


@dataclass(frozen=True)
class Matrix:
    """``groups`` are the column groups (heading, formats); the cells of a row follow them."""

    operation: str
    groups: tuple[tuple[str, tuple[str, ...]], ...]
    rows: tuple[MatrixRow, ...]


def cell_of(entry: Entry | None, *, gradient: bool, linked: bool) -> MatrixCell | None:
    if entry is None:
        return None
    return MatrixCell(
        verdict=entry.verdict,
        ulps=significant(entry.max_ulp),
        ratio=significant(entry.bound_ratio) if gradient else None,
        share=f"{whole(entry.with_verdict)} of {whole(entry.cells)}" if entry.verdict in FAILED else None,
        cells=entry.cells,
        anchor=anchor_of(entry.worst) if linked else None,
    )


def matrix_of(
    tally: Tally,
    operation: str,
    groups: Iterable[tuple[str, tuple[str, ...]]],
    *,
    names: Iterable[str] | None = None,
    linked: bool = True,
) -> Matrix:
    """The rows of the implementations (or of those named) that have the operation.

    A group is a heading and the quantities that are taken together under it.
    """
    chosen = tally.implementations if names is None else [n for n in names if n in tally.implementations]
    rows, wanted = [], list(groups)
    formats = tuple(f for f in tally.formats if any(tally.of(n, operation, format=f) for n in chosen))
    present = [(heading, q) for heading, q in wanted if any(tally.of(n, operation, q) for n in chosen)]
    for name in chosen:
        records = tally.of(name, operation)
        if not records:
            continue
        entries = [(q, entry_of(tally.of(name, operation, q, f))) for _, q in present for f in formats]
        cells = tuple(cell_of(entry, gradient=q != ("forward",), linked=linked) for q, entry in entries)
        rows.append(MatrixRow(name, records[0].call, any(r.flushes for r in records), cells))
    return Matrix(operation, tuple((heading, formats) for heading, _ in present), tuple(rows))


def matrices_of(tally: Tally, *, linked: bool = True) -> tuple[Matrix, ...]:
    """One matrix an operation, with a column group for each quantity."""
    groups = [(quantity, (quantity,)) for quantity in tally.quantities]
    return tuple(matrix_of(tally, operation, groups, linked=linked) for operation in tally.operations)
