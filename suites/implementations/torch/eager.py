"""PyTorch, eager: the functional forms, and the formulas that people write with them; derivatives by autograd.

The other torch modules evaluate through this one.  A function of a tensor and a dimension stands by itself, so that its
source can be printed in a script.
"""

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


def softmax(x: Any, dim: int) -> Any:
    return torch.softmax(x, dim)


def log_softmax(x: Any, dim: int) -> Any:
    return torch.log_softmax(x, dim)


def log_of_softmax(x: Any, dim: int) -> Any:
    return torch.log(torch.softmax(x, dim))


def x_minus_logsumexp(x: Any, dim: int) -> Any:
    return x - torch.logsumexp(x, dim, keepdim=True)


def exp_of_x_minus_logsumexp(x: Any, dim: int) -> Any:
    return torch.exp(x - torch.logsumexp(x, dim, keepdim=True))


def vmap_softmax(x: Any, dim: int) -> Any:
    return over_rows(lambda row: torch.softmax(row, 0), x, dim)


def vmap_log_softmax(x: Any, dim: int) -> Any:
    return over_rows(lambda row: torch.log_softmax(row, 0), x, dim)


def over_rows(function: Callable[[Any], Any], x: Any, dim: int) -> Any:
    """A function of a vector, mapped over every axis of ``x`` but ``dim``."""
    for axis in reversed([a for a in range(x.ndim) if a != dim]):
        # Once the outer axes are mapped, those before this one are gone, except the reduced one.
        inside = 1 if dim < axis else 0
        function = torch.vmap(function, in_dims=inside, out_dims=inside)
    return function(x)


FUNCTIONS: dict[str, dict[str, Function]] = {
    "eager": {"softmax": softmax, "log_softmax": log_softmax},
    "log-of-softmax": {"log_softmax": log_of_softmax},
    "x-minus-logsumexp": {"softmax": exp_of_x_minus_logsumexp, "log_softmax": x_minus_logsumexp},
    "vmap": {"softmax": vmap_softmax, "log_softmax": vmap_log_softmax},
}


def to_tensor(bits: AnyBits, format: str) -> Any:
    """A tensor of the format over these bits, with their strides, on this process's device.

    No copy on the CPU, unless they may not be written.
    """
    dtype, _, signed = _DTYPES[format]
    writable = bits if bits.flags.writeable else bits.copy()
    return torch.from_numpy(writable.view(signed)).view(dtype).to(HERE.device)


def to_bits(tensor: Any, format: str, like: AnyBits) -> AnyBits:
    """The bits of a tensor.  Raises TypeError where it is of another format."""
    dtype, integer, _ = _DTYPES[format]
    if tensor.dtype != dtype:
        raise TypeError(f"the result is {tensor.dtype}, not {dtype}")
    result: AnyBits = tensor.detach().contiguous().view(integer).cpu().numpy().view(like.dtype)
    return result


def vectors_of(call: Call) -> dict[str, Any]:
    """The cotangent and the tangent as tensors, where the call has them."""
    given = {"cotangent": call.cotangent, "tangent": call.tangent}
    return {role: to_tensor(bits, call.format) for role, bits in given.items() if bits is not None}


def derive(function: Callable[[Any], Any], quantity: str, x: Any, vectors: dict[str, Any]) -> Any:
    """A quantity of a function of one tensor: autograd for the vjp, twice for the hvp; torch.func for the jvp.

    The cotangent is cast to the format of the result, where that is not the format of ``x``.
    """
    if quantity == "forward":
        return function(x)
    if quantity == "jvp":
        return torch.func.jvp(function, (x,), (vectors["tangent"],))[1]
    x.requires_grad_(True)
    y = function(x)
    (vjp,) = torch.autograd.grad(y, x, vectors["cotangent"].to(y.dtype), create_graph=quantity == "hvp")
    return vjp if quantity == "vjp" else torch.autograd.grad(vjp, x, vectors["tangent"])[0]


def evaluate(function: Function, call: Call) -> AnyBits:
    """One call of a function of a tensor and a dimension."""
    x = to_tensor(call.logits, call.format)
    result = derive(lambda z: function(z, call.axis), call.quantity, x, vectors_of(call))
    return to_bits(result, call.format, call.logits)


def configure() -> None:
    """A fixed number of threads: it changes the path that a row takes."""
    torch.set_num_threads(HERE.threads)


def evaluator_of(functions: dict[str, Function]) -> Evaluator:
    """An evaluator of functions of a tensor and a dimension, by operation."""
    configure()
    return lambda call: evaluate(functions[call.operation], call)


def evaluator(name: str) -> Evaluator:
    """The evaluator of ``torch/NAME``."""
    return evaluator_of(FUNCTIONS[name])


def from_callable(function: Function) -> Evaluator:
    """A user's own function of a tensor and a dimension."""
    configure()
    return lambda call: evaluate(function, call)
