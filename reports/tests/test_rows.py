"""rows/ is data: a worst row is read only where its file is what its name says, and nothing else is touched."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from references.formats import BFLOAT16, BINARY32, Bits
from reports.run.records import RunError
from reports.run.rows import is_whole, name_of, read_row

ROW: Bits = np.arange(40, dtype=np.uint32)
NAME = name_of(ROW)


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    (tmp_path / "rows").mkdir()
    np.save(tmp_path / "rows" / NAME, ROW, allow_pickle=False)
    return tmp_path / "rows"


def refusal(rows: Path, name: str = NAME, length: int = 40) -> str:
    """The one line of the refusal."""
    with pytest.raises(RunError) as refused:
        read_row(rows, name, length, BINARY32)
    assert not is_whole(rows, name, length, BINARY32)
    assert "\n" not in str(refused.value)
    assert str(refused.value).endswith("; measure again")
    return str(refused.value)


def test_a_row_is_read_back(rows: Path) -> None:
    assert read_row(rows, NAME, 40, BINARY32).tolist() == ROW.tolist()
    assert is_whole(rows, NAME, 40, BINARY32)


@pytest.mark.parametrize(
    "name",
    [
        "../rows/" + NAME,
        "/etc/hostname",
        "",
        ".",
        "maxima.jsonl",
        NAME.upper(),
        NAME + "\n",
        NAME[:-4],
        "0" * 15 + "\u0660.npy",
        "x" * 5000,
        "0" * 15 + "\0.npy",
    ],
)
def test_a_name_that_is_no_rows_name_is_never_opened(rows: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(*_: object) -> int:
        raise AssertionError("it was opened")

    monkeypatch.setattr(os, "open", opened)
    assert "16 hexadecimal digits and .npy" in refusal(rows, name)


def _link(file: Path) -> None:
    file.rename(file.with_name("elsewhere"))
    file.symlink_to(file.with_name("elsewhere"))


def _loop(file: Path) -> None:
    file.unlink()
    file.symlink_to(file)


def _fifo(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def _directory(file: Path) -> None:
    file.unlink()
    file.mkdir()


def _pickled(file: Path) -> None:
    with file.open("wb") as stream:
        np.save(stream, np.array([{"a": 1}], dtype=object), allow_pickle=True)


def _saved(array: np.typing.NDArray[np.generic]) -> Callable[[Path], None]:
    def save(file: Path) -> None:
        with file.open("wb") as stream:
            np.save(stream, array, allow_pickle=False)

    return save


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (Path.unlink, "can't be read: it is not there"),
    "a link": (_link, "can't be read: Too many levels of symbolic links"),
    "a link to itself": (_loop, "can't be read: Too many levels of symbolic links"),
    "a FIFO": (_fifo, "it is no regular file"),
    "a directory": (_directory, "it is no regular file"),
    "empty": (lambda file: file.write_bytes(b""), "is not the row"),
    "no array": (lambda file: file.write_bytes(b"no array"), "is not the row"),
    "a pickle": (lambda file: file.write_bytes(pickle.dumps({})), "is not the row"),
    "a pickled array": (_pickled, "is not the row"),
    "cut off": (lambda file: os.truncate(file, 200), "is not the row"),
    "gigantic": (lambda file: os.truncate(file, 1 << 40), "can't be read: it has 1099511627776 bytes"),
    "other numbers": (_saved(ROW[::-1]), "its content is another"),
    "too few numbers": (_saved(ROW[:39]), "doesn't hold 40 numbers of 32 bits"),
    "another shape": (_saved(ROW[None]), "doesn't hold 40 numbers of 32 bits"),
    "another type": (_saved(ROW.astype(np.float32)), "doesn't hold 40 numbers of 32 bits"),
    "another byte order": (_saved(ROW.astype(">u4")), "doesn't hold 40 numbers of 32 bits"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_file_that_is_not_the_row_is_refused_in_one_line(rows: Path, kind: str) -> None:
    spoil, complaint = DAMAGE[kind]
    spoil(rows / NAME)
    text = refusal(rows)
    assert text.startswith(str(rows / NAME))
    assert complaint in text


def test_a_head_that_asks_for_a_huge_array_is_refused(rows: Path) -> None:
    head = b"{'descr': '<u4', 'fortran_order': False, 'shape': (99999999999999,), }".ljust(117) + b"\n"
    (rows / NAME).write_bytes(b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head)
    assert "is not the row" in refusal(rows)


def test_the_length_and_the_format_are_those_of_the_record(rows: Path) -> None:
    assert "doesn't hold 39 numbers" in refusal(rows, length=39)
    with pytest.raises(RunError, match="doesn't hold 40 numbers of 16 bits"):
        read_row(rows, NAME, 40, BFLOAT16)
