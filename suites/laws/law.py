"""What a law is: a sentence about the results of every implementation, and the check that looks for a breach of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from suites.laws.evaluation import Evaluations
from suites.laws.subjects import Subject

BITWISE = "bitwise"
WITHIN = "within a bound"
BITWISE_ON_ONE_PATH = "bitwise on one path, else within a bound"

# The units of a breach without a result: an entry can excuse one whose process was ended by a signal, and no other.
LOST = "lost"
CRASHED = "crashed"


@dataclass(frozen=True)
class Breach:
    """Where a law does not hold, at its worst.

    ``size`` is how far it is from holding: ``ulp`` of the format between two results that should have the same bits, or
    times the bound; infinite where only one of them is a number, or where there is no result (``LOST``).  ``text`` has
    the bits that reproduce it.
    """

    subject: str
    size: float
    unit: str
    text: str


Check = Callable[[Subject, Evaluations], Breach | None]


@dataclass(frozen=True)
class Law:
    """A law, by its P-code.

    ``holds`` is one of the words above; ``bound`` says which bound, and where it is derived.  ``promise`` says why the
    law has to hold: who promised it, or what it follows from.  ``asked_of`` says of whom it makes sense; ``of_casts``,
    that it is a law of those that cast their logits first.
    """

    name: str
    code: str
    says: str
    holds: str
    promise: str
    check: Check
    bound: str = ""
    asked_of: Callable[[Subject], bool] = lambda subject: True
    of_casts: bool = False

    def is_asked(self, subject: Subject) -> bool:
        """Whether the law makes sense for a subject; those that cast first have a law of their own."""
        return subject.casts == self.of_casts and self.asked_of(subject)


def worst(breaches: list[Breach | None]) -> Breach | None:
    """The largest of some breaches of one law by one subject; None where there is none."""
    return max((b for b in breaches if b is not None), key=lambda b: b.size, default=None)
