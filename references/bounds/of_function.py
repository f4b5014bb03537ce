"""The a-priori bound of each operation and quantity: which algorithm's it is, and what its stages add up to.

The algorithms' own bounds are in forward.py and gradients.py, what they assume in error_model.py; the derivations are
in docs/theory.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from references.bounds.error_model import Arithmetic
from references.bounds.exact_rows import ExactRows
from references.bounds.forward import exp_error, log_softmax_bound, softmax_bound
from references.bounds.forward_quantities import Shifted, product, ulp_exponents
from references.bounds.gradients import (
    log_softmax_hvp_bound,
    log_softmax_jvp_bound,
    log_softmax_vjp_bound,
    softmax_hvp_bound,
    softmax_product_bound,
)
from references.formats import Floats, Format, Mask
from references.functions import Function

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


def bound(function: Function, rows: ExactRows, arithmetic: Arithmetic, size: Floats | None = None) -> Floats:
    """The bound on |computed - exact| for an implementation of the given arithmetic; NaN where it says nothing.

    One rounding of each array that crosses the interface is allowed for: the output, and for a gradient the saved
    output too.  The result is kept with the rows, and read-only.  ``size`` stands in for the exact values, where their
    magnitudes are known not to exceed it: no bound is smaller for a larger element.  Raises ValueError for a vector
    that the rows don't have.
    """
    stages = Stages(arithmetic, arithmetic)

    def made(size: Floats) -> Floats:
        limits = [bound_of_route(route, function, rows, size, stages) for route in routes_of(function)]
        return limits[0] if len(limits) == 1 else np.maximum(*limits)

    if size is not None:
        return made(size)
    return rows.kept(("bound", function, arithmetic), lambda: made(rows.exact(function)))


def bound_of_route(route: str, function: Function, rows: ExactRows, exact: Floats, stages: Stages) -> Floats:
    """The bound of the algorithm that starts from ``route``, with an arithmetic of its own for each stage."""
    shifted, format = rows.shifted, rows.format
    with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
        if function.quantity == "forward":
            return _forward(route, shifted, format, stages.forward, stages.output)
        saved = _forward(route, shifted, format, stages.forward, stages.saved)
        inner = _gradient(route, function, rows, exact, saved, stages.kernel)
        return rounded(inner, exact, format, stages.kernel) if stages.output else inner


def _forward(route: str, rows: Shifted, format: Format, arithmetic: Arithmetic, is_rounded: bool) -> Floats:
    if route == "softmax":
        limit, exact = rows.kept((route, arithmetic), lambda: softmax_bound(rows, arithmetic)), rows.s
    else:
        limit, exact = rows.kept((route, arithmetic), lambda: log_softmax_bound(rows, arithmetic)), rows.l
    return rounded(limit, exact, format, arithmetic) if is_rounded else limit


def _gradient(
    route: str, function: Function, rows: ExactRows, exact: Floats, saved: Floats, kernel: Arithmetic
) -> Floats:
    shifted, vectors = rows.shifted, tuple(rows.vectors(function).values())
    first, last = vectors[0], vectors[-1]
    if function.operation == "softmax":
        if function.quantity == "hvp":
            return softmax_hvp_bound(shifted, first, last, saved, kernel)
        return softmax_product_bound(shifted, first, saved, kernel)
    if function.quantity == "vjp":
        return log_softmax_vjp_bound(shifted, first, exact, saved, kernel)
    if route == "log_softmax":
        saved = product(shifted.s, exp_error(kernel, np.abs(shifted.l), saved)) + kernel.exp_lost
    if function.quantity == "hvp":
        return log_softmax_hvp_bound(shifted, first, last, saved, kernel)
    return log_softmax_jvp_bound(shifted, first, exact, saved, kernel)


def rounded(limit: Floats, exact: Floats, format: Format, arithmetic: Arithmetic) -> Floats:
    """The bound after the output's rounding, where that is not the last rounding of the arithmetic itself."""
    if arithmetic.grid is format:
        return limit
    with np.errstate(over="ignore", invalid="ignore"):
        return limit + np.ldexp(0.5, ulp_exponents(np.abs(exact) + np.nan_to_num(limit), format))


def says_nothing(function: Function, rows: ExactRows, limit: Floats) -> Mask:
    """Rows [rows] whose bound would let an all-zeros softmax pass, or is no number."""
    nothing = (np.isnan(limit) | np.isinf(limit) & np.isfinite(rows.shifted.distance)).any(axis=-1)
    if function == ("softmax", "forward"):
        nothing = nothing | (limit >= rows.shifted.s).all(axis=-1)
    return np.asarray(nothing)
