"""Which inputs a tier has: the families of logits, layouts and row lengths of its cells, and why these."""

from __future__ import annotations

from suites.implementations.catalogue import framework_named
from suites.implementations.inputs import Input
from suites.inputs import special
from suites.vocabulary import FAMILIES, LAYOUTS

# Around the widths where kernels change: vector registers, unrolled loops, blocks of 1024 and 4096.
LENGTHS = (1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 1000, 1024, 1025, 4096, 4097)
LONG = (16384, 65536)
SPECIAL = (1, 2, 3, 17, 64)

# family -> lengths
_STANDARD: dict[str, tuple[int, ...]] = {
    "gauss1": LENGTHS,
    "gauss0.1": (2, 9, 1000),
    "gauss10": (2, 9, 1000),
    "gauss300": (2, 9, 1000),
    "dominant": (2, 9, 33, 1000),
    "near-tie": (2, 9, 1000),
    "equal": (2, 9, 33, 1000, 4097),
    "offset": (2, 9, 1000),
    "geometric": (9, 33, 1000),
    "masked": (2, 9, 1000),
    "long": LONG,
    special.FAMILY: (1, 3, 17),
}
_DEEP: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(FAMILIES, LENGTHS),
    "long": LONG,
    special.FAMILY: SPECIAL,
}
_OTHER_LAYOUTS: dict[str, tuple[int, ...]] = {
    "gauss1": (2, 9, 33, 1000),
    "dominant": (9,),
    "equal": (1000,),
    "offset": (9,),
    "geometric": (33,),
    "masked": (9,),
    special.FAMILY: (3,),
}
_SMOKE: dict[str, tuple[int, ...]] = {
    "gauss1": (2, 1000),
    "dominant": (2,),
    "equal": (1000,),
    "offset": (2,),
    "geometric": (1000,),
    "masked": (1000,),
    special.FAMILY: (3,),
}
# What the other profiles on the CPU are for: rows on both sides of their vector registers (16 numbers of binary32 with
# AVX-512, 8 without), of an unrolled loop of eight and of the blocks beyond 1000, where threads and fused
# multiplications change the order of a sum.  They differ by kernels and not by families, so these are few.
_PROFILES: dict[str, dict[str, tuple[int, ...]]] = {
    "last": {
        "gauss1": (7, 8, 9, 15, 16, 17, 31, 32, 33, 1000, 4097),
        "offset": (9,),
        "geometric": (33,),
        special.FAMILY: (3,),
    },
    "inner": {"gauss1": (9, 33, 1000), "offset": (9,)},
}
# Where each shape costs a compilation in each profile: one for each of its ways to reduce a row, and one along columns.
_PROFILES_FEW: dict[str, dict[str, tuple[int, ...]]] = {
    "last": {"gauss1": (9, 33, 1000, 4097), "offset": (9,)},
    "inner": {"gauss1": (1000,)},
}
# All that the deep tier has of other profiles: the lengths of kernels, and the families that their arithmetic could
# serve differently.
_PROFILES_DEEP: dict[str, tuple[int, ...]] = {
    "gauss1": LENGTHS,
    **dict.fromkeys(("dominant", "equal", "offset", "geometric", "masked"), (2, 9, 33, 1000, 4097)),
    "long": LONG,
    special.FAMILY: (1, 3, 17),
}
# The double backward costs a compilation of its own in every shape, and is used least.
_DOUBLE_BACKWARD_FEW: tuple[Input, ...] = (("last", "gauss1", 9), ("last", "gauss1", 1000), ("last", "offset", 9))
_DOUBLE_BACKWARD: tuple[Input, ...] = (
    *_DOUBLE_BACKWARD_FEW,
    ("last", "gauss1", 33),
    ("last", "dominant", 9),
    ("last", "masked", 9),
    ("last", "equal", 1000),
    ("inner", "gauss1", 33),
)

# On a card: the sizes at which PyTorch changes its kernel or the way through it.  A warp for each row up to 1024
# (gradients) and 2048, in steps of powers of two; registers up to 9216 in steps of 1024, shared memory up to 12252
# (binary32) and 24504 (16 bits) where the length is a multiple of the load, global memory beyond.
_CUDA_LAST: dict[str, tuple[int, ...]] = {
    "gauss1": (
        *(1, 2, 3, 4, 5, 8, 9, 16, 17, 32, 33, 64, 65, 128, 129, 256, 257, 512, 513, 1000, 1024, 1025, 1028),
        *(2048, 2049, 3072, 3073, 9216, 9217, 9220, 12252, 12256, 24504, 24512),
    ),
    "dominant": (2, 9, 1025, 4097),
    "near-tie": (9, 1000),
    "equal": (9, 1000, 2049, 9217),
    "offset": (2, 9, 1000, 2049),
    "geometric": (33, 1000),
    "masked": (9, 1000, 2049),
    "long": LONG,
    special.FAMILY: (1, 3, 17),
}
_CUDA_LAST_FEW = {**_CUDA_LAST, "gauss1": (2, 9, 32, 33, 1000, 1024, 1025, 9217)}
# The spatial kernels split a row over threads where 64 columns or fewer have 64 numbers or more each.
_CUDA_OTHER: dict[str, tuple[int, ...]] = {
    "gauss1": (2, 63, 64, 1000),
    "wide65": (63, 64, 1000),
    "wide1025": (63, 64),
    "offset": (9,),
    "masked": (9,),
    special.FAMILY: (3,),
}
_CUDA_SMOKE: dict[str, tuple[int, ...]] = {**_SMOKE, "gauss1": (2, 1000, 1025, 2049, 9217)}
_SMOKE_INNER: dict[str, tuple[int, ...]] = {"gauss1": (1000,)}

# The layouts that differ in the reduced axis, beside `last`.
AXES = ("inner", "column")


def profile_inputs(framework: str, tier: str) -> list[Input]:
    """What the other profiles on the CPU meet."""
    if tier == "smoke":
        return []
    if tier == "deep":
        return _spread(dict.fromkeys(("last", *AXES), _PROFILES_DEEP))
    return _spread(_PROFILES_FEW if framework_named(framework).few_shapes else _PROFILES)


def double_backward_inputs(framework: str, tier: str) -> tuple[Input, ...]:
    """What the double backward meets in the shorter tiers."""
    if tier == "smoke":
        return ()
    return _DOUBLE_BACKWARD_FEW if framework_named(framework).few_shapes else _DOUBLE_BACKWARD


def _spread(by_layout: dict[str, dict[str, tuple[int, ...]]]) -> list[Input]:
    return [
        (layout, family, n)
        for layout, families in by_layout.items()
        for family, lengths in families.items()
        for n in lengths
    ]


def cuda_inputs(tier: str, framework: str) -> list[Input]:
    if tier == "smoke":
        return _spread({"last": _CUDA_SMOKE, AXES[0]: _SMOKE_INNER})
    last = _CUDA_LAST_FEW if framework_named(framework).few_shapes and tier == "standard" else _CUDA_LAST
    sizes = _spread({"last": last, **dict.fromkeys(AXES, _CUDA_OTHER)})
    return sizes if tier == "standard" else list(dict.fromkeys(cpu_inputs(tier) + sizes))


def cpu_inputs(tier: str) -> list[Input]:
    """The inputs that the main implementations share."""
    if tier == "deep":
        return [(layout, family, n) for layout in LAYOUTS for family in _deep_families(layout) for n in _DEEP[family]]
    if tier == "standard":
        return _spread({"last": _STANDARD, **dict.fromkeys(AXES, _OTHER_LAYOUTS)})
    return _spread({"last": _SMOKE, AXES[0]: _SMOKE_INNER})


def _deep_families(layout: str) -> tuple[str, ...]:
    """Every family meets every axis; few meet what differs in memory, or in the number of rows, alone."""
    if layout in ("last", *AXES, "middle"):
        return tuple(_DEEP)
    return ("gauss1",) if layout.startswith("offset-") else ("gauss1", "equal", "masked")
