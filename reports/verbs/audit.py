"""The verb ``audit``: may the new versions take the place of the old ones?"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from reports.audit.experiments import Audited, causes_of_audit
from reports.audit.session import begin, measure_side
from reports.audit.sides import AuditSide, introduced, sides_of
from reports.causes.causes import Causes, causes_of
from reports.compare.allowed import read_entries
from reports.compare.comparison import Comparison, compare_runs
from reports.compare.demand import demand_of
from reports.console.exits import INCOMPLETE
from reports.console.output import need_templates
from reports.console.selection import no_cell, selection_of
from reports.console.usage import UsageError
from reports.measure.messages import say
from reports.run.destinations import check_outputs, check_run_directory
from reports.verbs.compare import concluded
from suites.implementations.catalogue import of_frameworks
from suites.plan.cell import Selection
from suites.plan.cells import cells


@dataclass(frozen=True)
class AuditRequest:
    """What an audit is asked for: two environments, the cells to measure, what is demanded and where it is written.

    The versions are ``requirements``, or what two Pythons hold: ``old_python``, ``new_python``.  ``python`` makes the
    environments, this one where it is None, by ``installer``.  The words of the selection are those of Selection.
    """

    requirements: tuple[str, ...]
    out: Path
    tier: str
    device: str
    frameworks: tuple[str, ...]
    operations: tuple[str, ...]
    quantities: tuple[str, ...]
    formats: tuple[str, ...]
    layouts: tuple[str, ...]
    families: tuple[str, ...]
    profiles: tuple[str, ...]
    old_python: str | None
    new_python: str | None
    python: str | None
    installer: str
    fail_on: tuple[str, ...]
    allow: Path | None
    html_file: Path | None
    markdown_file: Path | None
    json_file: Path | None
    bisect: str | None
    swap: bool

    @property
    def selection(self) -> Selection:
        return selection_of(
            self.tier,
            self.device,
            operations=self.operations,
            quantities=self.quantities,
            formats=self.formats,
            layouts=self.layouts,
            families=self.families,
            profiles=self.profiles,
        )

    @property
    def by_requirements(self) -> bool:
        """Whether both environments are made for this audit, so that others can be made too."""
        return self.old_python is None and self.new_python is None

    @property
    def maker(self) -> str:
        """The Python that makes the environments."""
        return self.python or sys.executable


def audit_verb(asked: AuditRequest) -> int:
    """Have two environments, measure both on the same bits, compare; returns the exit code of the comparison."""
    demand = demand_of(asked.fail_on)
    entries = read_entries(asked.allow) if asked.allow else []
    _check(asked)
    sides = sides_of(
        asked.requirements,
        (asked.old_python, asked.new_python),
        asked.frameworks,
        python=asked.maker,
        installer=asked.installer,
        logs=asked.out,
        say=say,
    )
    implementations = of_frameworks(sides[0].frameworks)
    planned = cells(implementations, asked.selection)
    if not planned:
        raise no_cell()
    for side in sides:
        introduced(side, asked.device)
    begin(asked.out, sides)
    try:
        old, new = (measure_side(asked.out, side, implementations, asked.selection, planned) for side in sides)
    except KeyboardInterrupt:
        say(f"interrupted; the finished cells are kept in {asked.out}: the same command goes on from there")
        return INCOMPLETE
    comparison = compare_runs(old, new, demand, allow=entries)
    return concluded(
        comparison, _causes(asked, comparison, sides), asked.html_file, asked.markdown_file, asked.json_file
    )


def _check(asked: AuditRequest) -> None:
    """Refuse what can't be done before anything is installed.  Raises UsageError and RunError."""
    check_run_directory(asked.out)
    runs = [asked.out / "old", asked.out / "new"]
    files = [asked.html_file, asked.markdown_file, asked.json_file]
    check_outputs(files, inputs=[asked.allow], runs=runs, audit=asked.out)
    if asked.html_file or asked.markdown_file:
        need_templates()
    if asked.bisect and not asked.by_requirements:
        raise UsageError(f"--bisect {asked.bisect!r} needs versions to install; give REQ_OLD and REQ_NEW, not a Python")


def _causes(asked: AuditRequest, comparison: Comparison, sides: tuple[AuditSide, AuditSide]) -> Causes:
    """Why the two differ, by experiments where other environments can be made for them."""
    if not asked.by_requirements:
        return causes_of(comparison)
    made = Audited(comparison, sides, asked.maker, asked.installer, asked.out, say)
    return causes_of_audit(made, swap=asked.swap, bisect=asked.bisect)
