"""Golden vectors as a C header: hexadecimal integers, so that no compiler reads a decimal."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from references.formats import format_named
from references.oracle.golden import VANISHED

# Numbers on a line.
_PER_LINE = 6

_TEXT = """\
/*
 * Golden vectors: {operation} {quantity} in {format}, {rows} rows of {columns} elements; made by
 * softmax-accuracy golden.  Each array is [{upper}_ROWS][{upper}_COLUMNS], row by row.
 *
 * {name}_logits{vectors}: the input, as bits of {format}.
 * {name}_bits: the exact results correctly rounded to {format}, as bits.
 * {name}_hi, {name}_lo, {name}_exponent: the exact results before that rounding,
 *   (hi + lo) * 2^exponent to within a relative 2^-106, with hi and lo as bits of a binary64 number (double).
 *   Zero is 0, 0, 0; NaN and infinities stand in hi; a zero hi with the exponent INT32_MIN is a result that is
 *   not zero, but smaller than 2^INT32_MIN.
 * {name}_precision: the working precision in bits that proved the element; 0 where it is exact by rule.
 *
 * Copy the bits into a number with memcpy (in C++20 with std::bit_cast):
 *
 *   double hi; memcpy(&hi, &{name}_hi[i][j], sizeof hi);
 */
"""


def header_text(path: Path, arrays: dict[str, npt.NDArray[Any]]) -> Iterator[str]:
    """The header in pieces; names begin with what ``path`` is called."""
    name = c_name(path)
    upper, (rows, columns) = name.upper(), arrays["bits"].shape
    words = {word: str(arrays[word]) for word in ("operation", "quantity", "format")}
    given = [role for role in ("logits", "cotangent", "tangent") if role in arrays]
    vectors = "".join(f", {name}_{role}" for role in given[1:])
    yield _TEXT.format(**words, name=name, upper=upper, rows=rows, columns=columns, vectors=vectors)
    yield f"#ifndef {upper}_GOLDEN_H\n#define {upper}_GOLDEN_H\n\n#include <stdint.h>\n\n"
    yield f"#define {upper}_ROWS {rows}\n#define {upper}_COLUMNS {columns}\n\n"
    for word, text in words.items():
        yield f'static const char {name}_{word}[] = "{text}";\n'
    format = format_named(words["format"])
    for role in (*given, "bits"):
        yield from _array(f"uint{format.width}_t {name}_{role}", upper, arrays[role], format.width)
    for part in ("hi", "lo"):
        yield from _array(f"uint64_t {name}_{part}", upper, arrays[part].view(np.uint64), 64)
    for part in ("exponent", "precision"):
        yield from _array(f"int32_t {name}_{part}", upper, arrays[part], None)
    yield f"\n#endif /* {upper}_GOLDEN_H */\n"


def c_name(path: Path) -> str:
    """An identifier from a file's name: ``my-rows.v2.h`` gives ``my_rows_v2``."""
    name = re.sub(r"[^0-9A-Za-z]+", "_", path.stem).strip("_")
    return name if name[:1].isalpha() else f"golden_{name}".rstrip("_")


def _array(declaration: str, upper: str, values: npt.NDArray[Any], width: int | None) -> Iterator[str]:
    """A two-dimensional array of integers: hexadecimal ones of ``width`` bits, or signed decimals."""
    yield f"\nstatic const {declaration}[{upper}_ROWS][{upper}_COLUMNS] = {{\n"
    for row in values.tolist():
        words = [_decimal(v) if width is None else f"0x{v:0{width // 4}x}{'u' * (width >= 32)}" for v in row]
        lines = [", ".join(words[k : k + _PER_LINE]) for k in range(0, len(words), _PER_LINE)]
        yield "  {" + ",\n   ".join(lines) + "},\n"
    yield "};\n"


def _decimal(value: int) -> str:
    return "INT32_MIN" if value == VANISHED else str(value)
