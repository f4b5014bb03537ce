"""The vectorised reference: exact results for whole batches, in blocks that stay in cache.

Each block is evaluated by the cheapest tier that meets TOLERANCE (references.bulk.escalation): plain binary64,
double-double, or the oracle for what cancels even there.  Functions that are asked for together share their
exponentials.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

import numpy as np

from references.bulk.blocks import BLOCK
from references.bulk.escalation import BlockEvaluation
from references.bulk.exact_pairs import Reference
from references.formats import Floats, Format
from references.functions import Function, check_length, vectors_of
from references.ieee.float_state import require_sound_arithmetic


@dataclass(frozen=True)
class Tile:
    """The results of some rows and columns, by function."""

    rows: slice
    columns: slice
    results: dict[Function, Reference]


def reference(
    function: Function,
    logits: Floats,
    format: Format,
    *,
    cotangent: Floats | None = None,
    tangent: Floats | None = None,
) -> Reference:
    """The exact result of one function for rows [rows, n]; see ``tiles``."""
    return references_of([function], logits, format, cotangent=cotangent, tangent=tangent)[function]


def references_of(
    functions: Sequence[Function],
    logits: Floats,
    format: Format,
    *,
    cotangent: Floats | None = None,
    tangent: Floats | None = None,
) -> dict[Function, Reference]:
    """The exact results of several functions for the same rows [rows, n]; see ``tiles``.

    Raises UnsoundArithmetic, too, where this thread doesn't compute as IEEE 754 says once they are made.
    """
    found = list(tiles(functions, logits, format, cotangent=cotangent, tangent=tangent))
    require_sound_arithmetic()
    shape = np.shape(logits)
    return {
        function: Reference(
            *(_joined([(t, getattr(t.results[function], field.name)) for t in found], shape) for field in _FIELDS)
        )
        for function in functions
    }


def tiles(
    functions: Sequence[Function],
    logits: Floats,
    format: Format,
    *,
    cotangent: Floats | None = None,
    tangent: Floats | None = None,
) -> Iterator[Tile]:
    """The exact results tile by tile, for rows [rows, n] of any size: memory does not grow with them.

    ``logits`` and the vectors hold numbers of ``format`` in any floating type that converts to binary64 exactly.  Every
    element that does not overflow is within TOLERANCE ulps of ``format``.  (An element that needs the oracle costs a
    pass over its whole row: 10 microseconds and half a kilobyte a logit.)  Raises ValueError like ``Problem``, and for
    shapes that differ.
    """
    _keep_freed_memory()
    logits = np.asarray(logits)
    given = {role: np.asarray(v) for role, v in vectors_of(functions, cotangent, tangent).items()}
    rows, n = logits.shape
    check_length(n)
    for role, vector in given.items():
        if vector.shape != logits.shape:
            raise ValueError(f"the {role} has the shape {vector.shape}, the logits {logits.shape}")
    step = max(1, BLOCK // n)
    for start in range(0, max(rows, 1), step):
        part = slice(start, min(start + step, rows))
        with np.errstate(all="ignore"):
            evaluation = BlockEvaluation(logits[part], {role: v[part] for role, v in given.items()}, format)
        for number, (own, columns) in enumerate(evaluation.tiles):
            with np.errstate(all="ignore"):
                results = {function: evaluation.reference(function, number) for function in functions}
            yield Tile(slice(start + own.start, start + own.stop), columns, results)


@cache
def _keep_freed_memory() -> None:
    """Let glibc keep what is freed for the next operation.

    It hands memory back to the system until a large block has been freed once; mapping a chunk's temporaries anew each
    time would double the cost.  (The block is never touched, so it costs nothing.)
    """
    np.empty(3 * 2**20)


_FIELDS = fields(Reference)


def _joined(parts: list[tuple[Tile, Any]], shape: tuple[int, ...]) -> Any:
    """One array from those of the tiles; a value that is the same everywhere stays broadcast."""
    first = parts[0][1]
    if first.size and all(a.strides == (0, 0) and a.flat[0] == first.flat[0] for _, a in parts):
        return np.broadcast_to(first.flat[0], shape)
    joined = np.empty(shape, first.dtype)
    for tile, array in parts:
        joined[tile.rows, tile.columns] = array
    return joined
