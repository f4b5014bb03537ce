"""What the verbs of the command line do; each returns the exit code of DESIGN's contract."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

from references.float_state import UnsoundArithmetic
from references.formats import FormatError
from references.oracle import OracleError
from references.verdict import VERDICTS
from reports.console import table_console
from reports.exits import INCOMPLETE, OK, USAGE, WORSE
from reports.explain import ExplainError, as_json, explained, tables
from reports.facts.wording import listing
from reports.gate import gate, missing_of
from reports.golden import GoldenError
from reports.lines import tell
from reports.losses import say_lost
from reports.measuring import run_measurements
from reports.options import UsageError
from reports.outputs import check_outputs, check_run_directory
from reports.progress import progress_bar
from reports.replay import replayed, script_for
from reports.run.content import described
from reports.run.reader import read_run
from reports.run.records import Record, Run, RunError
from reports.run.verify import verified
from reports.selecting import interpreter_named, no_cell, selection_of
from reports.telling import cell_progress, foretell, say
from reports.vocabulary import known
from reports.writing import need_templates, write_page
from suites.exact import CertificationError
from suites.implementations.catalogue import (
    CATALOGUE,
    FRAMEWORKS,
    OWN_FRAMEWORKS,
    Implementation,
    UnknownName,
    assumption,
    of_frameworks,
    user_implementation,
    why_skipped,
)
from suites.introduction import Unavailable
from suites.plan import cells
from suites.profiles import UnknownProfile, profile_named
from suites.reading import UNSETTLED
from suites.worker_process import ScratchError, WorkerDied

# What a user can bring about, and the exit code it has.
KNOWN_ERRORS: dict[type[Exception], int] = {
    UsageError: USAGE,
    UnknownName: USAGE,
    UnknownProfile: USAGE,
    ScratchError: USAGE,
    FormatError: USAGE,
    RunError: USAGE,
    ExplainError: USAGE,
    GoldenError: USAGE,
    OracleError: INCOMPLETE,
    CertificationError: INCOMPLETE,
    UnsoundArithmetic: USAGE,
}


def measure_verb(
    out: Path,
    tier: str,
    require: str | None,
    *,
    frameworks: tuple[str, ...],
    device: str,
    require_device: bool,
    implementation: str | None,
    python: str | None = None,
    **filters: tuple[str, ...],
) -> int:
    """Measure into a run directory, say what came out and where the time went, and hold it to what is required."""
    check_run_directory(out)
    selection = selection_of(tier, device, **filters)
    if require is not None:
        known("verdict", (require,))
    implementations = _implementations(frameworks, implementation, selection.operations)
    if not cells(implementations, selection):
        raise no_cell()
    with cell_progress() as show:
        try:
            outcome = run_measurements(
                out,
                implementations,
                selection,
                show,
                interpreter=interpreter_named(python),
                foretell=foretell if tier == "deep" else None,
                tell=say,
            )
        except KeyboardInterrupt:
            say(f"interrupted; the finished cells are kept in {out}: the same command goes on from there")
            return gate(_kept(out), require, ["interrupted"])
        except (OracleError, CertificationError) as error:
            say(str(error))
            return gate(_kept(out), require, ["the oracle gave up"])
    run = outcome.run
    assumed = [assumption(implementation)] if implementation and not selection.operations else []
    for remark in (*assumed, *outcome.remarks):
        say(remark)
    say_lost(outcome)
    for unmeasured in run.manifest.unmeasured:
        say(f"not measured: {unmeasured.name}: {unmeasured.reason}")
    for sentence in (_sentence(run), shares(outcome.seconds)):
        tell(sentence)
    missing = missing_of(
        len(outcome.lost),
        len(run.records),
        run.manifest.planned,
        run.manifest.unmeasured,
        frameworks=frameworks,
        device=device,
        require_device=require_device,
    )
    return gate(run.records, require, missing)


def _kept(out: Path) -> list[Record]:
    """What a run that came to no end has measured, as far as it can be read."""
    try:
        return read_run(out).records
    except RunError:
        return []


def shares(seconds: dict[str, float]) -> str:
    """Where the time went, in one line; the driver waits while workers evaluate, so its waiting is told apart."""
    busy = {name: value for name, value in seconds.items() if name not in ("total", "idle") and value > 0}
    whole = sum(busy.values()) or 1.0
    parts = [f"{name} {value / whole:.0%}" for name, value in sorted(busy.items(), key=lambda item: -item[1])]
    idle = seconds.get("idle", 0.0) / (seconds.get("total", 0.0) or 1.0)
    total = seconds.get("total", 0.0)
    return f"{total:.0f} s, of which the driver waited {idle:.0%}; of the work: {', '.join(parts)}."


def _implementations(frameworks: tuple[str, ...], own: str | None, operations: tuple[str, ...]) -> list[Implementation]:
    if own is None:
        return of_frameworks(frameworks)
    if len(frameworks) != 1:
        raise UsageError(f"--implementation {own} needs one --framework: {', '.join(OWN_FRAMEWORKS)}")
    if len(set(operations)) > 1:
        raise UsageError(f"--implementation {own} is one operation; give --operation once, not {', '.join(operations)}")
    return [user_implementation(own, frameworks[0], operations[0] if operations else None)]


def _sentence(run: Run) -> str:
    counts = Counter(r.verdict for r in run.records)
    judged = ", ".join(f"{counts[word]} {word}" for word in (*reversed(VERDICTS), "n/a") if counts[word])
    return f"{len(run.records)} of {run.manifest.planned} cells in {run.path}{f': {judged}' if judged else ''}."


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


def explain_verb(
    logits: tuple[str, ...], format_name: str, element: int | None, json_wanted: bool, every: bool = False
) -> int:
    """Show one row through everything."""
    explanation = explained(logits, format_name, element, every=every)
    if json_wanted:
        print(json.dumps(as_json(explanation), indent=1, allow_nan=False))
    else:
        console = table_console()
        for part in tables(explanation):
            console.print(part)
    return OK


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
    variables = profile_named(record.framework, record.profile).variables()
    elsewhere = FRAMEWORKS if python else None  # what is installed there, its worker will tell
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
        tell(line)
    return OK if result.same else WORSE
