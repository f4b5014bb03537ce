"""One implementation: what a user writes, and what can be asked of it."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from suites.implementations.call import Evaluator
from suites.implementations.inputs import Input

VALUES = ("forward",)
FIRST_DERIVATIVES = ("vjp", "jvp")
DERIVATIVES = (*FIRST_DERIVATIVES, "hvp")
FOUR_FORMATS = ("binary64", "binary32", "binary16", "bfloat16")
THREE_FORMATS = FOUR_FORMATS[:3]

# What an implementation is: a call that a framework offers, another way to the kernels of such a call, or a formula
# that people write, which nobody promises to be accurate.
CALL = "call"
WRAPPER = "wrapper"
FORMULA = "formula"

# What an implementation can need beside its framework and other frameworks.
COMPILER = "a C++ compiler"


@dataclass(frozen=True)
class Budget:
    """What the standard tier compiles: every quantity of ``whole``, a layout and a row length; of other inputs
    ``quantities`` alone, in ``formats`` alone but for ``families``."""

    formats: tuple[str, ...]
    quantities: tuple[str, ...]
    whole: tuple[str, int] | None
    families: tuple[str, ...]

    def has(self, input: Input, quantity: str, format: str) -> bool:
        layout, family, n = input
        if (layout, n) == self.whole:
            return True
        return quantity in self.quantities and (format in self.formats or family in self.families)


@dataclass(frozen=True)
class Implementation:
    """One callable under test.

    ``calls`` is what a user writes, per operation; those of ``values_only`` have no derivatives that the references
    define.  ``formats`` are those of the returned array; ``result_of_x`` those of what has the format of x (vjp and
    hvp), where that is another one.  ``drawn`` names, per format, the narrower format that the logits and vectors are
    drawn in, so that what is done to them first is exact; such an implementation takes no arbitrary row.  Without
    ``special_rows`` it takes no NaN, infinity or largest number.

    ``needs`` are frameworks and COMPILER; ``environment`` holds the variables that have to be set when the process
    starts.  ``main`` ones are shown where there is little room.  ``flushes`` declares that the platform flushes
    subnormal numbers to zero; a probe proves it before anything is judged by it.

    ``compiles``: code is made for each shape, so another shape promises no bit and costs time.  ``inputs`` are those of
    the short tiers beside what the main ones share; ``lengths`` the only row lengths of each layout that a main one can
    afford, by tier; ``budget`` limits what the standard tier compiles.  ``on_cards``: its own inputs are met on a card,
    too.  ``eager`` names its twin that runs the same operation by operation; ``watched``: its bits are held against
    those of the twin.

    ``casts`` is the format that the logits are given in, where they are cast to another one first.  ``scales``: they
    are multiplied first, so that it takes no arbitrary rows.  ``script`` is the body of the same function of ``x`` in a
    replay script, with {axis}, {operation}, {call} and {mapped} to be filled in.
    """

    name: str
    framework: str
    module: str
    calls: Mapping[str, str]
    compiles: bool
    inputs: tuple[Input, ...] | None = None
    quantities: tuple[str, ...] = (*VALUES, *DERIVATIVES)
    formats: tuple[str, ...] = FOUR_FORMATS
    values_only: tuple[str, ...] = ()
    result_of_x: tuple[str, ...] | None = None
    drawn: Mapping[str, str] = field(default_factory=dict)
    special_rows: bool = True
    needs: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    main: bool = False
    kind: str = CALL
    lengths: Mapping[str, Mapping[str, tuple[int, ...]]] | None = None
    eager: str | None = None
    casts: str | None = None
    scales: bool = False
    on_cards: bool = False
    watched: bool = False
    budget: Budget | None = None
    script: str | None = None
    flushes: bool = False
    own: tuple[str, str] | None = None  # file and function of a user's implementation
    content: Mapping[str, str] | None = None  # of a user's implementation: what it consists of, as a worker declared it

    def check(self) -> None:
        """Raises ValueError where one of the suite's own leaves a question open."""
        if self.inputs is None:
            raise ValueError(f"{self.name} doesn't say which inputs it has beside its tier's")
        if COMPILER in self.needs and not self.compiles:
            raise ValueError(f"{self.name} needs {COMPILER}, and doesn't say that it compiles for each shape")
        if self.kind not in (CALL, WRAPPER, FORMULA):
            raise ValueError(f"{self.name} is a {self.kind!r}; it can be {CALL}, {WRAPPER} or {FORMULA}")

    def formats_of(self, quantity: str) -> tuple[str, ...]:
        """The formats that a quantity is returned in."""
        return self.result_of_x if self.result_of_x and quantity in ("vjp", "hvp") else self.formats

    def supports(self, operation: str, quantity: str, format: str) -> bool:
        """Whether a cell of the implementation can have these."""
        defined = operation in self.calls and (quantity in VALUES or operation not in self.values_only)
        return defined and quantity in self.quantities and format in self.formats_of(quantity)

    def evaluator(self) -> Evaluator:
        """The evaluator of one of the suite's own; imports the framework.  Raises what the import raises.

        A user's function is evaluated by workers alone, which import its file (suites/driver/own_functions.py).
        """
        assert self.own is None
        module = importlib.import_module(f"suites.implementations.{self.module}")
        result: Evaluator = module.evaluator(self.name.partition("/")[2])
        return result
