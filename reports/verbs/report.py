"""The verb ``report``: the pages of a run."""

from __future__ import annotations

from pathlib import Path

from reports.console.exits import INCOMPLETE, OK
from reports.console.output import need_templates, write_page
from reports.console.progress import progress_bar
from reports.measure.messages import say
from reports.run.content import described
from reports.run.destinations import check_outputs
from reports.run.reader import read_run
from reports.run.records import Run
from reports.run.verify import verified
from reports.wording import listing
from suites.worker.files_read import UNSETTLED


def report_verb(run_path: Path, html_file: Path | None, markdown_file: Path | None, *, verify: bool = False) -> int:
    """Write the pages; 3 where the run has not all of its cells.  ``verify``: once the oracle has confirmed it."""
    if html_file is None and markdown_file is None:
        html_file, markdown_file = run_path / "report.html", run_path / "report.md"
    run = read_run(run_path)
    check_outputs([html_file, markdown_file], runs=[run_path])
    if verify:
        say_verified(run)
    need_templates()
    from reports import html, markdown

    if html_file is not None:
        write_page(html_file, html.render(run))
    if markdown_file is not None:
        write_page(markdown_file, markdown.render(run))
    return _whole(run)


def _whole(run: Run) -> int:
    """Say what a run lacks to be whole, and give the code of that."""
    moved = [name for name, sha256 in (run.manifest.content or {}).items() if sha256 == UNSETTLED]
    if moved:
        what = listing(described(name, run.manifest.packages) for name in moved)
        say(f"{run.path} says nothing certain: {what} changed while it was measured; measure again")
    elif len(run.records) < run.manifest.planned or not run.manifest.finished:
        say(f"{run.path} is incomplete: {len(run.records)} of {run.manifest.planned} cells")
    return OK if run.manifest.finished and not moved else INCOMPLETE


def say_verified(run: Run) -> None:
    """Hold every record's worst element against the oracle, and say how many there were.

    Names what differs, and raises RunError.
    """
    with progress_bar("judging again") as advance:
        found = verified(run, run.records, lambda done: advance(done, len(run.records), "judging again"))
    for record, text in found.differences[:10]:
        say(f"not what the oracle says: {record.key}: {text}")
    found.demand(run)
    say(f"verified: the worst elements of all {found.count} cells are what the oracle says")
