"""Inputs that an implementation has beside its tier's: a layout, a family of logits and a row length.

The words are those of ``suites.inputs``, which a worker doesn't import; a test holds them against it.
"""

from __future__ import annotations

from itertools import product

from suites.vocabulary import OFFSETS

Input = tuple[str, str, int]


def inputs(layouts: str, families: str, *lengths: int) -> tuple[Input, ...]:
    """Every combination of words and lengths."""
    return tuple(product(layouts.split(), families.split(), lengths))


SPECIAL: Input = ("last", "special", 3)
TAME = inputs("last", "gauss1", 9, 33, 1000)
HARD = inputs("last", "dominant equal offset masked", 9, 1000)
LONGEST = inputs("last", "long", 65536)

# What a framework's own copy or stride arithmetic could get wrong; one input for each storage offset.
_STRIDED = "padded transposed strided broadcast reversed"
STRIDES = (*inputs(_STRIDED, "gauss1", 33, 1000), *inputs(_STRIDED, "masked", 9))
MIDDLE = (*inputs("middle", "gauss1", 9, 33, 1000), *inputs("middle", "offset", 9))
SHIFTED = inputs(" ".join(f"offset-{k}" for k in OFFSETS), "gauss1", 33)
SINGLE = inputs("single", "gauss1", 33, 1000)

# Fewer than 4,096 elements in all, and rows of more than 1,024: a tree of reductions has two levels.
FEW_LONG_ROWS = (*inputs("middle", "gauss1", 33), *inputs("single", "gauss1", 1025, 4096))

# Where one implementation is divided by three: what 3 x is exact for.
TAME_AND_HARD_ROWS = inputs("last", "gauss1 gauss10 gauss300 offset masked", 9)
