"""What a replay script says of a layout and of a call, as Python source that needs only the framework.

A call is what the catalogue says that a user writes, with what that text leaves out: masks, shapes and dimensions.
"""

from __future__ import annotations

from reports.inspect.replay_case import ScriptCase


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
    """The body of a function of an array ``x`` of PyTorch or JAX."""
    return Source(_function(case, axis))


def _function(case: ScriptCase, axis: int) -> str:
    name = case.name.partition("/")[2]
    if name.endswith("vmap"):
        return _mapped(case, axis)
    if case.framework == "torch":
        return _TORCH.get(name, "dim = {axis}\nreturn {call}").format(axis=axis, call=case.call, o=case.operation)
    if name == "log-of-softmax":
        return f"return jnp.log(jax.nn.softmax(x, axis={axis}))"
    if name == "x-minus-logsumexp":
        difference = f"x - jax.scipy.special.logsumexp(x, axis={axis}, keepdims=True)"
        return f"return jnp.exp({difference})" if case.operation == "softmax" else f"return {difference}"
    given = "x / 3" if name == "jit-x-over-3" else "x"
    where = ", where=x != -jnp.inf" if name == "jit-where" else ""
    return f"return jax.nn.{case.operation}({given}, axis={axis}{where})"


_TORCH = {
    "func.jvp-of-vjp": "return torch.{o}(x, {axis})",
    "autograd.functional.jvp": "return torch.{o}(x, {axis})",
    "compile": "return torch.{o}(x, {axis})",
    "compile-dynamic": "return torch.{o}(x, {axis})",
    "compile-x-over-3": "return torch.{o}(x / 3, {axis})",
    "out": "dim = {axis}\nout = torch.empty_like(x)\nreturn {call}",
    "masked": "dim, mask = {axis}, x != -torch.inf\nreturn {call}",
    "_masked_softmax": "dim, mask = {axis}, x != -torch.inf\nreturn {call}",
    "mkldnn": "dim = {axis}\nreturn {call}.to_dense()",
    "sparse": (
        "left_out = x == -torch.inf\n"
        "places = torch.nonzero(~left_out).T\n"
        "given = torch.sparse_coo_tensor(places, x[tuple(places)], x.shape, check_invariants=True)\n"
        "dense = torch.sparse.{o}(given, {axis}).to_dense()\n"
        'return torch.where(left_out, 0.0 if "{o}" == "softmax" else -torch.inf, dense)'
    ),
}


def _mapped(case: ScriptCase, axis: int) -> str:
    """A vmap over every axis but the reduced one."""
    torch = case.framework == "torch"
    vmap, axes = ("torch.vmap", "{0}_dims={1}") if torch else ("jax.vmap", "{0}_axes={1}")
    text = f"{'torch' if torch else 'jax.nn'}.{case.operation}"
    text = f"lambda row: {text}(row, 0)"
    dimensions = {"column": 3, "middle": 3, "broadcast": 3}.get(case.layout, 2)
    for other in reversed([a for a in range(dimensions) if a != axis]):
        inside = 1 if axis < other else 0
        text = f"{vmap}({text}, {axes.format('in', inside)}, {axes.format('out', inside)})"
    return f"return {text}(x)"
