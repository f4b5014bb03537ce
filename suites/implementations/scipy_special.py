"""scipy.special.softmax and scipy.special.log_softmax."""

from __future__ import annotations

from scipy import special

from suites.implementations.call import Evaluator
from suites.implementations.numpy_recipes import from_callable


def evaluator(name: str) -> Evaluator:
    """The evaluator of ``scipy``."""
    functions = {
        "softmax": from_callable(lambda x, axis: special.softmax(x, axis=axis)),
        "log_softmax": from_callable(lambda x, axis: special.log_softmax(x, axis=axis)),
    }
    return lambda call: functions[call.operation](call)
