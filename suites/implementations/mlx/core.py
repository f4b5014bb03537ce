"""MLX: mx.softmax and nn.log_softmax; derivatives by mx.vjp and mx.jvp.

MLX copies the arrays that it is given, so only their shape reaches its kernels.  It has no NumPy array of bfloat16:
bits go in and come out as unsigned integers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from suites.implementations.call import AnyBits, Call, Evaluator

Function = Callable[[Any, int], Any]

_DTYPES = {
    "binary32": (mx.float32, mx.uint32),
    "binary16": (mx.float16, mx.uint16),
    "bfloat16": (mx.bfloat16, mx.uint16),
}


def softmax(x: Any, axis: int) -> Any:
    return mx.softmax(x, axis)


def log_softmax(x: Any, axis: int) -> Any:
    return nn.log_softmax(x, axis)


def precise_softmax(x: Any, axis: int) -> Any:
    return mx.softmax(x, axis, precise=True)


FUNCTIONS: dict[str, dict[str, Function]] = {
    "eager": {"softmax": softmax, "log_softmax": log_softmax},
    "precise": {"softmax": precise_softmax},
}


def _derive(function: Callable[[Any], Any], quantity: str, x: Any, vectors: dict[str, Any]) -> Any:
    """A quantity of a function of one array; the hvp is forward over reverse mode."""
    if quantity == "forward":
        return function(x)
    if quantity == "jvp":
        return mx.jvp(function, [x], [vectors["tangent"]])[1][0]

    def vjp(z: Any) -> Any:
        return mx.vjp(function, [z], [vectors["cotangent"]])[1][0]

    return vjp(x) if quantity == "vjp" else mx.jvp(vjp, [x], [vectors["tangent"]])[1][0]


def _evaluate(function: Function, call: Call) -> AnyBits:
    """Raises TypeError where the result has another format."""
    dtype, integer = _DTYPES[call.format]

    def array(bits: AnyBits) -> Any:
        return mx.array(np.ascontiguousarray(bits)).view(dtype)

    given = {"cotangent": call.cotangent, "tangent": call.tangent}
    vectors = {role: array(bits) for role, bits in given.items() if bits is not None}
    result = _derive(lambda z: function(z, call.axis), call.quantity, array(call.logits), vectors)
    if result.dtype != dtype:
        raise TypeError(f"the result is {result.dtype}, not {dtype}")
    computed: AnyBits = np.array(mx.contiguous(result).view(integer)).view(call.logits.dtype)
    return computed


def evaluator(name: str) -> Evaluator:
    """The evaluator of ``mlx/NAME``."""
    functions = FUNCTIONS[name]
    return lambda call: _evaluate(functions[call.operation], call)


def from_callable(function: Function) -> Evaluator:
    """A user's own function of an MLX array and an axis."""
    return lambda call: _evaluate(function, call)
