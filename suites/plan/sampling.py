"""What the standard and the smoke tier sample of the many ways to call a framework, and of the memory layouts.

An input is a layout, a family and a row length.  The main implementations meet the tier's inputs
(suites/plan/tiers.py); the others meet those that reach a path of their own.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product

from suites.implementations.implementation import COMPILER, Implementation
from suites.inputs import special
from suites.inputs.layouts import means_something_to
from suites.vocabulary import LAYOUTS, OFFSETS

Input = tuple[str, str, int]


def _inputs(layouts: str, families: str, *lengths: int) -> tuple[Input, ...]:
    """Every combination of words and lengths."""
    return tuple(product(layouts.split(), families.split(), lengths))


_SPECIAL = ("last", special.FAMILY, 3)
_TAME = _inputs("last", "gauss1", 9, 33, 1000)
_HARD = _inputs("last", "dominant equal offset masked", 9, 1000)
_LONGEST = _inputs("last", "long", 65536)

# What a framework's own copy or stride arithmetic could get wrong; one input for each storage offset.
_STRIDED = "padded transposed strided broadcast reversed"
_STRIDES = (*_inputs(_STRIDED, "gauss1", 33, 1000), *_inputs(_STRIDED, "masked", 9))
_MIDDLE = (*_inputs("middle", "gauss1", 9, 33, 1000), *_inputs("middle", "offset", 9))
_OFFSETS = _inputs(" ".join(f"offset-{k}" for k in OFFSETS), "gauss1", 33)
_SINGLE = _inputs("single", "gauss1", 33, 1000)

# More inputs of main implementations.
_MORE: dict[str, tuple[Input, ...]] = {
    "torch/eager": (*_STRIDES, *_MIDDLE, *_OFFSETS, *_SINGLE),
    "scipy": (*_STRIDES, *_MIDDLE, *_SINGLE),
    "numpy/shifted": (*_STRIDES, *_MIDDLE),
    # Fewer than 4,096 elements in all, and rows of more than 1,024: the tree of reductions has two levels.
    "jax/jit": (*_inputs("middle", "gauss1", 33), *_inputs("single", "gauss1", 1025, 4096)),
}

_OTHERS: dict[str, tuple[Input, ...]] = {
    "torch/x-minus-logsumexp": (*_TAME, *_HARD, *_LONGEST, _SPECIAL, *_inputs("inner", "gauss1", 33)),
    # Rows up to 8 are unrolled; beyond 4,096 binary32 numbers are summed in cascades.
    "torch/compile": (
        *_inputs("last", "gauss1 dominant equal geometric", 33),
        *_inputs("last", "gauss1", 8, 4097),
        *_inputs("inner", "gauss1 geometric", 33),
        _SPECIAL,
    ),
    "torch/compile-dynamic": (
        *_inputs("last", "gauss1", 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 1000, 1024, 1025, 4096, 4097),
        *_HARD,
        *_LONGEST,
        *_inputs("inner", "gauss1", 9, 33, 1000),
    ),
    "torch/compile-x-over-3": _inputs("last", "gauss1 gauss10 gauss300 offset masked", 9),
    "torch/vmap": (
        *_inputs("inner", "gauss1", 9, 33, 1000),
        *_inputs("inner", "masked", 9),
        *_inputs("last middle", "gauss1", 33),
    ),
    "torch/func.jvp-of-vjp": (*_TAME, *_HARD, *_LONGEST),
    "torch/autograd.functional.jvp": (*_TAME, *_HARD, *_LONGEST, *_inputs("inner", "gauss1", 33)),
    "torch/out": (
        *_inputs("last inner column middle transposed strided padded broadcast offset-1 offset-3", "gauss1", 33),
        *_inputs("last inner", "masked", 9),
        *_inputs("last", "gauss1", 1000),
        _SPECIAL,
    ),
    "torch/masked": (*_inputs("last", "masked", 2, 9, 1000), *_inputs("inner", "masked gauss1", 9), _SPECIAL),
    "torch/_masked_softmax": (
        *_inputs("last", "masked", 2, 9, 1000),
        *_TAME,
        *_HARD,
        *_LONGEST,
        *_inputs("last", "geometric", 33),
        *_inputs("inner", "masked gauss1", 9),
        _SPECIAL,
    ),
    "torch/sparse": (*_TAME, *_HARD, *_inputs("inner", "gauss1", 33), _SPECIAL),
    "torch/mkldnn": (*_TAME, *_HARD, *_inputs("last", "geometric", 33), *_inputs("inner", "gauss1", 33), _SPECIAL),
    "jax/x-minus-logsumexp": (*_inputs("last", "gauss1 dominant offset masked", 9), *_LONGEST, _SPECIAL),
    "jax/jit-where": (*_inputs("last inner", "masked", 9), _SPECIAL),
    "jax/jit-vmap": (*_inputs("inner", "gauss1", 33), *_inputs("inner", "masked", 9)),
    "jax/jit-x-over-3": _inputs("last", "gauss1 gauss10 gauss300 offset masked", 9),
    "scipy/x-minus-logsumexp": (*_TAME, *_HARD, *_LONGEST, _SPECIAL, *_inputs("inner", "gauss1", 33)),
    "scipy/torch-arrays": (*_TAME, *_HARD, *_LONGEST, _SPECIAL, *_inputs("inner", "gauss1", 33)),
    "scipy/jax-arrays": (*_inputs("last", "gauss1 dominant offset masked", 9, 1000), *_LONGEST, _SPECIAL),
}
_DTYPE_ARGUMENTS = (
    *_TAME,
    *_inputs("last", "dominant offset masked", 9),
    *_inputs("last", "equal", 4097),
    *_inputs("inner", "gauss1", 33, 1000),
    _SPECIAL,
)

# Each shape costs these a compilation of a tenth of a second to a second; the smoke tier has no time for them.
COMPILED = (
    "torch/compile",
    "torch/compile-dynamic",
    "torch/compile-x-over-3",
    "jax/x-minus-logsumexp",
    "jax/jit-where",
    "jax/jit-vmap",
    "jax/jit-x-over-3",
    "scipy/jax-arrays",
)
_TWO_FORMATS = ("binary32", "bfloat16")

# Every new shape costs these a compilation of a tenth of a second to a second, so the short tiers give them few.
_FEW_LENGTHS: dict[str, dict[str, tuple[int, ...]]] = {
    "jax/eager": {"last": (2, 3, 9, 1000, 65536), "inner": (9, 1000)},
    "jax/eager-custom-jvp": {"last": (9, 1000)},
    "jax/jit-custom-jvp": {"last": (2, 9, 33, 1000, 4097)},
    "jax/log-of-softmax": {"last": (2, 3, 9, 33, 1000)},
}
_FEWEST_LENGTHS: dict[str, dict[str, tuple[int, ...]]] = {
    "jax/eager": {"last": (2,)},
    "jax/jit": {"last": (2, 1000)},
    "jax/eager-custom-jvp": {},
    "jax/jit-custom-jvp": {"last": (2,)},
    "jax/log-of-softmax": {"last": (2,)},
}
_RECIPE_LENGTHS = (1, 2, 3, 9, 33, 1000, 65536)


def sampled(implementation: Implementation, tier: str) -> tuple[Input, ...]:
    """The inputs of an implementation that it doesn't share with the main ones, in the standard or the smoke tier."""
    name = implementation.name
    if implementation.own:
        chosen: Iterable[Input] = (*_STRIDES, *_MIDDLE, *_OFFSETS, *_SINGLE, *_MORE["jax/jit"])
    elif implementation.main:
        chosen = _MORE.get(name, ())
    else:
        chosen = _OTHERS.get(name, _DTYPE_ARGUMENTS)
    chosen = [i for i in dict.fromkeys(chosen) if means_something_to(implementation.framework, i[0])]
    if tier == "smoke":  # one input each of what is called otherwise
        chosen = [] if name in COMPILED or implementation.main or implementation.own else chosen[:1]
    return tuple(chosen)


def worth_compiling(implementation: Implementation, input: Input, quantity: str, format: str) -> bool:
    """Whether the standard tier has the second that a C++ compiler takes for a kernel: always where there is none."""
    layout, family, n = input
    if implementation.name == "torch/compile-dynamic":
        return format in _TWO_FORMATS
    if implementation.name != "torch/compile" or (layout, n) == ("last", 33):
        return True
    return quantity == "forward" and (format in _TWO_FORMATS or family == special.FAMILY)


def layouts_of(implementation: Implementation) -> tuple[str, ...]:
    """The layouts that the framework of an implementation sees, and those whose arrays it computes on."""
    seen_by = (implementation.framework, *(need for need in implementation.needs if need != COMPILER))
    return tuple(layout for layout in LAYOUTS if all(means_something_to(each, layout) for each in seen_by))


def affordable(implementation: Implementation, n: int, layout: str, tier: str) -> bool:
    """Whether a short tier has the time for a main implementation's shape."""
    if implementation.own:
        return True
    few = _FEW_LENGTHS if tier == "standard" else _FEWEST_LENGTHS
    if implementation.name in few:
        return n in few[implementation.name].get(layout, ())
    return implementation.framework != "numpy" or n in _RECIPE_LENGTHS
