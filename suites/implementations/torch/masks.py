"""PyTorch with a mask: torch.masked, and the kernel that nn.Transformer calls.

A logit of -inf is one that is masked out: the mask hides it, and the largest number of the format stands in its place,
which no result may show.  Rows that are NaN by contract are given as they are.
"""

from __future__ import annotations

from typing import Any

import torch

from suites.implementations.call import Evaluator
from suites.implementations.torch.eager import Function, evaluator_of


def hidden(x: Any, dim: int) -> Any:
    """Which logits are masked out: -inf beside finite ones alone."""
    masked = x == -torch.inf
    ordinary = (torch.isfinite(x) | masked).all(dim, keepdim=True) & torch.isfinite(x).any(dim, keepdim=True)
    return masked & ordinary


def filled(x: Any, mask: Any) -> Any:
    """The logits with the largest number where they are masked out."""
    return torch.where(mask, torch.full_like(x, torch.finfo(x.dtype).max), x)


def masked_softmax(x: Any, dim: int) -> Any:
    mask = hidden(x, dim)
    return torch.masked.softmax(filled(x, mask), dim, mask=~mask)


def masked_log_softmax(x: Any, dim: int) -> Any:
    mask = hidden(x, dim)
    return torch.masked.log_softmax(filled(x, mask), dim, mask=~mask)


def masked_softmax_kernel(x: Any, dim: int) -> Any:
    mask = hidden(x, dim)
    return torch._masked_softmax(filled(x, mask), mask, dim, 2)  # a mask in the shape of the logits


FUNCTIONS: dict[str, dict[str, Function]] = {
    "masked": {"softmax": masked_softmax, "log_softmax": masked_log_softmax},
    "_masked_softmax": {"softmax": masked_softmax_kernel},
}


def evaluator(name: str) -> Evaluator:
    """The evaluator of ``torch/NAME``."""
    return evaluator_of(FUNCTIONS[name])
