"""The verb ``measure``: cells into a run directory, held to what is required."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from references.oracle.certified import OracleError
from references.vocabulary import VERDICTS
from reports.console.lines import print_line
from reports.console.selection import interpreter_named, no_cell, selection_of
from reports.console.usage import UsageError
from reports.measure.gate import gate, missing_of
from reports.measure.losses import say_lost
from reports.measure.messages import cell_progress, say, say_estimate
from reports.measure.run import run_measurements
from reports.run.destinations import check_run_directory
from reports.run.reader import read_run
from reports.run.records import Record, Run, RunError
from suites.implementations.catalogue import (
    OWN_FRAMEWORKS,
    Implementation,
    assumption,
    of_frameworks,
    user_implementation,
)
from suites.plan.cells import cells
from suites.scoring.certified_batch import CertificationError


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
    implementations = _implementations(frameworks, implementation, selection.operations)
    planned = cells(implementations, selection)
    if not planned:
        raise no_cell()
    with cell_progress() as show:
        try:
            outcome = run_measurements(
                out,
                implementations,
                selection,
                show,
                planned=planned,
                interpreter=interpreter_named(python),
                on_estimate=say_estimate if tier == "deep" else None,
                say=say,
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
        print_line(sentence)
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
    """Where the time went, in one line; the driver waits while workers evaluate, so its waiting stands apart."""
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
