"""What the oracle sums over a row at a working precision: exponentials, and means of vectors under the softmax.

These are the passes over whole rows, so they call mpmath's functions on raw numbers, visit equal logits once, and keep
their results: a certificate of another element of the same row costs no pass.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256

import mpmath
from cachetools import LRUCache, cached
from mpmath import libmp

from references.oracle.transcendental import Raw, exp_raw

# Logits whose exponentials are kept, at a quarter of a kilobyte each; and how many sums.
_KEPT_LOGITS = 500_000
_KEPT_SUMS = 20_000

# Bits in which sums of numbers and of products of two are exact: products of two binary64 numbers span 4300.
_EXACT = 5000


def _key(*arguments: tuple[float, ...] | int | None) -> tuple[object, ...]:
    """What stands for the arguments of a cached function: a digest of each row, so that no row is kept."""
    return tuple(sha256(array("d", a)).digest() if isinstance(a, tuple) else a for a in arguments)


@dataclass(frozen=True, eq=False)
class Exponentials:
    """exp(x - max x) of every distinct logit, relative error 2**-w each, and their sums.

    ``groups`` holds the indices of equal logits, the maximum's first; masked ones are in none.  ``count`` is N, the
    size of the maximum's group; ``others`` is T, the sum below the maximum; ``total`` is N + T.
    """

    maximum: float
    groups: dict[float, list[int]]
    exp: dict[float, Raw]
    count: int
    others: mpmath.mpf
    total: mpmath.mpf

    def of(self, logit: float) -> mpmath.mpf:
        """exp(logit - max x) of one of the row's logits."""
        return mpmath.mp.make_mpf(self.exp.get(logit, libmp.fzero))


@cached(LRUCache(_KEPT_LOGITS, getsizeof=lambda row: len(row.exp)), key=_key)
def exponentials(logits: tuple[float, ...], precision: int) -> Exponentials:
    """Those of an ordinary row."""
    maximum = max(logits)
    groups: dict[float, list[int]] = {maximum: []}
    for i, value in enumerate(logits):
        groups.setdefault(value, []).append(i)
    groups.pop(-mpmath.inf, None)
    top = libmp.from_float(maximum)
    exp = {x: exp_raw(libmp.mpf_sub(libmp.from_float(x), top), precision) for x in groups}
    terms = [
        exp[x] if len(group) == 1 else libmp.mpf_mul(exp[x], libmp.from_int(len(group)))
        for x, group in groups.items()
        if x != maximum
    ]
    count = len(groups[maximum])
    others = libmp.mpf_sum(terms, precision, "n")
    total = libmp.mpf_add(libmp.from_int(count), others, precision, "n")
    return Exponentials(maximum, groups, exp, count, mpmath.mp.make_mpf(others), mpmath.mp.make_mpf(total))


@dataclass(frozen=True, eq=False)
class Mean:
    """<w, s> of a shifted vector w = N v - V, V the sum of v over the maximum's group, whose own sum of w is zero.

    ``size`` is the same sum with magnitudes; 16 * 2**-w times it bounds the error of ``value``.
    """

    count: int
    top: mpmath.mpf
    value: mpmath.mpf
    size: mpmath.mpf

    def shifted(self, v: mpmath.mpf) -> mpmath.mpf:
        """N v - V, exactly."""
        return mpmath.fsub(mpmath.fmul(self.count, v, exact=True), self.top, exact=True)


@cached(LRUCache(_KEPT_SUMS), key=_key)
def mean_of(logits: tuple[float, ...], v: tuple[float, ...], factor: tuple[float, ...] | None, precision: int) -> Mean:
    """The mean of v under the softmax; with a factor, of the product of the two shifted vectors.

    The maximum's group drops out, and the other groups enter with their exact sums: nothing cancels inside a group, and
    a dominant logit does not hide the others, however dominant it is.
    """
    row = exponentials(logits, precision)
    values = list(map(libmp.from_float, v))
    if factor is not None:
        one, other = _shifted_by(row, values), _shifted_by(row, list(map(libmp.from_float, factor)))
        values = [libmp.mpf_mul(one(a), other(b)) for a, b in zip(values, map(libmp.from_float, factor), strict=True)]
    shift = _shifted_by(row, values)
    terms = []
    for x, group in row.groups.items():
        if x != row.maximum:
            w = shift(values[group[0]]) if len(group) == 1 else _sum([shift(values[i]) for i in group])
            terms.append(libmp.mpf_mul(w, row.exp[x], precision, "n"))
    signed, absolute = (libmp.mpf_sum(terms, precision, "n", absolute) for absolute in (False, True))
    top = mpmath.mp.make_mpf(_sum([values[i] for i in row.groups[row.maximum]]))
    with mpmath.workprec(precision):
        value, size = mpmath.mp.make_mpf(signed) / row.total, mpmath.mp.make_mpf(absolute) / row.total
    return Mean(row.count, top, value, size)


def _shifted_by(row: Exponentials, values: Sequence[Raw]) -> Callable[[Raw], Raw]:
    """v -> N v - V, exactly."""
    top = _sum([values[i] for i in row.groups[row.maximum]])
    if row.count == 1:
        return lambda v: libmp.mpf_sub(v, top)
    count = libmp.from_int(row.count)
    return lambda v: libmp.mpf_sub(libmp.mpf_mul(v, count), top)


def _sum(values: Sequence[Raw]) -> Raw:
    """Exactly."""
    return values[0] if len(values) == 1 else libmp.mpf_sum(values, _EXACT, "n")


@cached(LRUCache(_KEPT_SUMS), key=_key)
def exact_sum(values: tuple[float, ...]) -> mpmath.mpf:
    """The exact sum of binary64 numbers."""
    return mpmath.mp.make_mpf(_sum(list(map(libmp.from_float, values))))
