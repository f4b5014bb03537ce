"""Files of one JSON object a line, as a writer sees them: what was cut off or damaged is passed over."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

from reports.files import write_atomically
from suites.plan.cell import Cell


def whole_lines(path: Path) -> Iterator[str]:
    """The lines that were written to their end; a cut last one is left out.  Raises OSError."""
    if not path.exists():
        return
    text = path.read_text(encoding="utf-8", errors="replace")
    for line in text.splitlines(keepends=True):
        if line.endswith("\n"):
            try:
                json.loads(line)
            except (ValueError, RecursionError):
                continue
            yield line.rstrip("\n")


def undamaged(path: Path, key: Callable[[str], str]) -> Iterator[tuple[str, str]]:
    """Key and line of the lines that can be read.  Raises OSError."""
    for line in whole_lines(path):
        try:
            yield key(line), line
        except (ValueError, KeyError, TypeError):
            continue


def count_of(path: Path) -> int:
    """How many lines a file has, damaged ones and a cut last one among them.  Raises OSError."""
    content = path.read_bytes() if path.exists() else b""
    return content.count(b"\n") + (not content.endswith(b"\n") and bool(content))


def replace_lines(path: Path, lines: Iterable[str]) -> None:
    """Write a file anew as a whole, so that it survives a power cut.  Raises RunError."""
    write_atomically(path, (f"{line}\n" for line in lines), durable=True)


def sort_lines(path: Path, key: Callable[[dict[str, Any]], str], without: Collection[str] = ()) -> list[dict[str, Any]]:
    """Sort a file by key, the last line of each key kept, and return what it holds; ``without`` are keys that go.

    Raises OSError, RunError.
    """
    parsed = ((json.loads(line), line) for line in whole_lines(path))
    by_key = {key(found): (found, line) for found, line in parsed}
    kept = [by_key[name] for name in sorted(by_key) if name not in without]
    replace_lines(path, (line for _, line in kept))
    return [found for found, _ in kept]


def key_in(line: dict[str, Any]) -> str:
    """The key that a line has as a field."""
    return str(line["key"])


def key_of(line: dict[str, Any]) -> str:
    """The key that the fields of a record make."""
    names = [f.name for f in dataclasses.fields(Cell)]
    return Cell(**{name: line[name] for name in names}).key


def rows_in(line: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """Name and length of the files of rows that a record refers to.  Raises KeyError, TypeError for no record."""
    worst = line["worst"]
    for vector in (worst["logits"], worst["cotangent"], worst["tangent"]):
        if isinstance(vector, dict):
            yield str(vector["file"]), int(vector["length"])
