"""A comparison as JSON: every cell that is not identical, with both sides' figures.  No NaN, no infinity."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator
from typing import Any

from reports.causes.causes import Causes
from reports.compare.comparison import Comparison
from reports.compare.evidence import Drift
from reports.compare.figures import Figures
from reports.compare.judgement import Change, Rows
from reports.compare.pairing import Stored
from reports.compare.signoff import CellGroup
from reports.comparison_pages import causes as shown
from reports.comparison_pages.page import replay_line
from reports.run.records import finite

SCHEMA = 1

_FIELDS = tuple(field.name for field in dataclasses.fields(Figures))


def as_json(comparison: Comparison, causes: Causes) -> Iterator[str]:
    """The text in parts, a cell on each line; docs/compare.md defines the fields."""
    head = json.dumps(_head(comparison, causes), indent=1, allow_nan=False)
    yield head.removesuffix("\n}") + ',\n "cells": ['
    for number, change in enumerate(comparison.changes):
        yield ("," if number else "") + "\n  " + json.dumps(_change(change, comparison), allow_nan=False)
    yield "\n ]\n}\n"


def _head(comparison: Comparison, causes: Causes) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "sentence": comparison.sentence,
        "status": comparison.status,
        "exit_code": comparison.exit_code,
        "fail_on": dataclasses.asdict(comparison.demand),
        "old": _run(comparison.old),
        "new": _run(comparison.new),
        "differences": [dataclasses.asdict(d) for d in comparison.differences],
        "notes": list(comparison.notes),
        "problems": list(comparison.problems),
        "counts": dict(sorted(comparison.counts.items())),
        "groups": [_group(group) for group in comparison.groups],
        "drifts": [_drift(drift) for drift in comparison.drifts],
        "causes": shown.as_data(causes),
    }


def _group(group: CellGroup) -> dict[str, Any]:
    return {
        **group.key._asdict(),
        "versions": list(group.versions),
        "status": group.status,
        "counts": dict(group.ordered),
        "accepted": group.accepted,
        "verdicts_lower": group.lower,
        "verdicts_higher": group.higher,
        "sentence": group.sentence,
    }


def _run(run: Stored) -> dict[str, Any]:
    manifest = run.manifest
    return {"path": str(run.path), "packages": manifest.packages, "finished": manifest.finished}


def _drift(drift: Drift) -> dict[str, Any]:
    return {
        **drift.line._asdict(),
        "grows": drift.grows,
        "cells": drift.cells,
        "rows": _rows(drift.rows),
        "accepted": drift.accepted,
    }


def _change(change: Change, comparison: Comparison) -> dict[str, Any]:
    return {
        "key": change.cell.key,
        "change": change.word,
        "reasons": list(change.reasons),
        "accepted": change.accepted,
        "old": _figures(change.old),
        "new": _figures(change.new),
        "rows": _rows(change.rows) if change.rows else None,
        "replay": replay_line(change, comparison),
    }


def _rows(rows: Rows) -> dict[str, Any]:
    return dataclasses.asdict(rows) | {"typical": finite(rows.typical)}


def _figures(figures: Figures | None) -> dict[str, Any] | None:
    if figures is None:
        return None
    infinite = figures.bound_ratio == math.inf
    fields = {name: getattr(figures, name) for name in _FIELDS}
    return fields | {"bound_ratio": finite(figures.bound_ratio), "bound_ratio_infinite": infinite}
