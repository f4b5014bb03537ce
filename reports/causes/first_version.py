"""Which package a cell is bisected over, in which company, and how it is measured in each version."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from reports.causes.bisect import Bisection, BisectionStep, Unmeasurable, between, bisected
from reports.causes.moved import moved_packages, packages_of
from reports.causes.programs import Programs, programs_of, same_programs
from reports.causes.swapping import Build, Unresolvable
from reports.causes.view import Seen, View, has_other_bits, view_of
from reports.compare.comparison import Comparison, worst_first
from reports.compare.figures import Figures
from reports.compare.judgement import WORDS, Change
from reports.console.usage import UsageError
from reports.measure.messages import Say
from reports.measure.run import run_measurements
from reports.run.records import Record, RunError
from reports.wording import listing, significant
from suites.implementations.catalogue import CATALOGUE, framework_named
from suites.plan.cell import Cell, Selection

WORST = "worst"

# A cell, an interpreter and a directory that keeps the run -> the cell's record, and the packages of the run.  Raises
# Unmeasurable.
MeasureCell = Callable[[Cell, str, Path], tuple[Record, dict[str, str]]]

# A package -> its released versions, oldest first.
Released = Callable[[str], tuple[str, ...]]


@dataclass(frozen=True)
class Bisecting:
    """What an audit lends to a bisection: ``named`` are the packages that its requirements name, ``place`` keeps the
    runs of single cells."""

    comparison: Comparison
    named: tuple[str, ...]
    place: Path
    build: Build
    released: Released
    measure: MeasureCell
    say: Say
    programs: Programs = programs_of


def first_version(word: str, audit: Bisecting) -> Bisection:
    """The first version with other bits of the cell that ``word`` names: WORST, a key, a prefix of its sha256.

    Raises UsageError where no changed cell is meant, or its bits hang on no single named package.
    """
    change = changed_cell(word, audit.comparison)
    view = view_of(audit.comparison)
    refused = []
    kept = _kept(change, view, audit.named)
    for package, company, ends in _choices(change, view, audit.named):
        versions = between(audit.released(package), *ends)
        audit.say(f"bisecting over {package} {ends[0]} → {ends[1]}{_with(company)}: {len(versions)} versions")

        def measured(
            version: str,
            package: str = package,
            company: Mapping[str, str] = company,
            ends: tuple[str, str] = ends,
        ) -> BisectionStep:
            if not company and version in ends:  # the audit has measured it
                side = ends.index(version)
                packages = view.packages(change.side.framework, change.cell.profile)[side]
                return _step_of(version, change.both[side], packages)
            return _measured(change.cell, {package: version, **company, **kept}, version, audit)

        try:
            found = bisected(package, change.cell.key, versions, measured, audit.say)
        except Unmeasurable as reason:
            refused.append(f"{package}{_with(company)}: {reason}")
            continue
        if found:
            return replace(found, because=_told_apart(found, change, kept | company, audit))
        refused.append(f"{package}{_with(company)}: the first and the last version have the same bits")
    raise UsageError(f"{change.cell.key} can't be bisected over one package: {'; '.join(refused) or 'none moved'}")


def changed_cell(word: str, comparison: Comparison) -> Change:
    """The changed cell that a word names.  Raises UsageError."""
    changes = [change for change in comparison.changes if has_other_bits(change)]
    if word == WORST:
        if not changes:
            raise UsageError("--bisect worst: no cell has other bits")
        return min(changes, key=lambda change: (WORDS.index(change.word), worst_first(change)))
    found = [c for c in changes if c.cell.key == word] or [
        c for c in changes if len(word) >= 4 and c.cell.digest.startswith(word.lower())
    ]
    if len(found) != 1:
        what = f"names {len(found)} changed cells" if found else "names no cell with other bits"
        raise UsageError(f"--bisect {word!r} {what}; give {WORST}, a key, or more of its sha256")
    return found[0]


def _choices(change: Change, view: View, named: Sequence[str]) -> Iterator[tuple[str, dict[str, str], tuple[str, str]]]:
    """Packages to bisect over, each in the company of the others' old versions, then of their new ones."""
    of = Seen(change.cell, change.side.framework, change.side.path, change).slice
    moved = [m for m in moved_packages(view, of) if "none" not in (m.old, m.new)]
    asked = [m for m in moved if m.name in named] or moved
    for one in asked:
        rest = [m for m in asked if m != one]
        companies = [{m.name: m.old for m in rest}, {m.name: m.new for m in rest}]
        for company in companies if rest else companies[:1]:
            yield one.name, company, (one.old, one.new)


def _kept(change: Change, view: View, named: Sequence[str]) -> dict[str, str]:
    """The packages that were named and are the same on both sides, so that nothing else moves with the versions."""
    old, new = view.packages(change.side.framework, change.cell.profile)
    return {name: old[name] for name in named if name in old and old[name] == new.get(name)}


def _with(company: Mapping[str, str]) -> str:
    return f" with {' '.join(f'{n}=={v}' for n, v in company.items())}" if company else ""


def _measured(cell: Cell, versions: Mapping[str, str], version: str, audit: Bisecting) -> BisectionStep:
    try:
        interpreter = audit.build(versions)
    except Unresolvable as reason:
        raise Unmeasurable(str(reason)) from None
    name = "+".join(f"{n}-{v}" for n, v in versions.items())
    return _step_of(version, *audit.measure(cell, interpreter, audit.place / name))


def _step_of(version: str, found: Record | Figures, packages: dict[str, str]) -> BisectionStep:
    errors = f"max {significant(found.max_ulp)} ulp, {significant(found.bound_ratio)} of the bound"
    return BisectionStep(version, found.output_sha256, f"{errors}, {found.verdict}", packages=packages)


def _told_apart(found: Bisection, change: Change, kept: Mapping[str, str], audit: Bisecting) -> str:
    """Which of the packages that moved between the last version and the first gives the new bits alone, in words.

    Empty where one moved only.
    """
    last, first = found.step(found.last), found.step(found.first)
    names = packages_of(change.side.framework, change.cell.implementation)
    moved = {n: (last.packages.get(n), first.packages.get(n)) for n in names}
    moved = {n: pair for n, pair in moved.items() if pair[0] != pair[1] and None not in pair}
    if len(moved) < 2:
        return ""
    alone: list[str] = []
    others: list[str] = []
    for name in moved:
        versions = {n: str(pair[n == name]) for n, pair in moved.items()}
        try:
            step = _measured(change.cell, {**versions, **kept}, found.first, audit)
        except Unmeasurable as reason:
            audit.say(f"{' '.join(f'{n} {v}' for n, v in versions.items())}: not measurable: {reason}")
            continue
        (alone if step.output_sha256 == first.output_sha256 else others).append(f"{name} {versions[name]}")
    if alone:
        return f"{listing(alone)} alone gives the new bits" + (f", {listing(others)} alone doesn't" if others else "")
    moves = listing(f"{n} {old} → {new}" for n, (old, new) in moved.items())
    if not others and _same_programs(found, change, kept, audit):
        framework = framework_named(CATALOGUE[change.cell.implementation].framework)
        assert framework.compiler is not None
        compiler, title = framework.compiler.package, framework.title
        return f"it is {compiler}, to which {title} hands the same programs ({moves} install only together)"
    if not others:
        return f"{moves} install only together"
    return f"{moves} together" if len(others) == len(moved) else f"{moves}, and not {listing(others)} alone"


def _same_programs(found: Bisection, change: Change, kept: Mapping[str, str], audit: Bisecting) -> bool:
    """Whether the framework hands its compiler the same programs in the last version and in the first."""
    compiler = framework_named(CATALOGUE[change.cell.implementation].framework).compiler
    if compiler is None or compiler.package not in found.step(found.first).packages:
        return False
    if found.package == compiler.package:
        return False
    interpreters = [audit.build({found.package: v, **kept}) for v in (found.last, found.first)]
    return bool(same_programs([change.cell], interpreters[0], interpreters[1], audit.programs))


def measured_cell(cell: Cell, interpreter: str, place: Path, tier: str) -> tuple[Record, dict[str, str]]:
    """The record of a cell and the packages, in a run of its own with its neighbours of other lengths.

    The run is kept, and completed if it was cut off.  Raises Unmeasurable.
    """
    selection = Selection(
        tier=tier,
        operations=(cell.operation,),
        quantities=(cell.quantity,),
        formats=(cell.format,),
        layouts=(cell.layout,),
        families=(cell.family,),
        profiles=(cell.profile,),
    )
    if cell.implementation not in CATALOGUE:
        raise UsageError(f"{cell.implementation} is a file of yours; only what the suite calls can be bisected")
    outcome = run_measurements(
        place, [CATALOGUE[cell.implementation]], selection, lambda *_: None, timing=False, interpreter=interpreter
    )
    try:
        return outcome.run.named(cell.key), outcome.run.manifest.packages
    except RunError:
        lost = next((lost.reason for lost in outcome.lost if lost.cell == cell), None)
        missing = next((u.reason for u in outcome.run.manifest.unmeasured), "the cell is not in the run")
        raise Unmeasurable(lost or missing) from None
