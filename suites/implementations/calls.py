"""What the declarations of frameworks share: how calls are written, and functions that most need not write again."""

from __future__ import annotations

from collections.abc import Mapping

_BOTH = ("softmax", "log_softmax")

# What 3 x is exact for: three times a number of the narrower format is one of the wider.
DRAWN_TO_TRIPLE = {"binary64": "binary32", "binary32": "bfloat16"}


def both(text: str) -> dict[str, str]:
    """The same text for both operations, {} standing for the name."""
    return {operation: text.format(operation) for operation in _BOTH}


def by_exponential(text: str) -> dict[str, str]:
    """A formula for log_softmax, and its exponential for softmax."""
    exp = text.format("exp")
    difference = exp[exp.index("(") + 1 : -1]
    return {"softmax": exp, "log_softmax": difference}


def no_variables(platform: str, given: Mapping[str, str]) -> Mapping[str, str]:
    """For frameworks whose workers need no environment variable."""
    return {}


def any_numpy(version: str | None) -> str:
    """For frameworks that say themselves which NumPy they need."""
    return ""
