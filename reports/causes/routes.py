"""Evidence from the code paths: another one is taken, one alone has changed, or a change begins at a known boundary."""

from __future__ import annotations

from collections.abc import Iterator

from reports.causes.finding import Finding, enough, where
from reports.causes.view import ChangedPart, Seen, Slice, View
from suites.inputs import special
from suites.paths.conditions import ConditionError, evaluate
from suites.paths.registry import Boundary, RegistryError, registry
from suites.paths.taken import place_of, quantities_of


def another_path(part: ChangedPart, view: View) -> Iterator[Finding]:
    """The registry says that other kernels run now.  It can't say so where one version reports fewer settings."""
    known = part.before and part.after and view.told_alike(part.slice.framework, part.slice.profile)
    if known and part.before != part.after:
        gone = [p for p in part.before if p not in part.after]
        come = [p for p in part.after if p not in part.before]
        yield where("another path", f"another path: {', '.join(gone) or 'none'} → {', '.join(come) or 'none'}")


def one_path(part: ChangedPart, view: View) -> Iterator[Finding]:
    """Every changed cell takes a path, and whatever doesn't take it has the same bits: in the slice, or else in all
    slices of the implementation and profile."""
    of = part.slice
    alike = [s for s in view.slices if s[:3] == of[:3]]
    for scope in ([of], alike) if len(alike) > 1 else ([of],):
        found = list(_one_path(part, view, scope))
        yield from found
        if found:
            return


def _one_path(part: ChangedPart, view: View, scope: list[Slice]) -> Iterator[Finding]:
    split = [view.split(of) for of in scope]
    changed, same = ([seen for pair in split for seen in pair[side]] for side in (0, 1))
    for path in (p for p in dict.fromkeys(part.after) if all(p in seen.path for seen in changed)):
        others = [seen for seen in same if path not in seen.path]
        if enough(len(others), len(changed)):
            yield where("one path", f"only on {path}: cells on other paths kept their bits")


def boundary(part: ChangedPart, view: View) -> Iterator[Finding]:
    """All changed rows are longer, or all shorter, than those that stayed, and one boundary of the path is between."""
    changed, same = ([s for s in found if s.cell.family != special.FAMILY] for found in view.split(part.slice))
    if not changed or not same:
        return
    for name, low, high in (("begins", same, changed), ("ends", changed, same)):
        last, first = max(low, key=_length), min(high, key=_length)
        if _length(last) < _length(first):
            crossed = list(dict.fromkeys(_crossed(part, view, last, first)))
            if len(crossed) == 1:
                yield where("boundary", f"{name} where {crossed[0]}")


def _length(seen: Seen) -> int:
    return seen.cell.row_length


def _crossed(part: ChangedPart, view: View, last: Seen, first: Seen) -> Iterator[str]:
    """The boundaries of the part's paths between two cells, in words."""
    settings = view.selected(part.slice.framework, part.slice.profile)[1]
    for id in part.after:
        try:
            path = registry().named(id)
            ends = [quantities_of(path.framework, s.cell.format, place_of(s.cell), settings) for s in (last, first)]
            for found in path.boundaries:
                yield from (f"{id} changes, {text}" for text in _between(found, *ends))
        except (RegistryError, ConditionError):
            continue


def _between(found: Boundary, low: dict[str, bool | int | str], high: dict[str, bool | int | str]) -> Iterator[str]:
    for at in found.at:
        limit = evaluate(at, high)
        if evaluate(found.of, low) < limit <= evaluate(found.of, high):
            yield f"{found.of} = {limit}" + (f" ({found.why})" if found.why else "")
