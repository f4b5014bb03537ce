"""Arrays on disk: what comes back, damage of every kind, writers that race or are killed, and the limit."""

from __future__ import annotations

import errno
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from references.bulk.array_store import Store

KEY, OTHER = "0123456789abcdef" * 4, "f" * 64


def entry_of(seed: int, size: int = 1000) -> dict[str, Any]:
    r = np.random.default_rng(seed)
    return {
        "hi": r.standard_normal((2, size)),
        "exponent": r.integers(-(2**40), 2**40, (2, size)),
        "mask": r.random((2, size)) < 0.5,
        "tier": f"tier {seed}",
    }


def same(found: dict[str, Any] | None, expected: dict[str, Any]) -> bool:
    if found is None or set(found) != set(expected):
        return False
    pairs = [(found[name], expected[name]) for name in expected]
    return all(
        a == b if isinstance(b, str) else a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
        for a, b in pairs
    )


def names(directory: Path) -> set[str]:
    return {file.name for file in directory.iterdir()}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache")


# -- what comes back -------------------------------------------------------------------------------------------------


def test_an_entry_comes_back_bit_for_bit_with_arrays_that_can_be_changed(store: Store) -> None:
    entry = entry_of(1)
    entry["hi"][0, :4] = [np.nan, -0.0, np.inf, 5e-324]
    entry["narrow"], entry["empty"] = np.arange(7, dtype=np.uint8), np.zeros((3, 0))
    entry["turned"] = np.asfortranarray(entry["hi"])
    store.write(KEY, entry)
    found = store.read(KEY)
    assert same(found, entry)
    assert found is not None
    for array in found.values():
        assert isinstance(array, str) or array.flags.writeable
        assert isinstance(array, str) or array.ctypes.data % array.itemsize == 0


def test_what_was_never_written_is_absent(store: Store) -> None:
    assert store.read(KEY) is None
    store.write(KEY, entry_of(1))
    assert store.read(OTHER) is None


def test_another_store_on_the_directory_reads_it_and_the_last_writer_wins(store: Store) -> None:
    store.write(KEY, entry_of(1))
    other = Store(store.directory)
    other.write(KEY, entry_of(2))
    assert same(store.read(KEY), entry_of(2))
    assert names(store.directory) == {f"{KEY}.arrays"}


def test_a_removed_entry_is_gone_and_one_that_is_not_there_is_no_error(store: Store) -> None:
    store.write(KEY, entry_of(1))
    store.remove(KEY)
    store.remove(KEY)
    assert store.read(KEY) is None


# -- damage ----------------------------------------------------------------------------------------------------------


def damages(content: bytes) -> Iterator[tuple[str, bytes]]:
    for share in (0.0, 0.001, 0.01, 0.5, 0.999):
        yield f"cut at {share}", content[: int(share * len(content))]
    yield "cut by a byte", content[:-1]
    yield "a byte more", content + b"\0"
    yield "zeros", bytes(len(content))
    # Each bit of what comes before the arrays, and bits all over them.
    places = [*range(8 * 300), *range(8 * 300, 8 * len(content), 10_007)]
    for place in places:
        changed = bytearray(content)
        changed[place // 8] ^= 1 << place % 8
        yield f"bit {place}", bytes(changed)


def test_a_damaged_entry_is_absent_and_can_be_written_again(store: Store) -> None:
    store.write(KEY, entry_of(1))
    file = store.directory / f"{KEY}.arrays"
    for what, content in damages(file.read_bytes()):
        file.write_bytes(content)
        assert store.read(KEY) is None, what
        assert not file.exists(), what
    store.write(KEY, entry_of(1))
    assert same(store.read(KEY), entry_of(1))


def test_an_entry_under_another_name_is_not_believed(store: Store) -> None:
    store.write(KEY, entry_of(1))
    (store.directory / f"{KEY}.arrays").rename(store.directory / f"{OTHER}.arrays")
    assert store.read(OTHER) is None


def test_a_directory_in_the_place_of_an_entry_is_absence_and_no_error(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    (store.directory / f"{KEY}.arrays").mkdir(parents=True)
    assert store.read(KEY) is None
    store.write(KEY, entry_of(1))
    assert store.read(KEY) is None
    assert len(caplog.messages) == 1
    assert names(store.directory) == {f"{KEY}.arrays"}


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads and writes everything")
def test_an_unreadable_entry_is_absent_and_replaced(store: Store) -> None:
    store.write(KEY, entry_of(1))
    (store.directory / f"{KEY}.arrays").chmod(0)
    assert store.read(KEY) is None
    store.write(KEY, entry_of(2))
    assert same(store.read(KEY), entry_of(2))


# -- no place to write -----------------------------------------------------------------------------------------------


def test_a_directory_that_can_not_be_made_costs_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    store = Store(tmp_path / "file" / "cache")
    for _ in range(3):
        store.write(KEY, entry_of(1))
        assert store.read(KEY) is None
    assert caplog.messages == [
        f"{tmp_path / 'file' / 'cache'} can't be written: Not a directory; references are not kept"
    ]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads and writes everything")
def test_a_directory_that_can_only_be_read_is_read(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    store.write(KEY, entry_of(1))
    store.directory.chmod(0o500)
    try:
        again = Store(store.directory)
        assert same(again.read(KEY), entry_of(1))
        again.write(OTHER, entry_of(2))
        assert same(again.read(KEY), entry_of(1))
        assert len(caplog.messages) == 1
    finally:
        store.directory.chmod(0o700)


@pytest.mark.parametrize(
    ("code", "reason"), [(errno.ENOSPC, "No space left on device"), (errno.EROFS, "Read-only file system")]
)
def test_a_full_disk_costs_one_line_and_leaves_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, code: int, reason: str
) -> None:
    store.write(KEY, entry_of(1))

    def full(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        patch.setattr(os, "utime", full)
        for seed in range(3):
            store.write(OTHER, entry_of(seed))
        assert same(store.read(KEY), entry_of(1))
    assert caplog.messages == [f"{store.directory} can't be written: {reason}; references are not kept"]
    assert caplog.records[0].levelno == logging.WARNING
    assert names(store.directory) == {f"{KEY}.arrays"}


# -- the limit -------------------------------------------------------------------------------------------------------


def size_of(directory: Path) -> int:
    return sum(file.stat().st_size for file in directory.iterdir())


def key_of(number: int) -> str:
    return f"{number:064x}"


def test_the_least_recently_used_entries_go_when_the_limit_is_reached(tmp_path: Path) -> None:
    """Entries of 34 kB and room for nine of them; the first is read all the time."""
    store = Store(tmp_path, limit=9 * 35_000)
    for number in range(40):
        store.write(key_of(number), entry_of(number))
        os.utime(tmp_path / f"{key_of(number)}.arrays", (1e9 + number, 1e9 + number))
        assert same(store.read(key_of(0)), entry_of(0))
        assert size_of(tmp_path) <= store.limit
    kept = sorted(int(name.removesuffix(".arrays"), 16) for name in names(tmp_path))
    assert kept[0] == 0
    assert kept[1:] == list(range(41 - len(kept), 40))
    assert 7 <= len(kept) <= 9


def test_several_processes_exceed_the_limit_by_a_64th_each_at_most(tmp_path: Path) -> None:
    stores = [Store(tmp_path, limit=64 * 35_000) for _ in range(3)]
    for number in range(300):
        stores[number % 3].write(key_of(number), entry_of(number))
        assert size_of(tmp_path) <= 64 * 35_000 + 3 * 35_000


def test_an_entry_of_more_than_a_quarter_of_the_limit_is_not_kept(tmp_path: Path) -> None:
    store = Store(tmp_path / "cache", limit=100_000)
    store.write(KEY, entry_of(1))
    assert not (tmp_path / "cache").exists()
    assert store.read(KEY) is None


def test_files_of_others_in_the_directory_are_left_alone(tmp_path: Path) -> None:
    foreign = {"thesis.txt", "x.arrays", "x.part", f"{KEY}.arrays.bak"}
    for name in foreign:
        (tmp_path / name).write_bytes(bytes(100_000))
        os.utime(tmp_path / name, (1e9, 1e9))
    store = Store(tmp_path, limit=150_000)
    for number in range(8):
        store.write(key_of(number), entry_of(number))
    assert foreign <= names(tmp_path)


# -- other processes -------------------------------------------------------------------------------------------------

WRITER = """
import sys
from pathlib import Path
from references.bulk.array_store import Store
from references.tests.test_store import entry_of, key_of, same

store = Store(Path(sys.argv[1]), limit=12 * 35_000)
print("ready", flush=True)
sys.stdin.readline()
for turn in range(int(sys.argv[2])):
    number = (7 * turn + int(sys.argv[3])) % 20
    store.write(key_of(number), entry_of(number))
    found = store.read(key_of((3 * turn) % 20))
    assert found is None or same(found, entry_of((3 * turn) % 20)), number
"""


def writer(directory: Path, turns: int, offset: int) -> subprocess.Popen[str]:
    """A process that writes and reads once it is told to."""
    arguments = [sys.executable, "-c", WRITER, str(directory), str(turns), str(offset)]
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        arguments, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_writers_that_race_for_the_same_entries_never_show_a_broken_one(tmp_path: Path) -> None:
    """Three processes write the same twenty entries, evict each other's and read them at the same time."""
    processes = [writer(tmp_path, 60, offset) for offset in (0, 1, 7)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    store = Store(tmp_path)
    found = {number: store.read(key_of(number)) for number in range(20)}
    assert sum(entry is not None for entry in found.values()) >= 5
    assert all(entry is None or same(entry, entry_of(number)) for number, entry in found.items())
    assert not [name for name in names(tmp_path) if name.endswith(".part")]


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX's")
def test_a_killed_writer_leaves_whole_entries_and_parts_that_are_removed_later(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for attempt in range(4):
        process = writer(tmp_path, 10**9, attempt)
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
        while len(names(tmp_path)) < 3:
            assert process.poll() is None
        time.sleep(0.003 * attempt)
        process.kill()
        process.communicate()
        for number in range(20):
            found = store.read(key_of(number))
            assert found is None or same(found, entry_of(number))
    # Whatever the kills have left, one part is there for certain; it is young, so it may be another writer's.
    part = tmp_path / f"{KEY}.{'0' * 16}.part"
    part.write_bytes(b"half an ent")
    Store(tmp_path).write(KEY, entry_of(1))
    assert part.exists()
    for file in tmp_path.glob("*.part"):
        os.utime(file, (1e9, 1e9))
    Store(tmp_path).write(KEY, entry_of(1))
    assert not list(tmp_path.glob("*.part"))
    assert same(store.read(KEY), entry_of(1))


def test_nothing_is_seen_of_an_entry_before_it_is_whole(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the instant before the file is moved to its place nothing is there, or the old entry still is."""
    seen: list[Any] = []
    replace = Path.replace

    def watched(self: Path, target: Path) -> Path:
        seen.append(Store(store.directory).read(KEY))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", watched)
    store.write(KEY, entry_of(1))
    store.write(KEY, entry_of(2))
    assert seen[0] is None
    assert same(seen[1], entry_of(1))
    assert same(store.read(KEY), entry_of(2))
