"""What the suite knows of a framework before it is imported: one value, declared in the framework's own folder.

A folder ``suites/implementations/NAME`` has ``framework.py`` with FRAMEWORK, ``settings.py`` with what is read back in
a process (``settings``, ``details``, ``no_device``, ``card``), the modules that evaluate, ``paths.toml`` with its code
paths, and ``replay.py.j2``, its part of a script.  docs/adding-a-framework.md goes through all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from suites.implementations.implementation import Implementation
from suites.implementations.profile import Profile

# Which strides reach a framework's kernels: none where it copies its arguments, those that walk forwards, or any.
NO_STRIDES = "none"
FORWARD_STRIDES = "forward"
ANY_STRIDES = "any"


@dataclass(frozen=True)
class OwnFunctions:
    """How a user's function of the framework's arrays is evaluated: by which module, in which formats."""

    module: str
    quantities: tuple[str, ...]
    formats: tuple[str, ...]


@dataclass(frozen=True)
class LogOfSoftmax:
    """The implementations of log(softmax(x)) and of log_softmax(x) that are held against each other."""

    composed: str
    fused: str


@dataclass(frozen=True)
class Mapped:
    """How a function of a row is mapped over an axis in a script: ``function(f, into=axis, out_of=axis)``."""

    function: str
    into: str
    out_of: str
    namespace: str


@dataclass(frozen=True)
class Compiler:
    """The package that a framework hands programs to, and the variable that names a folder for it to write them to."""

    package: str
    dumps_to: str


@dataclass(frozen=True)
class Framework:
    """One framework.  No field has a default: whoever adds one decides on each.

    ``name`` is the module that is imported, and the folder; ``title`` is how its authors write it; ``place`` orders
    lists.  ``distributions`` are its own packages, ``computes_with`` all whose version can change its bits, ``beside``
    is a pattern for packages that come with it under names of their own ("" for none).

    ``strides`` is one of NO_STRIDES, FORWARD_STRIDES and ANY_STRIDES.  ``compiles``: each new shape costs a
    compilation, so the short tiers give it few; ``few_shapes``: even its eager calls do.  ``quick``: its calls cost
    next to nothing, so that the short tiers ask it everything.  ``compiler`` is what it hands its
    programs to, so that an audit can compare these.  ``written_out``: it has no softmax, and its implementations
    are formulas that people write.

    ``usual`` is the call that others are held against, in the law on calls where ``calls_agree``;
    ``log_of_softmax`` names the pair that answers "log(softmax(x))
    or log_softmax(x)?"; ``timed``: ``timing.py`` in its folder has ``pairs``, the two as calls to be timed.
    ``watched_formats`` are those in which bits are observed under threads, layouts and the like.

    ``profiles`` are those on the CPU beside the default one.  ``cards``: it computes on CUDA devices.  ``variables``
    gives environment variables of a worker, from the platform and the variables that it has; flags of a profile are
    added to what ``flags_variable`` holds.

    ``path_facts`` names what the conditions of its paths speak of beside the array, and ``path_values`` computes these
    from a format, the bytes of a number and the settings that were read back.  ``numpy`` gives the versions of NumPy
    that a version of it can work with, where it doesn't say so itself (None where none is pinned).  ``own`` and
    ``mapped`` are None where it has no such thing.
    """

    name: str
    title: str
    place: int
    distributions: tuple[str, ...]
    computes_with: tuple[str, ...]
    beside: str
    strides: str
    compiles: bool
    few_shapes: bool
    quick: bool
    compiler: Compiler | None
    written_out: bool
    usual: str
    calls_agree: bool
    log_of_softmax: LogOfSoftmax | None
    timed: bool
    watched_formats: tuple[str, ...]
    profiles: tuple[Profile, ...]
    cards: bool
    variables: Callable[[str, Mapping[str, str]], Mapping[str, str]]
    flags_variable: str | None
    path_facts: tuple[str, ...]
    path_values: Callable[[str, int, Mapping[str, str]], Mapping[str, Any]]
    numpy: Callable[[str | None], str]
    own: OwnFunctions | None
    mapped: Mapped | None
    implementations: tuple[Implementation, ...]

    def __post_init__(self) -> None:
        """Raises ValueError for a declaration that contradicts itself."""
        names = [i.name for i in self.implementations]
        wanted = [self.usual] if self.log_of_softmax is None else [self.usual, *vars(self.log_of_softmax).values()]
        for name in (*wanted, *(i.eager for i in self.implementations if i.eager)):
            if name not in names:
                raise ValueError(f"{self.name} names an implementation {name!r} that it doesn't have")
        for implementation in self.implementations:
            implementation.check()
            if implementation.framework != self.name:
                raise ValueError(f"{implementation.name} is declared by {self.name}, not by {implementation.framework}")
            if self.few_shapes and not implementation.compiles:
                raise ValueError(
                    f"{implementation.name} has to say that it compiles for each shape, as {self.name} does"
                )

    def implementation(self, name: str) -> Implementation:
        """Raises StopIteration for one that it doesn't have."""
        return next(i for i in self.implementations if i.name == name)

    def sees(self, layout_is_shape: bool, layout_is_negative: bool) -> bool:
        """Whether a layout means something to it: another shape always does, strides where they reach its kernels."""
        if layout_is_shape:
            return True
        return self.strides == ANY_STRIDES or (self.strides == FORWARD_STRIDES and not layout_is_negative)
