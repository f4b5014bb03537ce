"""The page on the families of inputs, held against the code that makes them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from references.formats import format_named
from suites.inputs import special
from suites.inputs.batch import batch_of
from suites.inputs.cotangents import KINDS
from suites.inputs.families import underflow_depth
from suites.plan.cells import rows_of
from suites.vocabulary import FAMILIES, WIDE

PAGE = Path(__file__).parents[2] / "docs" / "families.md"
# Where fewer digits would show one number six times.
DIGITS = {"offset": 8, "near-tie": 8}


def table(head: str) -> dict[str, list[str]]:
    """The rows of the table that begins with a column, by the names in it."""
    _, _, after = PAGE.read_text(encoding="utf-8").partition(f"| {head} |")
    lines = [line.strip("| ").split(" | ") for line in after.partition("\n\n")[0].splitlines()[2:]]
    return {name: rest for first, *rest in lines for name in re.findall(r"`([^`]+)`", first)}


def sample(family: str) -> str:
    """The second row of six binary32 logits, rounded."""
    row = batch_of(family, "binary32", rows_of(family, 6), 6).values[1]
    return ", ".join(f"{x:.{DIGITS.get(family, 4)}g}" for x in row.tolist())


def test_every_family_stands_on_the_page_with_how_it_is_made_and_why() -> None:
    families = table("family")
    assert set(families) == {*FAMILIES, *WIDE, special.FAMILY}
    assert all(len(columns) == 3 for columns in families.values())


@pytest.mark.parametrize("family", [*FAMILIES, next(iter(WIDE)), special.FAMILY])
def test_the_example_of_a_family_is_what_the_code_makes(family: str) -> None:
    assert table("family")[family][-1] == sample(family)


def test_every_kind_of_vector_stands_on_the_page() -> None:
    assert tuple(table("kind")) == KINDS


@pytest.mark.parametrize("name", ["binary64", "binary32", "binary16", "bfloat16"])
def test_the_page_has_the_depth_of_underflow_of_each_format(name: str) -> None:
    text = " ".join(PAGE.read_text(encoding="utf-8").split())
    assert f" {underflow_depth(format_named(name)):.0f} in {name}" in text
