"""PyTorch, eager: the functional forms, and log of softmax written by hand; derivatives by autograd and torch.func."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from suites.implementations.call import AnyBits, Call, Evaluator
from suites.implementations.placement import HERE

Function = Callable[[Any, int], Any]

_DTYPES = {
    "binary64": (torch.float64, torch.int64, np.int64),
    "binary32": (torch.float32, torch.int32, np.int32),
    "binary16": (torch.float16, torch.int16, np.int16),
    "bfloat16": (torch.bfloat16, torch.int16, np.int16),
}

FUNCTIONS: dict[str, dict[str, Function]] = {
    "eager": {
        "softmax": lambda x, dim: torch.softmax(x, dim),
        "log_softmax": lambda x, dim: torch.log_softmax(x, dim),
    },
    "log-of-softmax": {"log_softmax": lambda x, dim: torch.log(torch.softmax(x, dim))},
}


def to_tensor(bits: AnyBits, format: str) -> Any:
    """A tensor of the format that holds exactly these bits, on this process's device."""
    dtype, _, signed = _DTYPES[format]
    return torch.from_numpy(bits.view(signed).copy()).view(dtype).to(HERE.device)


def to_bits(tensor: Any, format: str, like: AnyBits) -> AnyBits:
    """The bits of a tensor.  Raises TypeError where it is of another format."""
    dtype, integer, _ = _DTYPES[format]
    if tensor.dtype != dtype:
        raise TypeError(f"the result is {tensor.dtype}, not {dtype}")
    result: AnyBits = tensor.detach().contiguous().view(integer).cpu().numpy().view(like.dtype)
    return result


def evaluate(function: Function, call: Call) -> AnyBits:
    """One call of a function of a tensor and a dimension, with autograd for the vjp and torch.func for the jvp."""
    x = to_tensor(call.logits, call.format)
    if call.cotangent is not None:
        x.requires_grad_(True)
        y = function(x, call.axis)
        (result,) = torch.autograd.grad(y, x, to_tensor(call.cotangent, call.format))
    elif call.tangent is not None:
        tangent = to_tensor(call.tangent, call.format)
        _, result = torch.func.jvp(lambda z: function(z, call.axis), (x,), (tangent,))
    else:
        result = function(x, call.axis)
    return to_bits(result, call.format, call.logits)


def configure() -> None:
    """A fixed number of threads: it changes the path that a row takes."""
    torch.set_num_threads(HERE.threads)


def evaluator(name: str) -> Evaluator:
    """The evaluator of ``torch/NAME``."""
    configure()
    functions = FUNCTIONS[name]
    return lambda call: evaluate(functions[call.operation], call)


def from_callable(function: Function) -> Evaluator:
    """A user's own function of a tensor and a dimension."""
    configure()
    return lambda call: evaluate(function, call)
