"""The verb ``audit``: may the new versions take the place of the old ones?"""

from __future__ import annotations

import sys
from pathlib import Path

from reports.audit.experiments import Audited, causes_of_audit
from reports.audit.session import begin, measure_side
from reports.audit.sides import introduced, sides_of
from reports.causes.causes import causes_of
from reports.compare.allowed import read_entries
from reports.compare.comparison import compare_runs
from reports.compare.demand import demand_of
from reports.console.destinations import check_outputs, check_run_directory
from reports.console.exits import INCOMPLETE
from reports.console.output import need_templates
from reports.console.selection import no_cell, selection_of
from reports.console.usage import UsageError
from reports.measure.messages import say
from reports.verbs.compare import concluded
from suites.implementations.catalogue import of_frameworks
from suites.plan.cells import cells


def audit_verb(
    requirements: tuple[str, ...],
    out: Path,
    tier: str,
    *,
    old_python: str | None,
    new_python: str | None,
    python: str | None,
    installer: str,
    device: str,
    frameworks: tuple[str, ...],
    fail_on: tuple[str, ...],
    allow: Path | None,
    html_file: Path | None,
    markdown_file: Path | None,
    json_file: Path | None,
    bisect: str | None,
    swap: bool,
    **filters: tuple[str, ...],
) -> int:
    """Have two environments, measure both on the same bits, compare; returns the exit code of the comparison."""
    selection = selection_of(tier, device, **filters)
    demand = demand_of(fail_on)
    entries = read_entries(allow) if allow else []
    check_run_directory(out)
    runs = [out / "old", out / "new"]
    check_outputs([html_file, markdown_file, json_file], inputs=[allow], runs=runs, audit=out)
    if html_file or markdown_file:
        need_templates()
    by_requirements = old_python is None and new_python is None
    if bisect and not by_requirements:
        raise UsageError(f"--bisect {bisect!r} needs versions to install; give REQ_OLD and REQ_NEW, not a Python")
    sides = sides_of(
        requirements,
        (old_python, new_python),
        frameworks,
        python=python or sys.executable,
        installer=installer,
        logs=out,
        say=say,
    )
    implementations = of_frameworks(sides[0].frameworks)
    if not cells(implementations, selection):
        raise no_cell()
    for side in sides:
        introduced(side, device)
    begin(out, sides)
    try:
        old, new = (measure_side(out, side, implementations, selection) for side in sides)
    except KeyboardInterrupt:
        say(f"interrupted; the finished cells are kept in {out}: the same command goes on from there")
        return INCOMPLETE
    comparison = compare_runs(old, new, demand, allow=entries)
    made = Audited(comparison, sides, python or sys.executable, installer, out, say) if by_requirements else None
    causes = causes_of_audit(made, swap=swap, bisect=bisect) if made else causes_of(comparison)
    return concluded(comparison, causes, html_file, markdown_file, json_file)
