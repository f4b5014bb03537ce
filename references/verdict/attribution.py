"""An element's error split over the parts of its bound: what each source of error may have contributed, and the excess.

The bound is evaluated with its sources switched on one after the other.  A part is what the bound grows by when its
source is switched on, so the parts add up to the bound, and each is no less than the bound with that source alone: an
algorithm with a single source of error stays within the part of that source (docs/theory.md).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from references.bounds.error_model import Arithmetic, compute_arithmetic, only
from references.bounds.exact_rows import ExactRows
from references.bounds.of_function import Stages, bound_of_route, routes_of, says_nothing
from references.formats import Floats
from references.functions import Function
from references.verdict.errors import Errors

# What an error is beyond the whole bound.
EXCESS = "excess"

# shift: x - max.  exp, sum, division, log: of the forward function; difference: its (x - max) - log(sum).  saved
# output: the rounding of it to the format.  kernel: everything that a gradient does with it.  output rounding: to a
# format that is narrower than the arithmetic.
_FORWARD = {
    "softmax": ("shift", "exp", "sum", "division"),
    "log_softmax": ("shift", "exp", "sum", "log", "difference"),
}
_SAVED, _LAST = "saved output", "output rounding"
_GRADIENT = (_SAVED, "kernel")


def attribution(
    function: Function, rows: ExactRows, errors: Errors, place: tuple[int, int], *, flushes: bool = False
) -> dict[str, float] | None:
    """What each part of the compute bound may contribute to the element at ``place``, row and column, in ulps.

    ``excess`` is what the element's error has beyond their sum.  None where the bound says nothing, or the error is no
    number of ulps.  Raises ValueError for a vector that the rows don't have.
    """
    row, column = place
    one = rows.row(row)
    if not np.isfinite(one.exact(function)[0, column]) or not np.isfinite(errors.ulps[place]):
        return None
    parts = parts_of(function, one, compute_arithmetic(rows.format, rows.n, flushes=flushes))
    limit = np.asarray(sum(parts.values()))
    with np.errstate(over="ignore"):
        ulps = {name: float(np.ldexp(part[0, column], -int(errors.quantum[place]))) for name, part in parts.items()}
    total = sum(ulps.values())
    if says_nothing(function, one, limit)[0] or not np.isfinite(total):
        return None
    return ulps | {EXCESS: max(float(errors.ulps[place]) - total, 0.0)}


def parts_of(function: Function, rows: ExactRows, arithmetic: Arithmetic) -> dict[str, Floats]:
    """The parts of a bound, absolute, [rows, n] each: their sum is ``bound`` for the same arguments.

    Where an algorithm may start from softmax or from log_softmax, they are of the one with the larger bound.
    """
    found: dict[str, Floats] = {}
    largest: Floats = np.full(rows.logits.shape, -1.0)
    for route in routes_of(function):
        parts, limit = _parts_of_route(route, function, rows, arithmetic)
        larger = ~(limit <= largest)
        found = {name: np.where(larger, parts.get(name, 0.0), found.get(name, 0.0)) for name in (*found, *parts)}
        largest = np.where(larger, limit, largest)
    return found


def _parts_of_route(
    route: str, function: Function, rows: ExactRows, arithmetic: Arithmetic
) -> tuple[dict[str, Floats], Floats]:
    """The parts in their order, and their sum."""
    parts: dict[str, Floats] = {}
    limit: Floats = np.zeros(rows.logits.shape)
    for name in names_of(route, function.quantity):
        if name in (_SAVED, _LAST) and arithmetic.grid is rows.format:
            parts[name] = np.zeros(rows.logits.shape)  # the last operation has rounded to it
            continue
        stages = stages_of(arithmetic, frozenset((*parts, name)))
        grown = bound_of_route(route, function, rows, rows.exact(function), stages)
        # The bounds never fall, but for their own rounding.
        parts[name], limit = np.maximum(grown - limit, 0.0), grown
    return parts, limit


def names_of(route: str, quantity: str) -> tuple[str, ...]:
    """The parts of the bound of an algorithm that starts from ``route``, in the order of its operations."""
    return (*_FORWARD[route], *(_GRADIENT if quantity != "forward" else ()), _LAST)


@lru_cache(maxsize=256)
def stages_of(arithmetic: Arithmetic, parts: frozenset[str]) -> Stages:
    """The stages with nothing but the given parts in error."""
    forward = parts | {"elementwise"} if parts & {"division", "difference"} else parts
    return Stages(
        forward=only(arithmetic, forward),
        kernel=arithmetic if "kernel" in parts else only(arithmetic, frozenset()),
        saved=_SAVED in parts,
        output=_LAST in parts,
    )


def least_shares(attributed: dict[str, float], error: float) -> dict[str, float]:
    """What each part has contributed at least to an error of so many ulps, where that is anything.

    All other parts together can't have made more than they may; the rest is this one's.
    """
    total = sum(ulps for name, ulps in attributed.items() if name != EXCESS)
    within = min(error, total)
    shares = {name: within - (total - ulps) for name, ulps in attributed.items() if name != EXCESS}
    return {name: share for name, share in shares.items() if share > 0}


def described(attributed: dict[str, float] | None, error: float | None) -> str:
    """One line for a reader: what the bound allows and by which parts, and what follows for an error of so many ulps.

    Parts below a hundredth of the bound are left out.  Empty without an attribution.
    """
    if attributed is None or error is None:
        return ""
    parts = {name: ulps for name, ulps in attributed.items() if name != EXCESS}
    total = sum(parts.values())
    weighty = sorted((name for name in parts if parts[name] >= total / 100), key=lambda name: -parts[name])
    text = f"{_digits(total)} ulp allowed: {', '.join(f'{name} {_digits(parts[name])}' for name in weighty)}"
    if attributed[EXCESS] > 0:
        return f"{text}; {_digits(attributed[EXCESS])} ulp more than that"
    shares = least_shares(attributed, error)
    surest = max(shares, key=lambda name: shares[name], default=None)
    return text if surest is None else f"{text}; at least {_digits(shares[surest])} ulp from {surest}"


def _digits(value: float) -> str:
    """Three significant digits, 1.23e4."""
    mantissa, e, exponent = f"{value:.3g}".partition("e")
    return f"{mantissa}e{int(exponent)}" if e else mantissa
