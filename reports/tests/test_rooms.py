"""The rooms of reports: each imports those below it alone, and the console knows nothing of runs."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]


def imported(file: Path) -> Iterator[str]:
    """The modules of this project that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names if node.module == "reports")
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def arrows() -> dict[str, set[str]]:
    """For each room of reports, a folder or a file at its top, the other rooms that it imports."""
    found: dict[str, set[str]] = {}
    for file in (ROOT / "reports").rglob("*.py"):
        parts = file.relative_to(ROOT / "reports").with_suffix("").parts
        if "tests" not in parts and "benchmarks" not in parts:
            names = (name.split(".") for name in imported(file))
            rooms = {name[1] for name in names if name[0] == "reports" and len(name) > 1}
            found.setdefault(parts[0], set()).update(rooms - {parts[0]})
    return found


def below(room: str, of: dict[str, set[str]]) -> set[str]:
    """All rooms that a room rests on."""
    found: set[str] = set()
    waiting = [room]
    while waiting:
        for other in of.get(waiting.pop(), ()):
            if other not in found:
                found.add(other)
                waiting.append(other)
    return found


def test_no_room_rests_on_itself() -> None:
    of = arrows()
    assert len(of) > 15
    assert [room for room in of if room in below(room, of)] == []


def test_the_bottom_knows_nothing_of_runs_and_facts_nothing_of_looks() -> None:
    of = arrows()
    assert of["files"] == of["wording"] == set()
    assert of["console"] == {"files"}
    assert not below("run", of) & {"compare", "facts", "measure"}
    assert not below("facts", of) & {"verbs", "compare", "html", "markdown", "inspect"}
    assert not below("compare", of) & {"comparison_pages", "causes", "audit", "facts"}
