"""Numbers, lists and verdicts in words, the same on every page."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import numpy as np

from references.bulk.exact_pairs import TIERS
from references.formats import Format
from suites.implementations.frameworks import frameworks

MEANINGS: dict[str, str] = {
    "wrong": "NaN or infinity against a number or the reverse, non-zero where zero is the rule, outside the range of "
    "the operation, zero or a flipped sign outside the bound, or a special value off the contract",
    "unstable": "some error is beyond the a-priori bound of the shifted algorithm, and beyond the storage bound too",
    "storage-stable": "beyond that bound, but within the bound of an algorithm with binary32 sums that rounds every "
    "elementwise result to the narrow format",
    "stable": "every error is within the a-priori bound of the shifted algorithm, computed in the wider of binary32 "
    "and the format",
    "accurate": "stable, and every element is within 1 ulp or within what rounding its shifted inputs explains",
    "faithful": "stable, and every error is below 1 ulp",
    "correctly rounded": "stable, and every element equals the rounded exact value",
    "n/a": "the bound says nothing here (an all-zeros output would pass it)",
}

OUTCOMES: dict[str, str] = {
    "underflow": "zero for a number",
    "flipped": "opposite sign",
    "out_of_range": "outside the range of the operation",
    "nonzero_for_zero": "non-zero where zero is the rule",
    "finite_for_infinite": "another value for an infinity",
    "finite_for_nan": "no NaN where NaN is due",
    "infinite_for_finite": "infinity for a number",
    "nan_for_number": "NaN for a number",
    "touched_memory": "memory changed that is not the result's",
}

# The order of a page: frameworks, users' own (""), and last those whose implementations are formulas.
_WRITTEN_OUT = tuple(name for name, framework in frameworks().items() if framework.written_out)
PAGE_ORDER = (*(name for name in frameworks() if name not in _WRITTEN_OUT), "", *_WRITTEN_OUT)

_LONGEST_EXPONENT = 7


def outcome_words(outcome: str, within: bool) -> str:
    """What became of an element; an ordinary one is ``within`` its bound or beyond."""
    return OUTCOMES.get(outcome, "within the bound" if within else "beyond the bound")


def significant(value: float | None, digits: int = 3) -> str:
    """Three significant digits; ``n/a`` for None."""
    if value is None or math.isnan(value):
        return "n/a"
    if math.isinf(value):
        return "∞"
    mantissa, e, exponent = f"{value:.{digits}g}".partition("e")
    return f"{mantissa}e{int(exponent)}" if e else mantissa


def whole(number: int) -> str:
    return f"{number:,}"


def count(number: int, noun: str) -> str:
    return f"{whole(number)} {noun}{'' if number == 1 else 's'}"


def listing(words: Iterable[str]) -> str:
    """a, b and c."""
    found = list(words)
    return found[0] if len(found) == 1 else f"{', '.join(found[:-1])} and {found[-1]}" if found else ""


def lengths(values: Iterable[int]) -> str:
    """Row lengths: each of a few, else the range."""
    found = sorted(set(values))
    return f"n = {listing(map(str, found)) if len(found) <= 3 else f'{found[0]} … {found[-1]}'}"


def shortened(number: str, digits: int = 9) -> str:
    """A decimal string cut to some significant digits; an exponent beyond any float's is given by its size."""
    mantissa, e, exponent = number.lower().partition("e")
    try:
        value = float(mantissa)
    except ValueError:
        return number
    if math.isnan(value) or math.isinf(value):
        return number
    if not e and value != 0 and not 1e-4 <= abs(value) < 1e12:
        mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
        return f"{float(mantissa):.{digits}g}e{int(exponent)}"
    if len(exponent) > _LONGEST_EXPONENT:
        return f"{'-' if value < 0 else ''}10^{float(exponent):.4g}".replace("e+", "e")
    text = f"{value:.{digits}g}"
    return f"{text}e{int(exponent)}" if e else text


def decimal(bits: int, format: Format) -> str:
    """The shortest decimal that rounds to a bit pattern."""
    value = float(format.decode(np.array([bits], format.bits_dtype))[0])
    if not math.isfinite(value):
        return str(value)
    for digits in range(1, 18):
        text = f"{value:.{digits}g}"
        nearest = float(text)
        if math.isfinite(nearest) and float(format.decode(format.round_floats(np.array([nearest])))[0]) == value:
            return f"{Decimal(text):f}" if 1e-5 <= abs(value) < 1e16 else text
    return repr(value)


def vector_text(vector: Any, format: Format) -> str:
    """The decimals of a short vector of hex bit strings, or how long one kept in rows/ is."""
    if isinstance(vector, list):
        shown = [decimal(int(bits, 16), format) for bits in vector[:8]]
        return f"[{', '.join(shown)}{', …' if len(vector) > 8 else ''}]"
    return f"{vector['length']} elements in rows/{vector['file']}"


def main_tier(elements_by_tier: Mapping[str, int]) -> str:
    """The reference that judged most elements."""
    return max((tier for tier in TIERS if tier in elements_by_tier), key=lambda tier: elements_by_tier[tier])


def judged_by(elements_by_tier: Mapping[str, int]) -> str:
    """Which reference judged most elements, and how many the others did: "binary64, 3 of 288 elements by mpmath"."""
    most, elements = main_tier(elements_by_tier), sum(elements_by_tier.values())
    others = [tier for tier in TIERS if elements_by_tier.get(tier) and tier != most]
    return ", ".join([most, *(f"{elements_by_tier[tier]} of {elements} elements by {tier}" for tier in others)])
