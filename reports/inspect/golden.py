"""The verb ``golden``: rows of a .npy file to certified golden vectors, as .npz and as a C header."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from references.formats import Bits, Floats, Format, format_named
from references.functions import needs_cotangent, needs_tangent
from references.oracle.golden import golden
from reports.console.exits import OK
from reports.console.lines import say
from reports.console.progress import progress_bar
from reports.files import replaced
from reports.inspect.golden_header import header_text
from reports.run.destinations import check_outputs
from reports.run.regular import Unreadable, opened

SCHEMA = 1

# What .npz members are dated: the archive is a function of its input.
_DATE = (1980, 1, 1, 0, 0, 0)

Arrays = dict[str, npt.NDArray[Any]]


class GoldenError(Exception):
    """Golden vectors that can't be made; the message names the file or value at fault and the remedy."""


def golden_verb(
    rows: Path,
    operation: str,
    quantity: str,
    format_name: str,
    cotangent: Path | None,
    tangent: Path | None,
    out: Path,
    header: Path | None,
) -> int:
    """Write the golden vectors of a file of rows.  Raises GoldenError, FormatError and OracleError."""
    files = {"logits": rows, **_vectors(quantity, cotangent, tangent)}
    written = [out] if header is None else [out, header]
    check_outputs(written, inputs=files.values())
    question = _question(operation, quantity, format_named(format_name), files)
    with ExitStack() as stack:
        streams = [stack.enter_context(_replaced(file)) for file in written]
        arrays = _answer(question)
        _write_archive(streams[0], arrays)
        if header is not None:
            streams[1].writelines(part.encode() for part in header_text(header, arrays))
    say(f"wrote {' and '.join(map(str, written))}: {_summary(arrays)}")
    return OK


# -- reading ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Question:
    """Rows with the vectors that their quantity takes, by role: numbers [rows, n], and their bits."""

    operation: str
    quantity: str
    format: Format
    numbers: dict[str, Floats]
    bits: dict[str, Bits]


def _vectors(quantity: str, cotangent: Path | None, tangent: Path | None) -> dict[str, Path]:
    given = {"cotangent": cotangent, "tangent": tangent}
    wanted = {"cotangent": needs_cotangent(quantity), "tangent": needs_tangent(quantity)}
    for role, file in given.items():
        if wanted[role] and file is None:
            raise GoldenError(f"{quantity} needs a {role}; add --{role} FILE.npy")
        if file is not None and not wanted[role]:
            raise GoldenError(f"{quantity} takes no {role}; leave out --{role} {file}")
    return {role: file for role, file in given.items() if file is not None}


def _question(operation: str, quantity: str, format: Format, files: dict[str, Path]) -> _Question:
    numbers = {role: _read(file) for role, file in files.items()}
    shape = numbers["logits"].shape
    for role, values in numbers.items():
        if values.shape != shape:
            remedy = f"a {role} has a number for each logit"
            raise GoldenError(f"{files[role]} has the shape {values.shape}, {files['logits']} has {shape}; {remedy}")
    bits = {role: _bits(files[role], values, format) for role, values in numbers.items()}
    return _Question(operation, quantity, format, numbers, bits)


def _read(file: Path) -> Floats:
    try:
        with opened(file) as stream:
            array = np.lib.format.read_array(stream, allow_pickle=False)
    except FileNotFoundError:
        raise GoldenError(f"{file} can't be read: No such file or directory; name a .npy file") from None
    except Unreadable as error:
        raise GoldenError(f"{file} can't be read: {error}; name a .npy file") from None
    except Exception as error:  # a header is read as Python, which can fail in any way
        reason = " ".join(str(error).split()) or type(error).__name__
        raise GoldenError(f"{file} is no .npy file of numbers ({reason}); write it with numpy.save") from None
    if array.dtype.newbyteorder("=") != np.float64:
        raise GoldenError(f"{file} has the dtype {array.dtype}; convert the array with .astype(numpy.float64)")
    if array.ndim != 2:
        raise GoldenError(f"{file} has the shape {array.shape}; make it two-dimensional, [rows, n]: .reshape(-1, n)")
    if array.size == 0:
        raise GoldenError(f"{file} has the shape {array.shape}; there has to be a row, and a number in it")
    return np.ascontiguousarray(array, np.float64)


def _bits(file: Path, values: Floats, format: Format) -> Bits:
    """The bit patterns of numbers that the format holds."""
    bits = format.round_floats(values)
    nearest = format.decode(bits)
    wrong = np.argwhere(~((nearest == values) | np.isnan(values)))
    if len(wrong):
        row, column = wrong[0].tolist()
        value, near = float(values[row, column]), float(nearest[row, column])
        remedy = f"round the numbers first (the nearest is {near!r})"
        if np.isinf(value) or not np.isfinite(near):
            remedy = f"its numbers end at {format.largest!r}"
        raise GoldenError(
            f"{file}: {value!r} in row {row}, column {column} (from 0) is not a {format.name} number; {remedy}"
        )
    return bits


# -- writing ---------------------------------------------------------------------------------------------------------


def _answer(question: _Question) -> Arrays:
    """Everything that the archive holds, by name."""
    q, format = question, question.format
    vectors = {role: values for role, values in q.numbers.items() if role != "logits"}
    rows, name = len(q.numbers["logits"]), f"{q.operation} {q.quantity} {format.name}"
    with progress_bar(name) as advance:

        def show(done: int) -> None:
            advance(done, rows, name)

        found = golden(q.operation, q.quantity, q.numbers["logits"], format, progress=show, **vectors)
    words = {"operation": q.operation, "quantity": q.quantity, "format": format.name}
    return {
        "schema": np.array(SCHEMA, np.int64),
        **{word: np.array(text) for word, text in words.items()},
        **q.bits,
        "bits": found.bits,
        "hi": found.hi,
        "lo": found.lo,
        "exponent": found.exponent,
        "precision": found.precision,
    }


def _summary(arrays: Arrays) -> str:
    rows, n = arrays["bits"].shape
    proved = arrays["precision"]
    what = f"{arrays['operation']} {arrays['quantity']} of {rows} x {n} {arrays['format']} numbers"
    return f"{what}, proved at up to {proved.max()} bits, {int((proved == 0).sum())} exact by rule"


def _write_archive(stream: BinaryIO, arrays: Arrays) -> None:
    """An uncompressed .npz; numpy.savez promises nothing about the bytes between the arrays."""
    if not stream.seekable():  # its bytes are those of a file, which zipfile goes back in
        whole = io.BytesIO()
        _write_archive(whole, arrays)
        stream.write(whole.getbuffer())
        return
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            little = array.astype(array.dtype.newbyteorder("<"))
            np.lib.format.write_array(content, np.ascontiguousarray(little).reshape(array.shape), allow_pickle=False)
            member = zipfile.ZipInfo(f"{name}.npy", _DATE)
            member.create_system = 3
            archive.writestr(member, content.getvalue())


@contextmanager
def _replaced(path: Path) -> Iterator[BinaryIO]:
    """A file to write that takes the place of ``path`` at the end, or leaves nothing.  Raises GoldenError."""
    try:
        with replaced(path) as stream:
            yield stream
    except OSError as error:
        raise GoldenError(f"{path} can't be written: {error.strerror or error}; choose another place") from None
