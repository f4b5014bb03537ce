"""Replay scripts of hostile records: refused in one line, or the same program with other numbers in it."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reports.inspect.replay import script_for
from reports.inspect.replay_case import script_case
from reports.run.records import Record, Run, RunError
from reports.tests.conftest import Command
from reports.tests.synthetic import cell as synthetic_cell
from reports.tests.synthetic import line, write_run
from reports.tests.test_pages import record
from suites.implementations.catalogue import CATALOGUE

RUN = Run(Path("run"), None, [])  # type: ignore[arg-type]  # short rows need no directory

CANARY = "raise SystemExit('the canary')"
HOSTILE: list[Any] = [
    f'"""\n{CANARY}\n"""',
    f"'''\n{CANARY}\n'''",
    f"\n{CANARY}\n",
    f"x)\n{CANARY}\n#",
    f'" + exec("{CANARY}") + "',
    f"0]; {CANARY}; [0",
    "\\",
    '\\"""',
    '"',
    "{{ 7 * 7 }}",
    "\x00",
    "\ud800",
    "__import__('os').abort()",
    "lambda: 0",
    "last\n",
    "0x1_0",
    "٣",
    "1\n",
    "-1",
    -1,
    10**60,
    1.5,
    float("nan"),
    float("inf"),
    True,
    None,
    [],
    [CANARY],
    {"file": "../../x.npy", "length": 2},
    {"file": f'"""{CANARY}', "length": 2},
    {},
]

HONEST = {
    "torch forward": record(),
    "torch vjp": record({"cotangent": ["0x3f800000", "0x00000000"], "vector_kind": "random"}, quantity="vjp"),
    "torch compile": record(implementation="torch/compile", call=CATALOGUE["torch/compile"].calls["softmax"]),
    "jax": record(implementation="jax/jit", framework="jax", call=CATALOGUE["jax/jit"].calls["softmax"]),
    "scipy": record(implementation="scipy", framework="scipy", call=CATALOGUE["scipy"].calls["softmax"]),
    "numpy": record(
        implementation="numpy/shifted",
        framework="numpy",
        operation="log_softmax",
        call=CATALOGUE["numpy/shifted"].calls["log_softmax"],
    ),
    "offset": record(layout="offset-3"),
}


def fields_of(of: Record) -> Iterator[str]:
    yield from (f.name for f in dataclasses.fields(of) if f.name != "worst")
    yield from (f"worst.{f.name}" for f in dataclasses.fields(of.worst))


def planted(of: Record, field: str, value: Any) -> Record:
    if field.startswith("worst."):
        worst = dataclasses.replace(of.worst, **{field.removeprefix("worst."): value})
        return dataclasses.replace(of, worst=worst)
    return dataclasses.replace(of, **{field: value})


class Plain(ast.NodeTransformer):
    """A program with every literal replaced, so that two that differ in literals alone are equal."""

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        return ast.Constant(type(node.value).__name__)


def program(text: str) -> str:
    return ast.dump(Plain().visit(ast.parse(text)))


@pytest.mark.parametrize("name", HONEST)
def test_a_script_of_an_honest_record_is_made(name: str) -> None:
    text = script_for(RUN, HONEST[name])
    assert text.isascii()
    assert HONEST[name].call in text.splitlines()[0]


@pytest.mark.parametrize("name", HONEST)
def test_no_field_of_a_record_changes_the_program(name: str) -> None:
    honest = HONEST[name]
    wanted, refused, as_it_was = program(script_for(RUN, honest)), set(), script_case(RUN, honest)
    for field in fields_of(honest):
        old = getattr(honest.worst if "." in field else honest, field.removeprefix("worst."))
        glued = [f"{old}{text}" for text in HOSTILE if isinstance(text, str)]
        nested = [[*old[:-1], text] for text in HOSTILE] if isinstance(old, list) and old else []
        for value in [*HOSTILE, *glued, *nested]:
            try:
                found = script_case(RUN, planted(honest, field, value))
            except RunError:
                refused.add(field)
                continue
            if found == as_it_was:  # nothing else goes into a script
                continue
            text = script_for(RUN, planted(honest, field, value))
            assert program(text) == wanted, (field, value)
            assert "canary" not in text
    words = {"implementation", "framework", "version", "operation", "quantity", "format", "layout", "call"}
    numbers = {"rows", "row_length", "worst.row", "worst.index", "worst.logits", "worst.ulp_error"}
    assert refused >= words | numbers | {"worst.computed", "worst.computed_value", "worst.exact"}


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("call", "torch.exp(x)", "call 'torch.exp(x)' is not 'torch.softmax(x, dim)'"),
        ("framework", "jax", "framework 'jax' is not 'torch'"),
        ("layout", "sideways", "layout 'sideways' is none that is known"),
        ("layout", "reversed", "torch/eager has no such cell"),
        ("quantity", "vjp", "worst.cotangent None is no vector"),
        ("rows", True, "rows True is no number from 1 to"),
        ("worst.index", 2, "worst.index 2 is no number from 0 to 1"),
        ("worst.logits", ["0x3f800000"], "has 1 numbers, not 2"),
        ("worst.logits", ["0x3f800000", "0x3f8000000"], "worst.logits '0x3f8000000' is no bit pattern of binary32"),
        ("worst.logits", {"file": "../x.npy", "length": 2}, "worst.logits.file '../x.npy' is not what a run writes"),
        ("worst.exact", "0.1 # x", "worst.exact '0.1 # x' is not what a run writes there"),
        ("version", "2.9.0\n", r"version '2.9.0\n' is not what a run writes there"),
    ],
)
def test_a_refusal_names_the_field_and_its_value(field: str, value: Any, told: str) -> None:
    with pytest.raises(RunError) as refused:
        script_case(RUN, planted(HONEST["torch forward"], field, value))
    assert told in str(refused.value)
    assert str(refused.value).endswith("; no script is made of it: measure again")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("version", "2.13.0+cu130"),
        ("version", "0.10.2 0.10.1"),
        ("worst.exact", "-1.81e-295565490868405274588224007604472982661"),
        ("worst.exact", "-inf"),
        ("worst.computed_value", "nan"),
        ("worst.computed_value", "1e-45"),
        ("worst.ulp_error", None),
    ],
)
def test_what_runs_write_is_not_refused(field: str, value: Any) -> None:
    ast.parse(script_for(RUN, planted(HONEST["torch forward"], field, value)))


def test_a_planted_call_is_refused_with_one_line_and_exit_2(command: Command, tmp_path: Path) -> None:
    of = synthetic_cell()
    call = 'torch.softmax(x, dim)"""\nraise SystemExit("the canary")\n"""'
    run = write_run(tmp_path / "run", [line(of, call=call, path=[])])
    ran = command("replay", run, of.key, "--script")
    assert (ran.code, ran.out) == (2, "")
    assert ran.complaint()
