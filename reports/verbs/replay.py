"""The verb ``replay``: a recorded worst case again."""

from __future__ import annotations

import sys
from pathlib import Path

from reports.console.exits import INCOMPLETE, OK, WORSE
from reports.console.lines import print_line
from reports.console.output import need_templates
from reports.console.selection import interpreter_named
from reports.inspect.replay import replayed, script_for
from reports.measure.messages import say
from reports.run.reader import read_run
from reports.run.verify import verified
from suites.driver.profiles import profile_named, variables_of
from suites.driver.worker_process import WorkerDied
from suites.implementations.catalogue import (
    CATALOGUE,
    FRAMEWORKS,
    why_skipped,
)
from suites.worker.self_report import Unavailable


def replay_verb(run_path: Path, cell: str, script: bool, python: str | None = None) -> int:
    """Run a worst case again; 1 where the figures are not those of the run, 3 where the framework is missing.

    Raises RunError where the oracle contradicts the record.
    """
    run = read_run(run_path)
    record = run.named(cell)
    verified(run, [record]).demand(run)
    if script:
        need_templates()
        sys.stdout.write(script_for(run, record))
        return OK
    recorded = CATALOGUE.get(record.implementation)
    variables = variables_of(profile_named(record.framework, record.profile))
    elsewhere = FRAMEWORKS if python else None  # its worker reports what is installed there
    skipped = why_skipped(recorded, variables, elsewhere) if recorded else None
    if skipped:
        say(f"{record.key}: {skipped}")
        return INCOMPLETE
    try:
        result = replayed(run, record, interpreter_named(python))
    except (Unavailable, WorkerDied) as reason:
        say(f"{record.key}: {reason}")
        return INCOMPLETE
    for line in result.text().splitlines():
        print_line(line)
    return OK if result.same else WORSE
