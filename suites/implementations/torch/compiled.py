"""torch.compile: what Inductor makes of softmax in C++, for fixed shapes, for any shape, and after x / 3.

Whatever is compiled is compiled as a whole (``fullgraph``): where Dynamo can't, it raises, and nothing runs eagerly in
its place unseen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch._dynamo
import torch._inductor.config

from suites.implementations.call import AnyBits, Call, Evaluator
from suites.implementations.torch.eager import FUNCTIONS, Function, configure, derive, to_bits, to_tensor, vectors_of
from suites.implementations.tripled import tripled


def softmax_of_a_third(x: Any, dim: int) -> Any:
    return torch.softmax(x / 3, dim)


def log_softmax_of_a_third(x: Any, dim: int) -> Any:
    return torch.log_softmax(x / 3, dim)


THIRDS: dict[str, Function] = {"softmax": softmax_of_a_third, "log_softmax": log_softmax_of_a_third}

# Dynamo gives up on a function after some recompilations (8, or 64), and runs it eagerly or raises.
_LIMITS = (
    "cache_size_limit",
    "recompile_limit",
    "accumulated_cache_size_limit",
    "accumulated_recompile_limit",
)
_SHAPES = 1 << 20


def configure_compiler() -> None:
    """Compile in this process, and for as many shapes as there are cells."""
    configure()
    torch._inductor.config.compile_threads = 1
    for name in _LIMITS:
        if hasattr(torch._dynamo.config, name):
            setattr(torch._dynamo.config, name, _SHAPES)


class _Compiled:
    """One variant, with a compiled function for each operation, quantity and axis."""

    def __init__(self, functions: dict[str, Function], *, dynamic: bool) -> None:
        configure_compiler()
        self.functions, self.dynamic = functions, dynamic
        self.compiled: dict[tuple[str, str, int], Callable[..., Any]] = {}

    def __call__(self, call: Call) -> AnyBits:
        x, vectors = to_tensor(call.logits, call.format), vectors_of(call)
        if call.quantity == "jvp":
            result = self._callable(call)(x, vectors["tangent"])
        else:
            result = derive(self._callable(call), call.quantity, x, vectors)
        return to_bits(result, call.format, call.logits)

    def _callable(self, call: Call) -> Callable[..., Any]:
        """Forward mode is compiled with the function; reverse mode is what AOTAutograd compiles for it."""
        key = call.operation, "jvp" if call.quantity == "jvp" else "reverse", call.axis
        if key not in self.compiled:
            function, axis = self.functions[call.operation], call.axis

            def apply(x: Any) -> Any:
                return function(x, axis)

            def jvp(x: Any, tangent: Any) -> Any:
                return torch.func.jvp(apply, (x,), (tangent,))[1]

            self.compiled[key] = torch.compile(
                jvp if call.quantity == "jvp" else apply, dynamic=self.dynamic, fullgraph=True
            )
        return self.compiled[key]


def evaluator(name: str) -> Evaluator:
    """The evaluator of ``torch/NAME``."""
    if name == "compile-x-over-3":
        compiled = _Compiled(THIRDS, dynamic=False)
        return lambda call: compiled(tripled(call))
    return _Compiled(FUNCTIONS["eager"], dynamic=name == "compile-dynamic")
