"""JAX, jitted: with a mask, vmapped, by logsumexp, and after x / 3.

A logit of -inf is one that is masked out: ``where`` leaves it out, and the largest number of the format stands in its
place, which no result may show.  Rows that are NaN by contract are given as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from suites.implementations.call import Evaluator
from suites.implementations.jax.nn import Function, JaxEvaluator
from suites.implementations.tripled import tripled


def with_where(x: Any, axis: int, *, operation: str) -> Any:
    masked = x == -jnp.inf
    ordinary = (jnp.isfinite(x) | masked).all(axis, keepdims=True) & jnp.isfinite(x).any(axis, keepdims=True)
    hidden = masked & ordinary
    filled = jnp.where(hidden, jnp.finfo(x.dtype).max, x)
    return getattr(jax.nn, operation)(filled, axis=axis, where=~hidden)


def over_rows(x: Any, axis: int, *, operation: str) -> Any:
    """The function of a vector, mapped over every axis of ``x`` but the reduced one."""
    function: Callable[[Any], Any] = getattr(jax.nn, operation)
    for other in reversed([a for a in range(x.ndim) if a != axis]):
        # Once the outer axes are mapped, those before this one are gone, except the reduced one.
        inside = 1 if axis < other else 0
        function = jax.vmap(function, in_axes=inside, out_axes=inside)
    return function(x)


def x_minus_logsumexp(x: Any, axis: int) -> Any:
    return x - jax.scipy.special.logsumexp(x, axis=axis, keepdims=True)


def exp_of_x_minus_logsumexp(x: Any, axis: int) -> Any:
    return jnp.exp(x - jax.scipy.special.logsumexp(x, axis=axis, keepdims=True))


def of_a_third(x: Any, axis: int, *, operation: str) -> Any:
    return getattr(jax.nn, operation)(x / 3, axis=axis)


def _both(function: Callable[..., Any]) -> dict[str, Function]:
    return {operation: partial(function, operation=operation) for operation in ("softmax", "log_softmax")}


FUNCTIONS: dict[str, dict[str, Function]] = {
    "jit-where": _both(with_where),
    "jit-vmap": _both(over_rows),
    "x-minus-logsumexp": {"softmax": exp_of_x_minus_logsumexp, "log_softmax": x_minus_logsumexp},
    "jit-x-over-3": _both(of_a_third),
}


def evaluator(name: str) -> Evaluator:
    """The evaluator of ``jax/NAME``."""
    jitted = JaxEvaluator(FUNCTIONS[name], jit=True)
    return (lambda call: jitted(tripled(call))) if name == "jit-x-over-3" else jitted
