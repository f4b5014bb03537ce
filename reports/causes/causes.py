"""The causes of a comparison: every changed cell in one group, each group with its evidence or the word unexplained."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from reports.causes.accumulation import accumulation
from reports.causes.bisect import Bisection
from reports.causes.contrasts import one_kind, one_mode, one_profile, special_alone
from reports.causes.details import Detail, details_of, largest
from reports.causes.finding import BECAUSE, WHERE, Finding
from reports.causes.gathering import CauseGroup, Findings, groups_of
from reports.causes.moved import candidates
from reports.causes.routes import another_path, boundary, one_path
from reports.causes.subnormals import subnormals
from reports.causes.view import ChangedPart, View, view_of
from reports.compare.comparison import Comparison
from reports.wording import count, whole

_OF_THE_VIEW: tuple[Callable[[ChangedPart, View], Iterator[Finding]], ...] = (
    another_path,
    one_path,
    boundary,
    one_mode,
    one_profile,
    one_kind,
    special_alone,
)
_OF_DETAILS: tuple[Callable[[ChangedPart, Mapping[str, Detail]], Iterator[Finding]], ...] = (subnormals, accumulation)


class ExperimentEvidence(Protocol):
    """What an experiment has shown, in place of what the two runs alone can say of what moved a part."""

    notes: list[str]

    def findings(self, part: ChangedPart, view: View) -> Iterator[Finding]:
        """What it says of a part; nothing where it says nothing."""


Experiment = Callable[[View, list[ChangedPart]], ExperimentEvidence]


@dataclass(frozen=True)
class Causes:
    """The groups of changed cells, those that matter most first.

    ``notes`` say how far an experiment went; ``bisection`` is of one cell, where it was asked for.
    """

    groups: tuple[CauseGroup, ...]
    notes: tuple[str, ...] = ()
    bisection: Bisection | None = None

    @property
    def cells(self) -> int:
        return sum(len(group.changes) for group in self.groups)

    @property
    def sentence(self) -> str:
        """How many cells have other bits, and of how many of them it is known what moved them, and where."""
        if not self.groups:
            return "No cell has other bits."
        because, places = (_told(self.groups, side) for side in (BECAUSE, WHERE))
        return (
            f"{count(self.cells, 'cell')} with other bits in {count(len(self.groups), 'group')}: "
            f"what moved them is known for {whole(because)}, where it lies for {whole(places)}."
        )


def _told(groups: tuple[CauseGroup, ...], side: str) -> int:
    """How many changed cells have evidence that explains one side."""
    return sum(len(g.changes) for g in groups if any(f.explains and f.side == side for f in g.findings))


def causes_of(comparison: Comparison, experiment: Experiment | None = None) -> Causes:
    """The causes that follow from two run directories, and from an experiment where there is one.

    Raises RunError, and what the experiment raises.
    """
    view = view_of(comparison)
    parts = list(view.parts())
    details = details_of(comparison, (change for part in parts for change in largest(part.changes)))
    shown = experiment(view, parts) if experiment else None
    groups = groups_of(view, ((part, _findings(part, view, details, shown)) for part in parts))
    return Causes(groups, tuple(shown.notes) if shown else ())


def _findings(
    part: ChangedPart, view: View, details: Mapping[str, Detail], shown: ExperimentEvidence | None
) -> Findings:
    found: list[Finding] = list(shown.findings(part, view)) if shown else []
    if not any(finding.side == BECAUSE for finding in found):
        found += candidates(view, part.slice)
    for of_view in _OF_THE_VIEW:
        found += of_view(part, view)
    for of_details in _OF_DETAILS:
        found += of_details(part, details)
    return frozenset(found)
