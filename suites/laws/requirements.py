"""What a session was asked to test, and how a cell's measurement is held against it; shared by the laws' tests."""

from __future__ import annotations

from dataclasses import dataclass, field

from references.verdict import at_least
from suites.environment import profile_of
from suites.implementations.catalogue import Implementation, versions_of, why_skipped
from suites.known_defects import REQUIRED, Defect, Failing, defect_of
from suites.measure import Measurement, evaluator_of, measure
from suites.plan import Cell, Selection, cells


class BelowRequired(AssertionError):
    """A cell's verdict is worse than what is required of it."""


@dataclass
class Session:
    """The implementations and cells of one pytest session, and what has been measured in this process."""

    implementations: list[Implementation]
    selection: Selection
    required: str = REQUIRED
    measured: dict[str, Failing | None] = field(default_factory=dict)

    @property
    def by_name(self) -> dict[str, Implementation]:
        return {i.name: i for i in self.implementations}

    @property
    def complete(self) -> bool:
        """Whether every cell of the standard tier is selected, under the usual requirement."""
        return self.selection == Selection() and self.required == REQUIRED

    def cells(self) -> list[Cell]:
        return cells(self.implementations, self.selection)

    def missing(self, cell: Cell) -> str | None:
        """Why the cell can't be measured here, or None."""
        return why_skipped(self.by_name[cell.implementation])

    def version(self, implementation: str) -> str:
        framework = self.by_name[implementation].framework
        return versions_of(framework).get(framework, "0")

    def defect(self, cell: Cell) -> Defect | None:
        """The known defect that covers the cell, under the usual requirement."""
        if self.by_name[cell.implementation].own or not at_least(self.required, REQUIRED):
            return None
        return defect_of(cell, self.version(cell.implementation))

    def measure(self, cell: Cell) -> Measurement:
        """Measure a cell and remember whether it failed."""
        implementation = self.by_name[cell.implementation]
        measurement = measure(cell, implementation, evaluator_of(implementation))
        judgement = measurement.judgement
        failed = not at_least(judgement.verdict, self.required)
        ratio = float("inf") if judgement.bound_ratio is None else judgement.bound_ratio
        self.measured[cell.key] = Failing(cell, judgement.verdict, ratio) if failed else None
        return measurement

    def failing(self, defect: Defect) -> list[Failing]:
        """The failing cells that an entry selects; what another process has measured is measured here again."""
        found = []
        for cell in self.cells():
            if self.defect(cell) is defect and not self.missing(cell):
                if cell.key not in self.measured:
                    self.measure(cell)
                failed = self.measured[cell.key]
                if failed is not None:
                    found.append(failed)
        return found


def failure_text(measurement: Measurement, required: str) -> str:
    """What failed, on which bits: enough to reproduce it without the suite."""
    worst, statistics, judgement = measurement.worst, measurement.statistics, measurement.judgement
    format = measurement.cell.format
    logits = " ".join(f"{b:#x}" for b in worst.logits[:16].tolist())
    more = f" ... ({worst.logits.size} in all)" if worst.logits.size > 16 else ""
    return (
        f"{measurement.cell.key} is {judgement.verdict}, {required} is required\n"
        f"  worst element: row {worst.row}, index {worst.column}: "
        f"computed {worst.computed:#x} = {worst.computed_value!r}, exact {worst.exact}\n"
        f"  {worst.outcome}; error {worst.ulp_error} ulp of {format}, {worst.bound_ratio} of the bound "
        f"(cell: {judgement.bound_ratio} of the bound, outcomes {statistics.outcomes or 'ordinary'})\n"
        f"  logits {logits}{more}" + (f"\n  {worst.vector_kind} vector" if worst.vector_kind else "")
    )


def profile_here(defect: Defect) -> str:
    return profile_of(defect.framework)
