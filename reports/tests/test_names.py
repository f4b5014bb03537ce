"""Names that differ: no two classes of the project have one name, so that a name leads to one place."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
LAYERS = ("references", "suites", "reports")


def test_no_two_classes_have_one_name() -> None:
    found: dict[str, list[str]] = {}
    for layer in LAYERS:
        for file in (ROOT / layer).rglob("*.py"):
            if "tests" not in file.parts:
                classes = (n for n in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(n, ast.ClassDef))
                for node in classes:
                    found.setdefault(node.name, []).append(file.relative_to(ROOT).as_posix())
    assert len(found) > 100
    assert {name: files for name, files in found.items() if len(files) > 1} == {}
