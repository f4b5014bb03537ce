"""A recorded worst case again: run here, or written as a script that needs only the framework and mpmath."""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from types import FunctionType
from typing import TYPE_CHECKING

import numpy as np

from references.formats import format_named
from reports.console.lines import LONGEST
from reports.inspect.replay_case import ScriptCase, catalogued, script_case
from reports.inspect.replay_script import Source, batch_source, function_source, pick_source, vector_source
from reports.run.content import changed, content_of_run, described
from reports.run.records import Record, Run, RunError
from reports.wording import listing
from suites.driver.availability import admitted
from suites.driver.pool import evaluate
from suites.driver.profiles import Profile, UnknownProfile, profile_named
from suites.driver.tasks import Loss, task_of
from suites.driver.worker_process import WorkerDied
from suites.implementations.frameworks import folder_of, framework_named
from suites.implementations.implementation import Implementation
from suites.inputs import special
from suites.inputs.batch import Batch
from suites.inputs.layouts import axis_of
from suites.printable import printable
from suites.scoring.cell import input_of_rows, request_of, score
from suites.scoring.output import JudgedElement
from suites.worker.self_report import Introduction

if TYPE_CHECKING:
    from jinja2 import BaseLoader


@dataclass(frozen=True)
class Replay:
    """The recorded worst element and the same element now; ``moved`` names the files that changed in between."""

    record: Record
    now: JudgedElement
    moved: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Whether the bits are those of the record."""
        format = format_named(self.record.format)
        return format.hexadecimal(self.now.computed) == self.record.worst.computed

    def text(self) -> str:
        """Lines for the terminal."""
        record, worst, now = self.record, self.record.worst, self.now
        format = format_named(record.format)
        vectors = [(name, getattr(worst, name)) for name in ("logits", "cotangent", "tangent")]
        first = "; ".join(f"{name}: {_head(vector)}" for name, vector in vectors if vector is not None)
        bits = format.hexadecimal(now.computed)
        lines = [
            record.key,
            f"  call      {record.call}, {record.quantity}, axis {axis_of(record.layout)} of layout {record.layout}",
            f"  input     row {worst.row} of {record.rows}, element {worst.index} of {record.row_length}; {first}",
            f"  exact     {worst.exact}",
            f"  recorded  {worst.computed} = {worst.computed_value}, {_figures(worst.ulp_error, worst.bound_ratio)}",
            f"  now       {bits} = {now.computed_value!r}, {_figures(now.ulp_error, now.bound_ratio)}",
            "  the same figures" if self.same else f"  differs: recorded with {record.framework} {record.version}",
        ]
        if self.moved:
            lines.append(f"  since then changed: {listing(self.moved)}")
        return "\n".join(printable(line, LONGEST) for line in lines)


def _head(vector: object) -> str:
    if isinstance(vector, list):
        return " ".join(vector[:8]) + (" ..." if len(vector) > 8 else "")
    assert isinstance(vector, dict)
    return f"{vector['length']} numbers in rows/{vector['file']}"


def _figures(ulp_error: float | None, bound_ratio: float | None) -> str:
    ulps = "no finite error" if ulp_error is None else f"{ulp_error:.6g} ulp"
    return ulps if bound_ratio is None else f"{ulps}, {bound_ratio:.6g} of the bound"


def replayed(run: Run, record: Record, interpreter: str = sys.executable) -> Replay:
    """Evaluate the recorded worst case in a worker of the recorded profile, on the framework beside an interpreter.

    Raises RunError for a user's implementation and an unknown profile; Unavailable, and WorkerDied where the worker
    doesn't survive it.
    """
    implementation = catalogued(record)
    batch = _batch(run, record)
    profile = _profile(record, interpreter)
    introduction = admitted(profile)
    (answer,) = evaluate(task_of(profile, batch, (request_of(record.cell, implementation),)))
    if answer.bits is None:
        raise WorkerDied(answer.loss or Loss("no answer"))
    place = record.worst.row, record.worst.index
    now = score(
        record.cell, implementation, batch, answer.bits, place, introduction=introduction, touched=answer.touched
    )
    return Replay(record, now.worst, _moved(run, implementation, {profile: introduction}))


def _moved(run: Run, implementation: Implementation, present: Mapping[Profile, Introduction]) -> tuple[str, ...]:
    """What of that which the run and this machine both know has other files now, in words."""
    then, now = run.manifest.content or {}, content_of_run([implementation], present, None)
    return tuple(described(name, run.manifest.packages) for name in changed(then, now) if name in then and name in now)


def _profile(record: Record, interpreter: str) -> Profile:
    try:
        return profile_named(record.framework, record.profile, interpreter)
    except UnknownProfile as error:
        raise RunError(f"{record.key}: {error}") from None


def _batch(run: Run, record: Record) -> Batch:
    """The cell's input; where this version makes another one, the recorded row at every place of the batch."""
    made = input_of_rows(record.cell, record.rows)
    if made.sha256 == record.input_sha256:
        return made
    if record.family == special.FAMILY:
        raise RunError(f"{record.key}: the special rows have changed since {run.path} was made; measure again")
    format = format_named(record.format)
    worst = record.worst
    vectors = {}
    for name in ("logits", "cotangent", "tangent"):
        stored = getattr(worst, name)
        bits = run.bits(stored, format) if stored is not None else np.zeros(record.row_length, format.bits_dtype)
        vectors[name] = np.tile(bits, (record.rows, 1))
    return Batch(format, record.family, vectors["logits"], vectors["cotangent"], vectors["tangent"])


def script_for(run: Run, record: Record) -> str:
    """A Python script that shows the worst case with only the framework and mpmath, ready for a bug report.

    The recorded row stands at every place of a batch of the recorded shape, so that it takes the recorded path.
    Raises RunError for a record that no script may be made of.
    """
    case = script_case(run, record)
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader(
            [jinja2.PackageLoader("reports"), jinja2.PrefixLoader({case.framework: _templates_of(case.framework)})]
        ),
        finalize=_script_word,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    axis = axis_of(case.layout)
    text: str = environment.get_template(f"{case.framework}/replay.py.j2").render(
        case=case,
        format=case.format,
        vectors={role: vector_source(bits, case.format.width) for role, bits in case.vectors.items()},
        computed=case.format.hexadecimal(case.computed),
        axis=axis,
        functions=_recipe_source(case) if framework_named(case.framework).written_out else Source(),
        batch=_indented(batch_source(case)),
        pick=pick_source(case),
        function=_indented(function_source(case, axis)),
    )
    return text


# Printing ASCII characters without quotes and backslashes.
_WORD = re.compile(r"[ !#-&(-\[\]-~]*")


def _script_word(value: object) -> object:
    """What ``{{ value }}`` prints in a script: numbers, source of ours, and words that end no string or comment."""
    if isinstance(value, str) and not isinstance(value, Source) and not _WORD.fullmatch(value):
        raise RunError(f"{value!r} has no place in a script; measure again")
    return value


def _templates_of(framework: str) -> BaseLoader:
    import jinja2

    return jinja2.FileSystemLoader(folder_of(framework))


def _indented(source: Source) -> Source:
    return Source(source.replace("\n", "\n    "))


def _recipe_source(case: ScriptCase) -> Source:
    """The source of a formula that is written out, and of what it calls."""
    recipes = importlib.import_module(f"suites.implementations.{case.framework}.recipes")
    recipe = recipes.RECIPES[case.name.partition("/")[2], case.operation]
    chosen = recipe[{"forward": 0, "vjp": 1, "jvp": 2}[case.quantity]]
    assert isinstance(chosen, FunctionType)
    wanted, sources = [chosen], {}
    while wanted:
        function = wanted.pop()
        sources[function.__name__] = inspect.getsource(function)
        called = (getattr(recipes, name, None) for name in function.__code__.co_names)
        wanted += [f for f in called if isinstance(f, FunctionType) and f.__name__ not in sources]
    return Source("\n\n".join([*sources.values(), f"evaluate = {chosen.__name__}\n"]))
