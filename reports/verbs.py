"""What the verbs of the command line do; each returns the exit code of DESIGN's contract."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from references.formats import FormatError
from references.problem import OPERATIONS
from references.verdict import VERDICTS, at_least
from reports.exits import INCOMPLETE, OK, USAGE, WORSE
from reports.explain import ExplainError, as_json, explained, tables
from reports.measuring import Progress as Show
from reports.measuring import run_measurements
from reports.records import Record, Run, RunError
from reports.replay import replayed, script_for
from reports.run_directory import read_run, write_atomically
from suites.exact import CertificationError
from suites.implementations.catalogue import (
    CATALOGUE,
    OWN_FRAMEWORKS,
    Implementation,
    UnknownName,
    of_frameworks,
    user_implementation,
    why_not_measured,
    why_skipped,
)
from suites.inputs import special
from suites.inputs.families import FAMILIES
from suites.inputs.layouts import LAYOUTS
from suites.plan import DEVICE, FORMATS, QUANTITIES, TIERS, Cell, Selection, cells

# Columns of a table that goes to a file or a pipe.
_FILE_WIDTH = 140


class UsageError(Exception):
    """A word on the command line that means nothing here; the message names it and says what would."""


# What a user can bring about, and the exit code it has.
KNOWN_ERRORS: dict[type[Exception], int] = {
    UsageError: USAGE,
    UnknownName: USAGE,
    FormatError: USAGE,
    RunError: USAGE,
    ExplainError: USAGE,
    CertificationError: INCOMPLETE,
}


def _one_of(option: str, values: Iterable[str], known: Iterable[str]) -> tuple[str, ...]:
    known, values = tuple(known), tuple(values)
    for value in values:
        if value not in known:
            raise UsageError(f"unknown {option} {value!r}; known are {', '.join(known)}")
    return values


def measure_verb(
    out: Path,
    tier: str,
    require: str | None,
    *,
    operations: tuple[str, ...],
    quantities: tuple[str, ...],
    formats: tuple[str, ...],
    layouts: tuple[str, ...],
    families: tuple[str, ...],
    frameworks: tuple[str, ...],
    device: str,
    implementation: str | None,
) -> int:
    """Measure into a run directory and say in one sentence what came out."""
    _one_of("tier", [tier], TIERS)
    _one_of("device", [device], [DEVICE])
    if require is not None:
        _one_of("verdict", [require], VERDICTS)
    selection = Selection(
        tier,
        _one_of("operation", operations, OPERATIONS),
        _one_of("quantity", quantities, QUANTITIES),
        _one_of("format", formats, FORMATS),
        _one_of("layout", layouts, LAYOUTS),
        _one_of("family", families, (*FAMILIES, special.FAMILY)),
    )
    implementations = _implementations(frameworks, implementation, operations)
    if not cells(implementations, selection):
        raise UsageError("these filters select no cell; loosen --operation, --format, --family or --framework")
    absent = [f for f in frameworks if why_not_measured(f)]
    with _progress() as show:
        try:
            outcome = run_measurements(out, implementations, selection, show)
        except KeyboardInterrupt:
            _say(f"interrupted; the finished cells are kept in {out}: the same command goes on from there")
            return INCOMPLETE
    run = outcome.run
    for lost in outcome.lost:
        _say(f"not measured: {lost.cell.key}: {lost.reason}")
    for unmeasured in run.manifest.unmeasured:
        _say(f"not measured: {unmeasured.name}: {unmeasured.reason}")
    Console().print(_sentence(run), highlight=False, soft_wrap=True)
    if outcome.lost or absent or len(run.records) < run.manifest.planned:
        return INCOMPLETE
    return _required(run.records, require)


def _implementations(frameworks: tuple[str, ...], own: str | None, operations: tuple[str, ...]) -> list[Implementation]:
    if own is None:
        return of_frameworks(frameworks)
    if len(frameworks) != 1:
        raise UsageError(f"--implementation {own} needs one --framework: {', '.join(OWN_FRAMEWORKS)}")
    return [user_implementation(own, frameworks[0], operations[0] if len(operations) == 1 else None)]


def _required(records: list[Record], require: str | None) -> int:
    if require is None:
        return OK
    worse = [r for r in records if not at_least(r.verdict, require)]
    for record in worse[:10]:
        _say(f"worse than {require}: {record.verdict}: {record.key}")
    if worse:
        _say(f"{len(worse)} of {len(records)} cells are worse than {require}")
    return WORSE if worse else OK


def _sentence(run: Run) -> str:
    counts = Counter(r.verdict for r in run.records)
    judged = ", ".join(f"{counts[word]} {word}" for word in (*reversed(VERDICTS), "n/a") if counts[word])
    return f"{len(run.records)} of {run.manifest.planned} cells in {run.path}: {judged}."


@contextmanager
def _progress() -> Iterator[Show]:
    columns = (TextColumn("{task.description:<44}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("importing", total=None)

        def show(done: int, planned: int, cell: Cell) -> None:
            name = f"{cell.implementation} {cell.operation} {cell.format}"
            bar.update(task, completed=done, total=planned, description=name[:44])

        yield show


def _say(message: str) -> None:
    print(message, file=sys.stderr)


def report_verb(run_path: Path, html_file: Path | None, markdown_file: Path | None) -> int:
    """Write the pages; 3 where the run has not all of its cells."""
    run = read_run(run_path)
    _need_templates()
    from reports import html, markdown

    if html_file is None and markdown_file is None:
        html_file, markdown_file = run_path / "report.html", run_path / "report.md"
    if html_file is not None:
        write_atomically(html_file, html.render(run))
        _say(f"wrote {html_file}")
    if markdown_file is not None:
        text = markdown.render(run)
        if str(markdown_file) == "-":
            sys.stdout.write(text)
        else:
            write_atomically(markdown_file, text)
            _say(f"wrote {markdown_file}")
    if len(run.records) < run.manifest.planned:
        _say(f"{run_path} is incomplete: {len(run.records)} of {run.manifest.planned} cells")
        return INCOMPLETE
    return OK


def _need_templates() -> None:
    if importlib.util.find_spec("jinja2") is None:
        raise UsageError("pages and scripts need jinja2; pip install 'softmax-accuracy[report]' adds it")


def explain_verb(
    logits: tuple[str, ...], format_name: str, element: int | None, json_wanted: bool, every: bool = False
) -> int:
    """Show one row through everything."""
    explanation = explained(logits, format_name, element, every=every)
    if json_wanted:
        print(json.dumps(as_json(explanation), indent=1, allow_nan=False))
    else:
        console = Console()
        if not console.is_terminal:
            console = Console(width=_FILE_WIDTH)
        for part in tables(explanation):
            console.print(part)
    return OK


def replay_verb(run_path: Path, cell: str, script: bool) -> int:
    """Run a worst case again; 1 where the figures are not those of the run, 3 where the framework is missing."""
    run = read_run(run_path)
    record = run.named(cell)
    if script:
        _need_templates()
        sys.stdout.write(script_for(run, record))
        return OK
    recorded = CATALOGUE.get(record.implementation)
    reason = why_not_measured(record.framework) or (why_skipped(recorded) if recorded else None)
    if reason:
        _say(f"{record.key}: {reason}")
        return INCOMPLETE
    result = replayed(run, record)
    Console().print(result.text(), highlight=False, soft_wrap=True)
    return OK if result.same else WORSE
