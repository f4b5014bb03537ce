"""The verb ``baseline``: a run reduced to the figures that later ones are held against."""

from __future__ import annotations

from pathlib import Path

from reports.compare.baseline import baseline_lines
from reports.compare.pairing import stored
from reports.console.exits import INCOMPLETE, OK
from reports.console.lines import say
from reports.console.output import write_page
from reports.run.destinations import check_outputs


def baseline_verb(run_path: Path, out: Path) -> int:
    """Write the baseline of a run; 3 where the run is incomplete."""
    check_outputs([out], runs=[run_path])
    run = stored(run_path)
    write_page(out, baseline_lines(run))
    if not run.manifest.finished:
        say(f"{run_path} is incomplete, and so is its baseline")
        return INCOMPLETE
    return OK
