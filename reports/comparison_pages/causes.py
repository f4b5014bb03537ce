"""Causes as lines for the terminal and as data for JSON; the pages have them from templates."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from reports.causes.bisect import Bisection
from reports.causes.causes import Causes
from reports.causes.finding import Finding
from reports.causes.gathering import CauseGroup
from reports.wording import whole

# Groups that the terminal shows; the pages have more.
MOST_ON_TERMINAL = 8


def lines(causes: Causes) -> Iterator[str]:
    """For the terminal; nothing where no cell has other bits."""
    if not causes.groups:
        return
    yield f"Causes: {causes.sentence}"
    for group in causes.groups[:MOST_ON_TERMINAL]:
        yield f"  {group.description} ({group.words_text})"
        yield f"    because: {group.because_text}"
        yield f"    where: {group.where_text}"
    if len(causes.groups) > MOST_ON_TERMINAL:
        more = whole(len(causes.groups) - MOST_ON_TERMINAL)
        yield f"  and {more} groups more; --markdown, --html and --json have them"
    yield from (f"  {note}" for note in causes.notes)
    if causes.bisection:
        yield f"Bisection: {causes.bisection.sentence}"


def as_data(causes: Causes) -> dict[str, Any]:
    """For JSON; docs/compare.md defines the fields."""
    return {
        "sentence": causes.sentence,
        "notes": list(causes.notes),
        "groups": [_group(group) for group in causes.groups],
        "bisection": _bisection(causes.bisection) if causes.bisection else None,
    }


def _group(group: CauseGroup) -> dict[str, Any]:
    return {
        "framework": group.framework,
        **{axis: list(values) for axis, values in group.axes.items()},
        "paths": list(group.paths),
        "description": group.description,
        "counts": dict(group.words),
        "compared": group.compared,
        "because": [_finding(f) for f in group.because],
        "where": [_finding(f) for f in group.where],
        "cells": [change.cell.key for change in group.changes],
    }


def _bisection(bisection: Bisection) -> dict[str, Any]:
    return {"sentence": bisection.sentence, **dataclasses.asdict(bisection)}


def _finding(finding: Finding) -> dict[str, Any]:
    return {k: v for k, v in dataclasses.asdict(finding).items() if k != "side"}
