"""The words that the command line knows, each list from the one place that defines it: for help, checks and messages.

Imported where a verb runs or its help is shown; the help of the program itself needs none of it.
"""

from __future__ import annotations

from references.formats import FORMATS as EVERY_FORMAT
from references.functions import OPERATIONS, QUANTITIES
from references.verdict.ladder import VERDICTS
from reports.compare.demand import LEVELS
from reports.console.usage import one_of
from suites.driver.profiles import every_name, is_card
from suites.implementations.catalogue import FRAMEWORKS
from suites.inputs import special
from suites.inputs.families import FAMILIES, WIDE
from suites.inputs.layouts import LAYOUTS
from suites.plan.cell import FORMATS, TIERS

# What a cell can be chosen by, and the words for it.
WORDS: dict[str, tuple[str, ...]] = {
    "framework": FRAMEWORKS,
    "operation": OPERATIONS,
    "quantity": QUANTITIES,
    "format": FORMATS,
    "layout": LAYOUTS,
    "family": (*FAMILIES, *WIDE, special.FAMILY),
    "profile": every_name(),
    "tier": TIERS,
    "verdict": VERDICTS,
    "fail-on": (*LEVELS, *VERDICTS),
    "golden format": tuple(EVERY_FORMAT),
}

DEVICES = ("cpu", "cuda", "cuda:N", "all")


def known(kind: str, values: tuple[str, ...]) -> tuple[str, ...]:
    """The values, if each is a word of its kind; a profile may be a card too.  Raises UsageError."""
    cards = tuple(value for value in values if kind == "profile" and is_card(value))
    one_of(kind, [value for value in values if value not in cards], WORDS[kind])
    return values
