"""Results held against each other, or against what a bound allows.

Two results have the same bits where their patterns are equal, or both are NaN: neither the sign nor the payload of a
NaN is promised by IEEE 754.  0 and -0 are different, unless a law says otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from references.formats import Bits, Floats, Format, Mask
from suites.laws.inputs import Input
from suites.laws.law import Breach
from suites.laws.subjects import Subject

_SHOWN = 16


def same(format: Format, one: Bits, other: Bits, *, signed_zeros: bool = True) -> Mask:
    """Which elements have the same bits."""
    nan = np.isnan(format.decode(one)) & np.isnan(format.decode(other))
    equal = (one == other) | nan
    if not signed_zeros:
        magnitude = np.array(format.sign_bit - 1, one.dtype)
        equal |= ((one | other) & magnitude) == 0
    return np.asarray(equal)


def ulps_apart(format: Format, one: Bits, other: Bits) -> Floats:
    """How many numbers of the format lie between two results, counted from one to the other; infinite beside a NaN."""
    far = np.isnan(format.decode(one)) ^ np.isnan(format.decode(other))
    both = np.isnan(format.decode(one)) & np.isnan(format.decode(other))
    distance = np.abs(_ordinal(format, one) - _ordinal(format, other))
    return np.where(far, np.inf, np.where(both, 0.0, distance))


def row_ulps_apart(format: Format, one: Bits, other: Bits, vectors: Iterable[Bits] = ()) -> Floats:
    """How far apart two results [rows, n] are, in ulps of the largest number in their row; infinite beside a NaN or an
    infinity.

    The row is that of ``one`` and of the ``vectors`` of a derivative.  Where a sum of these cancels, this says what the
    numbers between an element and what it became can't.
    """
    before, after = format.decode(one), format.decode(other)
    row = np.concatenate([np.abs(before), *(np.abs(format.decode(v)) for v in vectors)], axis=-1)
    finite = np.where(np.isfinite(row), row, 0.0).max(axis=-1, keepdims=True)
    ulp = format.ulp_exponents(finite, np.zeros_like(finite), np.zeros(finite.shape, np.int64))
    with np.errstate(invalid="ignore", over="ignore"):
        apart = np.ldexp(np.abs(after - before), -ulp.astype(np.int32))
    agree = (before == after) | (np.isnan(before) & np.isnan(after))
    return np.where(agree, 0.0, np.where(np.isfinite(apart), apart, np.inf))


def _ordinal(format: Format, bits: Bits) -> Floats:
    """The place of each number among those of the format; 0 and -0 share one.  Small distances are exact up to
    binary32, and to within rounding in binary64."""
    magnitude = (bits & np.array(format.sign_bit - 1, bits.dtype)).astype(np.longdouble)
    return np.asarray(np.where(bits & np.array(format.sign_bit, bits.dtype), -magnitude, magnitude))


def unequal(
    subject: Subject, given: Input, found: Bits, expected: Bits, what: str, *, signed_zeros: bool = True
) -> Breach | None:
    """A breach where results that should be the same bits are not; ``what`` says what ``expected`` is."""
    format = subject.format
    differs = ~same(format, found, expected, signed_zeros=signed_zeros)
    if not differs.any():
        return None
    apart = np.where(differs, np.maximum(ulps_apart(format, found, expected), 1.0), 0.0)
    place = _largest(apart)
    size = float(apart[place])
    text = (
        f"{subject.key}: {int(differs.sum())} of {differs.size} elements differ from {what}, "
        f"by {size:.6g} ulp at {_there(place)}: {_number(format, found[place])}, not {_number(format, expected[place])}"
    )
    return Breach(subject.key, size, "ulp", text + "\n" + bits_of_row(subject, given, place[0]))


def beyond(
    subject: Subject, given: Input, found: Floats, expected: Floats, allowed: Floats, what: str
) -> Breach | None:
    """A breach where numbers are farther from what they should be than is allowed.

    Two NaN, and two equal infinities, agree; a number and no number don't, unless everything is allowed.
    """
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        off = np.where((found == expected) | (np.isnan(found) & np.isnan(expected)), 0.0, np.abs(found - expected))
        off = np.where(np.isnan(off), np.inf, off)
        ratio = np.where((off == 0) | np.isinf(allowed), 0.0, off / allowed)
    if not (ratio > 1).any():
        return None
    place = _largest(ratio)
    size = float(ratio[place])
    text = (
        f"{subject.key}: {int((ratio > 1).sum())} of {ratio.size} are off, {what}: by {size:.6g} times what is "
        f"allowed at {_there(place)}: {float(found[place])!r}, not {float(expected[place])!r} "
        f"within {float(allowed[place])!r}"
    )
    return Breach(subject.key, size, "of the bound", text + "\n" + bits_of_row(subject, given, place[0]))


def refused(subject: Subject, given: Input, wrong: Mask, found: Floats, what: str) -> Breach | None:
    """A breach where results are what they may never be; its size is infinite."""
    if not wrong.any():
        return None
    place = _largest(wrong.astype(np.float64))
    text = f"{subject.key}: {int(wrong.sum())} of {wrong.size} {what}, {float(found[place])!r} at {_there(place)}"
    return Breach(subject.key, math.inf, "ulp", text + "\n" + bits_of_row(subject, given, place[0]))


def bits_of_row(subject: Subject, given: Input, row: int) -> str:
    """The bits of one row and its vectors, as far as they are short."""
    lines = []
    for name, bits in (("logits", given.logits), *given.vectors.items()):
        shown = " ".join(subject.format.hexadecimal(b) for b in bits[row, :_SHOWN].tolist())
        more = f" ... ({bits.shape[1]} in all)" if bits.shape[1] > _SHOWN else ""
        lines.append(f"  {name} {shown}{more}")
    return "\n".join(lines)


def _largest(values: Floats) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(int(np.argmax(values)), values.shape))


def _there(place: tuple[int, ...]) -> str:
    return f"row {place[0]}" + (f", element {place[1]}" if len(place) > 1 else "")


def _number(format: Format, bits: int) -> str:
    value = float(format.decode(np.array([bits], format.bits_dtype))[0])
    return f"{format.hexadecimal(int(bits))} = {value!r}"
