"""Special values: rows with NaN, infinities and extreme numbers, and what the contract says of them.

The contract is that of references.functions; where a framework documents or has settled on another answer, the table
below says so, per class of logit.  docs/special-values.md shows both, and a test keeps them equal.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np

from references.bulk.exact_pairs import Reference
from references.formats import BINARY32, Bits, Floats, Format
from suites.vocabulary import SPECIAL

FAMILY = SPECIAL


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
    """A framework's own answer for the rows that hold a class of logit and not another: what each class gives there."""

    framework: str
    operation: str
    holding: str
    without: str
    answers: dict[str, float]
    reason: str

    def covers(self, logits: Iterable[float]) -> bool:
        """Whether a row is one of those."""
        classes = set(map(logit_class, logits))
        return self.holding in classes and self.without not in classes

    @property
    def rows(self) -> tuple[str, ...]:
        """The names of the rows of the table that it covers, in any format and at any length."""
        return tuple(row.name for row in ROWS if self.covers(row.values(BINARY32, max(row.shortest, 3)).tolist()))


OWN_ANSWERS = (
    OwnAnswer(
        "scipy",
        "log_softmax",
        "+inf",
        "NaN",
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


def own_answer(framework: str, operation: str, quantity: str, logits: Iterable[float]) -> OwnAnswer | None:
    """The framework's own contract for a row, if it has one (for values; gradients of such rows are NaN for all)."""
    row = list(logits)
    for own in OWN_ANSWERS if quantity == "forward" else ():
        if own.framework == framework and own.operation == operation and own.covers(row):
            return own
    return None


def apply_contract(reference: Reference, framework: str, operation: str, quantity: str, logits: Floats) -> Reference:
    """The reference for special rows, ``logits`` [rows, n], with the framework's own answers put in."""
    hi = reference.hi.copy()
    for index, row in enumerate(logits.tolist()):
        own = own_answer(framework, operation, quantity, row)
        if own is not None:
            hi[index] = [own.answers.get(logit_class(x), value) for x, value in zip(row, hi[index], strict=True)]
    return replace(reference, hi=hi)
