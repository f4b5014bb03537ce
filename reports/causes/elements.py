"""Evidence from outputs held against each other, element by element: whether subnormal results alone have moved."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from references.formats import Bits, Format, Mask, format_named
from reports.causes.finding import Finding, where
from reports.causes.subnormals import elements_subnormal
from reports.compare.judgement import Change
from suites.inputs import special


def element_by_element(pairs: Iterable[tuple[Change, Bits, Bits]]) -> Iterator[Finding]:
    """What the outputs [rows, n] of some cells, before and after, show together."""
    ordinary = [pair for pair in pairs if pair[0].cell.family != special.FAMILY]
    moved_any = normal_any = False
    for change, old, new in ordinary:
        moved = moved_elements(old, new, format_named(change.cell.format))
        subnormal = elements_subnormal(change.cell, change.both[1].input_sha256)
        if subnormal is None or (moved & ~subnormal).any():
            return
        moved_any |= bool(moved.any())
        normal_any |= bool((~subnormal).any())
    if moved_any and normal_any:
        text = "subnormal results alone: elements whose exact value is a normal number kept their bits"
        yield where("subnormal elements", text)


def moved_elements(old: Bits, new: Bits, format: Format) -> Mask:
    """Which elements are another number; all NaN are one, and a zero of either sign is a zero."""
    before, after = format.decode(old), format.decode(new)
    return np.asarray((before != after) & ~(np.isnan(before) & np.isnan(after)))
