"""How long log(softmax(x)) takes against log_softmax(x): paired, interleaved, as ratios.

Only ratios of neighbours in time are formed: on a shared machine the absolute times drift by more than the difference.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.uint32]

SHAPES = ((64, 1000), (8, 32768))
_PAIRS = 41


@dataclass(frozen=True)
class TimeRatio:
    """Quartiles of time(log of softmax) / time(log_softmax) over pairs of calls, and the latter's median time."""

    framework: str
    mode: str
    quantity: str
    shape: tuple[int, int]
    ratio: float
    lower_quartile: float
    upper_quartile: float
    microseconds: float


_Pair = tuple[Callable[[], Any], Callable[[], Any]]


def time_ratios(framework: str, batches: Iterable[Rows]) -> list[TimeRatio]:
    """Forward, and forward with backward, on the CPU and the last axis of batches of binary32 rows, given as bits.

    Empty for frameworks without log_softmax and autograd.
    """
    makers: dict[str, Callable[[Any], dict[tuple[str, str], _Pair]]] = {"torch": _torch, "jax": _jax}
    if framework not in makers:
        return []
    return [
        _compare(framework, mode, quantity, (rows.shape[0], rows.shape[1]), *pair)
        for rows in batches
        for (mode, quantity), pair in makers[framework](rows.view(np.float32)).items()
    ]


def _compare(
    framework: str,
    mode: str,
    quantity: str,
    shape: tuple[int, int],
    composed: Callable[[], Any],
    fused: Callable[[], Any],
) -> TimeRatio:
    for _ in range(5):
        composed()
        fused()
    ratios, times = [], []
    for pair in range(_PAIRS):
        first, second = (composed, fused) if pair % 2 else (fused, composed)
        start = time.perf_counter()
        first()
        middle = time.perf_counter()
        second()
        end = time.perf_counter()
        a, b = (middle - start, end - middle) if pair % 2 else (end - middle, middle - start)
        ratios.append(a / b)
        times.append(b)
    lower, median, upper = statistics.quantiles(ratios, n=4)
    return TimeRatio(framework, mode, quantity, shape, median, lower, upper, statistics.median(times) * 1e6)


def _torch(rows: npt.NDArray[np.float32]) -> dict[tuple[str, str], _Pair]:
    import torch

    x = torch.from_numpy(rows)
    leaf, g = x.clone().requires_grad_(True), torch.ones_like(x)

    def composed(z: Any) -> Any:
        return torch.log(torch.softmax(z, -1))

    def fused(z: Any) -> Any:
        return torch.log_softmax(z, -1)

    def backward(function: Callable[[Any], Any]) -> Callable[[], Any]:
        return lambda: torch.autograd.grad(function(leaf), leaf, g)

    return {
        ("eager", "forward"): (lambda: composed(x), lambda: fused(x)),
        ("eager", "forward and vjp"): (backward(composed), backward(fused)),
    }


def _jax(rows: npt.NDArray[np.float32]) -> dict[tuple[str, str], _Pair]:
    import jax
    import jax.numpy as jnp

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
