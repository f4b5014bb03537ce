"""Rows in, rows out: one evaluation of an implementation on the bits of a batch, laid out as asked, guards watched.

An array of any other shape is handed over as it is.

NumPy alone, and fit for Python 3.9: it runs wherever the implementation does.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from suites.implementations.call import AnyBits, Call, Evaluator
from suites.inputs.layouts import TouchedMemory, axis_of, buffer_of, unplace


class WrongShape(Exception):
    """A result of another shape than its argument: neither a result nor a refusal of the argument."""


_NONE: Mapping[str, AnyBits] = MappingProxyType({})


def evaluate_rows(
    evaluator: Evaluator,
    operation: str,
    quantity: str,
    format: str,
    layout: str,
    logits: AnyBits,
    vectors: Mapping[str, AnyBits] = _NONE,
) -> AnyBits:
    """The implementation's output for rows [rows, n] of bits, as rows of bits.

    ``vectors`` are the cotangent and the tangent, by role.  Raises TypeError for a result of another shape;
    TouchedMemory, which holds the output, where an input or the memory around an array was changed; and whatever the
    framework raises.
    """
    if layout != "single":
        return _evaluate(evaluator, operation, quantity, format, layout, logits, vectors)
    outputs, touched = [], 0
    for row in range(len(logits)):
        one = slice(row, row + 1)
        own = {role: bits[one] for role, bits in vectors.items()}
        try:
            outputs.append(_evaluate(evaluator, operation, quantity, format, layout, logits[one], own))
        except TouchedMemory as found:
            outputs.append(found.computed)
            touched += found.count
    return _unless_touched(np.concatenate(outputs), touched)


def evaluate_array(evaluator: Evaluator, call: Call) -> AnyBits:
    """The implementation's output for an array of any shape, even of no axis.

    Raises WrongShape for a result of another shape, and whatever the framework raises.
    """
    found = evaluator(call)
    # np.ascontiguousarray, which evaluators end with, makes one axis where there is none.
    found = found.reshape(()) if not call.logits.ndim and found.shape == (1,) else found
    if found.shape != call.logits.shape:
        raise WrongShape(f"it gave an array of shape {found.shape}")
    return found


def _evaluate(
    evaluator: Evaluator,
    operation: str,
    quantity: str,
    format: str,
    layout: str,
    logits: AnyBits,
    vectors: Mapping[str, AnyBits],
) -> AnyBits:
    given = {"logits": logits, **vectors}
    buffers = {role: buffer_of(bits, layout, place) for place, (role, bits) in enumerate(given.items())}
    call = Call(operation, quantity, format, axis_of(layout), **{role: buffer.view for role, buffer in buffers.items()})
    touched = 0
    try:
        output = evaluator(call)
    except TouchedMemory as found:
        output, touched = found.computed, found.count
    if output.shape != call.logits.shape:
        raise TypeError(f"the result has shape {output.shape}, not {call.logits.shape}")
    touched += sum(buffer.touched() for buffer in buffers.values())
    return _unless_touched(unplace(output, layout), touched)


def _unless_touched(rows: AnyBits, touched: int) -> AnyBits:
    if touched:
        raise TouchedMemory(rows, touched)
    return rows
