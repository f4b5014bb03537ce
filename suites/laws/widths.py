"""P4: every row length, values and vjp, along each axis, against the bulk reference and the bound of the verdict."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from cachetools import LRUCache

from references.bounds.exact_rows import ExactRows
from references.formats import Bits
from references.verdict.assessment import assess
from references.verdict.ladder import at_least
from references.vocabulary import VERDICTS
from suites.implementations.catalogue import versions_of
from suites.implementations.implementation import CALL
from suites.inputs.batch import Batch
from suites.known_defects import REQUIRED, defect_of
from suites.laws.comparing import bits_of_row
from suites.laws.evaluation import Evaluations
from suites.laws.inputs import Input
from suites.laws.law import WITHIN, Breach, Law
from suites.laws.row_lengths import FAMILY, batch_of_width, rows_of_width, widths_of
from suites.laws.subjects import Subject
from suites.plan.cell import Cell
from suites.plan.tiers import LONG
from suites.scoring.certified_batch import Exact

_QUANTITIES = ("forward", "vjp")
_LAYOUTS = ("last", "inner", "column")


# Elements of rows whose references are kept: both operations and their gradients want the same.
_MOST_KEPT = 1 << 18

_NAMED = 12


@dataclass(frozen=True)
class FailingWidth:
    """A width whose verdict is not good enough: the worst element, and by how much its bound is exceeded."""

    n: int
    verdict: str
    ratio: float
    place: tuple[int, int]
    batch: Batch
    computed: Bits


def every_width(subject: Subject, on: Evaluations) -> Breach | None:
    """Equal, nearly equal and random rows of each width."""
    widths = widths_of(subject, on.tier, on.settings(subject))
    failing = [found for n in widths if (found := _failing(subject, on, n)) is not None]
    new = [found for found in failing if not _is_known(subject, found)]
    if not new:
        return None
    worst = max(new, key=lambda found: (-VERDICTS.index(found.verdict), found.ratio))
    return Breach(subject.key, worst.ratio, "of the bound", _text(subject, worst, new, len(widths)))


def _failing(subject: Subject, on: Evaluations, n: int) -> FailingWidth | None:
    (batch, rows), function = _rows(subject.format_name, subject.layout, n), subject.function
    computed = on.fresh(subject, Input(batch.logits, batch.vectors(subject.quantity)))
    assessed = assess(function, rows, computed, rows.reference(function), flushes=on.flushes(subject))
    judgement = assessed.judgement
    if at_least(judgement.verdict, REQUIRED):
        return None
    ratio = np.inf if judgement.bound_ratio is None else judgement.bound_ratio
    return FailingWidth(n, judgement.verdict, ratio, assessed.worst_place(), batch, computed)


_kept: LRUCache[tuple[str, int, int], tuple[Batch, ExactRows]] = LRUCache(
    _MOST_KEPT, getsizeof=lambda made: made[0].logits.size
)


def _rows(format_name: str, layout: str, n: int) -> tuple[Batch, ExactRows]:
    """The rows of a width.  Cells certify references in every format, and a breach is certified here: these are not."""
    key = format_name, rows_of_width(layout, n), n
    if key not in _kept:
        batch = batch_of_width(format_name, layout, n)
        decode = batch.format.decode
        made = batch, ExactRows(batch.format, batch.values, decode(batch.cotangent), decode(batch.tangent))
        if batch.logits.size > _MOST_KEPT // 4:
            return made
        _kept[key] = made
    return _kept[key]


def _is_known(subject: Subject, found: FailingWidth) -> bool:
    """Whether a [[defect]] selects the cell that this width would be, with a verdict that is no better.

    Its own test says which cells fail, and how badly; a width adds nothing to that.  Rows shorter than the cells of
    ``long`` are compared with those of ``gauss1``: an entry for long rows does not excuse them.
    """
    if subject.implementation.own:
        return False
    family = FAMILY if found.n >= min(LONG) else "gauss1"
    what = subject.operation, subject.quantity, subject.format_name, subject.layout, family, found.n
    cell = Cell(subject.implementation.name, subject.profile.name, *what)
    defect = defect_of(cell, versions_of(subject.framework).get(subject.framework, "0"))
    return defect is not None and at_least(found.verdict, defect.verdict)


def _text(subject: Subject, worst: FailingWidth, failing: list[FailingWidth], tried: int) -> str:
    """The widths, and the worst one's bits, with its exact value by the oracle."""
    widths = [str(found.n) for found in failing]
    more = f" ... ({len(widths)} in all)" if len(widths) > _NAMED else ""
    (row, column), format = worst.place, subject.format
    certified = Exact(worst.batch)
    certified.reference(subject.function)
    exact = certified.certified(subject.function, row, column).decimal(30)
    bits = worst.computed[row, column]
    given = Input(worst.batch.logits, worst.batch.vectors(subject.quantity))
    return (
        f"{subject.key}: {len(failing)} of {tried} widths are below {REQUIRED}: {', '.join(widths[:_NAMED])}{more}\n"
        f"  width {worst.n} is {worst.verdict}, {worst.ratio:.6g} of the bound at row {row}, element {column}: "
        f"computed {format.hexadecimal(int(bits))} = {float(format.decode(bits[None])[0])!r}, exact {exact}\n"
        + bits_of_row(subject, given, row)
    )


def _asked_of(subject: Subject) -> bool:
    # A formula, and another way to the usual call's kernels, are no path of their own: nothing depends on the width.
    has_paths = subject.implementation.kind == CALL and not subject.implementation.scales
    return has_paths and subject.quantity in _QUANTITIES and subject.layout in _LAYOUTS


LAWS = (
    Law(
        "every width",
        "P4",
        "values and vjp are as accurate at every row length as at those that are measured",
        WITHIN,
        "the verdict that is required of every cell",
        every_width,
        "the verdict's (docs/theory.md 4 and 5)",
        _asked_of,
    ),
)
