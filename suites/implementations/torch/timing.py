"""The calls of PyTorch that are timed against each other: log(softmax(x)) and log_softmax(x)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

Pair = tuple[Callable[[], Any], Callable[[], Any]]


def pairs(rows: Any) -> dict[tuple[str, str], Pair]:
    """Both calls on binary32 rows [rows, n], by mode and by what is computed."""
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
