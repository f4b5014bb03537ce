"""Evidence on the format that sums are kept in: which bounds the errors keep to before and after."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from references.bounds.error_model import narrow_arithmetic
from references.bounds.of_function import bound, says_nothing
from references.formats import Format, compute_format, format_named
from references.verdict.attribution import least_shares
from reports.causes.details import Detail
from reports.causes.finding import Finding, where
from reports.causes.view import ChangedPart
from reports.compare.figures import Figures
from reports.compare.judgement import Change
from reports.run.records import Worst
from suites.inputs import special
from suites.plan.cell import Cell
from suites.scoring.cell import input_of
from suites.scoring.certified_batch import exact_of

# What the errors of a side fit, the best first; each bound is larger than the one before.
COMPUTE, STORAGE, NARROW, BEYOND = range(4)

# An error of the sum that no other part of the bound explains counts from here, in ulps.
_TELLING = 1.0


def accumulation(part: ChangedPart, details: Mapping[str, Detail]) -> Iterator[Finding]:
    """Narrow formats: the smallest bound that holds all errors.  Wide ones: errors that only the sum explains."""
    changes = [change for change in part.changes if change.cell.family != special.FAMILY]
    format = format_named(part.slice.format)
    if compute_format(format) is not format:
        yield from _narrow(changes, details, format)
    else:
        yield from _wide(changes, details)


# -- 16 bits ---------------------------------------------------------------------------------------------------------


def _narrow(changes: list[Change], details: Mapping[str, Detail], format: Format) -> Iterator[Finding]:
    if not changes or any(f.verdict == "wrong" for change in changes for f in change.both):
        return
    before, after = (
        max(_level(change.both[side], change.cell, details.get(change.cell.key), side) for change in changes)
        for side in (0, 1)
    )
    if before != after:
        words = [_in_words(level, format) for level in (before, after)]
        yield where(
            "accumulation", f"errors fit {words[0]} before, {words[1]} now", explains=BEYOND not in (before, after)
        )


def _in_words(level: int, format: Format) -> str:
    wide = compute_format(format).name
    return {
        COMPUTE: f"{wide} throughout",
        STORAGE: f"sums in {wide} and results stored in {format.name}",
        NARROW: f"sums in {format.name}, and none in {wide},",
        BEYOND: f"no sum in {wide}",
    }[level]


def _level(figures: Figures, cell: Cell, detail: Detail | None, side: int) -> int:
    """The best bound that a side keeps to; a cell without a bound keeps to any.

    The last two are distinguished by the cells with details, those with the largest errors.
    """
    if figures.bound_ratio is None or figures.bound_ratio <= 1:
        return COMPUTE
    if figures.storage_ratio is not None and figures.storage_ratio <= 1:
        return STORAGE
    if detail is None or within_narrow_sums(cell, detail.worst[side], figures.input_sha256, figures.flushes):
        return NARROW
    return BEYOND


def within_narrow_sums(cell: Cell, worst: Worst, input_sha256: str, flushes: bool) -> bool:
    """Whether a cell's worst element is within the bound of an algorithm that sums in the narrow format too."""
    batch, row, column = input_of(cell), worst.row, worst.index
    if worst.ulp_error is None or batch.sha256 != input_sha256:
        return False
    exact = exact_of(batch)
    if exact.special[row]:
        return False
    one, format = exact.row(row), exact.format
    limit = bound(cell.function, one, narrow_arithmetic(format, one.n, flushes=flushes))
    if says_nothing(cell.function, one, limit)[0]:
        return False
    reference = one.reference(cell.function)
    quantum = format.ulp_exponents(reference.hi, reference.lo, reference.exponent)
    return bool(worst.ulp_error <= np.ldexp(limit, -quantum.astype(np.int32))[0, column])


# -- 32 and 64 bits --------------------------------------------------------------------------------------------------


def _wide(changes: list[Change], details: Mapping[str, Detail]) -> Iterator[Finding]:
    """Attribution: an error that the other parts of the bound can't have made."""
    shares = [_sum_shares(details[c.cell.key]) for c in changes if c.cell.key in details]
    before, after = (max((pair[side] for pair in shares), default=0.0) for side in (0, 1))
    if before >= _TELLING and after == 0:
        yield where("accumulation", "errors that only the sum explains before, none now: a better sum", explains=True)
    elif after >= _TELLING and before == 0:
        yield where("accumulation", "errors that only the sum explains now, none before: a worse sum", explains=True)


def _sum_shares(detail: Detail) -> tuple[float, float]:
    """What the sum has contributed at least to the worst error before and after, in ulps."""
    found = []
    for worst in detail.worst:
        parts, error = worst.attribution, worst.ulp_error
        found.append(least_shares(parts, error).get("sum", 0.0) if parts and error is not None else 0.0)
    return found[0], found[1]
