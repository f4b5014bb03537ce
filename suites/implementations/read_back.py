"""What is read back from a framework: values, which are compared, and their words, which are shown and recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Union

# None stands for what this version of a framework doesn't tell.  (Unions are spelled out: workers may be Python 3.9.)
Fact = Union[bool, int, str, None]  # noqa: UP007


@dataclass(frozen=True)
class NotTold:
    """What this version of a library doesn't tell; ``by`` names it."""

    by: str

    def __str__(self) -> str:
        return f"not told by {self.by}"


ReadBack = Mapping[str, Union[bool, int, str, NotTold]]  # noqa: UP007


def in_words(read: ReadBack) -> dict[str, str]:
    """Every value as it is shown and recorded."""
    return {name: str(value) for name, value in read.items()}


def facts_of(read: ReadBack) -> dict[str, Fact]:
    """Every value as it is compared."""
    return {name: None if isinstance(value, NotTold) else value for name, value in read.items()}
