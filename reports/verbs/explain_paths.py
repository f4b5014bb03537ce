"""What ``explain --path`` does: where it is implemented, for the shape of a row or for any other."""

from __future__ import annotations

import json

from references.formats import format_named
from reports.console.exits import OK
from reports.console.tables import table_console
from reports.console.usage import UsageError
from reports.inspect.explain import parse_row
from reports.inspect.explain_paths import as_json, explained_paths, parse_shape, tables


def only_with_path(logits: tuple[str, ...], **options: object) -> None:
    """Raises UsageError for an option of --path where that is not given, and for no logits at all."""
    for name, value in options.items():
        if value not in (None, ()):
            raise UsageError(f"--{name} belongs to --path; give that too")
    if not logits:
        raise UsageError("no logits; give a row of them, or --path and --shape")


def explain_paths_verb(
    logits: tuple[str, ...],
    format_name: str,
    element: int | None,
    json_wanted: bool,
    *,
    shape: str | None,
    axis: int | None,
    operation: tuple[str, ...],
    quantity: tuple[str, ...],
    framework: tuple[str, ...],
) -> int:
    """Show what runs for an array, and where its source is."""
    if (shape is None) == (not logits):
        raise UsageError("--path needs a row of logits or --shape, one of the two")
    if element is not None:
        raise UsageError("--element is of a row's gradient, not of its paths; leave it out")
    if shape is None:
        parse_row(logits, format_named(format_name))
    explanation = explained_paths(
        parse_shape(shape) if shape is not None else (1, len(logits)),
        -1 if axis is None else axis,
        format_name,
        quantity,
        operation,
        framework,
    )
    if json_wanted:
        print(json.dumps(as_json(explanation), indent=1, allow_nan=False))
        return OK
    console = table_console()
    for part in tables(explanation):
        console.print(part)
    return OK
