"""The calls of JAX that are timed against each other: log(softmax(x)) and log_softmax(x)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

Pair = tuple[Callable[[], Any], Callable[[], Any]]


def pairs(rows: Any) -> dict[tuple[str, str], Pair]:
    """Both calls on binary32 rows [rows, n], by mode and by what is computed."""
    x = jnp.asarray(rows)
    g = jnp.ones_like(x)

    def composed(z: Any) -> Any:
        return jnp.log(jax.nn.softmax(z, axis=-1))

    def fused(z: Any) -> Any:
        return jax.nn.log_softmax(z, axis=-1)

    def backward(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        return lambda z: jax.vjp(function, z)[1](g)

    def call(function: Callable[[Any], Any]) -> Callable[[], Any]:
        return lambda: jax.block_until_ready(function(x))

    found = {}
    for mode, wrap in (("eager", lambda f: f), ("jit", jax.jit)):
        found[mode, "forward"] = (call(wrap(composed)), call(wrap(fused)))
    found["jit", "forward and vjp"] = (call(jax.jit(backward(composed))), call(jax.jit(backward(fused))))
    return found
