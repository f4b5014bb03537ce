"""What a law is asked of: one implementation in one profile, with an operation, a quantity, a format and a layout."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

from references.formats import Format, format_named
from references.functions import Function
from references.vocabulary import QUANTITIES
from suites.driver.profiles import Profile, profiles_on
from suites.implementations.catalogue import Implementation, framework_named, layouts_of
from suites.implementations.implementation import COMPILER, FORMULA
from suites.inputs.layouts import axis_of, place
from suites.paths.places import Place
from suites.paths.taken import NoPath, Settings, Step, path_of
from suites.plan.cell import Selection
from suites.vocabulary import FORMATS

# The layouts whose shape is their point; `single` is `last` with another number of rows, which a law asks for itself.
AXES = ("last", "inner", "column", "middle")

# A compilation for each shape and each derivative is what these cost.
_FEW_FORMATS = ("binary32", "bfloat16")
_FEW_AXES = ("last", "inner")
_SMOKE_QUANTITIES = ("forward", "vjp")


@dataclass(frozen=True, eq=False)
class Subject:
    """implementation x profile x operation x quantity x format x layout; ``key`` names it."""

    implementation: Implementation
    profile: Profile
    operation: str
    quantity: str
    format_name: str
    layout: str

    @property
    def key(self) -> str:
        parts = self.implementation.name, self.profile.name, self.operation, self.quantity, self.format_name
        return "/".join((*parts, self.layout))

    @property
    def function(self) -> Function:
        return Function(self.operation, self.quantity)

    @property
    def casts(self) -> bool:
        """Whether the logits are cast to the format first."""
        return self.implementation.casts is not None

    @property
    def framework(self) -> str:
        return self.implementation.framework

    @property
    def format(self) -> Format:
        return format_named(self.format_name)

    @property
    def compiles(self) -> bool:
        """Whether code is made for each shape: then another shape promises no bit, and costs a compilation."""
        return self.implementation.compiles

    @property
    def affords_shapes(self) -> bool:
        """Whether another shape is worth its time: where code is made for each, one of the calls has them all."""
        implementation = self.implementation
        return not self.compiles or bool(implementation.own) or is_usual(implementation)

    def steps(self, rows: int, n: int, settings: Settings) -> tuple[Step, ...]:
        """The code paths of an array of the subject's layout; none for a function that the registry doesn't know.

        ``settings`` are those that were read back in the subject's profile.
        """
        if self.implementation.own:
            return ()
        array = _place(self.layout, rows, n, self.format.bits_dtype.itemsize)
        try:
            return path_of(self.implementation.name, self.operation, self.quantity, self.format_name, array, settings)
        except NoPath:
            return ()


@cache
def _place(layout: str, rows: int, n: int, itemsize: int) -> Place:
    return Place.of_array(place(np.zeros((rows, n), f"u{itemsize}"), layout), axis_of(layout))


def memory_layouts(subject: Subject) -> tuple[str, ...]:
    """The layouts that mean something to a subject's frameworks, and are not ``single``."""
    return tuple(name for name in layouts_of(subject.implementation) if name != "single")


def subjects_of(implementation: Implementation, operation: str, selection: Selection) -> Iterator[Subject]:
    """The subjects of an implementation and one of its operations in a tier, under the filters of a selection.

    None for an implementation that scales its logits, and thereby takes no arbitrary rows.
    """
    if implementation.scales:
        return
    for profile in profiles_for(implementation, selection):
        for format in profile.formats or FORMATS:
            for quantity in QUANTITIES:
                if not implementation.supports(operation, quantity, format):
                    continue
                for layout in AXES:
                    if _in_time(implementation, quantity, format, layout, selection.tier) and _selected(
                        selection, quantity, format, layout
                    ):
                        yield Subject(implementation, profile, operation, quantity, format, layout)


def profiles_for(implementation: Implementation, selection: Selection) -> list[Profile]:
    """The profiles that laws are tried in: the one that is measured for its own sake, or those that are asked for."""
    found = []
    for profile in profiles_on(implementation.framework, selection.devices or ("cpu",)):
        if selection.profiles:
            wanted = profile.name in selection.profiles
        else:
            wanted = profile.is_main or selection.tier == "deep"
        if wanted and (profile.device != "cpu" or profile.serves(implementation.environment)):
            found.append(profile)
    return found


def _selected(selection: Selection, quantity: str, format: str, layout: str) -> bool:
    filters = (selection.quantities, quantity), (selection.formats, format), (selection.layouts, layout)
    return all(not wanted or value in wanted for wanted, value in filters)


def _in_time(implementation: Implementation, quantity: str, format: str, layout: str, tier: str) -> bool:
    if tier == "deep":
        return True
    if tier == "smoke":
        chosen = implementation.own or is_usual(implementation)
        few = quantity in _SMOKE_QUANTITIES and format in _FEW_FORMATS and layout in _FEW_AXES
        framework = framework_named(implementation.framework)
        if framework.few_shapes:
            few = few and (quantity, layout) in (("forward", "last"), ("vjp", "last"), ("forward", "inner"))
        return bool(chosen) and (few or (framework.quick and layout in _FEW_AXES))
    if implementation.own:
        return True
    if COMPILER in implementation.needs:  # a second for each kernel
        return (quantity, layout, format) in (("forward", "last", "binary32"), ("vjp", "last", "binary32"))
    if implementation.compiles:
        return _worth_compiling(implementation, quantity, format, layout)
    if implementation.kind == FORMULA:  # what people write with a framework: most of its laws are the framework's
        return layout == "last" and quantity in _SMOKE_QUANTITIES
    return True


def is_usual(implementation: Implementation) -> bool:
    """Whether it is the call of its framework that others are held against."""
    return implementation.name == framework_named(implementation.framework).usual


def _worth_compiling(implementation: Implementation, quantity: str, format: str, layout: str) -> bool:
    if not is_usual(implementation):
        return quantity in _SMOKE_QUANTITIES and layout == "last" and format == "binary32"
    if layout == "inner":
        return quantity in _SMOKE_QUANTITIES and format == "binary32"
    return layout == "last" and (
        quantity in _SMOKE_QUANTITIES or (quantity == "jvp" and format in ("binary32", "binary16"))
    )
