"""Kept references: found for the same bits alone, worth their place, and computed again whenever in doubt."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from references.bulk import cache as module
from references.bulk.batches import reference
from references.bulk.cache import VARIABLE, cached, fingerprint, key_of
from references.bulk.exact_pairs import Reference
from references.formats import BFLOAT16, BINARY32, BINARY64, Floats, Format
from references.functions import Function

ROWS = np.array([[0.0, 1.0, -2.5], [3.0, 3.0, -np.inf]])
VECTOR = np.array([[1.0, -1.0, 0.5], [0.0, 2.0, 4.0]])


class Computer:
    """Computes references and counts how often it is asked."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> Reference:
        self.count += 1
        return reference(Function("softmax", "vjp"), ROWS, BINARY64, cotangent=VECTOR)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own, in which everything is worth keeping."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(module, "_pays", lambda seconds, size: True)
    return tmp_path / "cache"


def asked(compute: Callable[[], Reference], **options: Any) -> Reference:
    return cached(Function("softmax", "vjp"), ROWS, BINARY64, cotangent=VECTOR, compute=compute, **options)


def same(a: Reference, b: Reference) -> bool:
    return all(np.array_equal(getattr(a, f.name), getattr(b, f.name), equal_nan=True) for f in dataclasses.fields(a))


def entries(place: Path) -> list[Path]:
    return sorted(place.glob("*.arrays"))


# -- the same question -----------------------------------------------------------------------------------------------


def test_the_same_question_is_computed_once_and_answered_bit_for_bit(place: Path) -> None:
    compute = Computer()
    first, second = asked(compute), asked(compute)
    assert compute.count == 1
    assert same(first, second)
    assert same(second, Computer()())
    assert len(entries(place)) == 1


def test_special_rows_survive(place: Path) -> None:
    rows = np.array([[math.nan, 0.0], [-np.inf, 2.0], [1e308, -1e308]])

    def compute() -> Reference:
        return reference(Function("log_softmax", "forward"), rows, BINARY64)

    found = [cached(Function("log_softmax", "forward"), rows, BINARY64, compute=compute) for _ in range(2)]
    assert same(*found)
    assert np.isnan(found[1].hi[0]).all()
    assert found[1].hi[1, 0] == -np.inf
    assert found[1].by_oracle.any()


def questions() -> dict[str, tuple[Any, ...]]:
    """Name -> operation, quantity, logits, format, cotangent, tangent: all different from the first."""
    nudged, negative = ROWS.copy(), ROWS.copy()
    nudged[1, 0] = np.nextafter(3.0, 4.0)
    negative[0, 0] = -0.0
    return {
        "plain": ("softmax", "vjp", ROWS, BINARY64, VECTOR, None),
        "operation": ("log_softmax", "vjp", ROWS, BINARY64, VECTOR, None),
        "quantity": ("softmax", "hvp", ROWS, BINARY64, VECTOR, VECTOR),
        "format": ("softmax", "vjp", ROWS, BFLOAT16, VECTOR, None),
        "a last bit": ("softmax", "vjp", nudged, BINARY64, VECTOR, None),
        "the sign of a zero": ("softmax", "vjp", negative, BINARY64, VECTOR, None),
        "the shape": ("softmax", "vjp", ROWS.reshape(3, 2), BINARY64, VECTOR.reshape(3, 2), None),
        "the order of rows": ("softmax", "vjp", ROWS[::-1], BINARY64, VECTOR, None),
        "the role": ("softmax", "vjp", ROWS, BINARY64, None, VECTOR),
        "roles exchanged": ("softmax", "vjp", VECTOR, BINARY64, ROWS, None),
    }


def test_every_part_of_a_question_is_in_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    def key(parts: tuple[Any, ...]) -> str:
        return key_of(Function(*parts[:2]), *parts[2:4], cotangent=parts[4], tangent=parts[5])

    keys = {name: key(parts) for name, parts in questions().items()}
    assert len(set(keys.values())) == len(keys)
    plain = questions()["plain"]
    assert key((*plain[:2], np.asfortranarray(ROWS), *plain[3:])) == keys["plain"]
    monkeypatch.setattr(module, "_FINGERPRINT", "another")
    assert key(plain) != keys["plain"]


# -- the code that answers -------------------------------------------------------------------------------------------


def test_a_changed_source_file_is_another_fingerprint_and_a_test_is_not(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    files = {"bulk.py": "x = 1\n", "oracle.py": "y = 2\n", "tests/test_bulk.py": "z = 3\n", "notes.txt": "n"}
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    first = fingerprint(tmp_path)
    assert fingerprint(tmp_path) == first
    for name, changes in {"bulk.py": True, "oracle.py": True, "tests/test_bulk.py": False, "notes.txt": False}.items():
        (tmp_path / name).write_text(files[name] + "# more\n", encoding="utf-8")
        assert (fingerprint(tmp_path) != first) == changes, name
        (tmp_path / name).write_text(files[name], encoding="utf-8")
    (tmp_path / "oracle.py").rename(tmp_path / "judge.py")
    assert fingerprint(tmp_path) != first


def test_the_versions_that_the_reference_computes_with_are_in_the_fingerprint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = fingerprint(tmp_path)
    monkeypatch.setattr(np, "__version__", "99.0")
    assert fingerprint(tmp_path) != first


def test_a_changed_reference_is_not_served_what_the_old_one_left(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compute = Computer()
    asked(compute)
    monkeypatch.setattr(module, "_FINGERPRINT", "of changed sources")
    asked(compute)
    assert compute.count == 2
    assert len(entries(place)) == 2


# -- doubt -----------------------------------------------------------------------------------------------------------


def damaged_by(entry: dict[str, Any]) -> Callable[[Path], None]:
    """Puts a well-formed entry in the place of the right one."""

    def damage(file: Path) -> None:
        module._store(str(file.parent)).write(file.stem, entry)  # type: ignore[union-attr]

    return damage


def fields_of(made: Reference) -> dict[str, Any]:
    return {field.name: getattr(made, field.name) for field in dataclasses.fields(made)}


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: file.write_bytes(file.read_bytes()[:-1]),
        lambda file: file.write_bytes(b""),
        lambda file: file.unlink(),
        damaged_by({"hi": ROWS}),
        damaged_by({**fields_of(reference(Function("softmax", "forward"), ROWS[:1], BINARY64))}),
        damaged_by({**fields_of(reference(Function("softmax", "forward"), ROWS, BINARY64)), "colour": "red"}),
    ],
    ids=["cut", "empty", "gone", "other fields", "another shape", "a field more"],
)
def test_a_damaged_entry_is_computed_again_and_replaced(place: Path, damage: Callable[[Path], None]) -> None:
    compute = Computer()
    first = asked(compute)
    damage(entries(place)[0])
    assert same(asked(compute), first)
    assert compute.count == 2
    assert same(asked(compute), first)
    assert compute.count == 2


class Doubt(ArithmeticError):
    """What a check raises here."""


def test_an_entry_that_fails_the_check_is_computed_again_and_replaced(place: Path) -> None:
    wrong = Computer()()
    wrong.hi[0, 0] += 1.0
    asked(lambda: wrong)
    seen: list[float] = []

    def check(found: Reference) -> None:
        seen.append(float(found.hi[0, 0]))
        if found.hi[0, 0] == wrong.hi[0, 0]:
            raise Doubt

    compute = Computer()
    assert same(asked(compute, check=check), Computer()())
    assert same(asked(compute, check=check), Computer()())
    assert compute.count == 1
    assert seen == [wrong.hi[0, 0], *[Computer()().hi[0, 0]] * 2]


def test_what_fails_the_check_when_it_is_computed_is_not_kept(place: Path) -> None:
    def check(found: Reference) -> None:
        raise Doubt

    with pytest.raises(Doubt):
        asked(Computer(), check=check)
    assert not place.exists()


# -- whether and where -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["off", "OFF"])
def test_the_cache_can_be_turned_off(place: Path, monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    monkeypatch.setenv(VARIABLE, word)
    compute = Computer()
    for _ in range(2):
        asked(compute)
    assert compute.count == 2
    assert not place.exists()
    assert not Path(word).exists()


def test_without_the_variable_it_is_in_the_users_cache_directory(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "")
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name, appauthor: tmp_path / "user" / name)
    module._store.cache_clear()
    asked(Computer())
    module._store.cache_clear()
    assert len(entries(tmp_path / "user" / "softmax-accuracy" / "references")) == 1


def test_a_place_that_can_not_be_written_only_means_no_cache(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "file"))
    compute = Computer()
    for _ in range(3):
        assert same(asked(compute), Computer()())
    assert compute.count == 3
    assert len(caplog.messages) == 1


@pytest.mark.parametrize(
    ("seconds", "size", "kept"),
    [
        (0.0019, 1000, False),  # below two milliseconds
        (0.0021, 1000, True),
        (0.039, 10_000_000, False),  # 303,000 elements: four times what reading takes are 40 ms
        (0.041, 10_000_000, True),
        (60.0, 10_000_000, True),
    ],
)
def test_what_is_cheaper_to_compute_than_to_read_is_not_kept(seconds: float, size: int, kept: bool) -> None:
    assert module._pays(seconds, size) == kept


@pytest.mark.parametrize(
    ("quantity", "format", "looked_up"),
    [
        ("forward", BINARY32, False),
        ("forward", BFLOAT16, False),
        ("forward", BINARY64, True),
        ("vjp", BINARY32, True),
    ],
)
def test_values_of_narrow_formats_are_not_even_looked_up(
    place: Path, monkeypatch: pytest.MonkeyPatch, quantity: str, format: Format, looked_up: bool
) -> None:
    keys: list[str] = []

    def noted(*arguments: Any, **vectors: Any) -> str:
        keys.append(key_of(*arguments, **vectors))
        return keys[-1]

    monkeypatch.setattr(module, "key_of", noted)
    vectors: dict[str, Floats] = {"cotangent": VECTOR} if quantity == "vjp" else {}
    compute: Callable[[], Reference] = lambda: reference(Function("softmax", quantity), ROWS, format, **vectors)  # noqa: E731
    cached(Function("softmax", quantity), ROWS, format, cotangent=vectors.get("cotangent"), compute=compute)
    assert bool(keys) == looked_up
    assert place.exists() == looked_up


def test_no_rows_are_a_question_too(place: Path) -> None:
    empty = np.zeros((0, 3))
    compute: Callable[[], Reference] = lambda: reference(Function("softmax", "forward"), empty, BINARY64)  # noqa: E731
    found = [cached(Function("softmax", "forward"), empty, BINARY64, compute=compute) for _ in range(2)]
    assert found[1].hi.shape == (0, 3)
