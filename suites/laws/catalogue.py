"""All laws, by group; a test holds docs/laws.md against this list."""

from __future__ import annotations

from types import ModuleType

from suites.laws import edge_cases, gradients, identities, independence, layouts, values, widths
from suites.laws.law import Law

GROUPS: tuple[ModuleType, ...] = (independence, layouts, values, identities, gradients, widths, edge_cases)

LAWS: tuple[Law, ...] = tuple(law for group in GROUPS for law in group.LAWS)

BY_NAME: dict[str, Law] = {law.name: law for law in LAWS}


class UnknownLaw(LookupError):
    """A law that the catalogue doesn't have; the message names it and lists those that there are."""


def law_named(name: str) -> Law:
    """Raises UnknownLaw."""
    try:
        return BY_NAME[name]
    except KeyError:
        raise UnknownLaw(f"unknown law {name!r}; known are {', '.join(BY_NAME)}") from None
