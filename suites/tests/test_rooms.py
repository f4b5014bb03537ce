"""The rooms of the source: which folder imports which, read from the import statements.

A room is a folder below references, suites or reports; a file directly in one of the three is a room of its own.
Tests and benchmarks may import everything and are imported by nobody.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
LAYERS = ("references", "suites", "reports")  # each imports only itself and those before it
APART = ("tests", "benchmarks")

# The rooms of each layer: each imports only those before it. The folders of the frameworks share a place.
ORDER = {
    "references": ("vocabulary", "formats", "functions", "ieee", "oracle", "bulk", "bounds", "verdict", "laws"),
    "suites": (
        "printable",
        "vocabulary",
        "inputs",
        "implementations",
        "implementations.*",
        "worker",
        "driver",
        "plan",
        "paths",
        "known_defects",
        "scoring",
        "session",
        "laws",
    ),
    "reports": (
        "files",
        "wording",
        "console",
        "run",
        "vocabulary",
        "measure",
        "compare",
        "causes",
        "facts",
        "html",
        "markdown",
        "comparison_pages",
        "history",
        "inspect",
        "audit",
        "defects",
        "session",
        "verbs",
        "cli",
        "entry",
        "__main__",
    ),
}
# What the code of a worker may import of this project; the oracle needs a newer Python than old frameworks run in.
FOR_WORKERS = ("suites.worker", "suites.implementations", "suites.inputs.layouts", "references.ieee.float_state")


class Arrow(NamedTuple):
    """One module imports another."""

    importing: str
    imported: str


def name_of(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def modules() -> Mapping[str, Path]:
    """The modules of the three layers by name, without tests and benchmarks."""
    files = (file for layer in LAYERS for file in sorted((ROOT / layer).rglob("*.py")))
    return {name_of(file): file for file in files if not set(APART) & set(file.relative_to(ROOT).parts)}


def imports_of(source: str) -> Iterator[str]:
    """The modules that a source imports anywhere in it, under the names that it gives them."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None, "imports are absolute"
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def module_named(name: str) -> str | None:
    """The module of ours that a name stands for: itself, or the one that the name is in."""
    if name.split(".")[0] not in LAYERS:
        return None
    return name if name in modules() else name.rpartition(".")[0]


@cache
def arrows() -> tuple[Arrow, ...]:
    found = ((name, module_named(i)) for name, file in modules().items() for i in imports_of(file.read_text("utf-8")))
    return tuple(Arrow(name, imported) for name, imported in found if imported is not None)


def layer_of(module: str) -> str:
    return module.partition(".")[0]


def room_of(module: str) -> str:
    """The folder that a module is in; the module itself where it lies directly in its layer."""
    if modules()[module].name == "__init__.py":
        return module
    folder = module.rpartition(".")[0]
    return module if folder in LAYERS else folder


def place_of(room: str) -> int:
    """How early a room comes in the order of its layer; ValueError for one that has no place."""
    layer, _, name = room.partition(".")
    return ORDER[layer].index("implementations.*" if name.startswith("implementations.") else name)


def between_rooms(layer: str) -> set[tuple[str, str]]:
    """The rooms of a layer that import each other."""
    pairs = {(room_of(a.importing), room_of(a.imported)) for a in arrows() if layer_of(a.imported) == layer}
    return {(one, other) for one, other in pairs if one != other and layer_of(one) == layer}


def circle_in(pairs: Iterable[tuple[str, str]]) -> list[str]:
    """One circle of rooms, each of which imports the one before it; empty where there is none."""
    sorter = TopologicalSorter[str]()
    for one, other in pairs:
        sorter.add(one, other)
    try:
        sorter.prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_a_circle_is_found_however_long_it_is() -> None:
    assert circle_in([("a", "b"), ("b", "c"), ("a", "c")]) == []
    assert set(circle_in([("a", "b"), ("b", "c"), ("c", "a"), ("c", "d")])) == {"a", "b", "c"}


def test_imports_are_found_at_the_top_and_inside_functions() -> None:
    source = "import suites.plan.cell as c\ndef f():\n    from suites.plan import tiers\n"
    assert set(imports_of(source)) == {"suites.plan.cell", "suites.plan.tiers"}
    assert module_named("suites.plan.cell.Cell") == "suites.plan.cell"
    assert module_named("numpy.linalg") is None


def test_every_import_of_ours_is_a_module_that_is_there() -> None:
    assert [a for a in arrows() if a.imported not in modules()] == []


def test_no_layer_imports_one_above_it() -> None:
    up = [a for a in arrows() if LAYERS.index(layer_of(a.imported)) > LAYERS.index(layer_of(a.importing))]
    assert up == []


@pytest.mark.parametrize("layer", LAYERS)
def test_every_room_has_a_place_in_the_order_and_every_place_a_room(layer: str) -> None:
    rooms = {room_of(module) for module in modules() if layer_of(module) == layer} - {layer}
    assert {place_of(room) for room in rooms} == set(range(len(ORDER[layer])))


@pytest.mark.parametrize("layer", LAYERS)
def test_no_rooms_import_each_other_in_a_circle(layer: str) -> None:
    assert circle_in(between_rooms(layer)) == []


@pytest.mark.parametrize("layer", LAYERS)
def test_no_room_imports_one_that_comes_after_it(layer: str) -> None:
    assert sorted(pair for pair in between_rooms(layer) if place_of(pair[1]) > place_of(pair[0])) == []


@pytest.mark.parametrize("package", [name for name, file in modules().items() if file.name == "__init__.py"])
def test_a_room_says_its_job_in_one_line_and_nothing_else(package: str) -> None:
    text = modules()[package].read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text))
    assert len(text.splitlines()) == 1


def test_no_package_is_imported_but_by_its_own_room_which_may_ask_where_it_lies() -> None:
    packages = {name for name, file in modules().items() if file.name == "__init__.py"}
    assert [a for a in arrows() if a.imported in packages and room_of(a.importing) != a.imported] == []


@pytest.mark.parametrize("module", [name for name in modules() if room_of(name) == "suites.worker"])
def test_a_worker_imports_what_frameworks_run_with_and_nothing_else_of_ours(module: str) -> None:
    imported = {a.imported for a in arrows() if a.importing == module}
    allowed = {name for name in imported if any(name == w or name.startswith(w + ".") for w in FOR_WORKERS)}
    assert imported - allowed == set()
