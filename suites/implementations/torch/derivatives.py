"""PyTorch's other ways to a derivative: forward over reverse mode, and a jvp by differentiating the vjp."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from suites.implementations.call import AnyBits, Call, Evaluator
from suites.implementations.torch.eager import FUNCTIONS, configure, to_bits, to_tensor, vectors_of


def jvp_of_vjp(function: Any, x: Any, cotangent: Any, tangent: Any) -> Any:
    """The hvp: torch.func.jvp of the vjp, with the cotangent fixed."""
    return torch.func.jvp(lambda z: torch.func.vjp(function, z)[1](cotangent)[0], (x,), (tangent,))[1]


def functional_jvp(function: Any, x: Any, tangent: Any) -> Any:
    """The jvp: the vjp is linear in its cotangent, and its derivative with respect to that is what is wanted."""
    return torch.autograd.functional.jvp(function, x, tangent)[1]


_DERIVE: dict[str, Callable[..., Any]] = {"func.jvp-of-vjp": jvp_of_vjp, "autograd.functional.jvp": functional_jvp}


def evaluator(name: str) -> Evaluator:
    """The evaluator of ``torch/NAME``."""
    configure()

    def evaluate(call: Call) -> AnyBits:
        function = FUNCTIONS["eager"][call.operation]
        x, vectors = to_tensor(call.logits, call.format), vectors_of(call)
        result = _DERIVE[name](lambda z: function(z, call.axis), x, **vectors)
        return to_bits(result, call.format, call.logits)

    return evaluate
