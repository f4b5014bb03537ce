"""Rows made to defeat a reference: near midpoints, at the ends of the exponent range, with vectors that cancel.

They come in numbered blocks, each of one kind and one length; the same number gives the same bits for ever, because
nothing but integers and IEEE operations in a fixed order makes them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from references.formats import Bits, Floats, Format
from references.ieee import doubledouble as dd
from references.ieee import elementary
from suites.inputs.cotangents import KINDS, vectors_of
from suites.inputs.families import logits_of, underflow_depth
from suites.inputs.integers import below, draws, gauss, seed_of, uniform
from suites.vocabulary import FAMILIES

# Short rows, so that most elements see exponentials of their own.
LENGTHS = (1, 2, 3, 4, 5, 7, 8, 11, 16, 23, 33)


@dataclass(frozen=True)
class LogitsBlock:
    """Rows [rows, n] of bit patterns, all their logits of one kind."""

    kind: str
    logits: Bits
    cotangent: Bits
    tangent: Bits


def _stored(values: Floats, format: Format) -> Bits:
    """Numbers rounded to the format; too large ones become its largest, and -inf stays where it can."""
    finite = np.clip(values, -format.largest, format.largest)
    masked = np.isneginf(values) & format.infinities
    return format.round_floats(np.where(masked, values, finite))


# -- logits ----------------------------------------------------------------------------------------------------------


def _any_number(format: Format, rows: int, n: int, seed: int) -> Floats:
    """Every finite pattern as likely as another."""
    patterns = draws(seed, (rows, n)) % np.uint64(format.largest_bits + 1)
    signs = below(seed + 1, (rows, n), 2).astype(np.uint64) * np.uint64(format.sign_bit)
    return format.decode((patterns | signs).astype(format.bits_dtype))


def _any_exponent(format: Format, rows: int, n: int, seed: int) -> Floats:
    """Numbers from far below 1, as far as the format reaches or 2**-50, to twice the underflow depth."""
    reach = min(60, format.precision - format.emin)
    powers = below(seed, (rows, 1), reach).astype(np.int32) + 2 - reach
    return np.asarray(np.ldexp(gauss(seed + 1, (rows, n)) * underflow_depth(format), powers))


def _ends(format: Format, rows: int, n: int, seed: int) -> Floats:
    """The largest and the smallest numbers, zeros, and numbers on either side of underflow."""
    depth = underflow_depth(format)
    few = [0.0, -0.0, 1.0, format.largest, -format.largest, format.smallest_subnormal, -format.smallest_subnormal]
    values = np.array([*few, format.smallest_normal, -depth, -depth - 1.0, -depth + 1.0, -2.0 * depth, depth])
    return values[below(seed, (rows, n), values.size)]


def _masks(format: Format, rows: int, n: int, seed: int) -> Floats:
    """-inf in half of the places, in all but one of every third row."""
    hidden = below(seed, (rows, n), 2) == 0
    hidden[::3] = True
    np.put_along_axis(hidden, below(seed + 1, (rows, 1), n), False, axis=1)
    scale = np.array([1.0, 30.0, underflow_depth(format)])[below(seed + 2, (rows, 1), 3)]
    return np.where(hidden, -np.inf, gauss(seed + 3, (rows, n)) * scale)


def _groups(format: Format, rows: int, n: int, seed: int) -> Floats:
    """Few levels, often met, and gaps between them from 1 to past underflow."""
    gap = np.array([1.0, 4.0, underflow_depth(format) / 2, 2.0 * underflow_depth(format)])
    return np.asarray(-below(seed, (rows, n), 3) * gap[below(seed + 1, (rows, 1), 4)], np.float64)


def _near_half(format: Format, rows: int, n: int, seed: int) -> Floats:
    """Two logits with softmax 1/2 + x/4 - x**3/48, x/4 half way between two numbers; the others far below them."""
    odd = 2.0 * below(seed, (rows, 1), 8) + 1.0
    x = np.where(below(seed + 1, (rows, 1), 2) == 1, 2.0 * odd, -odd) * format.unit_roundoff
    logits = -underflow_depth(format) * (0.25 + uniform(seed + 2, (rows, n)))
    logits[:, : min(n, 2)] = np.concatenate([x, np.zeros_like(x)], axis=1)[:, :n]
    return logits


def _half_way_apart(format: Format, rows: int, n: int, seed: int) -> Floats:
    """Logits whose differences lie half way between two numbers: log_softmax subtracts very little from them.

    The maximum is half a last place of the others, which are near one power of two beyond the reach of exp or within.
    """
    power = below(seed, (rows, 1), 11).astype(np.int32) - 1
    steps = below(seed + 1, (rows, n), 4).astype(np.float64)
    last = np.ldexp(np.ones((rows, 1)), power + 1 - format.precision)
    logits = -(np.ldexp(np.ones((rows, 1)), power) + steps * last)
    logits[:, :1] = last / 2
    return logits


_LOGITS: dict[str, Callable[[Format, int, int, int], Floats]] = {
    "any number": _any_number,
    "any exponent": _any_exponent,
    "ends of the range": _ends,
    "masks": _masks,
    "groups": _groups,
    "softmax near a midpoint": _near_half,
    "differences on midpoints": _half_way_apart,
}

# As many as have no divisor in common with LENGTHS: block k has kind k and length k, and each pair of them comes up.
LOGIT_KINDS = (*FAMILIES, *_LOGITS)


# -- cotangents and tangents -----------------------------------------------------------------------------------------


def _weights(logits: Floats) -> Floats:
    """exp(x - max x) to about 53 bits, by the reference's own exp: only to aim with."""
    with np.errstate(over="ignore"):
        d = logits - logits.max(axis=-1, keepdims=True)
    high = np.maximum(np.where(np.isfinite(d), d, -np.inf), elementary.LOWEST)
    (e, _), power = elementary.exp((high, np.zeros_like(high)))
    return np.where(np.isneginf(d), 0.0, np.ldexp(e, power.astype(np.int32)))


def _sum(terms: Floats) -> Floats:
    """Sums over the rows, [rows, 1], in an order that no vector unit can change."""
    return dd.sum_last((terms, np.zeros_like(terms)))[0][:, None]


def _orthogonal(format: Format, logits: Floats, seed: int) -> Floats:
    """<v, s> = 0 as nearly as the number at the maximum allows."""
    v, e = gauss(seed, logits.shape), _weights(logits)
    top = e.argmax(axis=-1)[:, None]
    np.put_along_axis(v, top, 0.0, axis=1)
    np.put_along_axis(v, top, -_sum(v * e), axis=1)
    return v


def _levelled(format: Format, logits: Floats, seed: int) -> Floats:
    """v_i - <v, s> = 0 at one element, as nearly as its number allows."""
    rows, n = logits.shape
    v, e = gauss(seed, (rows, n)), _weights(logits)
    place = below(seed + 1, (rows, 1), n)
    np.put_along_axis(e, place, 0.0, axis=1)
    total = _sum(e)
    np.put_along_axis(v, place, _sum(v * e) / np.where(total > 0, total, 1.0), axis=1)
    return v


def _zero_sum(format: Format, logits: Floats, seed: int) -> Floats:
    """Pairs of opposite numbers; a little is left over in every other row."""
    v = gauss(seed, logits.shape)
    half = v.shape[1] // 2
    v[:, half : 2 * half] = -v[:, :half]
    v[:, 2 * half :] = 0.0
    v[1::2, :1] *= 1.0 + 4.0 * format.unit_roundoff
    return v


def _every_size(format: Format, logits: Floats, seed: int) -> Floats:
    """From the smallest to the largest numbers in one row."""
    rows, n = logits.shape
    return _any_number(format, rows, n, seed)


def _sparse(format: Format, logits: Floats, seed: int) -> Floats:
    return np.where(below(seed, logits.shape, 3) == 0, gauss(seed + 1, logits.shape), -0.0)


_VECTORS: dict[str, Callable[[Format, Floats, int], Floats]] = {
    "orthogonal": _orthogonal,
    "levelled": _levelled,
    "zero sum": _zero_sum,
    "every size": _every_size,
    "sparse": _sparse,
}


def _vectors(role: str, format: Format, logits: Floats, turn: int, seed: int) -> Bits:
    """A kind for each row in turn: those of the suite (see cotangents) and those that aim at the row."""
    rows, n = logits.shape
    count = len(KINDS) + len(_VECTORS)
    few = 2 * len(KINDS) + turn % 31  # another number of rows is another stream
    found = vectors_of(role, format, few, n)[(np.arange(rows) + turn) % few]
    for number, make in enumerate(_VECTORS.values()):
        chosen = np.arange(rows)[(np.arange(rows) + turn) % count == number]
        if chosen.size:
            found[chosen] = _stored(make(format, logits[chosen], seed + 17 * number), format)
    return found


# -- blocks ----------------------------------------------------------------------------------------------------------


def shape_of(number: int, size: int) -> tuple[int, int]:
    """Rows and length of a block of about ``size`` elements, fewer in the shortest rows; later rounds add rows."""
    n, again = LENGTHS[number % len(LENGTHS)], number // (len(LOGIT_KINDS) * len(LENGTHS))
    return max(size // max(n, 4), 1) + again, n


def block(format: Format, number: int, size: int) -> LogitsBlock:
    """The block of that number (see ``shape_of``)."""
    kind = LOGIT_KINDS[number % len(LOGIT_KINDS)]
    rows, n = shape_of(number, size)
    seed = seed_of("adversarial", kind, format.name, number, size)
    if kind in _LOGITS:
        logits = _stored(_LOGITS[kind](format, rows, n, seed), format)
    else:
        logits = logits_of(kind, format, rows, n)
        if not format.infinities:  # a mask is NaN there
            logits = np.where(np.isnan(format.decode(logits)), _stored(np.array(-np.inf), format), logits)
    values = format.decode(logits)
    cotangent, tangent = (
        _vectors(role, format, values, number + shift, seed + 1000 * (shift + 1))
        for shift, role in enumerate(("cotangent", "tangent"))
    )
    return LogitsBlock(kind, logits, cotangent, tangent)
