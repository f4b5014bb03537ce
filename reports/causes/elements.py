"""Evidence from outputs held against each other, element by element: which ones moved, and how far."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from references.formats import Bits, Format, Integers, format_named
from reports.causes.finding import Finding, where
from reports.causes.subnormals import elements_subnormal
from reports.compare.judgement import Change
from suites.inputs import special


def element_by_element(pairs: Iterable[tuple[Change, Bits, Bits]]) -> Iterator[Finding]:
    """What the outputs [rows, n] of some cells, before and after, tell together."""
    ordinary = [pair for pair in pairs if pair[0].cell.family != special.FAMILY]
    if not ordinary:
        return
    steps = [steps_between(old, new, format_named(change.cell.format)) for change, old, new in ordinary]
    if max(int(moved.max()) for moved in steps) == 1:
        yield where("last bit", "no number moved further than to its neighbour", explains=False)
    if _subnormals_alone([change for change, _, _ in ordinary], steps):
        text = "subnormal results alone: elements whose exact value is a normal number kept their bits"
        yield where("subnormal elements", text)


def steps_between(old: Bits, new: Bits, format: Format) -> Integers:
    """How many numbers of the format each element moved by, at most 2^62, which is also from NaN to a number."""
    ordered = [_ordinal(bits, format) for bits in (old, new)]
    steps = np.abs(ordered[0] - ordered[1])
    nan = [np.isnan(format.decode(bits)) for bits in (old, new)]
    far = np.int64(1) << 62
    return np.where(nan[0] & nan[1], 0, np.where(nan[0] | nan[1], far, np.minimum(steps, far)))


def _ordinal(bits: Bits, format: Format) -> Integers:
    """Numbers in the order of their values, zeros of both signs alike; halved in binary64, whose range has 64 bits."""
    width = 8 * format.bits_dtype.itemsize
    sign = np.uint64(1) << np.uint64(width - 1)
    magnitude = (bits.astype(np.uint64) & (sign - np.uint64(1))).astype(np.int64)
    negative = (bits.astype(np.uint64) & sign) != 0
    return np.where(negative, -magnitude, magnitude)


def _subnormals_alone(changes: list[Change], steps: list[Integers]) -> bool:
    normal_kept = False
    for change, moved in zip(changes, steps, strict=True):
        subnormal = elements_subnormal(change.cell, change.both[1].input_sha256)
        if subnormal is None or ((moved > 0) & ~subnormal).any():
            return False
        normal_kept |= bool((~subnormal).any())
    return normal_kept and any((moved > 0).any() for moved in steps)
