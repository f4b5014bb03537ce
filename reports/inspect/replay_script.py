"""What a replay script says of a layout and of a call, as Python source that needs only the framework.

A call is what the catalogue says that a user writes, with what that text leaves out: masks, shapes and dimensions.
"""

from __future__ import annotations

from reports.inspect.replay_case import ScriptCase
from suites.implementations.catalogue import framework_named


class Source(str):
    """Source of ours.  A script takes any other text for data, which it may not have."""


_NAN = "np.iinfo(bits.dtype).max >> 1"
_WIDE = f"np.full({{}}, {_NAN}, bits.dtype)"

# How rows become the layout's array (`rows` -> what is returned), and how the row is picked from an array.
_LAYOUTS = {
    "last": ("return rows", "array[ROW]"),
    "inner": ("return np.ascontiguousarray(rows.T)", "array.T[ROW]"),
    "column": ("return rows[:, :, None].copy()", "array[ROW, :, 0]"),
    "middle": (
        "return np.ascontiguousarray(rows.reshape({outer}, ROWS // {outer}, N).swapaxes(1, 2))",
        "array.swapaxes(1, 2).reshape(ROWS, N)[ROW]",
    ),
    "single": ("return rows[:1]", "array[0]"),
    "transposed": ("return np.ascontiguousarray(rows.T).T", "array[ROW]"),
    "strided": (f"wide = {_WIDE.format('(ROWS, 2 * N)')}\nwide[:, ::2] = rows\nreturn wide[:, ::2]", "array[ROW]"),
    "broadcast": (
        "return np.lib.stride_tricks.as_strided(rows, (ROWS, 3, N), (rows.strides[0], 0, rows.strides[1]))",
        "array[ROW, ROW % 3]",
    ),
    "reversed": ("return np.ascontiguousarray(rows[:, ::-1])[:, ::-1]", "array[ROW]"),
    "padded": (
        f"wide = {_WIDE.format('(ROWS + 2, N + 6)')}\nwide[1:-1, 3:-3] = rows\nreturn wide[1:-1, 3:-3]",
        "array[ROW]",
    ),
}
_OFFSET = "wide = " + _WIDE.format("ROWS * N + {k}") + "\nwide[{k}:] = rows.ravel()\nreturn wide[{k}:].reshape(ROWS, N)"


def batch_source(case: ScriptCase) -> Source:
    """The body that lays ``rows`` out."""
    kind, _, offset = case.layout.partition("-")
    if kind == "offset":
        return Source(_OFFSET.format(k=offset))
    outer = next((k for k in range(2, case.rows) if case.rows % k == 0), 1)
    return Source(_LAYOUTS[case.layout][0].format(outer=outer))


def pick_source(case: ScriptCase) -> Source:
    """The expression of the recorded row in ``array``."""
    return Source(_LAYOUTS.get(case.layout, _LAYOUTS["last"])[1])


def vector_source(bits: list[int], width: int) -> Source:
    """Bit patterns in lines of eight, for ``split``."""
    words = [f"0x{b:0{width // 4}x}" for b in bits]
    return Source("\n".join(" ".join(words[k : k + 8]) for k in range(0, len(words), 8)))


def function_source(case: ScriptCase, axis: int) -> Source:
    """The body of a function of an array ``x``, as the implementation declares it; empty where it declares none."""
    script = case.implementation.script
    if script is None:
        return Source()
    mapped = _mapped(case, axis) if "{mapped}" in script else ""
    return Source(script.format(axis=axis, operation=case.operation, call=case.call, mapped=mapped))


def _mapped(case: ScriptCase, axis: int) -> str:
    """The operation on a row, mapped over every axis but the reduced one."""
    how = framework_named(case.framework).mapped
    assert how is not None
    text = f"lambda row: {how.namespace}.{case.operation}(row, 0)"
    dimensions = {"column": 3, "middle": 3, "broadcast": 3}.get(case.layout, 2)
    for other in reversed([a for a in range(dimensions) if a != axis]):
        inside = 1 if axis < other else 0
        text = f"{how.function}({text}, {how.into}={inside}, {how.out_of}={inside})"
    return text
