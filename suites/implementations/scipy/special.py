"""scipy.special on NumPy arrays: softmax, log_softmax, and the formulas that people write with logsumexp."""

from __future__ import annotations

import numpy as np
from scipy import special

from suites.implementations.call import Evaluator
from suites.implementations.numpy.recipes import Array, Forward, from_callable


def softmax(x: Array, axis: int) -> Array:
    return np.asarray(special.softmax(x, axis=axis))


def log_softmax(x: Array, axis: int) -> Array:
    return np.asarray(special.log_softmax(x, axis=axis))


def x_minus_logsumexp(x: Array, axis: int) -> Array:
    return np.asarray(x - special.logsumexp(x, axis=axis, keepdims=True))


def exp_of_x_minus_logsumexp(x: Array, axis: int) -> Array:
    return np.asarray(np.exp(x - special.logsumexp(x, axis=axis, keepdims=True)))


FUNCTIONS: dict[str, dict[str, Forward]] = {
    "": {"softmax": softmax, "log_softmax": log_softmax},
    "x-minus-logsumexp": {"softmax": exp_of_x_minus_logsumexp, "log_softmax": x_minus_logsumexp},
}


def evaluator(name: str) -> Evaluator:
    """The evaluator of ``scipy`` or ``scipy/NAME``."""
    evaluators = {operation: from_callable(function) for operation, function in FUNCTIONS[name].items()}
    return lambda call: evaluators[call.operation](call)
