"""Sums of products of sums of exponentials: what cancels exactly goes in linear time, the rest is evaluated.

exp(r) for distinct rationals r are linearly independent over the rationals (Lindemann and Weierstrass), so a sum of
them is zero only where every coefficient is.  What cancels exactly is gone before anything is evaluated, however far
below it the rest lies.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product

import mpmath

from references.oracle.transcendental import exp

# {x: c} stands for the sum of c exp(x), with no c zero.
Sum = dict[Fraction, Fraction]

# A factor and the sums that it multiplies.
Product = tuple[Fraction, Sequence[Sum]]

# What a value may be off by, in units of 2**-precision of the sum of magnitudes.
ERROR = 64

# A sign that does not show at so many bits is sought among the terms of the products, multiplied out.
_PATIENCE = 1 << 13

# Bits in which the difference of two binary64 numbers is exact, with room for rationals that are none.
_EXACT = 10_000


def plus(*parts: tuple[Fraction | int, Sum]) -> Sum:
    """The sum of the parts, each times its factor."""
    result: Sum = {}
    for factor, part in parts:
        for x, c in part.items():
            result[x] = result.get(x, Fraction(0)) + factor * c
    return {x: c for x, c in result.items() if c}


def times(a: Sum, b: Sum) -> Sum:
    """The product, multiplied out: len(a) * len(b) steps."""
    result: Sum = {}
    for x, c in a.items():
        for y, d in b.items():
            result[x + y] = result.get(x + y, Fraction(0)) + c * d
    return {x: c for x, c in result.items() if c}


@dataclass(frozen=True)
class _Kept:
    """factor * exp(shift) * the product of two or more sums of several terms."""

    factor: Fraction
    shift: Fraction
    sums: tuple[Sum, ...]


class Expression:
    """A sum of products; the exponents of their terms are at most 0, and 0 stands for the largest exponential.

    Each sum is split at that, and of what is then a product of sums only that of two or more sums of several terms is
    not multiplied out.  So what is of order zero and one in the exponentials below the largest cancels exactly.
    """

    def __init__(self, products: Sequence[Product]) -> None:
        products = [(factor, sums) for factor, sums in products if factor]
        self.products = products
        split = {id(s): _split(s) for _, sums in products for s in sums}
        exact: list[tuple[int, Sum]] = []
        kept: dict[tuple[Fraction, tuple[int, ...]], _Kept] = {}
        for factor, sums in products:
            for parts in product(*(split[id(s)] for s in sums)):
                several = sorted((p for p in parts if len(p) > 1), key=id)
                single = {Fraction(0): factor}
                for part in parts:
                    single = times(single, part) if len(part) == 1 else single
                ((shift, c),) = single.items()
                if len(several) < 2:
                    exact.append((1, times(single, several[0]) if several else single))
                else:
                    key = shift, tuple(map(id, several))
                    before = kept[key].factor if key in kept else Fraction(0)
                    kept[key] = _Kept(before + c, shift, tuple(several))
        self.exact = plus(*exact)
        self.kept = [k for k in kept.values() if k.factor]

    def multiplied_out(self) -> Sum:
        """All of it as one sum."""
        total: Sum = {}
        for factor, sums in self.products:
            part = {Fraction(0): factor}
            for s in sums:
                part = times(part, s)
            total = plus((1, total), (1, part))
        return total

    def value(self, precision: int) -> tuple[mpmath.mpf, mpmath.mpf]:
        """The value and the sum of magnitudes; ERROR * 2**-precision of the latter bounds what the former is off by.

        Terms 4 (see ``_terms``), sums 1; in a product 3 sums with 5 each, 4 for its exponential and its factor and 3
        for the multiplications; and 1 for each that is added, of which there are fewer than 16.
        """
        with mpmath.workprec(precision):
            total, size = _sums(self.exact)
            found: dict[int, tuple[mpmath.mpf, mpmath.mpf]] = {}
            for kept in self.kept:
                part = _terms({kept.shift: kept.factor})[0]
                magnitude = abs(part)
                for s in kept.sums:
                    if id(s) not in found:
                        found[id(s)] = _sums(s)
                    part, magnitude = part * found[id(s)][0], magnitude * found[id(s)][1]
                total, size = total + part, size + magnitude
            return total, size

    def sign(self) -> int:
        """-1, 0 or 1, exactly.

        Nearly always linear in the terms of the sums: the products are multiplied out where no sign shows before.
        """
        if not self.exact and not self.kept:
            return 0
        for precision in _doubled(100):
            if self.kept and precision > _PATIENCE:
                return Expression([(Fraction(1), [self.multiplied_out()])]).sign()
            total, size = self.value(precision)
            if abs(total) > mpmath.ldexp(2 * ERROR * size, -precision):
                return 1 if total > 0 else -1
        raise AssertionError("unreachable: the precisions have no end")


def _doubled(precision: int) -> Iterator[int]:
    while True:
        yield precision
        precision *= 2


def _split(s: Sum) -> list[Sum]:
    """The term with the exponent zero, and the others."""
    top = {x: c for x, c in s.items() if not x}
    return [part for part in (top, {x: c for x, c in s.items() if x}) if part]


def _sums(terms: Sum) -> tuple[mpmath.mpf, mpmath.mpf]:
    """The sum and the sum of magnitudes, at the working precision."""
    values = _terms(terms)
    return mpmath.fsum(values), mpmath.fsum(values, absolute=True)


def _terms(terms: Sum) -> list[mpmath.mpf]:
    """c exp(x) at the working precision, each off by 4 units: 2 for exp, 1 each for c's numerator and denominator."""
    return [exp(_number(x)) * c.numerator / c.denominator for x, c in terms.items()]


def _number(exact: Fraction) -> mpmath.mpf:
    """Exactly, where the denominator is a power of two, as in differences of binary64 numbers."""
    denominator = exact.denominator
    if denominator & (denominator - 1) == 0:
        return mpmath.mp.make_mpf(mpmath.libmp.from_man_exp(exact.numerator, 1 - denominator.bit_length()))
    with mpmath.workprec(_EXACT + mpmath.mp.prec):
        return mpmath.mpf(exact.numerator) / denominator
