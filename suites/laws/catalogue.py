"""All laws, by group; a test holds docs/laws.md against this list."""

from __future__ import annotations

from suites.laws import edges, gradients, identities, layouts, repeated, values, widths
from suites.laws.law import Law

LAWS: tuple[Law, ...] = (
    *repeated.LAWS,
    *layouts.LAWS,
    *values.LAWS,
    *identities.LAWS,
    *gradients.LAWS,
    *widths.LAWS,
    *edges.LAWS,
)

BY_NAME: dict[str, Law] = {law.name: law for law in LAWS}


class UnknownLaw(LookupError):
    """A law that the catalogue doesn't have; the message names it and lists those that there are."""


def law_named(name: str) -> Law:
    """Raises UnknownLaw."""
    try:
        return BY_NAME[name]
    except KeyError:
        raise UnknownLaw(f"unknown law {name!r}; known are {', '.join(BY_NAME)}") from None
