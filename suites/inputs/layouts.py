"""Layouts: where the reduced axis of a batch of rows lies."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

AnyBits = npt.NDArray[np.unsignedinteger]

LAYOUTS = ("last", "inner", "column")

_AXES = {"last": 1, "inner": 0, "column": 1}


def axis_of(layout: str) -> int:
    """The reduced axis, counted from the front."""
    return _AXES[layout]


def place(rows: AnyBits, layout: str) -> AnyBits:
    """Rows [rows, n] as a contiguous array: last (rows, n); inner (n, rows), axis 0; column (rows, n, 1), axis 1."""
    if layout == "inner":
        return np.ascontiguousarray(rows.T)
    return rows[:, :, None].copy() if layout == "column" else rows


def unplace(array: AnyBits, layout: str) -> AnyBits:
    """The rows [rows, n] of a placed array."""
    if layout == "inner":
        return np.ascontiguousarray(array.T)
    return array[:, :, 0] if layout == "column" else array
