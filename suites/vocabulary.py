"""The words of what is tried: tiers, formats, layouts, families and devices.  The standard library alone is imported.

The frameworks' names and their profiles are known to the frameworks themselves: ``suites.implementations.catalogue``
and ``suites.driver.profiles`` list them without importing NumPy.  A worker imports this: it is fit for Python 3.9.
"""

from __future__ import annotations

TIERS = ("smoke", "standard", "deep")

# The formats that are measured.
FORMATS = ("binary64", "binary32", "binary16", "bfloat16")

FRAMEWORK_ALIASES = {"pytorch": "torch"}

# Where the reduced axis lies, and how memory is laid out: ``suites.inputs.layouts`` makes them.
OFFSETS = tuple(range(1, 16))
LAYOUTS = (
    "last",
    "inner",
    "column",
    "middle",
    "single",
    "transposed",
    "strided",
    "broadcast",
    "reversed",
    "padded",
    *(f"offset-{elements}" for elements in OFFSETS),
)

# How the logits are made: ``suites.inputs.families`` makes them.
FAMILIES = (
    "gauss0.1",
    "gauss1",
    "gauss10",
    "gauss300",
    "dominant",
    "equal",
    "offset",
    "geometric",
    "masked",
    "long",
    "near-tie",
)

# gauss1 in so many rows that, laid out along the inner axis, they pass the widths at which spatial kernels change.
WIDE = {"wide65": 65, "wide1025": 1025}

# Rows with NaN, infinities and extreme numbers: ``suites.inputs.special``.
SPECIAL = "special"

EVERY_FAMILY = (*FAMILIES, *WIDE, SPECIAL)


def is_card(name: str) -> bool:
    """Whether a word names a CUDA device."""
    kind, colon, index = name.partition(":")
    return kind == "cuda" and (index.isdecimal() if colon else True)


def devices_of(word: str) -> tuple[str, ...] | None:
    """The devices that a word on the command line stands for: ``all`` is the CPU and the first card; None if none."""
    if word == "all":
        return ("cpu", "cuda")
    return (word,) if word == "cpu" or is_card(word) else None
