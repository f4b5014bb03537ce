"""The implementations themselves, each named by what a user writes; the order is that of every list and table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from suites.implementations.implementation import (
    COMPILER,
    FIRST_DERIVATIVES,
    THREE_FORMATS,
    VALUES,
    Implementation,
)

_BOTH = ("softmax", "log_softmax")
_ARRAY_API = {"SCIPY_ARRAY_API": "1"}

# What 3 x is exact for: three times a number of the narrower format is one of the wider.
_DRAWN_TO_TRIPLE = {"binary64": "binary32", "binary32": "bfloat16"}


def _calls(text: str) -> dict[str, str]:
    """The same text for both operations, {} standing for the name."""
    return {operation: text.format(operation) for operation in _BOTH}


def _by_exponential(text: str) -> dict[str, str]:
    """A formula for log_softmax, and its exponential for softmax."""
    exp = text.format("exp")
    difference = exp[exp.index("(") + 1 : -1]
    return {"softmax": exp, "log_softmax": difference}


def _torch(name: str, module: str, calls: Mapping[str, str], **rest: Any) -> Implementation:
    return Implementation(f"torch/{name}", "torch", module, calls, **rest)


def _jax(name: str, module: str, calls: Mapping[str, str], **rest: Any) -> Implementation:
    return Implementation(f"jax/{name}", "jax", module, calls, flushes=True, **rest)


def _recipe(name: str, calls: Mapping[str, str]) -> Implementation:
    return Implementation(
        f"numpy/{name}",
        "numpy",
        "numpy.recipes",
        calls,
        quantities=(*VALUES, *FIRST_DERIVATIVES),
        formats=THREE_FORMATS,
        main=True,
    )


def _dtype_argument(given: str, returned: str, call: str) -> Implementation:
    """``dtype=``: the array has one format, the result another.

    Where the result is the wider one, the gradients have the array's format.  Where it is the narrower one, the logits
    are numbers of it (PyTorch documents that they are cast first), and a gradient in the wider format would promise
    digits that were never computed.
    """
    widens = returned == "binary64" or given in ("binary16", "bfloat16")
    return _torch(
        f"{given}-to-{returned}",
        "torch.dtypes",
        _calls(call),
        formats=(returned,),
        quantities=(*VALUES, *(FIRST_DERIVATIVES if widens else ("jvp",))),
        result_of_x=(given,) if widens else None,
        drawn={returned: given} if widens else {},
    )


_TORCH = (
    _torch("eager", "torch.eager", _calls("torch.{}(x, dim)"), main=True),
    _torch("log-of-softmax", "torch.eager", {"log_softmax": "torch.log(torch.softmax(x, dim))"}, main=True),
    _torch("x-minus-logsumexp", "torch.eager", _by_exponential("torch.{}(x - torch.logsumexp(x, dim, keepdim=True))")),
    _torch(
        "compile",
        "torch.compiled",
        _calls("torch.compile(torch.{}, dynamic=False)(x, dim)"),
        quantities=(*VALUES, *FIRST_DERIVATIVES),
        needs=(COMPILER,),
    ),
    _torch(
        "compile-dynamic",
        "torch.compiled",
        _calls("torch.compile(torch.{}, dynamic=True)(x, dim)"),
        quantities=(*VALUES, "vjp"),
        needs=(COMPILER,),
    ),
    _torch(
        "compile-x-over-3",
        "torch.compiled",
        _calls("torch.compile(lambda x: torch.{}(x / 3, dim))(x)"),
        quantities=VALUES,  # a gradient has a division of its own, which the bounds know nothing of
        formats=tuple(_DRAWN_TO_TRIPLE),
        drawn=_DRAWN_TO_TRIPLE,
        special_rows=False,
        needs=(COMPILER,),
    ),
    _torch("vmap", "torch.eager", _calls("torch.vmap(lambda row: torch.{}(row, 0))(x)")),
    _torch(
        "func.jvp-of-vjp",
        "torch.derivatives",
        _calls("torch.func.jvp(lambda x: torch.func.vjp(torch.{}, x)[1](g), (x,), (t,))"),
        quantities=("hvp",),
    ),
    _torch(
        "autograd.functional.jvp",
        "torch.derivatives",
        _calls("torch.autograd.functional.jvp(lambda x: torch.{}(x, dim), x, t)"),
        quantities=("jvp",),
    ),
    _torch("out", "torch.storage", _calls("torch.{}(x, dim, out=out)"), quantities=VALUES),
    _dtype_argument("binary16", "binary32", "torch.{}(x.half(), dim, dtype=torch.float32)"),
    _dtype_argument("bfloat16", "binary32", "torch.{}(x.bfloat16(), dim, dtype=torch.float32)"),
    _dtype_argument("binary32", "binary64", "torch.{}(x.float(), dim, dtype=torch.float64)"),
    _dtype_argument("binary32", "binary16", "torch.{}(x.float(), dim, dtype=torch.float16)"),
    _dtype_argument("binary32", "bfloat16", "torch.{}(x.float(), dim, dtype=torch.bfloat16)"),
    _torch("masked", "torch.masks", _calls("torch.masked.{}(x, dim, mask=mask)"), values_only=("log_softmax",)),
    _torch(
        "_masked_softmax",
        "torch.masks",
        {"softmax": "torch._masked_softmax(x, ~mask, dim, 2)"},
        quantities=(*VALUES, "vjp"),
    ),
    _torch(
        "sparse",
        "torch.storage",
        _calls("torch.sparse.{}(x.to_sparse(), dim)"),
        quantities=(*VALUES, "vjp"),
        formats=("binary64", "binary32"),
        values_only=("log_softmax",),
    ),
    _torch(
        "mkldnn",
        "torch.storage",
        {"softmax": "torch.softmax(x.to_mkldnn(), dim)"},
        quantities=VALUES,
        formats=("binary32",),  # what oneDNN takes of the others depends on the processor
    ),
)

_JAX = (
    _jax("eager", "jax.nn", _calls("jax.nn.{}(x, axis)"), main=True),
    _jax("jit", "jax.nn", _calls("jax.jit(jax.nn.{})(x, axis)"), main=True),
    _jax(
        "eager-custom-jvp",
        "jax.nn",
        {"softmax": "jax.nn.softmax(x, axis) under JAX_SOFTMAX_CUSTOM_JVP=1"},
        quantities=(*FIRST_DERIVATIVES, "hvp"),
        main=True,
    ),
    _jax(
        "jit-custom-jvp",
        "jax.nn",
        {"softmax": "jax.jit(jax.nn.softmax)(x, axis) under JAX_SOFTMAX_CUSTOM_JVP=1"},
        quantities=(*FIRST_DERIVATIVES, "hvp"),
        main=True,
    ),
    _jax("log-of-softmax", "jax.nn", {"log_softmax": "jax.jit(lambda x: jnp.log(jax.nn.softmax(x, axis)))"}, main=True),
    _jax(
        "x-minus-logsumexp",
        "jax.variants",
        {
            operation: f"jax.jit(lambda x: {formula})"
            for operation, formula in _by_exponential(
                "jnp.{}(x - jax.scipy.special.logsumexp(x, axis, keepdims=True))"
            ).items()
        },
    ),
    _jax("jit-where", "jax.variants", _calls("jax.jit(jax.nn.{})(x, axis, where=mask)"), values_only=("log_softmax",)),
    _jax("jit-vmap", "jax.variants", _calls("jax.jit(jax.vmap(jax.nn.{}))(x)")),
    _jax(
        "jit-x-over-3",
        "jax.variants",
        _calls("jax.jit(lambda x: jax.nn.{}(x / 3, axis))(x)"),
        quantities=VALUES,
        formats=tuple(_DRAWN_TO_TRIPLE),
        drawn=_DRAWN_TO_TRIPLE,
        special_rows=False,
    ),
)

_SCIPY = (
    Implementation(
        "scipy",
        "scipy",
        "scipy.special",
        _calls("scipy.special.{}(x, axis)"),
        quantities=VALUES,
        formats=THREE_FORMATS,
        main=True,
    ),
    Implementation(
        "scipy/x-minus-logsumexp",
        "scipy",
        "scipy.special",
        _by_exponential("np.{}(x - scipy.special.logsumexp(x, axis, keepdims=True))"),
        quantities=VALUES,
        formats=THREE_FORMATS,
    ),
    Implementation(
        "scipy/torch-arrays",
        "scipy",
        "scipy.arrays",
        _calls("scipy.special.{}(torch.asarray(x), axis) under SCIPY_ARRAY_API=1"),
        quantities=VALUES,
        needs=("torch",),
        environment=_ARRAY_API,
    ),
    Implementation(
        "scipy/jax-arrays",
        "scipy",
        "scipy.arrays",
        _calls("scipy.special.{}(jnp.asarray(x), axis) under SCIPY_ARRAY_API=1"),
        quantities=VALUES,
        needs=("jax",),
        environment=_ARRAY_API,
        flushes=True,
    ),
)

_NUMPY = (
    _recipe("naive", {"softmax": "exp(x) / sum(exp(x))"}),
    _recipe("log-of-softmax", {"log_softmax": "log(exp(x) / sum(exp(x)))"}),
    _recipe("x-minus-log-sum-exp", {"log_softmax": "x - log(sum(exp(x)))"}),
    _recipe(
        "shifted",
        {"softmax": "d = x - max(x); exp(d) / sum(exp(d))", "log_softmax": "d = x - max(x); d - log(sum(exp(d)))"},
    ),
    _recipe("x-minus-logsumexp", {"log_softmax": "x - logsumexp(x)"}),
)

ENTRIES = (*_TORCH, *_JAX, *_SCIPY, *_NUMPY)
