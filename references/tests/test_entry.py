"""Entries with a right checksum that no writer of ours made: never an exception, never used."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from references.bulk import cache as module
from references.bulk.batches import reference
from references.bulk.cache import VARIABLE, cached, is_possible, key_of
from references.bulk.cache_entry import NotAnEntry, decoded, encoded
from references.bulk.exact_pairs import Reference
from references.formats import BINARY64, FORMATS
from references.functions import Function, roles_of
from references.vocabulary import OPERATIONS, QUANTITIES

KEY = "ab" * 32
ROWS = np.array([[0.0, 1.0, -2.5], [3.0, 3.0, -np.inf], [np.nan, 1.0, 2.0]])
MAGIC = 26
START = MAGIC + 32


def forged(header: object, body: bytes = b"") -> bytearray:
    """An entry of this header, its checksum right."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    rest = len(text).to_bytes(8, "little") + text
    rest += b"\0" * (-(START + len(rest)) % 64) + body
    return bytearray(b"softmax-accuracy arrays 1\n" + hashlib.sha256(rest).digest() + rest)


def of_arrays(arrays: object, **changes: object) -> bytearray:
    return forged({"key": KEY, "words": {}, "arrays": arrays, **changes}, bytes(64))


ODD: dict[str, bytearray] = {
    "a list": forged([1, 2]),
    "a number": forged(7),
    "null": forged(None),
    "no JSON": forged(b"{"),
    "no text": forged(b"\xff\xfe{"),
    "empty": forged(b""),
    "deep": forged(b"[" * 60_000),
    "no key": forged({"words": {}, "arrays": {}}),
    "no arrays": forged({"key": KEY, "words": {}}),
    "a field more": of_arrays({}, colour="red"),
    "another key": of_arrays({}, key="cd" * 32),
    "a key that is a list": of_arrays({}, key=[KEY]),
    "words in a list": of_arrays({}, words=[1]),
    "a word that is a number": of_arrays({}, words={"a": 1}),
    "a word that is an array too": of_arrays({"a": ["<f8", [8]]}, words={"a": "b"}),
    "arrays in a list": of_arrays([["<f8", [8]]]),
    "an array that is a word": of_arrays({"a": "<f8"}),
    "a type without a shape": of_arrays({"a": ["<f8"]}),
    "a shape that is a number": of_arrays({"a": ["<f8", 8]}),
    "a negative size": of_arrays({"a": ["<f8", [-8]]}),
    "two negative sizes": of_arrays({"a": ["<f8", [-2, -4]]}),
    "a huge size": of_arrays({"a": ["<f8", [1 << 61]]}),
    "a size beyond integers": of_arrays({"a": ["<f8", [10**30]]}),
    "nothing, and a huge size": of_arrays(
        {"a": ["<f8", [0, 10**30]]},
    ),
    "sizes that overflow to 8": of_arrays({"a": ["<f8", [1 << 62, 4, 8]]}),
    "a fraction": of_arrays({"a": ["<f8", [8.0]]}),
    "truth": of_arrays({"a": ["<f8", [8, True]]}),
    "a word for a size": of_arrays({"a": ["<f8", ["8"]]}),
    "a hundred axes": of_arrays({"a": ["<f8", [8] + [1] * 99]}),
    "objects": of_arrays({"a": ["|O", [8]]}),
    "objects by another name": of_arrays({"a": ["O8", [8]]}),
    "bytes": of_arrays({"a": ["|S8", [8]]}),
    "dates": of_arrays({"a": ["<M8[s]", [8]]}),
    "fields": of_arrays({"a": ["f4,f4", [8]]}),
    "a number of 3 bytes": of_arrays({"a": ["<f3", [8]]}),
    "no type": of_arrays({"a": ["", [8]]}),
    "a type that is a list": of_arrays({"a": [["<f8"], [8]]}),
    "another spelling of a type": of_arrays({"a": ["|f8", [8]]}),
    "arrays beyond the end": of_arrays({"a": ["<f8", [9]]}),
    "less than there is": of_arrays({"a": ["<f8", [7]]}),
    "a name twice": forged(
        b'{"key": "%s", "words": {}, "arrays": {"a": ["<f8", [4]], "a": ["<f8", [8]]}}' % KEY.encode()
    ),
    "a header longer than the file": bytearray(
        b"softmax-accuracy arrays 1\n" + hashlib.sha256(b"\xff" * 8).digest() + b"\xff" * 8
    ),
    "nothing behind the checksum": bytearray(b"softmax-accuracy arrays 1\n" + hashlib.sha256(b"").digest()),
}


@pytest.mark.parametrize("content", ODD.values(), ids=ODD)
def test_a_right_checksum_does_not_make_an_entry(content: bytearray) -> None:
    with pytest.raises(NotAnEntry):
        decoded(content, KEY)


def test_what_is_written_is_read() -> None:
    given: dict[str, Any] = {"a": np.arange(8.0).reshape(2, 4), "b": np.zeros((0, 3), np.uint8), "c": "word"}
    found = decoded(bytearray(b"".join(encoded(KEY, given))), KEY)
    assert set(found) == set(given)
    assert found["c"] == "word"
    for name in "ab":
        assert np.array_equal(np.asarray(found[name]), given[name])


# -- as the cache reads them -----------------------------------------------------------------------------------------


class Computer:
    """Computes one reference and counts how often it is asked."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> Reference:
        self.count += 1
        return reference(Function("log_softmax", "forward"), ROWS, BINARY64)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(module, "_pays", lambda seconds, size: True)
    return tmp_path / "cache"


FUNCTION = Function("log_softmax", "forward")


def asked(compute: Computer) -> Reference:
    return cached(FUNCTION, ROWS, BINARY64, compute=compute)


def same(a: Reference, b: Reference) -> bool:
    return all(np.array_equal(getattr(a, f.name), getattr(b, f.name), equal_nan=True) for f in fields(a))


def file_of(place: Path) -> Path:
    return place / f"{key_of(FUNCTION, ROWS, BINARY64)}.arrays"


def mutations(content: bytes) -> Iterator[bytes]:
    """Each byte of the header changed in some ways, a few taken out or put in; the checksum made again."""
    length = int.from_bytes(content[START : START + 8], "little")
    begin, end = START, START + 8 + length
    for place in range(begin, end):
        for new in {content[place] ^ 1, content[place] ^ 0x80, ord("9"), ord("-"), ord("["), ord('"'), 0} - {
            content[place]
        }:
            yield content[:place] + bytes([new]) + content[place + 1 :]
    for place in range(begin, end, 3):
        yield content[:place] + content[place + 1 :]
        yield content[:place] + b"0" + content[place:]


def test_no_mutation_of_a_header_is_an_exception_or_a_wrong_reference(place: Path) -> None:
    compute = Computer()
    right = asked(compute)
    file = file_of(place)
    content = file.read_bytes()
    tried = 0
    for changed in mutations(content):
        file.write_bytes(changed[:MAGIC] + hashlib.sha256(changed[START:]).digest() + changed[START:])
        assert same(asked(compute), right)
        tried += 1
        assert compute.count == 1 + tried, changed[START:600]  # not one of them was believed
    assert tried > 1000


def fields_of(made: Reference) -> dict[str, Any]:
    return {field.name: np.array(getattr(made, field.name)) for field in fields(made)}


def changed(name: str, value: float, where: tuple[int, int] = (0, 1)) -> dict[str, Any]:
    entry = fields_of(Computer()())
    entry[name][where] = value
    return entry


IMPOSSIBLE: dict[str, dict[str, Any]] = {
    "an infinite value": changed("hi", np.inf),
    "a low part that is no number": changed("lo", np.nan),
    "a low part as large as the high one": changed("lo", -1.5),
    "a low part beside NaN": changed("lo", 1e-30, (2, 0)),
    "an infinite error": changed("error", np.inf),
    "an error that is no number": changed("error", np.nan),
    "a negative error": changed("error", -1e-40),
    "an error of an ulp, which would forgive any": changed("error", 2.0**-52),
    "an exponent below the lowest": changed("exponent", -2101),
    "the smallest integer as an exponent": changed("exponent", -(2**63)),
    "a large exponent": changed("exponent", 2**62),
    "a tier that there is not": changed("tier", 3),
    "a word for an array": {**fields_of(Computer()()), "lo": "0"},
    "another byte order": {**fields_of(Computer()()), "hi": Computer()().hi.astype(">f8")},
    "narrower numbers": {**fields_of(Computer()()), "hi": Computer()().hi.astype(np.float32)},
    "integers": {**fields_of(Computer()()), "error": np.zeros(ROWS.shape, np.int64)},
    "one row alone": {**fields_of(Computer()()), "tier": np.zeros(3, np.uint8)},
    "no axis": {**fields_of(Computer()()), "error": np.float64(0)},
}


@pytest.mark.parametrize("entry", IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_an_entry_that_can_be_no_reference_is_computed_again_with_a_hint(
    place: Path, caplog: pytest.LogCaptureFixture, entry: dict[str, Any]
) -> None:
    compute = Computer()
    right = asked(compute)
    entry = {name: value if isinstance(value, str) else np.asarray(value) for name, value in entry.items()}
    file_of(place).write_bytes(b"".join(encoded(file_of(place).stem, entry)))
    assert same(asked(compute), right)
    assert compute.count == 2
    assert same(asked(compute), right)
    assert compute.count == 2
    (line,) = caplog.messages
    assert str(place) in line
    assert f"{VARIABLE}=off" in line


def of_nothing(file: Path) -> None:
    file.write_bytes(b"")


def of_a_directory(file: Path) -> None:
    file.unlink()
    (file / "below").mkdir(parents=True)


def of_a_fifo(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def of_a_link(file: Path) -> None:
    file.rename(file.with_suffix(".elsewhere"))
    file.symlink_to(file.with_suffix(".elsewhere"))


def of_a_loop(file: Path) -> None:
    file.unlink()
    file.symlink_to(file)


def of_a_sparse_file(file: Path) -> None:
    with file.open("r+b") as stream:
        stream.truncate(1 << 40)


@pytest.mark.skipif(sys.platform == "win32", reason="FIFOs are POSIX's")
@pytest.mark.parametrize("damage", [of_nothing, of_a_directory, of_a_fifo, of_a_link, of_a_loop, of_a_sparse_file])
def test_what_stands_in_the_place_of_an_entry_costs_a_hint_and_no_more(
    place: Path, caplog: pytest.LogCaptureFixture, damage: Any
) -> None:
    compute = Computer()
    right = asked(compute)
    (place / f"{KEY}.{'0' * 16}.part").write_bytes(b"half")
    damage(file_of(place))
    for _ in range(3):
        assert same(asked(compute), right)
    assert compute.count == (4 if damage is of_a_directory else 2)
    (line,) = caplog.messages
    assert line.startswith(f"{file_of(place)} is not used: ")
    assert line.endswith(f"computed again; {VARIABLE} names another directory, and {VARIABLE}=off keeps none")


def test_what_the_oracle_contradicts_is_reported_once(place: Path, caplog: pytest.LogCaptureFixture) -> None:
    compute = Computer()
    asked(compute)
    refused = iter([True, False])

    def check(found: Reference) -> None:
        if next(refused):
            raise ArithmeticError

    assert same(cached(FUNCTION, ROWS, BINARY64, compute=compute, check=check), Computer()())
    assert caplog.messages[0].startswith(f"{file_of(place)} is not used: the oracle contradicts it; ")


@pytest.mark.parametrize("quantity", QUANTITIES)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_reference_that_is_made_is_possible(operation: str, quantity: str) -> None:
    """Wide, subnormal, equal and special rows, in every format, with vectors that cancel."""
    wide = [[0.0, -700.0, 700.0, 1.0], [5e-324, 0.0, -0.0, 1e-300], [1e308, -1e308, 0.0, -np.inf]]
    special = [[np.nan, 0.0, 1.0, 2.0], [-np.inf] * 4, [2.0, 2.0, 2.0, 2.0]]
    for format in FORMATS.values():
        largest = format.largest
        rows = format.decode(format.round_floats(np.clip([*wide, *special], -largest, largest)))
        mixed = np.resize([1.0, -1.0, 0.5, 0.5, -largest, 2.0, 0.0], rows.shape)
        vectors = dict.fromkeys(roles_of(quantity), format.decode(format.round_floats(mixed)))
        assert is_possible(reference(Function(operation, quantity), rows, format, **vectors), format), format.name


def test_no_rows_are_possible() -> None:
    assert is_possible(reference(Function("softmax", "forward"), np.zeros((0, 3)), BINARY64), BINARY64)


def test_a_home_of_nobody_is_a_name_like_any_other(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "_pays", lambda seconds, size: True)
    monkeypatch.setenv(VARIABLE, "~nobody-of-this-name/references")
    module._store.cache_clear()
    asked(Computer())
    assert (tmp_path / "~nobody-of-this-name" / "references").is_dir()
    module._store.cache_clear()
