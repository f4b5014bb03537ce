"""The input of a cell: logits, a cotangent and a tangent for each row, as bits, and their fingerprint."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property, lru_cache

from references.formats import Bits, Floats, Format, format_named
from suites.inputs import special
from suites.inputs.cotangents import KINDS, kind_of_row, vectors_of
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
        """The vectors that a quantity takes, by role; the hvp takes other rows' tangents (see ``partner``)."""
        return {role: getattr(self, name) for role, name in arrays_of(quantity).items()}

    @cached_property
    def partners(self) -> Bits:
        """The tangents of the hvp: cotangents and tangents take turns alike, so a row has another row's."""
        return self.tangent[[self.partner(row) for row in range(len(self.tangent))]]

    def partner(self, row: int) -> int:
        """The row whose tangent a row has for the hvp: the next one among the first five, the one after that among the
        next five and so on, so that long batches have all pairs of kinds."""
        return (row + 1 + row // len(KINDS)) % len(self.tangent)

    def kind_of_row(self, quantity: str, row: int) -> str:
        """The kind of a row's vector, or the kinds of both."""
        return f"{kind_of_row(row)} and {kind_of_row(self.partner(row))}" if quantity == "hvp" else kind_of_row(row)


def arrays_of(quantity: str) -> dict[str, str]:
    """The vectors that a quantity takes, by role, and the arrays of a batch that they are in."""
    names = {"vjp": ("cotangent",), "jvp": ("tangent",), "hvp": ("cotangent", "partners")}.get(quantity, ())
    return {"tangent" if name == "partners" else name: name for name in names}


@lru_cache(maxsize=16)
def batch_of(family: str, format_name: str, rows: int, n: int, drawn: str | None = None) -> Batch:
    """The input of a cell; its numbers are drawn in the format ``drawn``, all of whose numbers ``format_name`` has.

    Raises KeyError or FormatError for an unknown family or format.
    """
    format, narrow = format_named(format_name), format_named(drawn or format_name)
    logits = special.logits_of(narrow, n) if family == special.FAMILY else logits_of(family, narrow, rows, n)
    vectors = (vectors_of(role, narrow, logits.shape[0], n) for role in ("cotangent", "tangent"))
    return Batch(format, family, *(_widened(bits, narrow, format) for bits in (logits, *vectors)))


def _widened(bits: Bits, narrow: Format, format: Format) -> Bits:
    return bits if narrow is format else format.encode(narrow.decode(bits))
