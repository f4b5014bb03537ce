"""Errors of computed elements against the unrounded exact value: ulps, outcome classes, statistics."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from references.bulk.exact_pairs import Reference
from references.formats import Bits, Floats, Format, Integers, Mask
from references.functions import Function
from references.ieee import binary64
from references.ieee.doubledouble import sum_last
from references.ieee.elementary import exp

# What became of an element, worst last.  ``underflow`` is a zero where the exact value does not round to zero, and
# ``flipped`` an opposite sign; whether that is blameless the bound decides.
OUTCOMES = (
    "ordinary",
    "underflow",
    "flipped",
    "out_of_range",
    "nonzero_for_zero",
    "finite_for_infinite",
    "finite_for_nan",
    "infinite_for_finite",
    "nan_for_number",
)
_CODE = {name: code for code, name in enumerate(OUTCOMES)}


@dataclass(frozen=True)
class Errors:
    """Per element, arrays [rows, n].

    ``ulps`` is |computed - exact| in ulps of the output format at the exact value, fractional, and infinite where only
    one of the two is a number; ``signed`` has the sign of computed - exact.  ``quantum`` is log2 of that ulp.
    ``absolute`` is the same difference in binary64.  ``outcome`` holds codes into OUTCOMES.  ``rounded`` marks the
    elements equal to the rounded exact value; where ``undecided`` the reference can't decide (the exact value is within
    its error of a midpoint).
    """

    ulps: Floats
    signed: Floats
    quantum: Integers
    absolute: Floats
    exact: Floats
    outcome: Integers
    rounded: Mask
    undecided: Mask


def errors_of(
    computed: Bits, reference: Reference, format: Format, *, function: Function, zero_by_rule: Mask
) -> Errors:
    """The errors of ``computed`` bit patterns against a reference.

    ``zero_by_rule`` marks elements that are exactly zero by contract (a masked element of a softmax, a zero cotangent).
    An infinity counts as the number that would follow the largest one; it is an outcome of its own unless the exact
    value rounds to it.
    """
    values, target = format.decode(computed), _target(reference, format)
    exact, rounded_exact, quantum = target.exact, target.rounded, target.quantum
    exact_number = np.isfinite(reference.hi)

    beyond = math.ldexp(1.0, format.emax) * 2 if format.emax < 1023 else math.inf
    number = np.where(np.isinf(values), np.copysign(beyond, values), values)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        signed = _difference(number, values, reference, quantum, format)
        absolute = np.abs(number - exact)
        both_nan = np.isnan(values) & np.isnan(reference.hi)
        same_infinity = np.isinf(reference.hi) & (values == reference.hi)
        overflowed = np.isinf(values) & _at_least_next_binade(reference, format) & (values * np.sign(reference.hi) > 0)
        matched = both_nan | same_infinity | overflowed
        comparable = exact_number & ~np.isnan(values)
        signed = np.where(matched, 0.0, np.where(comparable, signed, np.inf))
        absolute = np.where(matched, 0.0, np.where(comparable, absolute, np.inf))

    outcome = np.zeros(values.shape, np.int64)
    nonzero_exact = exact_number & (reference.hi != 0)
    with np.errstate(invalid="ignore"):  # a signalling NaN among the values
        opposite = np.where(nonzero_exact, np.sign(values) * np.sign(reference.hi), 0.0) < 0
    _mark(outcome, "underflow", nonzero_exact & (values == 0) & (rounded_exact != 0))
    _mark(outcome, "flipped", opposite)
    if function.quantity == "forward":
        _mark(
            outcome,
            "out_of_range",
            (values > 0) if function.operation == "log_softmax" else (values < 0) | (values > 1),
        )
    _mark(outcome, "nonzero_for_zero", zero_by_rule & exact_number & (values != 0))
    _mark(outcome, "finite_for_infinite", np.isinf(reference.hi) & ~same_infinity)
    _mark(outcome, "finite_for_nan", np.isnan(reference.hi) & ~np.isnan(values))
    _mark(outcome, "infinite_for_finite", exact_number & np.isinf(values) & (rounded_exact != values))
    _mark(outcome, "nan_for_number", np.isnan(values) & ~np.isnan(reference.hi))
    return Errors(
        ulps=np.abs(signed),
        signed=signed,
        quantum=quantum,
        absolute=absolute,
        exact=exact,
        outcome=outcome,
        rounded=matched | (values == rounded_exact),
        undecided=target.undecided & ~matched,
    )


@dataclass(frozen=True)
class _Target:
    """What the errors of every implementation are taken from: exact values, their ulps, and their correct rounding."""

    exact: Floats
    quantum: Integers
    rounded: Floats
    undecided: Mask


@lru_cache(maxsize=8)
def _target(reference: Reference, format: Format) -> _Target:
    """Made once for a reference: a dozen implementations are held against it."""
    bits, undecided = format.round_pairs(reference.hi, reference.lo, reference.exponent, reference.error)
    quantum = format.ulp_exponents(reference.hi, reference.lo, reference.exponent)
    return _Target(reference.values(), quantum, format.decode(bits), undecided)


def _difference(number: Floats, values: Floats, reference: Reference, quantum: Integers, format: Format) -> Floats:
    """computed - exact in units of 2**quantum, each term brought there exactly before the subtraction."""
    own = np.clip(-quantum, -4000, 4000).astype(np.int32)
    shift = np.clip(reference.exponent - quantum, -4000, 4000).astype(np.int32)
    scaled = np.ldexp(number, own)
    if format.emax >= 1023:  # 2**1024 is no binary64 number
        top = np.ldexp(1.0, np.clip(1024 - quantum, -4000, 1023).astype(np.int32))
        scaled = np.where(np.isinf(values), np.copysign(top, values), scaled)
    return np.asarray((scaled - np.ldexp(reference.hi, shift)) - np.ldexp(reference.lo, shift))


def _at_least_next_binade(reference: Reference, format: Format) -> Mask:
    """|exact| >= 2**(emax + 1): no number of the format is nearer to it than infinity."""
    mantissa, power = np.frexp(np.abs(reference.hi))
    below = (mantissa == 0.5) & (reference.lo * np.sign(reference.hi) < 0)
    return np.asarray((mantissa > 0) & (power - below + reference.exponent > format.emax + 1))


def _mark(outcome: Integers, name: str, where: Mask) -> None:
    outcome[where] = _CODE[name]


def outcome_is(errors: Errors, *names: str) -> Mask:
    """Where the outcome is one of ``names``."""
    return np.isin(errors.outcome, [_CODE[name] for name in names])


@dataclass(frozen=True)
class Statistics:
    """What a cell's errors amount to; None where no element qualifies.

    The ulp figures and ``max_rel`` are over elements where both numbers are finite and the exact one is not zero: the
    ulp of an exact zero is the format's smallest number, so that a blameless 1e-9 would count 1e35 of them.
    ``bias_ulp`` is the mean of the signed error.
    """

    elements: int
    max_ulp: float | None
    p99_ulp: float | None
    mean_ulp: float | None
    bias_ulp: float | None
    correctly_rounded_share: float
    faithful_share: float
    max_abs: float | None
    max_rel: float | None
    outcomes: dict[str, int]


def statistics_of(errors: Errors) -> Statistics:
    """Statistics over all elements of a cell."""
    numbers = np.isfinite(errors.ulps) & np.isfinite(errors.exact) & (errors.exact != 0)
    ulps, signed = errors.ulps[numbers], errors.signed[numbers]
    with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
        relative = errors.absolute[numbers] / np.abs(errors.exact[numbers])
    absolute = errors.absolute[np.isfinite(errors.absolute)]
    with np.errstate(over="ignore", invalid="ignore"):
        mean, bias = (float(v.mean()) if v.size else 0.0 for v in (ulps, signed))
    some, counts = ulps.size > 0, np.bincount(errors.outcome.ravel(), minlength=len(OUTCOMES)).tolist()
    return Statistics(
        elements=errors.ulps.size,
        max_ulp=float(ulps.max()) if some else None,
        p99_ulp=float(np.percentile(ulps, 99)) if some else None,
        mean_ulp=mean if some else None,
        bias_ulp=bias if some else None,
        correctly_rounded_share=float(errors.rounded.mean()),
        faithful_share=float((errors.ulps < 1).mean()),
        max_abs=float(absolute.max()) if absolute.size else None,
        max_rel=_finite_max(relative),
        outcomes={name: counts[code] for name, code in _CODE.items() if counts[code] and code},
    )


def _finite_max(values: Floats) -> float | None:
    finite = values[np.isfinite(values)]
    return float(finite.max()) if finite.size else None


def row_maxima(errors: Errors) -> list[float | None]:
    """The largest ulp error of each row, in the sense of Statistics; None where a row has no such element."""
    numbers = np.isfinite(errors.ulps) & np.isfinite(errors.exact) & (errors.exact != 0)
    maxima = np.where(numbers, errors.ulps, -1.0).max(axis=-1).tolist()
    return [m if m >= 0 else None for m in maxima]


def row_sum_error(computed: Floats, function: Function) -> float | None:
    """How far rows are from summing to what they should, summed exactly; the worst row, None without a finite one.

    |sum - 1| for softmax, |sum exp - 1| for log_softmax, |sum| / sum of magnitudes for gradients.  The rows of the
    log_softmax jvp sum to nothing in particular: None.
    """
    if function == ("log_softmax", "jvp"):
        return None
    masked = np.isneginf(computed) & (function == ("log_softmax", "forward"))
    odd = ~(np.isfinite(computed) | masked)
    rows = computed[~odd.any(axis=-1)]
    if not len(rows):
        return None
    # Pairs find the worst row, up to 2**-90 of its magnitudes; that one is summed exactly.
    errors = _row_sum_errors(rows, function)
    return _one_row_sum(rows[int(errors.argmax())].tolist(), function)


def _row_sum_errors(rows: Floats, function: Function) -> Floats:
    """The same for every row [rows], summed in pairs."""
    expected = 0.0
    if function.quantity == "forward":
        expected = 1.0
        if function.operation == "log_softmax":
            rows = binary64.exp(np.clip(rows, binary64.LOWEST, 0.0), None)
    largest = np.abs(rows).max(axis=-1, keepdims=True)
    scaled = rows / np.where(largest > 2.0**500, 2.0**600, 1.0)
    high, low = sum_last((scaled, np.zeros_like(scaled)))
    size = 1.0 if function.quantity == "forward" else np.abs(scaled).sum(axis=-1)
    return np.abs((high - expected) + low) / np.where(size == 0, 1.0, size)


def _exponentials(rows: Floats) -> Floats:
    """exp of log-probabilities, in binary64; positive ones, which are wrong anyway, count as zero."""
    masked = np.isinf(rows)
    finite = np.where(masked, 0.0, np.minimum(rows, 0.0))
    (high, _), power = exp((finite, np.zeros_like(finite)))
    return np.ldexp(high, power.astype(np.int32)) * ~masked


def _one_row_sum(row: list[float], function: Function) -> float:
    if function.quantity != "forward":
        try:
            size = math.fsum(map(abs, row))
            return abs(math.fsum(row)) / size if size else 0.0
        except OverflowError:
            return _one_row_sum([math.ldexp(v, -64) for v in row], function)
    if function.operation == "softmax":
        return _distance_from_one(row)
    return abs(math.fsum([*_exponentials(np.array(row)).tolist(), -1.0]))


def _distance_from_one(row: list[float]) -> float:
    """|sum - 1|, infinite where that is beyond every number; what is not a softmax at all can be as large as that."""
    try:
        return abs(math.fsum([*row, -1.0]))
    except OverflowError:
        return abs(math.fsum(math.ldexp(v, -64) for v in (*row, -1.0))) * 2.0**64
