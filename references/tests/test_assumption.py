"""The oracle's one assumption, that its exp and log are within 1 ulp, held against Arb's proved enclosures."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from flint import arb, ctx

from references.oracle.transcendental import exp
from references.tests.balls import ball, unrounded

Generator = np.random.Generator

# mantissa and exponent of mantissa * 2**exponent.
Dyadic = tuple[int, int]

# Precisions in bits, from the lowest that the oracle works with to next to its highest, and arguments of each kind.
BITS = {53: 400, 64: 400, 96: 400, 128: 400, 200: 400, 400: 400, 1000: 200, 3000: 80, 10_000: 25, 30_000: 10}

at_every_precision = pytest.mark.parametrize(("bits", "count"), BITS.items(), ids=map(str, BITS))


def error_in_ulps(found: mpmath.mpf, truth: arb, bits: int) -> float:
    """|found - truth| in units in the last place of a ``bits``-bit number near it (an upper bound)."""
    return float((abs(ball(found) - truth) / arb((1, mpmath.mag(found) - bits))).upper())


def number(r: Generator, bits: int, low: float, high: float) -> Dyadic:
    """A positive number between 2**low and 2**high, of ``bits`` bits, now and then of few."""
    mantissa = int.from_bytes(r.bytes(bits // 8 + 1), "big") % (1 << bits) | 1
    if r.random() < 0.2:
        mantissa = int(r.integers(1, 9))
    return mantissa, int(math.floor(r.uniform(low, high))) - mantissa.bit_length()


# -- arguments of exp: differences of two binary64 numbers, so up to 2098 bits long -----------------------------------


def any_size(r: Generator, bits: int, count: int) -> Iterator[Dyadic]:
    """From far below the last place of 1 to where the result has a thousand times the bits of a format."""
    for _ in range(count):
        yield number(r, int(r.choice([24, 53, 500, 2000])), -1100, 14)


def huge(r: Generator, bits: int, count: int) -> Iterator[Dyadic]:
    """Gaps between logits up to the range of binary64: the exponent of the result has up to 1025 bits."""
    for _ in range(count):
        yield number(r, int(r.choice([24, 53, 500])), 14, 1025)


def near_zero(r: Generator, bits: int, count: int) -> Iterator[Dyadic]:
    """Results next to 1, above and below the last place of the precision."""
    for _ in range(count):
        yield number(r, int(r.choice([1, 24, 53])), -bits - 4, -bits + 12)


def small(r: Generator, bits: int, count: int) -> Iterator[Dyadic]:
    """Where mpmath's own exp loses a quarter of sqrt(bits) bits, and on either side."""
    worst = math.isqrt(bits) // 4
    for _ in range(count):
        yield number(r, int(r.choice([53, 2000])), -worst - 8, min(-worst + 20, 0))


def near_multiples_of_log_2(r: Generator, bits: int, count: int) -> Iterator[Dyadic]:
    """Where the reduction of the argument cancels: k ln 2 as one binary64 number, and as the difference of two."""
    for _ in range(count):
        k = math.floor(2 ** r.uniform(0, 1000 if r.random() < 0.3 else 60))
        with mpmath.workprec(2000):
            exact = k * mpmath.log(2)
            first = float(exact)
            second = float(exact - first) if r.random() < 0.5 else 0.0
        both = Fraction(first) + Fraction(second)
        yield both.numerator, 1 - both.denominator.bit_length()


@at_every_precision
@pytest.mark.parametrize(
    "arguments", [any_size, huge, near_zero, small, near_multiples_of_log_2], ids=lambda f: f.__name__
)
def test_exp_is_within_an_ulp(
    arguments: Callable[[Generator, int, int], Iterable[Dyadic]], bits: int, count: int
) -> None:
    r = np.random.default_rng(bits)
    worst = 0.0
    with mpmath.workprec(bits):
        for mantissa, exponent in arguments(r, bits, count):
            ctx.prec = 2 * bits + 1300
            truth = arb((-mantissa, exponent)).exp()
            worst = max(worst, error_in_ulps(exp(unrounded(-mantissa, exponent)), truth, bits))
    print(f"exp, {bits} bits, {arguments.__name__}: {worst:.4f} ulp")
    assert worst <= 1


# -- arguments of log: 1 + t formed exactly ----------------------------------------------------------------------------


def sums(r: Generator, bits: int, count: int) -> Iterator[Dyadic]:
    """t from where log1p(t) = t to rows of 2**30 logits."""
    for _ in range(count):
        yield number(r, bits, -bits - 2, 30)


def next_to_one(r: Generator, bits: int, count: int) -> Iterator[Dyadic]:
    """1 + t a few last places from 1, at the precision and at that of binary64."""
    for _ in range(count):
        places = int(r.choice([bits, bits - 1, bits // 2, 52]))
        yield int(r.integers(1, 1000)), -places


def next_to_whole_numbers(r: Generator, bits: int, count: int) -> Iterator[Dyadic]:
    """Counts of equal logits with a little more, powers of two among them."""
    for _ in range(count):
        whole = int(2 ** r.integers(0, 30)) if r.random() < 0.5 else int(r.integers(1, 2**20))
        below = int(r.integers(1, bits + 2))
        yield (whole << below) + int(r.choice([-1, 0, 1])), -below


@at_every_precision
@pytest.mark.parametrize("arguments", [sums, next_to_one, next_to_whole_numbers], ids=lambda of: of.__name__)
def test_log_is_within_an_ulp(
    arguments: Callable[[Generator, int, int], Iterable[Dyadic]], bits: int, count: int
) -> None:
    r = np.random.default_rng(bits)
    worst = 0.0
    with mpmath.workprec(bits):
        for mantissa, exponent in arguments(r, bits, count):
            argument = mpmath.fadd(1, unrounded(mantissa, exponent), exact=True)
            ctx.prec = 3 * bits + 100
            truth = arb((mantissa, exponent)).log1p()
            worst = max(worst, error_in_ulps(mpmath.log(argument), truth, bits))
    print(f"log, {bits} bits, {arguments.__name__}: {worst:.4f} ulp")
    assert worst <= 1


def test_the_figure_counts_last_places() -> None:
    ctx.prec = 300
    with mpmath.workprec(53):
        e, place = mpmath.exp(1), mpmath.ldexp(1, -51)
        assert error_in_ulps(e, arb(1).exp(), 53) < 0.5
        assert 1.5 < error_in_ulps(e + 2 * place, arb(1).exp(), 53) < 2.5
