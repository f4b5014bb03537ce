"""The registry of code paths: which kernel or function runs when, where its source is, and how we know.

Each framework's folder has a paths.toml; their entries are read together, since frameworks call each other.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cache, cached_property
from pathlib import Path as File
from typing import Any

from references.vocabulary import OPERATIONS, QUANTITIES
from suites.implementations.frameworks import folder_of, framework_named, frameworks
from suites.paths.conditions import ConditionError, names_in
from suites.paths.summation import ORDERS
from suites.vocabulary import FORMATS

# The parts of an array that a loop can be confined to; suites/paths/taken.py computes which rows or elements they are.
PARTS = ("threads-vector", "threads-scalar", "blocks-vector", "blocks-scalar", "row-body", "row-tail")

# What a condition of any framework may speak of: the array.
_ARRAY = ("n", "outer", "inner", "rows", "elements", "last", "fastest", "reversed", "size", "format")


def known_facts(framework: str) -> tuple[str, ...]:
    """What a condition of a framework's paths may speak of; suites/paths/taken.py computes them."""
    return *_ARRAY, *framework_named(framework).path_facts


class RegistryError(ValueError):
    """paths.toml has an entry that can't be understood; the message names the entry and what is at fault."""


@dataclass(frozen=True)
class Boundary:
    """Sizes at which something changes: ``of`` grows from below ``at[i]`` to ``at[i]``, both expressions."""

    of: str
    at: tuple[str, ...]
    why: str = ""


@dataclass(frozen=True)
class Path:
    """One kernel or function.

    ``calls`` are the entry points that can end in it, ``when`` decides for an array, ``condition`` says the same in
    words.  ``part`` confines it to some rows, or to some elements of each row.  ``bound`` names the bounds of
    docs/theory.md that its algorithm has, ``order`` an order of suites/paths/summation.py.  ``evidence`` is
    ``observed`` (by the tests named) or ``read``.  ``unreached`` says why nothing here can reach it.
    ``hands_on``: it hands the rows as they are to a kernel that has a path of its own.
    """

    id: str
    framework: str
    calls: tuple[str, ...]
    runs: str
    source: str
    function: str
    condition: str
    algorithm: str
    evidence: str
    format: tuple[str, ...] = FORMATS
    device: str = "cpu"
    when: str = "True"
    part: str = ""
    bound: tuple[str, ...] = ()
    order: str = ""
    boundaries: tuple[Boundary, ...] = ()
    observed_by: tuple[str, ...] = ()
    unreached: str = ""
    hands_on: bool = False


@dataclass(frozen=True)
class Route:
    """What some implementations call for each quantity, in the order in which it runs.

    ``{operation}`` in a call stands for the operation.  ``rows_last`` says that the kernel gets the rows along the last
    axis, whatever the layout.
    """

    implementation: tuple[str, ...]
    calls: dict[str, tuple[str, ...]]
    operation: tuple[str, ...] = OPERATIONS
    rows_last: bool = False

    def calls_of(self, operation: str, quantity: str) -> tuple[str, ...]:
        """The entry points of one operation and quantity; none where the route doesn't speak of it."""
        if operation not in self.operation:
            return ()
        return tuple(call.format(operation=operation) for call in self.calls.get(quantity, ()))


@dataclass(frozen=True)
class Registry:
    """``read`` is the version of each framework that the entries were read and observed in; ``assumed`` the settings
    taken for a framework that is not installed."""

    paths: tuple[Path, ...]
    routes: tuple[Route, ...]
    read: dict[str, str]
    assumed: dict[str, dict[str, str]]

    def named(self, id: str) -> Path:
        """Raises RegistryError."""
        for path in self.paths:
            if path.id == id:
                return path
        raise RegistryError(f"unknown path {id!r}; paths.toml has {', '.join(p.id for p in self.paths)}")

    @cached_property
    def by_call(self) -> dict[str, tuple[Path, ...]]:
        """The paths of each entry point, in the order of the file."""
        calls = dict.fromkeys(call for path in self.paths for call in path.calls)
        return {call: tuple(p for p in self.paths if call in p.calls) for call in calls}

    def routes_of(self, implementation: str) -> tuple[Route, ...]:
        """The routes of one implementation; none for one that the registry doesn't know."""
        return tuple(r for r in self.routes if implementation in r.implementation)


@cache
def registry(file: File | None = None) -> Registry:
    """The entries of all frameworks, or of one file alone.  Raises RegistryError."""
    files = [folder_of(name) / "paths.toml" for name in frameworks()] if file is None else [file]
    parts = [_read(each) for each in files]
    result = Registry(
        tuple(path for part in parts for path in part.paths),
        tuple(route for part in parts for route in part.routes),
        {name: version for part in parts for name, version in part.read.items()},
        {name: settings for part in parts for name, settings in part.assumed.items()},
    )
    _check_together(result, "paths.toml" if file is None else str(file))
    return result


def _read(file: File) -> Registry:
    try:
        data = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise RegistryError(f"{file} can't be read: {error}") from None
    facts_of = data.pop("framework", {})
    entries, routes = data.pop("path", []), data.pop("route", [])
    if data:
        raise RegistryError(f"{file}: tables are [framework.NAME], [[path]] and [[route]], not [{next(iter(data))}]")
    return Registry(
        tuple(_path(entry, number, file) for number, entry in enumerate(entries, start=1)),
        tuple(_route(entry, number, file) for number, entry in enumerate(routes, start=1)),
        {name: str(facts["read"]) for name, facts in facts_of.items()},
        {name: {k: str(v) for k, v in facts.get("assumed", {}).items()} for name, facts in facts_of.items()},
    )


def _made(kind: Callable[..., Any], entry: dict[str, Any], where: str) -> Any:
    """A dataclass of a table: lists as tuples, fields that it doesn't have and fields that are missing named."""
    known = {f.name for f in fields(kind)}  # type: ignore[arg-type]
    for name in entry:
        if name not in known:
            raise RegistryError(f"{where} has a field {name!r}; there are {', '.join(sorted(known))}")
    try:
        return kind(**{name: tuple(v) if isinstance(v, list) else v for name, v in entry.items()})
    except TypeError as error:
        raise RegistryError(f"{where} is not complete: {error}") from None


def _one_of(values: tuple[str, ...], known: tuple[str, ...], where: str, field: str) -> None:
    for value in values:
        if value not in known:
            raise RegistryError(f"{where}: unknown {field} {value!r}; known are {', '.join(known)}")


def _path(entry: dict[str, Any], number: int, file: File) -> Path:
    where = f"{file}: path {entry.get('id', f'number {number}')!r}"
    boundaries = [_made(Boundary, dict(b), where) for b in entry.pop("boundaries", [])]
    path: Path = _made(Path, {**entry, "boundaries": boundaries}, where)
    _one_of((path.framework,), tuple(frameworks()), where, "framework")
    _one_of(path.format, FORMATS, where, "format")
    _one_of((path.evidence,), ("observed", "read"), where, "evidence")
    _one_of((path.part,) if path.part else (), PARTS, where, "part")
    _one_of((path.order,) if path.order else (), tuple(ORDERS), where, "order")
    if (path.evidence == "observed") != bool(path.observed_by):
        raise RegistryError(f"{where}: what is observed names the tests in observed_by, what is read names none")
    for text in (path.when, *(e for b in path.boundaries for e in (b.of, *b.at))):
        try:
            _one_of(tuple(names_in(text)), known_facts(path.framework), where, "quantity")
        except ConditionError as error:
            raise RegistryError(f"{where}: {error}") from None
    return path


def _route(entry: dict[str, Any], number: int, file: File) -> Route:
    where = f"{file}: route number {number}"
    every = entry.pop("every", ())
    calls = {q: tuple(entry.pop(q, every)) for q in QUANTITIES}
    route: Route = _made(Route, {**entry, "calls": {q: called for q, called in calls.items() if called}}, where)
    _one_of(route.operation, OPERATIONS, where, "operation")
    return route


def _check_together(result: Registry, file: str) -> None:
    ids = [p.id for p in result.paths]
    for id in ids:
        if ids.count(id) > 1:
            raise RegistryError(f"{file}: two paths are called {id!r}")
    offered = {call for p in result.paths for call in p.calls}
    called = {c for r in result.routes for o in r.operation for q in QUANTITIES for c in r.calls_of(o, q)}
    for call in sorted(called - offered):
        raise RegistryError(f"{file}: a route calls {call!r}, which no path has")
    for call in sorted(offered - called):
        raise RegistryError(f"{file}: a path has the call {call!r}, which no route makes")
    for path in result.paths:
        if path.framework not in result.read:
            raise RegistryError(f"{file}: [framework.{path.framework}] is missing")
