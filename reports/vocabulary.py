"""The words that the command line and pytest's options know, for help, checks and messages alike.

Each list comes from the one place that defines it, and none of them needs NumPy: a help text is there at once.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from references.vocabulary import EVERY_FORMAT, FORMAT_ALIASES, OPERATIONS, QUANTITIES, VERDICTS
from reports.console.usage import UsageError
from suites.driver.profiles import every_name
from suites.implementations.catalogue import FRAMEWORKS
from suites.vocabulary import EVERY_FAMILY, FORMATS, FRAMEWORK_ALIASES, LAYOUTS, TIERS, devices_of, is_card

# What a comparison may fail on, from the strictest (reports/compare/demand.py).
LEVELS = ("changed", "worse", "broken")

# What a cell can be chosen by, what is asked of it, and the words for it.
WORDS: dict[str, tuple[str, ...]] = {
    "framework": FRAMEWORKS,
    "operation": OPERATIONS,
    "quantity": QUANTITIES,
    "format": FORMATS,
    "layout": LAYOUTS,
    "family": EVERY_FAMILY,
    "profile": every_name(),
    "device": ("cpu", "cuda", "cuda:N", "all"),
    "tier": TIERS,
    "verdict": VERDICTS,
    "--fail-on": (*LEVELS, *VERDICTS),
    "golden format": EVERY_FORMAT,
}

# Other names of the same things, in lower case; those of a kind are taken in any case.
ALIASES: dict[str, Mapping[str, str]] = {
    "framework": FRAMEWORK_ALIASES,
    "format": FORMAT_ALIASES,
    "golden format": FORMAT_ALIASES,
}


def known(kind: str, values: Iterable[str]) -> tuple[str, ...]:
    """The words of a kind that some values stand for.  Raises UsageError for a value that stands for none."""
    return tuple(_known(kind, value) for value in values)


def _known(kind: str, value: str) -> str:
    words, aliases = WORDS[kind], ALIASES.get(kind, {})
    named = aliases.get(value.lower(), value.lower()) if kind in ALIASES else value
    if (kind == "profile" and is_card(value)) or (kind == "device" and devices_of(value)):
        return value
    if named in words and kind != "device":
        return named
    near = difflib.get_close_matches(value.lower(), [*words, *aliases], n=1, cutoff=0.7)
    hint = f"; did you mean {near[0]}?" if near else ""
    what = kind.removeprefix("golden ")
    cards = ", cuda, cuda:N" if kind == "profile" else ""
    raise UsageError(f"unknown {what} {value!r}; known are {', '.join(words)}{cards}{hint}")
