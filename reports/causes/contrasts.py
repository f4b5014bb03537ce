"""Evidence from what has not changed: the same cells eagerly or compiled, under another profile, on ordinary rows."""

from __future__ import annotations

from collections.abc import Iterator

from reports.causes.finding import Finding, enough, where
from reports.causes.view import CellPlace, ChangedPart, Seen, Slice, View
from reports.wording import listing
from suites.implementations.catalogue import CATALOGUE
from suites.inputs import special

# Compiled implementations, and what runs the same operation by operation.
_EAGER = {i.name: i.eager for i in CATALOGUE.values() if i.eager}

# Settings that say which instruction set a framework's kernels are compiled for, by the beginning of their names.
_INSTRUCTIONS = ("cpu capability", "exp ", "log ", "dispatch")


def one_mode(part: ChangedPart, view: View) -> Iterator[Finding]:
    """The compiled twin of an eager implementation, or the eager one of a compiled, has the same bits."""
    mine = part.slice.implementation
    others = {_EAGER[mine]: "compiled"} if mine in _EAGER else {c: "eager" for c, e in _EAGER.items() if e == mine}
    for twin, mode in others.items():
        if _kept(part, view, part.slice._replace(implementation=twin)):
            yield where("mode", f"{mode} alone: {twin} kept the bits of the same cells")


def one_profile(part: ChangedPart, view: View) -> Iterator[Finding]:
    """Another profile has the same bits: what the two selected differently chooses what has changed."""
    of = part.slice
    names = {s.profile for s in view.slices if s.framework == of.framework and s.profile != of.profile}
    kept = sorted(name for name in names if _kept(part, view, of._replace(profile=name)))
    if not kept:
        return
    mine = view.selected(of.framework, of.profile)[1]
    differing = {name: _differing(mine, view.selected(of.framework, name)[1]) for name in kept}
    if any(key.startswith(_INSTRUCTIONS) for found in differing.values() for key in found):
        what = "the kernels of this instruction set"
    elif any("threads" in found for found in differing.values()):
        what = "how threads share the work"
    else:
        what = "what its options choose"
    others = listing(f"{name}{_in_words(differing[name])}" for name in kept)
    yield where("profile", f"{what}, {of.profile} alone: {others} kept the bits of the same cells")


def _differing(mine: dict[str, str], other: dict[str, str]) -> dict[str, tuple[str, str]]:
    return {k: (other[k], mine[k]) for k in mine if k in other and mine[k] != other[k]}


def _in_words(differing: dict[str, tuple[str, str]]) -> str:
    """The first setting that differs; an instruction set for each format says the same six times."""
    for name, (other, mine) in differing.items():
        return f" ({name} {other or 'none'}, not {mine or 'none'})"
    return ""


def one_kind(part: ChangedPart, view: View) -> Iterator[Finding]:
    """Every other format, quantity or operation that has the same cells has the same bits there."""
    of = part.slice
    for axis in ("format", "quantity", "operation"):
        mine = getattr(of, axis)
        alike = [s for s in view.slices if s != of and s._replace(**{axis: mine}) == of]
        others = [s for s in alike if _shared(part, view, s)]
        if others and all(_kept(part, view, s) for s in others):
            rest = listing(sorted(getattr(s, axis) for s in others))
            yield where(axis, f"{mine} alone: {rest} kept the bits of the same cells")


def special_alone(part: ChangedPart, view: View) -> Iterator[Finding]:
    """Only rows with NaN, infinities and extreme numbers have changed."""
    changed, same = view.split(part.slice)
    if all(s.cell.family == special.FAMILY for s in changed):
        ordinary = [s for s in same if s.cell.family != special.FAMILY]
        if enough(len(ordinary), 3):
            yield where("special values", "special rows alone: every row of finite numbers kept its bits")


def _kept(part: ChangedPart, view: View, other: Slice) -> bool:
    """Whether enough of the changed cells are in another slice, and all those have the same bits there."""
    found = _shared(part, view, other)
    return enough(len(found), len(part.changes)) and all(seen.change is None for seen in found)


def _shared(part: ChangedPart, view: View, other: Slice) -> list[Seen]:
    """The cells of another slice in the places of the changed ones."""
    there = view.slices.get(other, {})
    places = [CellPlace(c.cell.layout, c.cell.family, c.cell.row_length) for c in part.changes]
    return [there[place] for place in places if place in there]
