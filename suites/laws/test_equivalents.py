"""P3: the other spellings of a torch function give the same bits as the functional one, values and gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from suites.implementations.call import Call
from suites.inputs.batch import batch_of
from suites.inputs.layouts import axis_of, place

torch = pytest.importorskip("torch")

from suites.implementations.torch_eager import FUNCTIONS, evaluate  # noqa: E402  (after the skip: it imports torch)

_SPELLINGS: dict[str, dict[str, Callable[[Any, int], Any]]] = {
    "softmax": {
        "torch.nn.Softmax": lambda x, dim: torch.nn.Softmax(dim)(x),
        "torch.nn.functional.softmax": lambda x, dim: torch.nn.functional.softmax(x, dim),
        "Tensor.softmax": lambda x, dim: x.softmax(dim),
        "torch.special.softmax": lambda x, dim: torch.special.softmax(x, dim),
    },
    "log_softmax": {
        "torch.nn.LogSoftmax": lambda x, dim: torch.nn.LogSoftmax(dim)(x),
        "torch.nn.functional.log_softmax": lambda x, dim: torch.nn.functional.log_softmax(x, dim),
        "Tensor.log_softmax": lambda x, dim: x.log_softmax(dim),
        "torch.special.log_softmax": lambda x, dim: torch.special.log_softmax(x, dim),
    },
}


@pytest.mark.parametrize("quantity", ["forward", "vjp", "jvp"])
@pytest.mark.parametrize("layout", ["last", "inner", "column"])
@pytest.mark.parametrize("format_name", ["binary64", "binary32", "binary16", "bfloat16"])
@pytest.mark.parametrize(
    ("operation", "spelling"), [(operation, name) for operation, names in _SPELLINGS.items() for name in names]
)
def test_spelling_has_the_bits_of_the_functional_form(
    operation: str, spelling: str, format_name: str, layout: str, quantity: str
) -> None:
    for family, n in (("gauss10", 33), ("masked", 1000)):
        batch = batch_of(family, format_name, 18, n)
        vectors = {role: place(bits, layout) for role, bits in batch.vectors(quantity).items()}
        call = Call(operation, quantity, format_name, axis_of(layout), place(batch.logits, layout), **vectors)
        expected = evaluate(FUNCTIONS["eager"][operation], call)
        assert np.array_equal(evaluate(_SPELLINGS[operation][spelling], call), expected)
