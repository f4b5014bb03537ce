"""PyTorch with ``dtype=``: ``torch/GIVEN-to-RETURNED`` gives an array of one format and asks for another.

The call's format is that of the returned array.  What is given is cast from it or to it without rounding: the logits of
such a cell are numbers of the narrower of the two formats.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch

from suites.implementations.call import Evaluator
from suites.implementations.torch.eager import Function, evaluator_of

_DTYPES = {
    "binary64": torch.float64,
    "binary32": torch.float32,
    "binary16": torch.float16,
    "bfloat16": torch.bfloat16,
}


def with_dtype(x: Any, dim: int, *, operation: str, given: Any, returned: Any) -> Any:
    return getattr(torch, operation)(x.to(given), dim, dtype=returned)


def functions_of(name: str) -> dict[str, Function]:
    """The functions of ``torch/NAME``."""
    given, _, returned = name.partition("-to-")
    formats = {"given": _DTYPES[given], "returned": _DTYPES[returned]}
    return {operation: partial(with_dtype, operation=operation, **formats) for operation in ("softmax", "log_softmax")}


def evaluator(name: str) -> Evaluator:
    """The evaluator of ``torch/NAME``."""
    return evaluator_of(functions_of(name))
