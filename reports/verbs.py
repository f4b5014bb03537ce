"""What the verbs of the command line do; each returns the exit code of DESIGN's contract."""

from __future__ import annotations

import importlib.util
import json
import shutil
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
from reports.measuring import Outcome, run_measurements
from reports.measuring import Progress as Show
from reports.records import Record, Run, RunError
from reports.replay import replayed, script_for
from reports.run_directory import read_lost, read_run, write_atomically
from suites.exact import CertificationError
from suites.implementations.catalogue import (
    OWN_FRAMEWORKS,
    Implementation,
    UnknownName,
    of_frameworks,
    user_implementation,
)
from suites.inputs import special
from suites.inputs.families import FAMILIES, WIDE
from suites.inputs.layouts import LAYOUTS
from suites.introduction import Unavailable
from suites.plan import FORMATS, QUANTITIES, TIERS, Cell, Selection, cells
from suites.profiles import UnknownProfile, devices_of, every_name, is_card
from suites.worker_process import ScratchError, WorkerDied

# Columns of a table that goes to a file or a pipe.
_FILE_WIDTH = 140


class UsageError(Exception):
    """A word on the command line that means nothing here; the message names it and says what would."""


# What a user can bring about, and the exit code it has.
KNOWN_ERRORS: dict[type[Exception], int] = {
    UsageError: USAGE,
    UnknownName: USAGE,
    UnknownProfile: USAGE,
    ScratchError: USAGE,
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
    profiles: tuple[str, ...],
    frameworks: tuple[str, ...],
    device: str,
    require_device: bool,
    implementation: str | None,
    python: str | None = None,
) -> int:
    """Measure into a run directory and say in one sentence what came out, and in another where the time went."""
    _one_of("tier", [tier], TIERS)
    devices = devices_of(device)
    if devices is None:
        raise UsageError(f"unknown device {device!r}; known are cpu, cuda, cuda:N, all")
    if require is not None:
        _one_of("verdict", [require], VERDICTS)
    selection = Selection(
        tier,
        _one_of("operation", operations, OPERATIONS),
        _one_of("quantity", quantities, QUANTITIES),
        _one_of("format", formats, FORMATS),
        _one_of("layout", layouts, LAYOUTS),
        _one_of("family", families, (*FAMILIES, *WIDE, special.FAMILY)),
        _one_of("profile", profiles, (*every_name(), *(p for p in profiles if is_card(p)))),
        devices,
    )
    implementations = _implementations(frameworks, implementation, operations)
    if not cells(implementations, selection):
        raise UsageError("these filters select no cell; loosen --operation, --format, --family, --profile, --framework")
    with _progress() as show:
        try:
            outcome = run_measurements(out, implementations, selection, show, interpreter=_interpreter(python))
        except KeyboardInterrupt:
            _say(f"interrupted; the finished cells are kept in {out}: the same command goes on from there")
            return INCOMPLETE
    run = outcome.run
    _say_lost(outcome)
    for unmeasured in run.manifest.unmeasured:
        _say(f"not measured: {unmeasured.name}: {unmeasured.reason}")
    for sentence in (_sentence(run), shares(run.manifest.seconds)):
        Console().print(sentence, highlight=False, soft_wrap=True)
    absent = [u for u in run.manifest.unmeasured if u.profile is None and u.framework in frameworks]
    no_card = [u for u in run.manifest.unmeasured if u.profile and is_card(u.profile)]
    if outcome.lost or absent or (require_device and no_card) or len(run.records) < max(1, run.manifest.planned):
        return INCOMPLETE
    return _required(run.records, require)


# So many cells that were lost for one reason are named; more are counted.
_MOST_NAMED = 5


def _say_lost(outcome: Outcome) -> None:
    by_reason: dict[tuple[str, str], list[Cell]] = {}
    for lost in outcome.lost:
        by_reason.setdefault((lost.cell.profile, lost.reason), []).append(lost.cell)
    for (_, reason), cells_of_it in by_reason.items():
        for cell in cells_of_it[:_MOST_NAMED]:
            _say(f"not measured: {cell.key}: {reason}")
        more = len(cells_of_it) - _MOST_NAMED
        if more > 0:
            _say(f"not measured: {more} more cells of profile {cells_of_it[0].profile}: {reason}")
    if any(lost.log for lost in read_lost(outcome.run.path)):
        _say(f"{outcome.run.path / 'lost.jsonl'} has what the workers had printed")


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
    return [user_implementation(own, frameworks[0], operations[0] if len(operations) == 1 else None)]


def _interpreter(python: str | None) -> str:
    """The Python whose frameworks are measured: this one, or that of a path or of a command."""
    if python is None:
        return sys.executable
    found = shutil.which(python)
    if found is None:
        raise UsageError(f"--python {python!r} is no program; give the path of an interpreter")
    return str(Path(found).absolute())


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


def explain_verb(logits: tuple[str, ...], format_name: str, element: int | None, json_wanted: bool) -> int:
    """Show one row through everything."""
    explanation = explained(logits, format_name, element)
    if json_wanted:
        print(json.dumps(as_json(explanation), indent=1, allow_nan=False))
    else:
        console = Console()
        if not console.is_terminal:
            console = Console(width=_FILE_WIDTH)
        for part in tables(explanation):
            console.print(part)
    return OK


def replay_verb(run_path: Path, cell: str, script: bool, python: str | None = None) -> int:
    """Run a worst case again; 1 where the figures are not those of the run, 3 where the framework is missing."""
    run = read_run(run_path)
    record = run.named(cell)
    if script:
        _need_templates()
        sys.stdout.write(script_for(run, record))
        return OK
    try:
        result = replayed(run, record, _interpreter(python))
    except (Unavailable, WorkerDied) as reason:
        _say(f"{record.key}: {reason}")
        return INCOMPLETE
    Console().print(result.text(), highlight=False, soft_wrap=True)
    return OK if result.same else WORSE
