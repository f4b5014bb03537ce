"""Hypothesis strategies: rows of any format by drawing bit patterns, every number as likely as its neighbour.

(hypothesis.extra.numpy knows no bfloat16; unsigned integers do.)
"""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from references.formats import Bits, Format


def bit_patterns(format: Format) -> st.SearchStrategy[int]:
    """Any pattern: NaNs, infinities and subnormal numbers too."""
    return st.integers(0, (1 << format.width) - 1)


def finite_patterns(format: Format, low: float | None = None, high: float | None = None) -> st.SearchStrategy[int]:
    """Patterns of finite numbers with low <= |x| <= high, and zero where ``low`` is not given."""
    smallest = 0 if low is None else int(format.round_floats(np.array([low]))[0])
    largest = format.largest_bits if high is None else int(format.round_floats(np.array([high]))[0])
    signed = st.tuples(st.integers(smallest, largest), st.booleans())
    return signed.map(lambda pair: pair[0] | (format.sign_bit if pair[1] else 0))


def logits(format: Format) -> st.SearchStrategy[int]:
    """Finite logits: any at all, those of ordinary size, and small integers, which tie."""
    small = st.integers(-4, 4).map(lambda k: int(format.round_floats(np.array([float(k)]))[0]))
    return st.one_of(finite_patterns(format, 2.0**-6, 2.0**7), small, finite_patterns(format))


def rows(format: Format, n: int) -> st.SearchStrategy[Bits]:
    """One row [1, n] of finite logits, some of them masked by -inf, never all."""
    masked = format.sign_bit | format.infinity_bits

    def mask(drawn: tuple[list[int], list[bool], int]) -> Bits:
        patterns, hide, keep = drawn
        hidden = [masked if h and i != keep else p for i, (p, h) in enumerate(zip(patterns, hide, strict=True))]
        return np.array([hidden], dtype=format.bits_dtype)

    flags = st.one_of(st.just([False] * n), st.lists(st.booleans(), min_size=n, max_size=n))
    return st.tuples(st.lists(logits(format), min_size=n, max_size=n), flags, st.integers(0, n - 1)).map(mask)


def special_rows(format: Format, n: int) -> st.SearchStrategy[Bits]:
    """One row [1, n] with at least one NaN or +inf somewhere among any patterns."""
    odd = st.sampled_from([format.nan_bits, format.infinity_bits])

    def plant(drawn: tuple[list[int], int, int]) -> Bits:
        patterns, place, value = drawn
        return np.array([patterns[:place] + [value] + patterns[place + 1 :]], dtype=format.bits_dtype)

    drawn = st.tuples(st.lists(bit_patterns(format), min_size=n, max_size=n), st.integers(0, n - 1), odd)
    return drawn.map(plant)


def vectors(format: Format, n: int) -> st.SearchStrategy[Bits]:
    """One cotangent or tangent [1, n]: zeros and numbers of ordinary size, so that their sums stay in range."""
    number = st.one_of(st.just(0), finite_patterns(format, 2.0**-8, 2.0**5))
    return st.lists(number, min_size=n, max_size=n).map(lambda p: np.array([p], dtype=format.bits_dtype))
