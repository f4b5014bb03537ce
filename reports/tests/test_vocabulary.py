"""One vocabulary: every word of it is in the help of every verb that chooses by it, and none is refused there."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from references import formats
from reports.cli import _Words, cli
from reports.compare import demand
from reports.console.exits import OK
from reports.console.usage import UsageError
from reports.run.records import Run
from reports.tests.conftest import Command
from reports.vocabulary import ALIASES, LEVELS, WORDS, known
from suites.implementations.catalogue import CATALOGUE, FRAMEWORKS
from suites.inputs import families, layouts
from suites.plan.cell import Selection
from suites.plan.cells import cells
from suites.vocabulary import FAMILIES

ROOT = Path(__file__).parents[2]
FILTERS = ("framework", "operation", "quantity", "format", "layout", "family")


def options() -> Iterator[tuple[str, _Words]]:
    for verb, command in cli.commands.items():
        for option in command.params:
            if isinstance(option, _Words):
                yield verb, option


@pytest.mark.parametrize(("verb", "option"), list(options()), ids=lambda v: v if isinstance(v, str) else v.opts[0])
def test_help_names_every_word(verb: str, option: _Words) -> None:
    record = option.get_help_record(click.Context(cli.commands[verb], info_name=verb))
    assert record is not None
    named = record[1].partition("[")[0].rstrip(". ").rpartition(": ")[2].split(", ")
    assert tuple(named) == WORDS[option._kind]
    assert option.get_help_record(click.Context(cli.commands[verb])) == record  # asked twice, it is the same


def test_every_choice_of_cells_is_made_from_the_vocabulary() -> None:
    for verb in ("measure", "audit", "compare"):
        kinds = {option.opts[0][2:] for owner, option in options() if owner == verb}
        assert kinds >= set(FILTERS), verb
        assert all(
            option.opts[0][2:] not in WORDS for option in cli.commands[verb].params if type(option) is click.Option
        )
    assert {o.opts[0][2:] for verb, o in options() if verb == "explain"} == {
        "format",
        "operation",
        "quantity",
        "framework",
    }


def test_the_vocabulary_has_every_word_of_every_cell() -> None:
    found: dict[str, set[str]] = {name: set() for name in (*FILTERS, "profile")}
    for cell in cells(CATALOGUE.values(), Selection("standard")):
        for name in found:
            value = CATALOGUE[cell.implementation].framework if name == "framework" else getattr(cell, name)
            found[name].add(value)
    for name, words in found.items():
        assert words <= set(WORDS[name]), name


def test_every_word_has_what_it_stands_for() -> None:
    assert WORDS["golden format"] == tuple(formats.FORMATS)
    assert set(WORDS["format"]) < set(formats.FORMATS)
    assert (*families._FAMILIES, "near-tie") == FAMILIES
    assert tuple(layouts._BY_NAME) == WORDS["layout"]
    assert tuple(demand._FAILING) == LEVELS == WORDS["--fail-on"][: len(LEVELS)]
    assert WORDS["framework"] == FRAMEWORKS
    for kind, aliases in ALIASES.items():
        assert set(aliases.values()) <= set(WORDS[kind])
        assert not set(aliases) & set(WORDS[kind])


@pytest.mark.parametrize("module", ["references/vocabulary.py", "suites/vocabulary.py"])
def test_words_import_nothing(module: str) -> None:
    """A worker of any Python, and every module of the project, may have them."""
    tree = ast.parse((ROOT / module).read_text("utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    assert [ast.unparse(node) for node in imports] == ["from __future__ import annotations"]


@pytest.mark.parametrize("verb", ["", *cli.commands])
def test_help_needs_no_numpy(verb: str) -> None:
    """A help text is there at once: what takes its time to import stays out of it."""
    code = (
        "import sys; from reports.cli import cli; "
        f"cli.main({[*verb.split(), '--help']}, standalone_mode=False, prog_name='x'); "
        "heavy = {'numpy', 'mpmath', 'pydantic', 'torch', 'jax'} & set(sys.modules); assert not heavy, heavy"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.parametrize(
    ("kind", "given", "named"),
    [
        ("format", "float64", "binary64"),
        ("format", "FP64", "binary64"),
        ("format", "double", "binary64"),
        ("format", "float32", "binary32"),
        ("format", "single", "binary32"),
        ("format", "fp32", "binary32"),
        ("format", "Float16", "binary16"),
        ("format", "half", "binary16"),
        ("format", "fp16", "binary16"),
        ("format", "BF16", "bfloat16"),
        ("format", "BFloat16", "bfloat16"),
        ("golden format", "half", "binary16"),
        ("golden format", "float8_e5m2", "float8_e5m2"),
        ("framework", "PyTorch", "torch"),
        ("framework", "JAX", "jax"),
    ],
)
def test_friendly_names_are_taken_in_any_case(kind: str, given: str, named: str) -> None:
    assert known(kind, (given,)) == (named,)


@pytest.mark.parametrize(
    ("kind", "given", "end"),
    [
        ("format", "floot32", ", binary16, bfloat16; did you mean float32?"),
        ("format", "decimal", ", binary16, bfloat16"),
        ("format", "float8_e5m2", ", binary16, bfloat16"),
        ("framework", "pytorsh", "torch, jax, mlx, scipy, numpy; did you mean pytorch?"),
        ("layout", "streided", "; did you mean strided?"),
        ("family", "wide64", "; did you mean wide65?"),
        ("tier", "Deep", "; did you mean deep?"),
        ("device", "cuda:N", "known are cpu, cuda, cuda:N, all"),
        ("profile", "aten-avx3", "; did you mean aten-avx2?"),
    ],
)
def test_another_word_is_refused_with_those_that_are_known_and_the_nearest(kind: str, given: str, end: str) -> None:
    with pytest.raises(UsageError) as refused:
        known(kind, (given,))
    text = str(refused.value)
    assert text.startswith(f"unknown {kind} {given!r}; known are {WORDS[kind][0]}, ")
    assert text.endswith(end) or kind == "device"
    assert "\n" not in text


@pytest.mark.parametrize("option", [("--format", "float32"), ("--format", "FP32"), ("--framework", "pytorch")])
def test_a_friendly_name_on_the_command_line_is_the_same_filter(
    command: Command, finished: Run, option: tuple[str, str]
) -> None:
    plain = {"float32": "binary32", "FP32": "binary32", "pytorch": "torch"}[option[1]]
    friendly, usual = (command("compare", finished.path, finished.path, option[0], w) for w in (option[1], plain))
    assert (friendly.code, friendly.out, friendly.err) == (usual.code, usual.out, usual.err)


@pytest.mark.parametrize("name", FILTERS)
def test_compare_takes_every_word(command: Command, finished: Run, name: str) -> None:
    words = [part for word in WORDS[name] for part in (f"--{name}", word)]
    ran = command("compare", finished.path, finished.path, *words)
    assert (ran.code, ran.err) == (OK, "")


@pytest.mark.parametrize("name", [*FILTERS, "profile", "tier"])
def test_a_selection_takes_every_word_and_a_card(name: str) -> None:
    assert known(name, WORDS[name]) == WORDS[name]
    assert known("profile", ("cuda:3", "default")) == ("cuda:3", "default")
