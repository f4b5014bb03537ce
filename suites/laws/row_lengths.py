"""Which row lengths a path is tried at: all up to 2100, powers of two and their neighbours, the path's boundaries."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from suites.inputs.batch import Batch, batch_of
from suites.inputs.cotangents import KINDS
from suites.inputs.integers import below, seed_of
from suites.laws.subjects import Subject
from suites.paths.conditions import evaluate, names_in
from suites.paths.places import Place
from suites.paths.registry import Path, registry
from suites.paths.taken import Settings, quantities_of

FAMILY = "long"
DENSE = range(1, 2101)
THRESHOLDS = tuple(
    sorted({2**k + d for k in range(1, 14) for d in (-1, 0, 1)} | {65535, 65536, 65537} - {0}),
)

# Boundaries beyond this are not tried: the inputs would be larger than what they show.
LONGEST = 1 << 17

# Rows of a width.  Along the first axis one register of 16-bit numbers and a row left over, while rows are short.
_ROWS, _ROWS_OF_LONG = 5, 3
_ROWS_ABREAST = 33
_SHORT, _LONG = 512, 8193

# What the tiers draw: widths from the dense ones, and from the thresholds.
_DRAWN = {"smoke": (2, 1), "standard": (8, 2)}
_DRAWN_COMPILED = {"smoke": (1, 0), "standard": (2, 1)}


def batch_of_width(format_name: str, layout: str, n: int) -> Batch:
    """The rows of a width: the first columns of wide ones, which are made once.

    Rows are equal logits, equal ones beside a dominant one, random ones of two sizes: what sums are weak at.
    """
    rows = rows_of_width(layout, n)
    if n > _LONG:
        return batch_of(FAMILY, format_name, rows, n)
    wide = batch_of(FAMILY, format_name, _ROWS_ABREAST, _LONG)
    logits, tangent, cotangent = (a[:rows, :n].copy() for a in (wide.logits, wide.tangent, wide.cotangent))
    hot = np.arange(rows) % len(KINDS) == KINDS.index("one-hot")
    cotangent[hot], one = 0, wide.format.round_floats(np.ones(1))
    cotangent[hot, n // 2] = one
    return Batch(wide.format, FAMILY, logits, cotangent, tangent)


def rows_of_width(layout: str, n: int) -> int:
    if n > _LONG:
        return _ROWS_OF_LONG
    return _ROWS_ABREAST if layout == "inner" and n <= _SHORT else _ROWS


def widths_of(subject: Subject, tier: str, settings: Settings) -> tuple[int, ...]:
    """The widths of a subject in a tier: a sample and all its boundaries, or all there are.

    The sample is the same for both operations and for gradients, which share their references.  Where every shape is
    compiled, the short tiers leave the boundaries out; the standard tier rows of more than 8193 along other axes than
    the last, the smoke tier all of more than 2100.
    """
    if tier == "deep":
        return tuple(sorted({*DENSE, *THRESHOLDS, *boundaries_of(subject, settings)}))
    dense, thresholds = (_DRAWN_COMPILED if subject.compiles else _DRAWN)[tier]
    seed = seed_of("widths", subject.implementation.name, subject.format_name, subject.layout)
    drawn = {DENSE[i] for i in below(seed, (dense,), len(DENSE)).tolist()}
    drawn |= {THRESHOLDS[i] for i in below(seed + 1, (thresholds,), len(THRESHOLDS)).tolist()}
    chosen = drawn if subject.compiles else drawn | set(boundaries_of(subject, settings))
    longest = DENSE[-1] if tier == "smoke" else LONGEST if subject.layout == "last" else _LONG
    return tuple(sorted(n for n in chosen if n <= longest))


def boundaries_of(subject: Subject, settings: Settings) -> tuple[int, ...]:
    """The widths at which the subject's paths change something, and their neighbours; by paths.toml."""
    found: set[int] = set()
    for path in _paths(subject):
        for boundary in path.boundaries:
            if {"n", "elements"} & set().union(*map(names_in, (boundary.of, *boundary.at))):
                for at in boundary.at:
                    n = _first(boundary.of, at, subject, path, settings)
                    found |= {n - 1, n, n + 1} if n else set()
    return tuple(sorted(n for n in found if n >= 1))


def _paths(subject: Subject) -> Iterator[Path]:
    """The paths that the subject's calls can end in, whatever the width."""
    known = registry()
    for route in known.routes_of(subject.implementation.name):
        for call in route.calls_of(subject.operation, subject.quantity):
            for path in known.by_call[call]:
                if subject.format_name in path.format and path.device == subject.profile.device.partition(":")[0]:
                    yield path


def _first(of: str, at: str, subject: Subject, path: Path, settings: Settings) -> int:
    """The smallest width from 2 on at which ``of`` grows to ``at``; 0 if there is none up to LONGEST."""

    def reached(n: int) -> bool:
        known = quantities_of(path.framework, subject.format_name, _place(subject.layout, n), settings)
        return bool(evaluate(of, known) >= evaluate(at, known))

    if "%" in of:
        return next((n for n in range(2, 200) if reached(n) and not reached(n - 1)), 0)
    low, high = 1, LONGEST
    if reached(low) or not reached(high):
        return 0
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high


def _place(layout: str, n: int) -> Place:
    rows = rows_of_width(layout, n)
    shapes = {"inner": ((n, rows), 0), "column": ((rows, n, 1), 1)}
    return Place.contiguous(*shapes.get(layout, ((rows, n), 1)))
