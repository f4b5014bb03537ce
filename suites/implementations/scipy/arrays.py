"""scipy.special on the arrays of PyTorch and JAX, which SCIPY_ARRAY_API=1 lets through: their exp and sum are used.

SciPy reads the variable when it is imported, so it has to be set for the whole process.
"""

from __future__ import annotations

import importlib
from typing import Any

from scipy import special

from suites.implementations.call import AnyBits, Call, Evaluator


def softmax(x: Any, axis: int) -> Any:
    return special.softmax(x, axis=axis)


def log_softmax(x: Any, axis: int) -> Any:
    return special.log_softmax(x, axis=axis)


FUNCTIONS = {"softmax": softmax, "log_softmax": log_softmax}


def evaluator(name: str) -> Evaluator:
    """The evaluator of ``scipy/torch-arrays`` or ``scipy/jax-arrays``.

    It raises NotImplementedError where the result is a NumPy array: then SciPy has converted its argument, as it does
    before 1.16, and without the variable.
    """
    if name == "torch-arrays":
        return _of_tensors()
    jax_nn = importlib.import_module("suites.implementations.jax.nn")
    evaluate: Evaluator = jax_nn.JaxEvaluator({o: _returning_arrays(f) for o, f in FUNCTIONS.items()}, jit=False)
    return evaluate


def _of_tensors() -> Evaluator:
    torch_eager = importlib.import_module("suites.implementations.torch.eager")
    torch_eager.configure()

    def evaluate(call: Call) -> AnyBits:
        tensor = torch_eager.to_tensor(call.logits, call.format)
        result = _returning_arrays(FUNCTIONS[call.operation])(tensor, call.axis)
        bits: AnyBits = torch_eager.to_bits(result, call.format, call.logits)
        return bits

    return evaluate


def _returning_arrays(function: Any) -> Any:
    """The same function, refusing a result that is no array of the argument's library."""

    def checked(x: Any, axis: int) -> Any:
        result = function(x, axis)
        if type(result) is not type(x):
            raise NotImplementedError(
                f"SciPy returned {type(result).__name__} for {type(x).__name__}: it is older than 1.16, or "
                "SCIPY_ARRAY_API=1 is not set"
            )
        return result

    return checked
