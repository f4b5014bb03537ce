"""One evaluation: rows of bits through a layout into an implementation, and back.  Needs NumPy alone."""

from __future__ import annotations

from collections.abc import Mapping

from suites.implementations.call import AnyBits, Call, Evaluator
from suites.inputs.layouts import axis_of, place, unplace


def evaluate_rows(
    evaluator: Evaluator,
    name: str,
    operation: str,
    quantity: str,
    format: str,
    layout: str,
    logits: AnyBits,
    vectors: Mapping[str, AnyBits],
) -> AnyBits:
    """The output [rows, n] of the implementation ``name`` for logits [rows, n] and vectors of that shape, by role.

    Raises TypeError for an output of another shape, and whatever the framework raises.
    """
    placed = {role: place(bits, layout) for role, bits in vectors.items()}
    call = Call(operation, quantity, format, axis_of(layout), place(logits, layout), **placed)
    output = evaluator(call)
    if output.shape != call.logits.shape:
        raise TypeError(f"{name} returned shape {output.shape} for {call.logits.shape}")
    return unplace(output, layout)
