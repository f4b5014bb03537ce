"""Which cells a tier has."""

from __future__ import annotations

from collections.abc import Iterable

from references.vocabulary import QUANTITIES
from suites.driver.profiles import DEFAULT, Profile, profiles_on
from suites.implementations.catalogue import Implementation, framework_named, layouts_of
from suites.implementations.inputs import Input
from suites.inputs import special
from suites.plan.cell import Cell, Selection
from suites.plan.sampling import affordable, sampled, worth_compiling
from suites.plan.tiers import cpu_inputs, cuda_inputs, double_backward_inputs, profile_inputs
from suites.vocabulary import FORMATS, WIDE

PROFILE = DEFAULT

_PROFILE_QUANTITIES = ("forward", "vjp")
# Of threads and compiler flags, whose ways are the same in wide and in narrow formats; an instruction set has other
# kernels for each format.
_PROFILE_FORMATS = ("binary32", "bfloat16")


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
    return QUANTITIES if tier == "deep" or profile.is_main else _PROFILE_QUANTITIES


def _formats(profile: Profile, tier: str) -> tuple[str, ...]:
    offered = profile.formats or FORMATS
    if tier == "deep" or profile.is_main:
        return offered
    return tuple(f for f in offered if profile.kernels or f in _PROFILE_FORMATS)


def _inputs(implementation: Implementation, profile: Profile, tier: str) -> list[Input]:
    """Layout, family and row length of the cells of an implementation under a profile, each once."""
    if not profile.serves(implementation.environment):
        return []
    if not profile.is_main:
        usual = framework_named(implementation.framework).usual
        chosen = tier == "deep" or implementation.own or implementation.name == usual
        shared = profile_inputs(implementation.framework, tier) if chosen else []
    else:
        shared = cpu_inputs(tier) if profile.device == "cpu" else cuda_inputs(tier, profile.framework)
    if tier == "deep":
        inputs = [i for i in shared if i[0] in layouts_of(implementation)]
    elif not profile.is_main:
        inputs = shared
    else:
        mine = implementation.main or implementation.own
        inputs = [i for i in shared if mine and affordable(implementation, i[2], i[0], tier)]
        if profile.device == "cpu" or implementation.on_cards:
            inputs += sampled(implementation, tier)
    return [i for i in dict.fromkeys(inputs) if implementation.special_rows or i[1] != special.FAMILY]


def _in_time(implementation: Implementation, input: Input, quantity: str, format: str, tier: str) -> bool:
    """Whether a tier has the time for a quantity; the deep one has it always."""
    if tier == "deep":
        return True
    if quantity == "hvp" and input not in double_backward_inputs(implementation.framework, tier):
        return False
    return worth_compiling(implementation, input, quantity, format)
