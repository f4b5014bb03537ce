"""How this thread's processor computes: the rounding, and what becomes of subnormal numbers; seen, never assumed.

A library that is linked with -Ofast, ``fesetround`` or a framework's switch changes it for all that the thread computes
later, so a judge looks before and after.  NumPy alone, and fit for Python 3.9: workers look, too.
"""

from __future__ import annotations

from typing import Any

import numpy as np


class UnsoundArithmetic(RuntimeError):
    """This thread doesn't compute as IEEE 754 says by default, so that nothing that it finds can be believed."""


def what_is_off() -> str:
    """In what this thread's arithmetic differs from the default of IEEE 754, in words; empty where it doesn't."""
    found = [_rounding(), *_subnormals("results"), *_subnormals("operands")]
    return "; ".join(words for words in dict.fromkeys(found) if words)


def require_sound_arithmetic() -> None:
    """Raises UnsoundArithmetic with the remedy."""
    words = what_is_off()
    if words:
        raise UnsoundArithmetic(
            f"this process doesn't compute as IEEE 754 says ({words}), so nothing is judged in it; "
            "look for what sets this: a library linked with -Ofast or -ffast-math, sitecustomize, LD_PRELOAD"
        )


def flushes_subnormals() -> bool:
    """Whether NumPy's binary32 drops subnormal results in this thread."""
    return bool(_subnormals("results"))


# What is computed with stands in arrays, because Python computes with constants before the program runs: in whatever
# mode it was compiled.
def _numbers(dtype: Any, *values: float) -> Any:
    return np.array(values, dtype)


# Format, its bits as integers, bits of the significand, smallest normal number.
_FORMATS = ((np.float64, np.uint64, 53, 2.0**-1022), (np.float32, np.uint32, 24, 2.0**-126))


def _rounding() -> str:
    """A tie and three quarters of the way between two numbers, on either side of zero."""
    for dtype, _, precision, _ in _FORMATS:
        unit = 2.0**-precision
        ones = _numbers(dtype, 1.0, 1.0, -1.0, -1.0)
        steps = ones + _numbers(dtype, unit, 1.5 * unit, -unit, -1.5 * unit)
        up, most_up, down, most_down = ((steps - ones) / _numbers(dtype, 2 * unit)).tolist()
        if (up, most_up, down, most_down) == (0.0, 1.0, 0.0, -1.0):
            continue
        if up == 1.0 and most_down == 0.0:
            return "it rounds upward"
        if down == -1.0 and most_up == 0.0:
            return "it rounds downward"
        if most_up == most_down == 0.0:
            return "it rounds toward zero"
        return "it doesn't round to nearest, ties to even"
    return ""


def _subnormals(where: str) -> list[str]:
    """Whether a subnormal number survives as a result, or as an operand whose result is normal."""
    for dtype, integer, _, normal in _FORMATS:
        if where == "results":
            kept = _numbers(dtype, normal) * _numbers(dtype, 0.5)
        else:  # made of bits, because a conversion flushes, too
            kept = _numbers(integer, 1).view(dtype) * _numbers(dtype, 2.0**100)
        if not kept.view(integer).any():
            return [f"subnormal {where} are flushed to zero"]
    return []
