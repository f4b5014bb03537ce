"""The plan: which cells a tier has.  A cell is one record and one verdict."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from suites.implementations.catalogue import Implementation
from suites.inputs import special
from suites.inputs.families import FAMILIES, WIDE
from suites.inputs.layouts import LAYOUTS
from suites.profiles import ARRAY_API, DEFAULT, Profile, profiles_on
from suites.sampling import Input, layouts_of, sampled, worth_compiling

TIERS = ("smoke", "standard", "deep")
FORMATS = ("binary64", "binary32", "binary16", "bfloat16")
QUANTITIES = ("forward", "vjp", "jvp", "hvp")
PROFILE = DEFAULT

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
# A shape costs JAX a compilation in each profile: one for each of its ways to reduce a row, and one along columns.
_PROFILES_JAX: dict[str, dict[str, tuple[int, ...]]] = {
    "last": {"gauss1": (9, 33, 1000, 4097), "offset": (9,)},
    "inner": {"gauss1": (1000,)},
}
# The double backward costs a compilation of its own in every shape, and is used least.
_DOUBLE_BACKWARD_JAX: tuple[Input, ...] = (("last", "gauss1", 9), ("last", "gauss1", 1000), ("last", "offset", 9))
_DOUBLE_BACKWARD: tuple[Input, ...] = (
    *_DOUBLE_BACKWARD_JAX,
    ("last", "gauss1", 33),
    ("last", "dominant", 9),
    ("last", "masked", 9),
    ("last", "equal", 1000),
    ("inner", "gauss1", 33),
)
_DOUBLE_BACKWARD_FORMATS = ("binary64", "binary32")
_COMPILED_ON_CARDS = ("torch/compile", "torch/compile-dynamic")
_PROFILE_IMPLEMENTATIONS = ("torch/eager", "jax/jit", "scipy", "numpy/shifted")
_PROFILE_QUANTITIES = ("forward", "vjp")
# Of threads and compiler flags, whose ways are the same in wide and in narrow formats; an instruction set has other
# kernels for each format.
_PROFILE_FORMATS = ("binary32", "bfloat16")

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
_CUDA_LAST_JAX = {**_CUDA_LAST, "gauss1": (2, 9, 32, 33, 1000, 1024, 1025, 9217)}
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
# The layouts that differ in the reduced axis, beside `last`.
_AXES = ("inner", "column")
_RECIPE_LENGTHS = (1, 2, 3, 9, 33, 1000, 65536)


@dataclass(frozen=True, order=True)
class Cell:
    """implementation x profile x operation x quantity x format x layout x family x row length."""

    implementation: str
    profile: str
    operation: str
    quantity: str
    format: str
    layout: str
    family: str
    row_length: int

    @property
    def key(self) -> str:
        return "/".join(
            (
                self.implementation,
                self.profile,
                self.operation,
                self.quantity,
                self.format,
                self.layout,
                self.family,
                str(self.row_length),
            )
        )

    @property
    def digest(self) -> str:
        """sha256 of the key; a unique prefix names the cell on the command line."""
        return hashlib.sha256(self.key.encode()).hexdigest()


@dataclass(frozen=True)
class Selection:
    """What is asked for; an empty tuple means everything."""

    tier: str = "standard"
    operations: tuple[str, ...] = ()
    quantities: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    layouts: tuple[str, ...] = ()
    families: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()  # empty: the CPU

    def has(self, cell: Cell) -> bool:
        return all(
            not wanted or value in wanted
            for wanted, value in (
                (self.operations, cell.operation),
                (self.quantities, cell.quantity),
                (self.formats, cell.format),
                (self.layouts, cell.layout),
                (self.families, cell.family),
                (self.profiles, cell.profile),
            )
        )


def rows_of(family: str, n: int) -> int:
    """How many rows a cell has: at least five, so that every kind of cotangent occurs (special rows aside)."""
    if family == special.FAMILY:
        return len(special.rows_of_length(n))
    if family in WIDE:
        return WIDE[family]
    return 33 if n <= 64 else 18 if n <= 1100 else 5


def cells(implementations: Iterable[Implementation], selection: Selection) -> list[Cell]:
    """The cells of a selection, ordered so that those on the same input are neighbours.

    Every profile of a framework has its cells, whether or not this machine can offer it.
    """
    planned = [
        Cell(implementation.name, profile.name, operation, quantity, format, layout, family, n)
        for implementation in implementations
        for profile in profiles_on(implementation.framework, selection.devices or ("cpu",))
        for layout, family, n in _inputs(implementation, profile, selection.tier)
        for format in _formats(profile, selection.tier)
        for operation in implementation.calls
        for quantity in _quantities(profile, selection.tier)
        if implementation.supports(operation, quantity, format)
        if _in_time(implementation, (layout, family, n), quantity, format, selection.tier)
    ]
    chosen = [cell for cell in planned if selection.has(cell)]
    return sorted(chosen, key=lambda c: (c.row_length, c.format, c.family, c.layout, c.implementation, c))


def _quantities(profile: Profile, tier: str) -> tuple[str, ...]:
    return QUANTITIES if tier == "deep" or _is_main(profile) else _PROFILE_QUANTITIES


def _formats(profile: Profile, tier: str) -> tuple[str, ...]:
    offered = profile.formats or FORMATS
    if tier == "deep" or _is_main(profile):
        return offered
    return tuple(f for f in offered if profile.chooses_instructions or f in _PROFILE_FORMATS)


def _is_main(profile: Profile) -> bool:
    """The default profile, what array-API inputs need, and a card's: those that are measured for their own sake."""
    return profile.name in (DEFAULT, ARRAY_API) or profile.device != "cpu"


def _inputs(implementation: Implementation, profile: Profile, tier: str) -> list[Input]:
    """Layout, family and row length of the cells of an implementation under a profile, each once."""
    if (profile.name == ARRAY_API) != bool(implementation.environment):
        return []
    if not _is_main(profile) and tier != "deep":
        chosen = implementation.own or implementation.name in _PROFILE_IMPLEMENTATIONS
        if tier == "smoke" or not chosen:
            return []
        return _spread(_PROFILES_JAX if implementation.framework == "jax" else _PROFILES)
    shared = _cpu_inputs(tier) if profile.device == "cpu" else _cuda_inputs(tier, profile.framework)
    if tier == "deep":
        inputs = [i for i in shared if i[0] in layouts_of(implementation)]
    else:
        mine = implementation.main or implementation.own
        inputs = [i for i in shared if mine and _affordable(implementation, i[2], i[0], tier)]
        if profile.device == "cpu" or implementation.name in _COMPILED_ON_CARDS:
            inputs += sampled(implementation, tier)
    return [i for i in dict.fromkeys(inputs) if implementation.special_rows or i[1] != special.FAMILY]


def _spread(by_layout: dict[str, dict[str, tuple[int, ...]]]) -> list[Input]:
    return [
        (layout, family, n)
        for layout, families in by_layout.items()
        for family, lengths in families.items()
        for n in lengths
    ]


def _cuda_inputs(tier: str, framework: str) -> list[Input]:
    if tier == "smoke":
        return _spread({"last": _CUDA_SMOKE, _AXES[0]: _SMOKE_INNER})
    last = _CUDA_LAST_JAX if framework == "jax" and tier == "standard" else _CUDA_LAST
    sizes = _spread({"last": last, **dict.fromkeys(_AXES, _CUDA_OTHER)})
    return sizes if tier == "standard" else list(dict.fromkeys(_cpu_inputs(tier) + sizes))


def _cpu_inputs(tier: str) -> list[Input]:
    """The inputs that the main implementations share."""
    if tier == "deep":
        return [(layout, family, n) for layout in LAYOUTS for family in _deep_families(layout) for n in _DEEP[family]]
    if tier == "standard":
        return _spread({"last": _STANDARD, **dict.fromkeys(_AXES, _OTHER_LAYOUTS)})
    return _spread({"last": _SMOKE, _AXES[0]: _SMOKE_INNER})


def _in_time(implementation: Implementation, input: Input, quantity: str, format: str, tier: str) -> bool:
    """Whether a tier has the time for a quantity; the deep one has it always."""
    if tier == "deep":
        return True
    if quantity == "hvp":
        few = _DOUBLE_BACKWARD_JAX if implementation.framework == "jax" else _DOUBLE_BACKWARD
        if tier == "smoke" or format not in _DOUBLE_BACKWARD_FORMATS or input not in few:
            return False
    return worth_compiling(implementation, input, quantity, format)


def _deep_families(layout: str) -> tuple[str, ...]:
    """Every family meets every axis; few meet what differs in memory, or in the number of rows, alone."""
    if layout in ("last", *_AXES, "middle"):
        return tuple(_DEEP)
    return ("gauss1",) if layout.startswith("offset-") else ("gauss1", "equal", "masked")


def _affordable(implementation: Implementation, n: int, layout: str, tier: str) -> bool:
    if implementation.own:
        return True
    few = _FEW_LENGTHS if tier == "standard" else _FEWEST_LENGTHS
    if implementation.name in few:
        return n in few[implementation.name].get(layout, ())
    return implementation.framework != "numpy" or n in _RECIPE_LENGTHS
