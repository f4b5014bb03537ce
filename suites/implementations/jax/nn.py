"""JAX: jax.nn.softmax and jax.nn.log_softmax, eager and jitted, with the default and the custom derivative rule."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np

from suites.implementations.call import AnyBits, Call, Evaluator
from suites.implementations.placement import HERE

Function = Callable[[Any, int], Any]

_DTYPES: dict[str, Any] = {
    "binary64": np.float64,
    "binary32": np.float32,
    "binary16": np.float16,
    "bfloat16": ml_dtypes.bfloat16,
}


def softmax(x: Any, axis: int) -> Any:
    return jax.nn.softmax(x, axis=axis)


def log_softmax(x: Any, axis: int) -> Any:
    return jax.nn.log_softmax(x, axis=axis)


def log_of_softmax(x: Any, axis: int) -> Any:
    return jnp.log(jax.nn.softmax(x, axis=axis))


FUNCTIONS: dict[str, Function] = {"softmax": softmax, "log_softmax": log_softmax}


def _forward(function: Function, axis: int, x: Any) -> Any:
    return function(x, axis)


def _vjp(function: Function, axis: int, x: Any, g: Any) -> Any:
    return jax.vjp(lambda z: function(z, axis), x)[1](g)[0]


def _jvp(function: Function, axis: int, x: Any, t: Any) -> Any:
    return jax.jvp(lambda z: function(z, axis), (x,), (t,))[1]


def _hvp(function: Function, axis: int, x: Any, g: Any, t: Any) -> Any:
    """Forward over reverse mode."""
    return jax.jvp(lambda z: _vjp(function, axis, z, g), (x,), (t,))[1]


_QUANTITIES: dict[str, Callable[..., Any]] = {"forward": _forward, "vjp": _vjp, "jvp": _jvp, "hvp": _hvp}


@contextmanager
def _derivative_rule(custom: bool) -> Iterator[None]:
    """The flag is read while a function is traced, so it is set around the call."""
    before = jax.config.jax_softmax_custom_jvp
    jax.config.update("jax_softmax_custom_jvp", custom)
    try:
        yield
    finally:
        jax.config.update("jax_softmax_custom_jvp", before)


def configure() -> None:
    """This process's device, and its number widths: without the flag binary64 arrays become binary32."""
    jax.config.update("jax_enable_x64", HERE.x64)
    jax.config.update("jax_default_device", device())


def device() -> Any:
    """The device that this process computes on.  Raises RuntimeError where JAX has none of the kind."""
    return jax.devices(HERE.platform)[HERE.index]


class JaxEvaluator:
    """One variant of functions of an array and an axis, by operation.

    Jitted functions are its own, so that no trace is shared between derivative rules.
    """

    def __init__(self, functions: dict[str, Function], *, jit: bool, custom: bool = False) -> None:
        configure()
        self.functions, self.jit, self.custom = functions, jit, custom
        self.compiled: dict[tuple[str, str, int], Any] = {}

    def _callable(self, operation: str, quantity: str, axis: int) -> Any:
        key = operation, quantity, axis
        if key not in self.compiled:
            function, derive = self.functions[operation], _QUANTITIES[quantity]

            def apply(*arguments: Any) -> Any:
                return derive(function, axis, *arguments)

            self.compiled[key] = jax.jit(apply) if self.jit else apply
        return self.compiled[key]

    def __call__(self, call: Call) -> AnyBits:
        dtype = _DTYPES[call.format]
        vectors = [v for v in (call.cotangent, call.tangent) if v is not None]
        arguments = [jnp.asarray(a.view(dtype)) for a in (call.logits, *vectors)]
        with _derivative_rule(self.custom):
            result = np.asarray(self._callable(call.operation, call.quantity, call.axis)(*arguments))
        if result.dtype != dtype:
            raise TypeError(f"the result is {result.dtype}, not {np.dtype(dtype)}")
        return np.ascontiguousarray(result).view(call.logits.dtype)


_EVALUATORS: dict[str, Callable[[], Evaluator]] = {
    "eager": lambda: JaxEvaluator(FUNCTIONS, jit=False),
    "jit": lambda: JaxEvaluator(FUNCTIONS, jit=True),
    "eager-custom-jvp": lambda: JaxEvaluator(FUNCTIONS, jit=False, custom=True),
    "jit-custom-jvp": lambda: JaxEvaluator(FUNCTIONS, jit=True, custom=True),
    "log-of-softmax": lambda: JaxEvaluator({"log_softmax": log_of_softmax}, jit=True),
}


def evaluator(name: str) -> Evaluator:
    """The evaluator of ``jax/NAME``."""
    return _EVALUATORS[name]()


def from_callable(function: Function) -> Evaluator:
    """A user's own function of a JAX array and an axis, as it is (jit it yourself if it should be)."""
    return JaxEvaluator({"softmax": function, "log_softmax": function}, jit=False)


def flushes_subnormals() -> bool:
    """Whether arithmetic drops subnormal numbers here: the product of the smallest normal number and a half is zero."""
    smallest = jnp.asarray(np.float32(2.0**-126))
    return bool(jax.jit(lambda a: a * np.float32(0.5))(smallest).view(np.uint32) == 0)
