"""known_defects.toml against a run: what each entry's figures are now, and which failing cells no entry selects.

``python -m reports.defects.cells RUN [--write]``
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

from references.verdict.ladder import at_least
from references.vocabulary import VERDICTS
from reports.console.lines import print_line, say
from reports.defects.toml import rewritten
from reports.run.reader import read_run
from reports.run.records import Run, RunError
from suites.driver.profiles import DEFAULT
from suites.known_defects import FILE, REQUIRED, Defect, Failing, fingerprint, known_defects
from suites.worker.environment import profile_of


def failing_cells(run: Run) -> list[Failing]:
    """The cells of a run below the required verdict; a ratio that is not finite counts as infinite."""
    return [
        Failing(r.cell, r.verdict, r.bound_ratio if r.bound_ratio is not None else float("inf"))
        for r in run.records
        if not at_least(r.verdict, REQUIRED)
    ]


def measured_fields(defect: Defect, failing: list[Failing]) -> dict[str, str]:
    """The lines of an entry that are measured, as TOML values; those of another profile than the default are one."""
    ratios = [f.bound_ratio for f in failing]
    worst = min((f.verdict for f in failing), key=VERDICTS.index)
    figures = {
        "verdict": f'"{worst}"',
        "bound_ratio": f"[{min(ratios):.8g}, {max(ratios):.8g}]",
        "cells": str(len(failing)),
        "fingerprint": f'"{fingerprint(f.cell for f in failing)}"',
    }
    if defect.on != DEFAULT:
        together = ", ".join(f"{name} = {value}" for name, value in figures.items())
        return {f"on.{defect.on}": f"{{ {together} }}"}
    return {"profile": f'"{profile_of(defect.framework)}"', **figures}


def main(arguments: list[str]) -> int:
    """Print every entry's figures and the failures that are new; 1 where there are any."""
    write = "--write" in arguments
    paths = [a for a in arguments if a != "--write"]
    if len(paths) != 1:
        say("usage: python -m reports.defects.cells RUN [--write]")
        return 2
    try:
        run = read_run(Path(paths[0]))
    except RunError as error:
        say(str(error))
        return 2
    failing = failing_cells(run)
    fields: dict[str, dict[str, str]] = {}
    for defect in known_defects():
        mine = [f for f in failing if defect.selects(f.cell)]
        failing = [f for f in failing if not defect.selects(f.cell)]
        if mine:
            measured = measured_fields(defect, mine)
            print_line("  ".join([defect.name, *measured.values()]))
            if defect.has_figures_of(_version(run, defect.framework)):  # those of `also` are not the entry's
                fields.setdefault(defect.id, {}).update(measured)
        else:
            print_line(f"{defect.name}  no cell of this run fails")
    for (implementation, *rest), count in sorted(Counter(_group(f) for f in failing).items()):
        print_line("  ".join(["NEW", implementation, *rest, f"{count} cells"]))
    if write:
        FILE.write_text(rewritten(FILE.read_text(encoding="utf-8"), "defect", fields), encoding="utf-8")
    return 1 if failing else 0


def _version(run: Run, framework: str) -> str:
    return run.manifest.packages.get(framework, "0")


def _group(failing: Failing) -> tuple[str, ...]:
    cell = failing.cell
    return cell.implementation, cell.profile, cell.operation, cell.quantity, cell.format, cell.family, failing.verdict


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
