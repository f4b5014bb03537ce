"""The input of a cell: logits, a cotangent and a tangent for each row, as bits, and their fingerprint."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property, lru_cache

from references.formats import Bits, Floats, Format, format_named
from suites.inputs import special
from suites.inputs.cotangents import vectors_of
from suites.inputs.families import logits_of


@dataclass(frozen=True, eq=False)
class Batch:
    """Rows [rows, n] of bit patterns of one format; every cell over the same family, format and length shares them."""

    format: Format
    family: str
    logits: Bits
    cotangent: Bits
    tangent: Bits

    @cached_property
    def sha256(self) -> str:
        digest = hashlib.sha256(f"{self.format.name} {self.logits.shape}".encode())
        for array in (self.logits, self.cotangent, self.tangent):
            digest.update(array.astype(array.dtype.newbyteorder("<")).tobytes())
        return digest.hexdigest()

    @cached_property
    def values(self) -> Floats:
        """The logits as numbers."""
        return self.format.decode(self.logits)

    def vectors(self, quantity: str) -> dict[str, Bits]:
        """The vectors that a quantity takes, by role."""
        return {role: getattr(self, role) for role in roles_of(quantity)}


def roles_of(quantity: str) -> tuple[str, ...]:
    """The vectors that a quantity takes."""
    roles = {"vjp": ("cotangent",), "jvp": ("tangent",), "hvp": ("cotangent", "tangent")}
    return roles.get(quantity, ())


@lru_cache(maxsize=16)
def batch_of(family: str, format_name: str, rows: int, n: int) -> Batch:
    """The input of a cell.  Raises KeyError or FormatError for an unknown family or format."""
    format = format_named(format_name)
    logits = special.logits_of(format, n) if family == special.FAMILY else logits_of(family, format, rows, n)
    return Batch(
        format,
        family,
        logits,
        vectors_of("cotangent", format, logits.shape[0], n),
        vectors_of("tangent", format, logits.shape[0], n),
    )
