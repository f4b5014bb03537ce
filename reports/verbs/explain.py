"""The verb ``explain``: one row through every formula and framework."""

from __future__ import annotations

import json

from reports.console.exits import OK
from reports.console.tables import table_console
from reports.inspect.explain import explained
from reports.inspect.explain_shown import as_json, tables


def explain_verb(
    logits: tuple[str, ...], format_name: str, element: int | None, json_wanted: bool, every: bool = False
) -> int:
    """Show one row through everything."""
    explanation = explained(logits, format_name, element, every=every)
    if json_wanted:
        print(json.dumps(as_json(explanation), indent=1, allow_nan=False))
    else:
        console = table_console()
        for part in tables(explanation):
            console.print(part)
    return OK
