"""A cell, one record and one verdict, and what is asked for: a selection of cells."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from references.functions import Function


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
    def function(self) -> Function:
        return Function(self.operation, self.quantity)

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
    profiles: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()  # empty: the CPU

    def has(self, cell: Cell) -> bool:
        return all(
            not wanted or value in wanted
            for wanted, value in (
                (self.operations, cell.operation),
                (self.quantities, cell.quantity),
                (self.formats, cell.format),
                (self.layouts, cell.layout),
                (self.families, cell.family),
                (self.profiles, cell.profile),
            )
        )
