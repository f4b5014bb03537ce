"""The rows that laws are asked on: a few of each family in one batch, so that one evaluation meets them all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from references.bounds.error_model import compute_arithmetic, storage_arithmetic
from references.bounds.of_function import bound, says_nothing
from references.formats import Bits, Floats, compute_format, format_named
from suites.inputs.batch import Batch
from suites.inputs.cotangents import vectors_of
from suites.inputs.families import logits_of
from suites.laws.subjects import Subject
from suites.scoring.certified_batch import exact_of

_FAMILIES = ("gauss1", "gauss10", "gauss300", "dominant", "offset", "geometric", "masked", "near-tie", "equal")
_EACH = 4

# 36: two vector registers of binary32 with AVX-512, one of the narrow formats, and rows left over.
ROWS = _EACH * len(_FAMILIES)

_LENGTHS = (9, 33, 1000)
_ONE_LENGTH = (33,)

# Long enough for a sum of 257 terms that is formed in bfloat16, or squared in binary16, to be seen.
_COMPILED_LENGTH = (257,)

Order = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True, eq=False)
class Input:
    """Rows [rows, n] of logits, as bits, and the vectors that a quantity takes, by role."""

    logits: Bits
    vectors: Mapping[str, Bits]

    @property
    def shape(self) -> tuple[int, int]:
        rows, n = self.logits.shape
        return rows, n

    def rows(self, order: Order) -> Input:
        """Some of the rows, in this order."""
        return Input(self.logits[order], {role: bits[order] for role, bits in self.vectors.items()})

    def columns(self, order: Order) -> Input:
        """The elements of every row in another order."""
        vectors = {role: np.ascontiguousarray(bits[:, order]) for role, bits in self.vectors.items()}
        return Input(np.ascontiguousarray(self.logits[:, order]), vectors)

    def with_logits(self, logits: Bits) -> Input:
        return replace(self, logits=logits)


def lengths_of(subject: Subject, tier: str) -> tuple[int, ...]:
    """The row lengths that a subject is tried on: below and above a vector register, and a long one.

    Where code is made for each shape, and of the other ways to call a framework, one.
    """
    if tier == "deep":
        return _LENGTHS
    if tier == "standard" and subject.compiles:
        return _COMPILED_LENGTH
    usual = subject.implementation.main or subject.implementation.own
    return _LENGTHS if tier == "standard" and usual else _ONE_LENGTH


@lru_cache(maxsize=32)
def mixed(format_name: str, n: int) -> Batch:
    """Four rows of each family, with cotangents and tangents of every kind; ROWS rows of length n."""
    format = format_named(format_name)
    logits = np.concatenate([logits_of(family, format, _EACH, n) for family in _FAMILIES])
    return Batch(format, "mixed", logits, *(vectors_of(role, format, ROWS, n) for role in ("cotangent", "tangent")))


def input_of(subject: Subject, n: int) -> Input:
    """The mixed rows of a subject's format, with the vectors of its quantity."""
    return given_of(mixed(subject.format_name, n), subject)


def given_of(batch: Batch, subject: Subject) -> Input:
    """A batch as a subject gets it."""
    return Input(batch.logits, batch.vectors(subject.quantity))


def limit_of(subject: Subject, batch: Batch, *, flushes: bool) -> Floats:
    """How far each element [rows, n] of a subject's result may be off: what the required verdict allows.

    The bound of the verdict, or that of sums in binary32 with results stored in the narrow format where it is larger;
    infinite where neither says anything.  docs/theory.md 5.
    """
    rows, function = exact_of(batch), subject.function
    makers = [compute_arithmetic]
    if compute_format(batch.format) is not batch.format:
        makers.append(storage_arithmetic)
    limits = []
    for make in makers:
        limit = bound(function, rows, make(batch.format, rows.n, flushes=flushes))
        limits.append(np.where(says_nothing(function, rows, limit)[:, None], np.nan, limit))
    largest = np.fmax.reduce(limits)
    return np.where(np.isnan(largest) | rows.special[:, None], np.inf, largest)


def exact_values(subject: Subject, batch: Batch) -> Floats:
    """The exact result [rows, n], in binary64."""
    return exact_of(batch).exact(subject.function)
