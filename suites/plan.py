"""The plan: which cells a tier has.  A cell is one record and one verdict."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from suites.implementations.catalogue import Implementation
from suites.inputs import special
from suites.inputs.families import FAMILIES
from suites.inputs.layouts import LAYOUTS
from suites.sampling import Input, layouts_of, sampled, worth_compiling

TIERS = ("smoke", "standard", "deep")
FORMATS = ("binary64", "binary32", "binary16", "bfloat16")

# A verdict on the double backward needs a bound; while references/bounds.py has none, it is evaluated, not judged.
HVP_IS_JUDGED = False
QUANTITIES = ("forward", "vjp", "jvp", *(("hvp",) if HVP_IS_JUDGED else ()))

PROFILE = "default"
DEVICE = "cpu"

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

    def has(self, cell: Cell) -> bool:
        return all(
            not wanted or value in wanted
            for wanted, value in (
                (self.operations, cell.operation),
                (self.quantities, cell.quantity),
                (self.formats, cell.format),
                (self.layouts, cell.layout),
                (self.families, cell.family),
            )
        )


def rows_of(family: str, n: int) -> int:
    """How many rows a cell has: at least five, so that every kind of cotangent occurs (special rows aside)."""
    if family == special.FAMILY:
        return len(special.rows_of_length(n))
    return 33 if n <= 64 else 18 if n <= 1100 else 5


def cells(implementations: Iterable[Implementation], selection: Selection) -> list[Cell]:
    """The cells of a selection, ordered so that those on the same input are neighbours."""
    shared = _inputs(selection.tier)
    planned = [
        Cell(implementation.name, PROFILE, operation, quantity, format, layout, family, n)
        for implementation in implementations
        for layout, family, n in _inputs_of(implementation, selection.tier, shared)
        for format in FORMATS
        for operation in implementation.calls
        for quantity in QUANTITIES
        if implementation.supports(operation, quantity, format)
        if selection.tier == "deep" or worth_compiling(implementation, (layout, family, n), quantity, format)
    ]
    chosen = [cell for cell in planned if selection.has(cell)]
    return sorted(chosen, key=lambda c: (c.row_length, c.format, c.family, c.layout, c.implementation, c))


def _inputs_of(implementation: Implementation, tier: str, shared: list[Input]) -> list[Input]:
    """The inputs of an implementation, each once."""
    if tier == "deep":
        inputs = [i for i in shared if i[0] in layouts_of(implementation)]
    else:
        mine = implementation.main or implementation.own
        inputs = [i for i in shared if mine and _affordable(implementation, i[2], i[0], tier)]
        inputs += sampled(implementation, tier)
    return [i for i in dict.fromkeys(inputs) if implementation.special_rows or i[1] != special.FAMILY]


def _inputs(tier: str) -> list[Input]:
    """The inputs that the main implementations share."""
    if tier == "deep":
        return [(layout, family, n) for layout in LAYOUTS for family in _deep_families(layout) for n in _DEEP[family]]
    last = _STANDARD if tier == "standard" else _SMOKE
    other = _OTHER_LAYOUTS if tier == "standard" else _SMOKE_INNER
    found = [("last", family, n) for family, lengths in last.items() for n in lengths]
    layouts = _AXES if tier == "standard" else _AXES[:1]
    return found + [(layout, family, n) for layout in layouts for family, lengths in other.items() for n in lengths]


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
