"""An entry of the store as bytes, read without belief: a right checksum says what was written, not that it is an entry.

A magic line, the sha256 of what follows, the length of a JSON header, the header (key, words, and for each array its
type and shape), and the arrays at multiples of 64 bytes.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Entry = Mapping[str, "npt.NDArray[Any] | str"]

_MAGIC = b"softmax-accuracy arrays 1\n"
_ALIGNMENT = 64
_PROLOGUE = len(_MAGIC) + 32 + 8

# Far more than a header of ours takes, and little enough to parse.
_LONGEST_HEADER = 1 << 16
_MOST_AXES = 32

# Numbers of a fixed size; an array of objects is refused before NumPy sees its name.
_NUMBERS = re.compile(r"[<>|][biuf][1-8]")


class NotAnEntry(Exception):
    """Bytes that are not the entry of a key; the message says what is wrong with them."""


def encoded(key: str, entry: Entry) -> list[bytes | memoryview]:
    """The pieces of an entry's file."""
    words = {name: value for name, value in entry.items() if isinstance(value, str)}
    arrays = {name: np.ascontiguousarray(value) for name, value in entry.items() if not isinstance(value, str)}
    header = _header(key, words, {name: [array.dtype.str, list(array.shape)] for name, array in arrays.items()})
    pieces: list[bytes | memoryview] = [len(header).to_bytes(8, "little"), header]
    place = _PROLOGUE + len(header)
    for array in arrays.values():
        gap = -place % _ALIGNMENT
        pieces += [b"\0" * gap, array.reshape(-1).view(np.uint8).data]
        place += gap + array.nbytes
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return [_MAGIC, digest.digest(), *pieces]


def decoded(content: bytearray, key: str) -> dict[str, npt.NDArray[Any] | str]:
    """The entry in a file's content, its arrays writable.

    Raises NotAnEntry where that is not what ``encoded`` makes for the key, byte by byte.
    """
    start = len(_MAGIC) + 32
    if content[: len(_MAGIC)] != _MAGIC:
        raise NotAnEntry("it does not begin as an entry does")
    if hashlib.sha256(memoryview(content)[start:]).digest() != content[len(_MAGIC) : start]:
        raise NotAnEntry("its checksum is wrong")
    length = int.from_bytes(content[start:_PROLOGUE], "little")
    if not 0 < length <= min(_LONGEST_HEADER, len(content) - _PROLOGUE):
        raise NotAnEntry(f"its header has {length} bytes")
    place = _PROLOGUE + length
    words, arrays = _parsed(bytes(content[_PROLOGUE:place]), key)
    entry: dict[str, npt.NDArray[Any] | str] = dict(words)
    for name, (code, shape) in arrays.items():
        place += -place % _ALIGNMENT
        dtype = np.dtype(code)
        count = math.prod(shape)
        if place + count * dtype.itemsize > len(content):
            raise NotAnEntry(f"{name} ends beyond the file")
        entry[name] = np.frombuffer(content, dtype, count, place).reshape(shape)
        place += count * dtype.itemsize
    if place != len(content):
        raise NotAnEntry("there is something behind its arrays")
    return entry


def _header(key: str, words: dict[str, str], arrays: dict[str, list[Any]]) -> bytes:
    return json.dumps({"key": key, "words": words, "arrays": arrays}).encode()


def _parsed(header: bytes, key: str) -> tuple[dict[str, str], dict[str, list[Any]]]:
    """Words, and type and shape of the arrays, by name.  Raises NotAnEntry."""
    try:
        found = json.loads(header)
    except (ValueError, RecursionError):
        raise NotAnEntry("its header is no JSON") from None
    if not isinstance(found, dict) or set(found) != {"key", "words", "arrays"}:
        raise NotAnEntry("its header has other fields")
    words, arrays = found["words"], found["arrays"]
    if found["key"] != key:
        raise NotAnEntry("it is the entry of another key")
    if not isinstance(words, dict) or not all(isinstance(word, str) for word in words.values()):
        raise NotAnEntry("its words are no words")
    if not isinstance(arrays, dict) or set(arrays) & set(words) or not all(map(_describes_one, arrays.values())):
        raise NotAnEntry("its arrays are not described as arrays")
    # Names given twice, 1e0 for 1, and spaces that nobody wrote: JSON makes the same of all of them.
    if header != _header(key, words, arrays):
        raise NotAnEntry("its header is not written as ours are")
    return words, arrays


def _describes_one(described: object) -> bool:
    """Whether this is ``[type, shape]`` of an array that NumPy can have."""
    if not isinstance(described, list) or len(described) != 2:
        return False
    code, shape = described
    if not isinstance(code, str) or not _NUMBERS.fullmatch(code) or not isinstance(shape, list):
        return False
    if len(shape) > _MOST_AXES or not all(type(size) is int and size >= 0 for size in shape):
        return False
    try:
        # Sizes beside a 0 count too: NumPy multiplies them.
        return np.dtype(code).str == code and math.prod(max(size, 1) for size in shape) < 1 << 60
    except TypeError:  # a size that no number has
        return False
