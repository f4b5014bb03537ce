"""An experiment on the packages that moved: each swapped alone, and a few changed cells evaluated there.

What counts is whether a cell has the bits of the old run, those of the new one, or neither.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from references.formats import Bits
from reports.causes.bits import Evaluate, sha256_of
from reports.causes.details import largest
from reports.causes.elements import element_by_element
from reports.causes.finding import Finding, because
from reports.causes.moved import Moved, moved_packages, packages_of
from reports.causes.programs import Programs, programs_of, same_programs
from reports.causes.subnormals import is_candidate
from reports.causes.view import ChangedPart, View
from reports.compare.judgement import Change
from reports.wording import count, listing
from suites.implementations.catalogue import framework_named

# Cells of a part that are evaluated, and of all parts together.
MOST_OF_A_PART = 3
MOST_CELLS = 240

OLD, NEW, OTHER = "old", "new", "other"

Names = frozenset[str]


class Unresolvable(Exception):
    """Versions that no environment has together; the message is the installer's reason in one line."""


# One version of each package -> the interpreter of an environment that has them.  Raises Unresolvable.
Build = Callable[[Mapping[str, str]], str]


@dataclass(frozen=True)
class Sides:
    """The interpreters of the two environments of an audit."""

    old: str
    new: str


@dataclass
class Swaps:
    """The outcomes: for each environment between old and new, which bits each cell has there."""

    sampled: dict[ChangedPart, list[Change]]
    before: Mapping[str, Bits] = field(default_factory=dict)
    after: Mapping[str, Bits] = field(default_factory=dict)
    outcomes: dict[Names, dict[str, str]] = field(default_factory=dict)
    refused: dict[Names, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    same_programs: dict[ChangedPart, bool] = field(default_factory=dict)

    def findings(self, part: ChangedPart, view: View) -> Iterator[Finding]:
        """What the experiment says of a part."""
        moved, sampled = moved_packages(view, part.slice), self.sampled.get(part, [])
        changes = [c for c in sampled if self.is_reproduced(c)]
        if sampled and not changes and len(moved) > 1:
            found = self._by_programs(part, moved) or self._refused({m.name: m for m in moved})
            yield from [found] if found else []
        elif changes and len(moved) > 1:
            said = [self._cause(change, moved) for change in changes]
            if all(finding == said[0] for finding in said) and said[0]:
                yield said[0]
            elif any(said):
                texts = dict.fromkeys(finding.statement if finding else "not known" for finding in said)
                yield because("swap", f"not the same for all cells: {'; or '.join(texts)}")
        pairs = ((c, self.before[c.cell.key], self.after[c.cell.key]) for c in changes)
        yield from element_by_element(pairs)

    def _by_programs(self, part: ChangedPart, moved: list[Moved]) -> Finding | None:
        """That a framework hands its compiler the same programs as before: it is the compiler that moved the bits."""
        framework = framework_named(part.slice.framework)
        compilers = [m for m in moved if framework.compiler and m.name == framework.compiler.package]
        if compilers and self.same_programs.get(part):
            text = f"{compilers[0].text}: {framework.title} hands it the same programs as before"
            return because("program", text)
        return None

    def is_reproduced(self, change: Change) -> bool:
        """Whether both environments give the bits of the runs when they are asked again."""
        key, (old, new) = change.cell.key, change.both
        return (
            key in self.before
            and key in self.after
            and sha256_of(self.before[key]) == old.output_sha256
            and sha256_of(self.after[key]) == new.output_sha256
        )

    def _cause(self, change: Change, moved: list[Moved]) -> Finding | None:
        """Which package's version the bits of a cell hang on."""
        every = {m.name: m for m in moved}
        told = {s: bits[change.cell.key] for s, bits in self.outcomes.items() if change.cell.key in bits}
        alone = [name for name in every if told.get(frozenset([name])) == NEW]
        if alone:
            texts = listing(f"{every[name].text}" for name in alone)
            return because("swap", f"{texts}: {_it(alone)} alone gives the new bits")
        needed = [name for name in every if told.get(frozenset(every) - {name}) == OLD]
        if len(needed) == 1:
            rest = listing(name for name in every if name != needed[0])
            return because("swap", f"{every[needed[0]].text}: without it, the new {rest} {_leave(every)} the old bits")
        if len(needed) > 1:
            return because("swap", f"{listing(every[name].text for name in needed)} together: no new bits without each")
        third = [f"{every[name].text} alone" for name in every if told.get(frozenset([name])) == OTHER]
        if third:
            return because("swap", f"together: bits that are neither the old nor the new ones with {listing(third)}")
        return self._refused(every)

    def _refused(self, every: Mapping[str, Moved]) -> Finding | None:
        """That no environment has the versions of some packages apart from each other: they moved as one."""
        if not any(frozenset([name]) in self.refused for name in every):
            return None
        texts = listing(m.text for m in every.values())
        return because("swap", f"{texts}, which install only together; which of them is not known")


def _it(names: list[str]) -> str:
    return "it" if len(names) == 1 else "each"


def _leave(every: Mapping[str, Moved]) -> str:
    return "leaves" if len(every) == 2 else "leave"


def swapped(
    view: View,
    parts: Iterable[ChangedPart],
    sides: Sides,
    build: Build,
    evaluate: Evaluate,
    say: Callable[[str], None],
    programs: Programs = programs_of,
) -> Swaps:
    """Do the experiment: both environments again, then one with each package swapped, as far as versions go together.

    Where JAX and jaxlib don't go apart, ``programs`` are held against each other.  ``say`` prints what takes time.
    """
    sampled = _sampled(view, list(parts))
    result, ready = Swaps(sampled), []
    for versions, chosen, names in _experiments(view, sampled):
        try:
            ready.append((versions, build(versions), chosen, names))
        except Unresolvable as reason:
            result.refused[names] = str(reason)
            result.notes.append(f"{_pins(versions)} can't be had together: {reason}")
    _compare_programs(result, view, sides, programs, say)
    wanted = {c.cell.key: c for _, _, chosen, _ in ready for c in chosen}
    wanted |= {c.cell.key: c for part, chosen in sampled.items() if is_candidate(part) for c in chosen}
    if not wanted:
        return result
    say(f"evaluating {count(len(wanted), 'changed cell')} again, for their causes")
    cells = [change.cell for change in wanted.values()]
    result.before, result.after = evaluate(cells, sides.old), evaluate(cells, sides.new)
    for versions, interpreter, chosen, names in ready:
        say(f"evaluating {count(len(chosen), 'cell')} with {_pins(versions)}")
        outputs = evaluate([change.cell for change in chosen], interpreter)
        told = {c.cell.key: _word(outputs[c.cell.key], c) for c in chosen if c.cell.key in outputs}
        result.outcomes.setdefault(names, {}).update(told)
    lost = sum(not result.is_reproduced(change) for change in wanted.values())
    if lost:
        result.notes.append(f"{count(lost, 'cell')} had not the bits of the runs when evaluated again; nothing follows")
    return result


def _compare_programs(result: Swaps, view: View, sides: Sides, programs: Programs, say: Callable[[str], None]) -> None:
    """For one cell of each part whose compiler moved with something that it doesn't go apart from."""
    stuck = [part for part in result.sampled if _compiler_is_stuck(part, result, view)]
    if not stuck:
        return
    cells = {part: result.sampled[part][0].cell for part in stuck}
    titles = listing(dict.fromkeys(framework_named(part.slice.framework).title for part in stuck))
    say(f"comparing the programs that {titles} compiles, for {count(len(cells), 'cell')}")
    same = same_programs(list(cells.values()), sides.old, sides.new, programs)
    result.same_programs = {part: cell.key in same for part, cell in cells.items()}


def _sampled(view: View, parts: list[ChangedPart]) -> dict[ChangedPart, list[Change]]:
    """A few cells of each part of which the two runs leave something open, those with the largest errors."""
    found, left = {}, MOST_CELLS
    for part in (p for p in parts if len(moved_packages(view, p.slice)) > 1 or is_candidate(p)):
        found[part] = largest(part.changes)[: min(MOST_OF_A_PART, left)]
        left -= len(found[part])
    return {part: changes for part, changes in found.items() if changes}


def _experiments(
    view: View, sampled: Mapping[ChangedPart, list[Change]]
) -> Iterator[tuple[dict[str, str], list[Change], Names]]:
    """Versions, the cells that they may matter to, and which packages are the new ones: each alone, all but each."""
    alike: dict[tuple[Moved, ...], list[ChangedPart]] = {}
    for part in sampled:
        alike.setdefault(tuple(moved_packages(view, part.slice)), []).append(part)
    for moved, parts in alike.items():
        names = [m.name for m in moved]
        one = [frozenset([name]) for name in names]
        swaps = dict.fromkeys([*one, *(frozenset(names) - {name} for name in names)]) if len(names) > 1 else {}
        for new in swaps:
            versions = _versions(view, parts[0], {m.name: (m.new if m.name in new else m.old) for m in moved})
            yield versions, list(itertools.chain.from_iterable(sampled[p] for p in parts)), new


def _versions(view: View, part: ChangedPart, chosen: Mapping[str, str]) -> dict[str, str]:
    """One version of each package that is computed with; none of what one side lacks."""
    of = part.slice
    old = view.packages(of.framework, of.profile)[0]
    kept = {name: old[name] for name in packages_of(of.framework, of.implementation) if name in old}
    return {name: version for name, version in {**kept, **chosen}.items() if version != "none"}


def _pins(versions: Mapping[str, str]) -> str:
    return " ".join(f"{name}=={version}" for name, version in versions.items())


def _word(bits: Bits, change: Change) -> str:
    fingerprint, (old, new) = sha256_of(bits), change.both
    return {new.output_sha256: NEW, old.output_sha256: OLD}.get(fingerprint, OTHER)


def _compiler_is_stuck(part: ChangedPart, result: Swaps, view: View) -> bool:
    compiler = framework_named(part.slice.framework).compiler
    if compiler is None:
        return False
    moved = {m.name for m in moved_packages(view, part.slice)}
    return {compiler.package} < moved and frozenset([compiler.package]) in result.refused
