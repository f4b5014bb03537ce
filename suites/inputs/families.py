"""Families of logits: how the rows of a cell are made, [rows, n] bit patterns of the format."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from references.formats import Bits, Floats, Format
from suites.inputs.integers import below, gauss, seed_of, uniform
from suites.vocabulary import WIDE

_LN2 = 0.6931471805599453


def underflow_depth(format: Format) -> float:
    """-log of the smallest subnormal number: exp(-depth) is on the edge of vanishing."""
    return -format.quantum * _LN2


def _gauss(scale: float) -> Callable[[Format, int, int, int], Floats]:
    def family(format: Format, rows: int, n: int, seed: int) -> Floats:
        return gauss(seed, (rows, n)) * scale

    return family


def _dominant(format: Format, rows: int, n: int, seed: int) -> Floats:
    """One logit leads the rest by a gap that runs, over rows and lengths, from 1 to past underflow."""
    depth = underflow_depth(format)
    gaps = np.array(
        [1.0, 2.0, 5.0, depth / 4, depth / 2, 0.9 * depth, 0.98 * depth, 1.02 * depth, 1.2 * depth, 2 * depth]
    )
    gap = gaps[(np.arange(rows) * 3 + n) % gaps.size][:, None]
    logits = -gap - uniform(seed, (rows, n)) * np.minimum(1.0, gap / 4)
    lead = below(seed + 1, (rows, 1), n)
    np.put_along_axis(logits, lead, uniform(seed + 2, (rows, 1)), axis=1)
    return logits


def _equal(format: Format, rows: int, n: int, seed: int) -> Floats:
    return np.broadcast_to(gauss(seed, (rows, 1)) * 10.0, (rows, n)).copy()


def _offset(format: Format, rows: int, n: int, seed: int) -> Floats:
    """A common shift of 2**(p-1) or more, with differences that are small integers times a power of two: exact."""
    shift = 2.0 ** (format.precision - 1)
    scale = np.array([1.0, 8.0, 0.125, 2.0, 0.5])[np.arange(rows) % 5][:, None]
    sign = np.where(np.arange(rows) % 2, -1.0, 1.0)[:, None]
    return np.asarray(sign * (shift + below(seed, (rows, n), 16).astype(np.float64)) * scale)


def _geometric(format: Format, rows: int, n: int, seed: int) -> Floats:
    """Equally spaced logits over 1.1 times the underflow depth: the softmax runs geometrically through subnormals."""
    step = 1.1 * underflow_depth(format) / max(n - 1, 1)
    return -(np.arange(n, dtype=np.float64) * step) - uniform(seed, (rows, 1))


def _masked(format: Format, rows: int, n: int, seed: int) -> Floats:
    """-inf entries: all but one, a masked first half, and a random quarter."""
    logits = gauss(seed, (rows, n))
    keep = below(seed + 1, (rows, n), 4) > 0
    keep[0] = False
    keep[1::3, : n // 2], keep[1::3, n // 2 :] = False, True
    np.put_along_axis(keep, below(seed + 2, (rows, 1), n), True, axis=1)
    return np.where(keep, logits, -np.inf)


def _long(format: Format, rows: int, n: int, seed: int) -> Floats:
    """What long rows are weak at: equal logits, equal ones beside a dominant one, and tame random ones."""
    logits = gauss(seed, (rows, n))
    logits[0::4] = gauss(seed + 1, (rows, 1))[0::4]
    logits[1::4] = -8.0 * uniform(seed + 2, (rows, 1))[1::4]
    logits[1::4, 0] = 0.0
    logits[3::4] *= 10.0
    return logits


# near-tie is made of bit patterns, these of numbers that are then rounded to the format.
_FAMILIES: dict[str, Callable[[Format, int, int, int], Floats]] = {
    "gauss0.1": _gauss(0.1),
    "gauss1": _gauss(1.0),
    "gauss10": _gauss(10.0),
    "gauss300": _gauss(300.0),
    "dominant": _dominant,
    "equal": _equal,
    "offset": _offset,
    "geometric": _geometric,
    "masked": _masked,
    "long": _long,
}


def logits_of(family: str, format: Format, rows: int, n: int) -> Bits:
    """The rows of a family, [rows, n]: the same bits for the same arguments, for ever.

    Raises KeyError for an unknown family.
    """
    seed = seed_of("logits", family, format.name, rows, n)
    if family == "near-tie":
        return _near_tie(format, rows, n, seed)
    values = _FAMILIES["gauss1" if family in WIDE else family](format, rows, n, seed)
    finite = np.clip(values, -format.largest, format.largest)
    return format.round_floats(np.where(np.isinf(values), values, finite))


def _near_tie(format: Format, rows: int, n: int, seed: int) -> Bits:
    """Logits within three units in the last place of a common value in [1, 8)."""
    base = format.round_floats(1.0 + 6.5 * uniform(seed, (rows, 1))).astype(np.int64)
    return (base + below(seed + 1, (rows, n), 7) - 3).astype(format.bits_dtype)
