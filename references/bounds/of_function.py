"""The a-priori bound of each operation and quantity: which algorithm's it is, and what its stages add up to.

The algorithms' own bounds are in forward_bounds.py and gradient_bounds.py, what they assume in arithmetic.py; the
derivations are in docs/theory.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from references.bounds.error_model import Arithmetic, compute_arithmetic, storage_arithmetic
from references.bounds.forward import exp_error, log_softmax_bound, softmax_bound
from references.bounds.forward_quantities import Shifted, product, ulp_exponents, vectors_of
from references.bounds.gradients import (
    log_softmax_hvp_bound,
    log_softmax_jvp_bound,
    log_softmax_vjp_bound,
    softmax_hvp_bound,
    softmax_product_bound,
)
from references.formats import Floats, Format, Mask
from references.functions import Function

__all__ = [
    "Arithmetic",
    "Shifted",
    "Stages",
    "bound",
    "bound_of_route",
    "compute_arithmetic",
    "rounded",
    "routes_of",
    "says_nothing",
    "storage_arithmetic",
]


# The jvp and the hvp of log_softmax take a softmax: one that was saved, or the exp of the saved log_softmax.
_ROUTES: dict[Function, tuple[str, ...]] = {
    Function("log_softmax", "jvp"): ("softmax", "log_softmax"),
    Function("log_softmax", "hvp"): ("softmax", "log_softmax"),
}


@dataclass(frozen=True)
class Stages:
    """The arithmetic that each stage of an algorithm is charged with, and the roundings between the stages.

    ``forward``: the forward function; ``kernel``: what a gradient does with the saved one; ``saved``, ``output``:
    whether the array that crosses the interface there is charged with its rounding.
    """

    forward: Arithmetic
    kernel: Arithmetic
    saved: bool = True
    output: bool = True


def routes_of(function: Function) -> tuple[str, ...]:
    """The forward functions that an algorithm for a quantity may start from."""
    return _ROUTES.get(function, (function.operation,))


def bound(
    operation: str,
    quantity: str,
    rows: Shifted,
    exact: Floats,
    format: Format,
    arithmetic: Arithmetic,
    *,
    cotangent: Floats | None = None,
    tangent: Floats | None = None,
) -> Floats:
    """The bound on |computed - exact| for an implementation of the given arithmetic; NaN where it says nothing.

    One rounding of each array that crosses the interface is allowed for: the output, and for a gradient the saved
    output too.  ``exact`` holds the exact values.  The result is kept with the rows, and read-only.  Raises ValueError
    for a cotangent or tangent that is missing or not asked for.
    """
    vectors = vectors_of(quantity, cotangent, tangent)
    stages = Stages(arithmetic, arithmetic)

    def make() -> Floats:
        limits = [
            bound_of_route(route, operation, quantity, rows, exact, format, stages, *vectors)
            for route in routes_of(Function(operation, quantity))
        ]
        return limits[0] if len(limits) == 1 else np.maximum(*limits)

    return rows.kept(("bound", operation, quantity, format, arithmetic), (exact, *vectors), make)


def bound_of_route(
    route: str,
    operation: str,
    quantity: str,
    rows: Shifted,
    exact: Floats,
    format: Format,
    stages: Stages,
    *vectors: Floats,
) -> Floats:
    """The bound of the algorithm that starts from ``route``, with an arithmetic of its own for each stage.

    ``vectors`` are those of the quantity, the cotangent first.
    """
    with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
        if quantity == "forward":
            return _forward(route, rows, format, stages.forward, stages.output)
        saved = _forward(route, rows, format, stages.forward, stages.saved)
        inner = _gradient(route, operation, quantity, rows, exact, saved, stages.kernel, vectors)
        return rounded(inner, exact, format, stages.kernel) if stages.output else inner


def _forward(route: str, rows: Shifted, format: Format, arithmetic: Arithmetic, is_rounded: bool) -> Floats:
    if route == "softmax":
        limit, exact = rows.kept((route, arithmetic), (), lambda: softmax_bound(rows, arithmetic)), rows.s
    else:
        limit, exact = rows.kept((route, arithmetic), (), lambda: log_softmax_bound(rows, arithmetic)), rows.l
    return rounded(limit, exact, format, arithmetic) if is_rounded else limit


def _gradient(
    route: str,
    operation: str,
    quantity: str,
    rows: Shifted,
    exact: Floats,
    saved: Floats,
    kernel: Arithmetic,
    vectors: tuple[Floats, ...],
) -> Floats:
    first, last = vectors[0], vectors[-1]
    if operation == "softmax":
        if quantity == "hvp":
            return softmax_hvp_bound(rows, first, last, saved, kernel)
        return softmax_product_bound(rows, first, saved, kernel)
    if quantity == "vjp":
        return log_softmax_vjp_bound(rows, first, exact, saved, kernel)
    if route == "log_softmax":
        saved = product(rows.s, exp_error(kernel, np.abs(rows.l), saved)) + kernel.exp_lost
    if quantity == "hvp":
        return log_softmax_hvp_bound(rows, first, last, saved, kernel)
    return log_softmax_jvp_bound(rows, first, exact, saved, kernel)


def rounded(limit: Floats, exact: Floats, format: Format, arithmetic: Arithmetic) -> Floats:
    """The bound after the output's rounding, where that is not the last rounding of the arithmetic itself."""
    if arithmetic.grid is format:
        return limit
    with np.errstate(over="ignore", invalid="ignore"):
        return limit + np.ldexp(0.5, ulp_exponents(np.abs(exact) + np.nan_to_num(limit), format))


def says_nothing(operation: str, quantity: str, rows: Shifted, limit: Floats) -> Mask:
    """Rows [rows] whose bound would let an all-zeros softmax pass, or is no number."""
    nothing = (np.isnan(limit) | np.isinf(limit) & np.isfinite(rows.distance)).any(axis=-1)
    if operation == "softmax" and quantity == "forward":
        nothing = nothing | (limit >= rows.s).all(axis=-1)
    return np.asarray(nothing)
