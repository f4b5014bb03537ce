"""What no framework promises, observed: whether bits change with threads, instructions, layout, batch or a compiler.

An observation compares two evaluations of the same rows.  It fails nothing; the report says in which paths bits change,
and by how much.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from references.formats import Bits
from suites.driver.profiles import Profile, profiles_on
from suites.implementations.catalogue import CATALOGUE, Implementation, framework_named
from suites.implementations.implementation import COMPILER
from suites.inputs.batch import batch_of
from suites.laws.comparing import row_ulps_apart, same, ulps_apart
from suites.laws.evaluation import Evaluations
from suites.laws.inputs import ROWS, Input, Order, given_of, input_of, lengths_of
from suites.laws.subjects import Subject, is_usual, memory_layouts
from suites.plan.cell import Selection

LAYOUT = "the layout in memory"
AXIS = "the reduced axis"
BATCH = "the size of the batch"
POSITION = "the place in the batch"
COMPILER_USED = "compilation"

# Enough elements for PyTorch to share them out among threads, which it does from 32,768 on.
_MANY_ROWS, _MANY = 66, 1000

_QUANTITIES = ("forward", "vjp")
_ALL_ROWS: Order = np.arange(ROWS)


@dataclass(frozen=True)
class Observation:
    """How many elements of a result changed their bits with ``what``, and by how much at most.

    ``profile`` and ``layout`` are those that were held against the usual ones; ``paths`` are the ids of theirs.
    ``max_ulp`` counts the numbers between two elements, ``max_row_ulp`` ulps of the largest number in the row of its
    results and vectors; both are None where a number became none.
    """

    what: str
    framework: str
    implementation: str
    profile: str
    operation: str
    quantity: str
    format: str
    layout: str
    row_length: int
    paths: list[str]
    elements: int
    changed: int
    max_ulp: float | None
    max_row_ulp: float | None

    @property
    def key(self) -> str:
        subject = self.implementation, self.profile, self.operation, self.quantity, self.format, self.layout
        return f"{self.what}: {'/'.join(subject)}/{self.row_length}"


@dataclass(frozen=True, eq=False)
class ObservedPair:
    """Two evaluations of the same rows: ``rows`` are those of the usual result that the other one has, in its order."""

    what: str
    usual: Subject
    other: Subject
    given: Input
    rows: Order

    @property
    def key(self) -> str:
        return f"{self.what}: {self.other.key}/{self.given.shape[1]}"

    def observe(self, on: Evaluations) -> Observation:
        """Evaluate both.  Raises what ``on.bits`` raises."""
        chosen = self.given.rows(self.rows)
        before, after = on.bits(self.usual, self.given)[self.rows], on.bits(self.other, chosen)
        return self._of(
            before, after, chosen.vectors.values(), [step.path.id for step in on.steps(self.other, chosen.shape)]
        )

    def _of(self, before: Bits, after: Bits, vectors: Iterable[Bits], paths: list[str]) -> Observation:
        format, other = self.other.format, self.other
        changed = ~same(format, after, before)
        farthest = float(np.where(changed, np.maximum(ulps_apart(format, after, before), 1.0), 0.0).max())
        of_the_row = float(row_ulps_apart(format, before, after, vectors).max())
        return Observation(
            what=self.what,
            framework=other.framework,
            implementation=other.implementation.name,
            profile=other.profile.name,
            operation=other.operation,
            quantity=other.quantity,
            format=other.format_name,
            layout=other.layout,
            row_length=self.given.shape[1],
            paths=list(dict.fromkeys(paths)),
            elements=int(changed.size),
            changed=int(changed.sum()),
            max_ulp=farthest if np.isfinite(farthest) else None,
            max_row_ulp=of_the_row if np.isfinite(of_the_row) else None,
        )


def comparisons_of(
    implementation: Implementation, selection: Selection, interpreter: str = sys.executable
) -> Iterator[ObservedPair]:
    """What is compared of an implementation, on the CPU; in the smoke tier within the default profile alone."""
    usual = implementation.own or is_usual(implementation)
    on_cpu = not selection.devices or "cpu" in selection.devices
    if not on_cpu or not (usual or implementation.watched):
        return
    if selection.tier == "smoke" and COMPILER in implementation.needs:
        return
    profiles = profiles_on(implementation.framework, ("cpu",), interpreter)
    for subject in _subjects(implementation, profiles[0], selection):
        if usual:
            yield from _within_a_profile(subject, selection.tier)
            if selection.tier != "smoke":
                yield from _between_profiles(subject, profiles[1:], selection)
        if implementation.watched:
            yield from _compiled(subject, selection.tier)


def _subjects(implementation: Implementation, profile: Profile, selection: Selection) -> Iterator[Subject]:
    few = implementation.compiles
    for operation in implementation.calls:
        for quantity in _QUANTITIES:
            for format in framework_named(implementation.framework).watched_formats:
                for layout in ("last", "inner"):
                    rare = few and (format != "binary32" or (layout, quantity) == ("inner", "vjp"))
                    if implementation.supports(operation, quantity, format) and not rare:
                        subject = Subject(implementation, profile, operation, quantity, format, layout)
                        if _selected(subject, selection):
                            yield subject


def _selected(subject: Subject, selection: Selection) -> bool:
    filters = (
        (selection.operations, subject.operation),
        (selection.quantities, subject.quantity),
        (selection.formats, subject.format_name),
        (selection.layouts, subject.layout),
    )
    return all(not wanted or value in wanted for wanted, value in filters)


def _within_a_profile(usual: Subject, tier: str) -> Iterator[ObservedPair]:
    n = lengths_of(usual, tier)[-1]
    given = input_of(usual, n)
    yield ObservedPair(POSITION, usual, usual, given, np.roll(_ALL_ROWS, 7))
    if usual.layout == "inner":
        yield ObservedPair(AXIS, replace(usual, layout="last"), usual, given, _ALL_ROWS)
    if usual.layout == "last":
        yield ObservedPair(BATCH, usual, usual, given, _ALL_ROWS[:1])
        for layout in ("transposed", "strided", "offset-1"):
            if layout in memory_layouts(usual):
                yield ObservedPair(LAYOUT, usual, replace(usual, layout=layout), given, _ALL_ROWS)


def _compiled(usual: Subject, tier: str) -> Iterator[ObservedPair]:
    eager = replace(usual, implementation=CATALOGUE[usual.implementation.eager or ""])
    if usual.layout == "last":
        yield ObservedPair(COMPILER_USED, eager, usual, input_of(usual, lengths_of(usual, tier)[-1]), _ALL_ROWS)


def _between_profiles(usual: Subject, profiles: tuple[Profile, ...], selection: Selection) -> Iterator[ObservedPair]:
    given = given_of(batch_of("gauss10", usual.format_name, _MANY_ROWS, _MANY), usual)
    for profile in profiles:
        offered = not profile.formats or usual.format_name in profile.formats
        if offered and profile.varies and (not selection.profiles or profile.name in selection.profiles):
            yield ObservedPair(profile.varies, usual, replace(usual, profile=profile), given, np.arange(_MANY_ROWS))
