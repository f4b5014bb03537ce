"""What is not promised: whether bits change with threads, layout and the like, where, and by how much at most."""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter

from reports.run.reader import read_observations
from reports.run.records import Run
from reports.wording import listing, significant, whole
from suites.laws.observations import Observation

_MOST_PATHS = 4

_OF_ELEMENTS, _OF_ROWS = attrgetter("max_ulp"), attrgetter("max_row_ulp")


@dataclass(frozen=True)
class BitsLine:
    """One line: with ``what`` bits may change, of whose results, whether they do, and in which code paths."""

    what: str
    implementation: str
    answer: str
    compared: str
    paths: str


def changes_of(run: Run) -> tuple[BitsLine, ...]:
    """A line for each framework's call and each of what its bits may change with.  Raises RunError."""
    groups: dict[tuple[str, str], list[Observation]] = {}
    for seen in read_observations(run.path):
        groups.setdefault((seen.what, seen.implementation), []).append(seen)
    return tuple(_change(*key, found) for key, found in sorted(groups.items()))


def _change(what: str, implementation: str, found: list[Observation]) -> BitsLine:
    changed = [o for o in found if o.changed]
    return BitsLine(what, implementation, _answer(changed), _compared(found, changed), _paths(changed))


def _answer(changed: list[Observation]) -> str:
    """Gradients cancel, and then a last digit more or less is very many ulps of an element, and few of its row."""
    values = [o for o in changed if o.quantity == "forward"]
    gradients = [o for o in changed if o.quantity != "forward"]
    parts = [f"{name} {_at_most(found)}" for name, found in (("values", values), ("gradients", gradients)) if found]
    return f"yes, {' and '.join(parts)}" if parts else "no"


def _at_most(changed: list[Observation]) -> str:
    if any(o.max_ulp is None or o.max_row_ulp is None for o in changed):
        return "from a number to none"
    of_elements, of_rows = (max(f(o) or 0.0 for o in changed) for f in (_OF_ELEMENTS, _OF_ROWS))
    return f"by at most {significant(of_rows)} ulp of the row ({significant(of_elements)} of an element)"


def _compared(found: list[Observation], changed: list[Observation]) -> str:
    elements, moved = sum(o.elements for o in found), sum(o.changed for o in found)
    return f"{whole(len(changed))} of {whole(len(found))} comparisons, {whole(moved)} of {whole(elements)} elements"


def _paths(changed: list[Observation]) -> str:
    paths = list(dict.fromkeys(path for o in changed for path in o.paths))
    if len(paths) > _MOST_PATHS:
        return f"{', '.join(paths[:_MOST_PATHS])} and {len(paths) - _MOST_PATHS} more"
    return listing(paths) if paths else ""
