"""What a measurement is held to: first whether what was measured will do, and only then what is missing."""

from __future__ import annotations

import math
from collections.abc import Sequence

from references.verdict.ladder import at_least
from references.vocabulary import VERDICTS
from reports.console.exits import INCOMPLETE, OK, WORSE
from reports.measure.messages import say
from reports.run.records import Record, Unmeasured
from reports.wording import OUTCOMES, count, significant
from suites.vocabulary import is_card

# So many cells that are worse than required are named, the worst first; more are counted.
_MOST_NAMED = 10


def gate(records: Sequence[Record], require: str | None, missing: Sequence[str]) -> int:
    """The exit code of ``measure``, and the lines that explain it: what is wrong stays wrong, whatever is missing."""
    worse = worse_than(records, require)
    for record in worse[:_MOST_NAMED]:
        say(f"worse than {require}: {record.verdict}: {record.key}: {figures(record)}")
    if worse:
        also = f"; incomplete too: {', '.join(missing)}" if missing else ""
        say(f"{len(worse)} of {len(records)} cells are worse than {require}{also}")
        return WORSE
    if missing and require:
        rest = f"; of {count(len(records), 'measured cell')} none is worse than {require}" if records else ""
        say(f"incomplete: {', '.join(missing)}{rest}")
    return INCOMPLETE if missing else OK


def worse_than(records: Sequence[Record], require: str | None) -> list[Record]:
    """The records below a verdict, the worst first; none where nothing is required."""
    if require is None:
        return []
    return sorted((r for r in records if not at_least(r.verdict, require)), key=_badness)


def _badness(record: Record) -> tuple[int, float, float, str]:
    """A wrong cell before an unstable one, and of the same verdict the one that is further off."""
    ratio = math.inf if record.infinite_ratios else record.bound_ratio or 0.0
    ulps = math.inf if record.max_ulp is None else record.max_ulp
    return VERDICTS.index(record.verdict), -ratio, -ulps, record.key


def figures(record: Record) -> str:
    """How far a cell is off: the largest error, its part of the bound, and what became of elements."""
    ratio = math.inf if record.infinite_ratios else record.bound_ratio
    parts = ["no finite error" if record.max_ulp is None else f"up to {significant(record.max_ulp)} ulp"]
    parts += [f"{significant(ratio)} of the bound"] if ratio is not None else []
    parts += [
        f"{OUTCOMES.get(name, name)} in {number} of {record.elements}" for name, number in record.outcomes.items()
    ]
    return "; ".join(parts)


def missing_of(
    lost: int,
    records: int,
    planned: int,
    unmeasured: Sequence[Unmeasured],
    *,
    frameworks: Sequence[str],
    device: str,
    require_device: bool,
) -> list[str]:
    """What a run lacks of what it was asked for, each in words.

    A framework that isn't there is missing where ``frameworks`` names it, and so is a card where ``device`` names one
    and ``frameworks`` the framework that lacks it; ``require_device`` wants a card for every framework.  One of a
    framework's calls that needs a compiler or another framework is none that was asked for by name.
    """
    found = [f"{count(lost, 'cell')} lost"] if lost else []
    for one in unmeasured:
        card = one.profile is not None and is_card(one.profile)
        whole = one.profile is None and one.implementation is None
        named = one.framework in frameworks and (whole or (card and device != "all"))
        if named or (card and require_device):
            found.append(f"{one.name} is not there")
    if not records:
        found.append("no cell was measured")
    elif not found and records < planned:
        found.append(f"{planned - records} of {planned} cells are missing")
    return found
