"""One row through the formulas and the installed frameworks: value, exact value, ulp error, gradient."""

from __future__ import annotations

import math
from dataclasses import dataclass

import mpmath
import numpy as np

from references.bulk.exact_pairs import as_pair
from references.formats import Bits, Floats, Format, FormatError, format_named
from references.functions import Problem
from references.oracle.certified import Certified, accurate
from references.vocabulary import OPERATIONS
from reports.run.records import Unmeasured
from suites.implementations.call import Call
from suites.implementations.catalogue import CATALOGUE, Implementation, why_not_measured, why_skipped
from suites.inputs.special import OwnAnswer, logit_class, own_answer
from suites.scoring.cell import evaluator_of
from suites.vocabulary import FORMATS

# The accuracy in bits asked of the oracle for an exact value.
_BITS = 110


class ExplainError(ValueError):
    """A row that can't be explained; the message names the value at fault and the remedy."""


@dataclass(frozen=True)
class ExplainedAnswer:
    """One implementation's output for one quantity: its bits, values and ulp errors (infinite where not comparable).

    ``own`` is the answer that its framework has settled on for such a row, which it is held to in place of the exact
    values.
    """

    bits: Bits
    values: Floats
    ulps: list[float]
    own: OwnAnswer | None = None


@dataclass(frozen=True)
class Explanation:
    """A row of ``format`` and what everything makes of it; ``answers`` is keyed by operation, name and quantity.

    ``left_out`` counts the implementations that were not asked.
    """

    format: Format
    row: Bits
    element: int
    exact: dict[tuple[str, str], list[Certified]]
    answers: dict[tuple[str, str, str], ExplainedAnswer | str]
    unmeasured: list[Unmeasured]
    left_out: int


def parse_row(texts: tuple[str, ...], format: Format) -> Bits:
    """Decimals, hexadecimal floats, inf and nan, rounded to the format.  Raises ExplainError."""
    values = []
    for text in texts:
        try:
            values.append(float.fromhex(text) if "0x" in text.lower() else float(text))
        except (ValueError, OverflowError):
            raise ExplainError(f"{text!r} is no number; write decimals, hexadecimal floats, inf, -inf or nan") from None
    if not values:
        raise ExplainError("an empty row; give at least one logit")
    return format.round_floats(np.array(values))


def explained(texts: tuple[str, ...], format_name: str, element: int | None, *, every: bool = False) -> Explanation:
    """Evaluate a row by the main implementations, or by every one that takes such a row.

    Raises ExplainError or FormatError for a row, element or format that can't be had.
    """
    if format_name not in FORMATS:
        raise FormatError(f"unknown format {format_name!r}; known are {', '.join(FORMATS)}")
    format = format_named(format_name)
    row = parse_row(texts, format)
    values = format.decode(row)
    chosen = _chosen_element(values, element)
    one_hot = np.zeros(row.size)
    one_hot[chosen] = 1.0
    exact = {}
    for operation in OPERATIONS:
        exact[operation, "forward"] = accurate(Problem(operation, "forward", values.tolist()), _BITS)
        exact[operation, "vjp"] = accurate(Problem(operation, "vjp", values.tolist(), one_hot.tolist()), _BITS)
    answers: dict[tuple[str, str, str], ExplainedAnswer | str] = {}
    # What draws its numbers in a narrower format takes no arbitrary row.
    able = [i for i in CATALOGUE.values() if format_name not in i.drawn]
    present, missing = measurable([i for i in able if every or i.main])
    for implementation in present:
        for operation in implementation.calls:
            for quantity in ("forward", "vjp"):
                if implementation.supports(operation, quantity, format_name):
                    key = operation, implementation.name, quantity
                    answers[key] = _answer(implementation, operation, quantity, format, row, one_hot, exact)
    left_out = 0 if every else sum(not i.main for i in able)
    return Explanation(format, row, chosen, exact, answers, missing, left_out)


def measurable(implementations: list[Implementation]) -> tuple[list[Implementation], list[Unmeasured]]:
    """Those that can be evaluated in this process, and a reason for each framework, or implementation, that can't."""
    missing = {}
    for i in implementations:
        reason = why_not_measured(i.framework)
        if reason:
            missing[i.framework] = Unmeasured(i.framework, reason)
        elif (reason := why_skipped(i)) is not None:
            missing[i.name] = Unmeasured(i.framework, reason, implementation=i.name)
    present = [i for i in implementations if i.framework not in missing and i.name not in missing]
    return present, list(missing.values())


def _chosen_element(values: Floats, element: int | None) -> int:
    if element is not None:
        if not 0 <= element < values.size:
            raise ExplainError(f"--element {element} is not in a row of {values.size}; count from 0")
        return element
    finite = np.where(np.isfinite(values), values, math.inf)
    return int(np.argmin(finite))


def _answer(
    implementation: Implementation,
    operation: str,
    quantity: str,
    format: Format,
    row: Bits,
    one_hot: Floats,
    exact: dict[tuple[str, str], list[Certified]],
) -> ExplainedAnswer | str:
    cotangent = format.round_floats(one_hot)[None, :] if quantity == "vjp" else None
    try:
        output = evaluator_of(implementation)(Call(operation, quantity, format.name, 1, row[None, :], cotangent))
    except Exception as error:  # a framework can refuse a row in its own way; the others are still shown
        return f"{type(error).__name__}: {error}".splitlines()[0]
    bits: Bits = output[0]
    values, logits = format.decode(bits), format.decode(row).tolist()
    own = own_answer(implementation.framework, operation, quantity, logits)
    settled = [own.answers.get(logit_class(x)) if own else None for x in logits]
    wanted = [c if s is None else Certified(s, 0) for c, s in zip(exact[operation, quantity], settled, strict=True)]
    ulps = [ulp_error(v, w, format) for v, w in zip(values.tolist(), wanted, strict=True)]
    return ExplainedAnswer(bits, values, ulps, own)


def ulp_error(value: float, exact: Certified, format: Format) -> float:
    """|value - exact| in ulps; infinite where only one of the two is a finite number, or they are other specials.

    An infinity that the exact value rounds to counts as the number that would follow the largest one.
    """
    hi, lo, exponent, _ = as_pair(exact)
    if not math.isfinite(hi) or math.isnan(value):
        return 0.0 if value == hi or (math.isnan(value) and math.isnan(hi)) else math.inf
    pair = np.array([hi]), np.array([lo]), np.array([exponent])
    with mpmath.workprec(2400):
        number, exact_number = mpmath.mpf(value), mpmath.ldexp(mpmath.mpf(hi) + mpmath.mpf(lo), exponent)
        if math.isinf(value):
            bits, _ = format.round_pairs(*pair)
            if format.decode(bits)[0] != value:
                return math.inf
            number = mpmath.ldexp(mpmath.sign(number), format.emax + 1)
            if abs(exact_number) >= abs(number):
                return 0.0
        return float(mpmath.ldexp(abs(number - exact_number), -int(format.ulp_exponents(*pair)[0])))


# -- showing ---------------------------------------------------------------------------------------------------------
