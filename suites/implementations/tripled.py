"""Logits times three, for functions that divide them by three: what is asked stays the same, the rounding does not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from suites.implementations.call import AnyBits, Call

_DTYPES = {"binary64": np.float64, "binary32": np.float32}


def tripled(call: Call) -> Call:
    """A call for f(x / 3) whose exact result is that of the given call for f(x): values alone.

    Raises ValueError where a product with three is no number of the format.
    """
    return replace(call, logits=_times_three(call.logits, call.format))


def _times_three(bits: AnyBits, format: str) -> AnyBits:
    """The bits of three times each number, in an array of the same layout."""
    values = bits.view(_DTYPES[format])
    with np.errstate(over="ignore", invalid="ignore"):
        product = values * np.asarray(3, values.dtype)
        # By Sterbenz's lemma the difference is exact, so it is x where the product is 3 x, and nowhere else.
        exact = (product - (values + values) == values) | np.isinf(values)
    if not exact.all():
        raise ValueError(f"three times {float(values[~exact].flat[0])!r} is no {format} number")
    return np.asarray(product).view(bits.dtype)
