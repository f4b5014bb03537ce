"""One vocabulary: every word of it is in the help of every verb that chooses by it, and none is refused there."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest

from references.functions import OPERATIONS, QUANTITIES
from reports.cli import _Words, cli
from reports.console.exits import OK
from reports.run.records import Run
from reports.tests.conftest import Command
from reports.vocabulary import WORDS, known
from suites.implementations.catalogue import CATALOGUE, FRAMEWORKS
from suites.inputs import special
from suites.inputs.families import FAMILIES, WIDE
from suites.inputs.layouts import LAYOUTS
from suites.plan.cell import Selection
from suites.plan.cells import cells

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
    assert WORDS["family"] == (*FAMILIES, *WIDE, special.FAMILY)
    assert (WORDS["layout"], WORDS["framework"]) == (LAYOUTS, FRAMEWORKS)
    assert (WORDS["operation"], WORDS["quantity"]) == (OPERATIONS, QUANTITIES)


@pytest.mark.parametrize("name", FILTERS)
def test_compare_takes_every_word(command: Command, finished: Run, name: str) -> None:
    words = [part for word in WORDS[name] for part in (f"--{name}", word)]
    ran = command("compare", finished.path, finished.path, *words)
    assert (ran.code, ran.err) == (OK, "")


@pytest.mark.parametrize("name", [*FILTERS, "profile", "tier"])
def test_a_selection_takes_every_word_and_a_card(name: str) -> None:
    assert known(name, WORDS[name]) == WORDS[name]
    assert known("profile", ("cuda:3", "default")) == ("cuda:3", "default")
