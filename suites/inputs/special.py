"""Special values: rows with NaN, infinities and extreme numbers, and what the contract says of them.

The contract is that of references.problem; where a framework documents or has settled on another answer, the table
below says so, per class of logit.  docs/special-values.md shows both, and a test keeps them equal.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from references.formats import Bits, Floats, Format
from references.reference import Reference

FAMILY = "special"


@dataclass(frozen=True)
class SpecialRow:
    """A row of any length: ``fill`` everywhere, ``first`` and ``last`` at the ends where they are given."""

    name: str
    fill: float | str
    first: float | str | None = None
    last: float | str | None = None
    shortest: int = 1

    def values(self, format: Format, n: int) -> Floats:
        row = np.full(n, _number(self.fill, format))
        if self.first is not None:
            row[0] = _number(self.first, format)
        if self.last is not None:
            row[-1] = _number(self.last, format)
        return row


_EXTREMES: dict[str, Callable[[Format], float]] = {
    "largest": lambda format: format.largest,
    "lowest": lambda format: -format.largest,
    "smallest": lambda format: format.smallest_subnormal,
}


def _number(value: float | str, format: Format) -> float:
    return _EXTREMES[value](format) if isinstance(value, str) else value


ROWS = (
    SpecialRow("one NaN", 0.0, last=math.nan),
    SpecialRow("one +inf", 0.0, first=math.inf),
    SpecialRow("two +inf", 0.0, first=math.inf, last=math.inf, shortest=2),
    SpecialRow("+inf and -inf", 0.0, first=math.inf, last=-math.inf, shortest=2),
    SpecialRow("NaN, +inf, -inf", -math.inf, first=math.nan, last=math.inf, shortest=3),
    SpecialRow("all -inf", -math.inf),
    SpecialRow("all -inf but one", -math.inf, last=0.0, shortest=2),
    SpecialRow("one -inf", 0.0, first=-math.inf, shortest=2),
    SpecialRow("all largest", "largest"),
    SpecialRow("all lowest", "lowest"),
    SpecialRow("lowest and zero", "lowest", last=0.0, shortest=2),
    SpecialRow("largest and lowest", "lowest", first="largest", shortest=2),
    SpecialRow("all smallest", "smallest"),
    SpecialRow("0 and -0", 0.0, last=-0.0),
)


@dataclass(frozen=True)
class OwnAnswer:
    """A framework's own answer for the rows named: what each class of logit gives instead of the contract's value."""

    framework: str
    operation: str
    rows: tuple[str, ...]
    answers: dict[str, float]
    reason: str


OWN_ANSWERS = (
    OwnAnswer(
        "scipy",
        "log_softmax",
        ("one +inf", "two +inf", "+inf and -inf"),
        {"+inf": math.nan, "finite": -math.inf, "-inf": -math.inf},
        "an infinite maximum is not subtracted, so only inf - inf is NaN",
    ),
)


def rows_of_length(n: int) -> list[SpecialRow]:
    """The special rows that exist at a length."""
    return [row for row in ROWS if row.shortest <= n]


def logits_of(format: Format, n: int) -> Bits:
    """All special rows of one length, [rows, n]."""
    return format.round_floats(np.stack([row.values(format, n) for row in rows_of_length(n)]))


def logit_class(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return ("+inf" if value > 0 else "-inf") if math.isinf(value) else "finite"


def own_answer(framework: str, operation: str, quantity: str, row: str) -> OwnAnswer | None:
    """The framework's own contract for a row, if it has one (for values; gradients of such rows are NaN for all)."""
    if quantity != "forward":
        return None
    for own in OWN_ANSWERS:
        if own.framework == framework and own.operation == operation and row in own.rows:
            return own
    return None


def apply_contract(reference: Reference, framework: str, operation: str, quantity: str, logits: Floats) -> Reference:
    """The reference for special rows with the framework's own answers put in; ``logits`` [rows, n] in table order."""
    hi = reference.hi.copy()
    for index, row in enumerate(rows_of_length(logits.shape[-1])):
        own = own_answer(framework, operation, quantity, row.name)
        if own is None:
            continue
        for j, value in enumerate(logits[index].tolist()):
            hi[index, j] = own.answers.get(logit_class(value), hi[index, j])
    return replace(reference, hi=hi)
