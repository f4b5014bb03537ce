"""PyTorch with other storage for the argument or the result: ``out=``, sparse (COO) and oneDNN tensors."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch

from suites.implementations.call import AnyBits, Call, Evaluator
from suites.implementations.torch.eager import Function, configure, evaluator_of, to_bits, to_tensor
from suites.implementations.torch.masks import hidden
from suites.inputs.layouts import TouchedMemory, output_like


def sparse(x: Any, dim: int, *, operation: str) -> Any:
    """Every logit is specified but those that are masked out: an element that is not there counts as -inf."""
    left_out = hidden(x, dim)
    places = torch.nonzero(~left_out).T
    given = torch.sparse_coo_tensor(places, x[tuple(places)], x.shape, check_invariants=True)
    dense = getattr(torch.sparse, operation)(given, dim).to_dense()
    nothing = 0.0 if operation == "softmax" else -torch.inf
    return torch.where(left_out, torch.full_like(dense, nothing), dense)


def mkldnn(x: Any, dim: int) -> Any:
    return torch.softmax(x.to_mkldnn(), dim).to_dense()


FUNCTIONS: dict[str, dict[str, Function]] = {
    "sparse": {operation: partial(sparse, operation=operation) for operation in ("softmax", "log_softmax")},
    "mkldnn": {"softmax": mkldnn},
}


def into_out(call: Call) -> AnyBits:
    """``out=``: the result is written into guarded memory with the strides of the logits.

    Raises TouchedMemory where more than the result was written.
    """
    buffer = output_like(call.logits)
    out = to_tensor(buffer.view, call.format)
    result = getattr(torch, call.operation)(to_tensor(call.logits, call.format), call.axis, out=out)
    if result.data_ptr() != out.data_ptr():
        raise TypeError("the result is not in the array that was given for it")
    bits, touched = to_bits(out, call.format, call.logits), buffer.touched()
    if touched:
        raise TouchedMemory(bits, touched)
    return bits


def evaluator(name: str) -> Evaluator:
    """The evaluator of ``torch/NAME``."""
    if name == "out":
        configure()
        return into_out
    return evaluator_of(FUNCTIONS[name])
