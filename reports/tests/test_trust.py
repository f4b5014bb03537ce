"""The page on trust: each of its promises names tests, and they are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "trust.md"
TEST = re.compile(r"`([\w/]+\.py)::(test_\w+)`")


def promises() -> list[str]:
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    return [row for row in rows if not row.startswith(("| promise ", "| --- "))]


def test_the_page_has_promises_and_each_names_what_holds_it() -> None:
    assert len(promises()) > 20
    assert [row for row in promises() if not TEST.search(row)] == []


@pytest.mark.parametrize(("file", "name"), sorted(set(TEST.findall(PAGE.read_text(encoding="utf-8")))))
def test_what_holds_a_promise_is_there(file: str, name: str) -> None:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
