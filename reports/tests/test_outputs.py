"""Where output goes: into devices and FIFOs, through links, never over data, and a line for what can't be written.

Devices and FIFOs are nodes made for the test: as root a fault would replace those of the machine.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reports.console.exits import OK, USAGE
from reports.files import replace_file, write_atomically
from reports.run.records import Run, RunError
from reports.tests.conftest import Command

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="FIFOs, links and modes are POSIX's")


@pytest.fixture
def run(finished: Run, tmp_path: Path) -> Path:
    """A run directory in the directory that the command runs in."""
    shutil.copytree(finished.path, tmp_path / "run")
    return tmp_path / "run"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


# -- what stays what it is -------------------------------------------------------------------------------------------


GOLDEN = ("golden", "rows.npy", "--operation", "softmax", "--quantity", "forward", "--format", "binary64")
VERBS = {
    "report --html": ("report", "run", "--html"),
    "report --markdown": ("report", "run", "--markdown"),
    "baseline --out": ("baseline", "run", "--out"),
    "compare --json": ("compare", "run", "run", "--json"),
    "compare --html": ("compare", "run", "run", "--html"),
    "compare --markdown": ("compare", "run", "run", "--markdown"),
    "history --html": ("report", "--history", "run", "run", "--html"),
    "golden --out": (*GOLDEN, "--out"),
    "golden --c-header": (*GOLDEN, "--out", "o.npz", "--c-header"),
}


@pytest.fixture(params=list(VERBS.values()), ids=list(VERBS))
def verb(request: pytest.FixtureRequest, run: Path, tmp_path: Path) -> tuple[str, ...]:
    """A command that lacks the name of its output."""
    np.save(tmp_path / "rows.npy", np.array([[0.0, 1.0]]))
    words: tuple[str, ...] = request.param
    return words


def test_a_fifo_is_written_into(command: Command, tmp_path: Path, verb: tuple[str, ...]) -> None:
    os.mkfifo(tmp_path / "pipe")
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append((tmp_path / "pipe").read_bytes()), daemon=True)
    reader.start()
    assert command(*verb, "pipe").code == OK
    reader.join(20)
    assert stat.S_ISFIFO((tmp_path / "pipe").lstat().st_mode)
    (tmp_path / "pipe").rename(tmp_path / "pipe.old")
    assert command(*verb, "pipe").code == OK  # the same into a file of that name
    assert got == [(tmp_path / "pipe").read_bytes()]


def test_a_device_is_written_into(command: Command, tmp_path: Path, verb: tuple[str, ...]) -> None:
    device = tmp_path / "null"
    try:
        os.mknod(device, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        device.write_bytes(b"")
    except OSError:
        pytest.skip("devices can't be made here")
    assert command(*verb, "null").code == OK
    assert stat.S_ISCHR(device.lstat().st_mode)
    assert not list(tmp_path.glob("null*.part"))


def test_a_link_stays_and_its_target_is_replaced(command: Command, tmp_path: Path, verb: tuple[str, ...]) -> None:
    (tmp_path / "far").mkdir()
    target, link = tmp_path / "far" / "target", tmp_path / "link"
    target.write_text("old", encoding="utf-8")
    link.symlink_to("far/target")
    assert command(*verb, "link").code == OK
    assert link.is_symlink()
    assert target.stat().st_size > 10
    assert [file.name for file in target.parent.iterdir()] == ["target"]


def test_the_target_of_a_dangling_link_is_made(command: Command, tmp_path: Path, verb: tuple[str, ...]) -> None:
    (tmp_path / "link").symlink_to("second")
    (tmp_path / "second").symlink_to("target")
    assert command(*verb, "link").code == OK
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "second").is_symlink()
    assert (tmp_path / "target").stat().st_size > 10


@pytest.mark.parametrize("mode", [0o600, 0o664, 0o755])
def test_a_replaced_file_keeps_its_mode(command: Command, tmp_path: Path, verb: tuple[str, ...], mode: int) -> None:
    (tmp_path / "page").write_text("old", encoding="utf-8")
    (tmp_path / "page").chmod(mode)
    assert command(*verb, "page").code == OK
    assert mode_of(tmp_path / "page") == mode
    assert (tmp_path / "page").read_bytes() != b"old"


def test_a_new_file_has_the_mode_of_the_umask(command: Command, tmp_path: Path, verb: tuple[str, ...]) -> None:
    old = os.umask(0o027)
    try:
        assert command(*verb, "page").code == OK
    finally:
        os.umask(old)
    assert mode_of(tmp_path / "page") == 0o640


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away")
def test_a_replaced_file_keeps_its_owner(tmp_path: Path) -> None:
    (tmp_path / "page").write_text("old", encoding="utf-8")
    os.chown(tmp_path / "page", 12345, 54321)
    (tmp_path / "page").chmod(0o640)
    write_atomically(tmp_path / "page", "new")
    status = (tmp_path / "page").stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (12345, 54321, 0o640)


def test_a_descriptor_is_written_to_where_it_is(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w+b") as file:
        file.write(b"before\n")
        file.flush()
        write_atomically(Path(f"/dev/fd/{file.fileno()}"), "page\n")
        file.seek(0, os.SEEK_END)
        file.write(b"after\n")
    assert (tmp_path / "log").read_bytes() == b"before\npage\nafter\n"


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[bytes]:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash on this machine")
    program = f"{sys.executable} -m reports"
    return subprocess.run(
        [bash, "-c", command.replace("softmax-accuracy", program)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=120,
    )


def test_a_process_substitution_gets_what_a_file_would(command: Command, tmp_path: Path, run: Path) -> None:
    ran = shell("softmax-accuracy baseline run --out >(cat > got; touch done); wait $!", tmp_path)
    assert (ran.returncode, ran.stdout) == (0, b""), ran.stderr
    assert command("baseline", "run", "--out", "wanted").code == OK
    assert (tmp_path / "got").read_bytes() == (tmp_path / "wanted").read_bytes()


# -- what is refused -------------------------------------------------------------------------------------------------


OWN = ("manifest.json", "cells.jsonl", "lost.jsonl", "observations.jsonl", "rows/maxima.jsonl", "rows/new", "rows")


@pytest.mark.parametrize("name", [*OWN, "../run/cells.jsonl", "CELLS.jsonl", "Rows/x"])
def test_data_of_a_run_are_never_written_over(command: Command, run: Path, verb: tuple[str, ...], name: str) -> None:
    before = contents(run)
    ran = command(*verb, f"run/{name}")
    assert ran.code == USAGE
    assert ran.complaint().endswith("; choose another place")
    assert contents(run) == before


def test_nor_by_a_link_of_either_kind(command: Command, tmp_path: Path, run: Path) -> None:
    before = contents(run)
    (tmp_path / "soft").symlink_to("run/cells.jsonl")
    (tmp_path / "folder").symlink_to("run")
    (tmp_path / "new").symlink_to("run/rows/new")
    os.link(run / "manifest.json", tmp_path / "hard")
    os.link(run / "rows" / "maxima.jsonl", tmp_path / "deep")
    for name in ("soft", "folder/cells.jsonl", "new", "hard", "deep"):
        for words in (("report", "run", "--html"), ("baseline", "run", "--out"), ("compare", "run", "run", "--json")):
            ran = command(*words, name)
            assert ran.code == USAGE, name
            assert "data of the run" in ran.complaint(), name
    assert contents(run) == before
    assert (tmp_path / "soft").is_symlink()


def test_data_of_another_run_are_spared_too(command: Command, tmp_path: Path, run: Path, verb: tuple[str, ...]) -> None:
    shutil.copytree(run, tmp_path / "other")
    (tmp_path / "other" / "manifest.json").unlink()  # a damaged one is still somebody's
    before = contents(tmp_path / "other")
    for name in ("cells.jsonl", "rows/x", "manifest.json"):
        ran = command(*verb, f"other/{name}")
        assert ran.code == USAGE
        assert ran.complaint() == (
            f"other/{name} belongs to the data of the run {tmp_path / 'other'}; choose another place"
        )
    assert contents(tmp_path / "other") == before


def test_a_page_may_lie_beside_the_data_and_a_manifest_of_something_else_is_a_file(
    command: Command, tmp_path: Path, run: Path
) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "manifest.json").write_text("{}", encoding="utf-8")
    assert command("report", "run", "--html", "run/page.html").code == OK
    assert command("compare", "run", "run", "--json", "site/manifest.json").code == OK


def test_a_run_directory_is_not_made_amidst_the_data_of_another(command: Command, run: Path) -> None:
    before = contents(run)
    for name in ("run/rows", "run/rows/x/y", "run/cells.jsonl"):
        for words in (("measure", "--framework", "numpy"), ("audit", "numpy==1", "numpy==2")):
            ran = command(*words, "--out", name)
            assert ran.code == USAGE
            assert f"{name} belongs to the data of the run" in ran.complaint()
    assert contents(run) == before


@pytest.mark.parametrize(
    "names",
    [
        ("page", "page"),
        ("page", "./page"),
        ("page", "run/../page"),
        ("page", "link"),
        ("old", "hard"),
        ("-", "-"),
        ("-", "/dev/fd/1"),
    ],
)
def test_two_outputs_are_two_files(command: Command, tmp_path: Path, run: Path, names: tuple[str, str]) -> None:
    (tmp_path / "link").symlink_to("page")
    (tmp_path / "old").write_text("old", encoding="utf-8")
    os.link(tmp_path / "old", tmp_path / "hard")
    for words in (("report", "run", "--html", names[0], "--markdown", names[1]),
                  ("compare", "run", "run", "--markdown", names[0], "--json", names[1])):  # fmt: skip
        ran = command(*words)
        assert ran.code == USAGE
        assert ran.complaint() == f"{Path(names[1])} is named twice; what is written needs a place of its own"
        assert ran.out == ""
    assert not (tmp_path / "page").exists()
    assert (tmp_path / "old").read_text(encoding="utf-8") == "old"


def test_what_is_read_is_not_written_over(command: Command, tmp_path: Path, run: Path) -> None:
    (tmp_path / "allow.toml").write_text("", encoding="utf-8")
    os.link(tmp_path / "allow.toml", tmp_path / "same.toml")
    for name in ("allow.toml", "./allow.toml", "same.toml"):
        ran = command("compare", "run", "run", "--allow", "allow.toml", "--json", name)
        assert ran.code == USAGE
        assert "is named twice" in ran.complaint()
    assert (tmp_path / "allow.toml").read_bytes() == b""


# -- a line for each ---------------------------------------------------------------------------------------------------


def refused(command: Command, folder: Path, *words: object) -> str:
    before = sorted(folder.rglob("*"))
    ran = command(*words)
    assert ran.code == USAGE
    assert ran.out == ""
    assert sorted(folder.rglob("*")) == before
    return ran.complaint()


def test_places_that_can_not_be_written_are_a_line(command: Command, tmp_path: Path, verb: tuple[str, ...]) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").touch()
    reasons = {
        ".": "Is a directory",
        "run": "Is a directory",
        "nowhere/page": "No such file or directory",
        "file/page": "Not a directory",
        "loop": "Too many levels of symbolic links",
        "n" * 300: "File name too long",
        "/dev/fd/999": "Bad file descriptor",
    }
    for name, reason in reasons.items():
        assert refused(command, tmp_path, *verb, name) == f"{name} can't be written: {reason}; choose another place"


def test_an_empty_name_is_not_the_directory_one_is_in(command: Command, tmp_path: Path, verb: tuple[str, ...]) -> None:
    for words in (verb, ("measure", "--out"), ("audit", "numpy==1", "numpy==2", "--out")):
        for name in ("", "a\0b"):
            assert f"{name!r} is no path; name one" in refused(command, tmp_path, *words, name)


def test_the_longest_name_is_a_name(command: Command, tmp_path: Path, verb: tuple[str, ...]) -> None:
    assert command(*verb, "n" * 255).code == OK
    assert (tmp_path / ("n" * 255)).is_file()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names are text")
def test_a_name_that_is_no_text_is_a_name(tmp_path: Path, run: Path) -> None:
    few = "--framework numpy --tier smoke --format binary64 --operation softmax --family gauss1"
    for words in ("baseline run --out page", f"measure {few} --out run"):
        ran = shell(f"softmax-accuracy {words}$'\\xff\\x1b[31m'", tmp_path)
        assert ran.returncode == 0, ran.stderr
        assert b"Traceback" not in ran.stderr
    ran = shell("mv run $'\\xff'; softmax-accuracy report $'\\xff' --html page --markdown -", tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "page").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["page", "nowhere/page"])
def test_a_place_that_may_not_be_written_is_a_line(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: tuple[str, ...], name: str
) -> None:
    """As on a read-only mount; root may write everywhere else."""
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)
    assert re.fullmatch(
        rf"({name}|o\.npz) can't be written: .*; choose another place", refused(command, tmp_path, *verb, name)
    )


def test_places_are_tried_before_the_work(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: tuple[str, ...]
) -> None:
    def worked(*_: object, **__: object) -> None:
        raise AssertionError("it was too early")

    for work in ("inspect.golden.golden", "verbs.baseline.stored", "verbs.compare.compare_runs", "verbs.history.stored",
                 "html.render", "verbs.audit.sides_of"):  # fmt: skip
        monkeypatch.setattr(f"reports.{work}", worked)
    audit = ("audit", "numpy==1", "numpy==2", "--json")
    for words in (verb, audit):
        assert "can't be written: Is a directory" in refused(command, tmp_path, *words, ".")
    assert "belongs to the audit" in refused(command, tmp_path, *audit, "a/audit.json", "--out", "a")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_a_failure_at_the_end_is_a_line_even_where_nothing_can_be_cleared_away(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: tuple[str, ...], code: int
) -> None:
    (tmp_path / "page").write_text("old", encoding="utf-8")

    def fails(*_: object, **__: object) -> Any:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", fails)
        patch.setattr(Path, "unlink", fails)
        ran = command(*verb, "page")
    assert ran.code == USAGE
    assert ran.complaint().endswith(f" can't be written: {os.strerror(code)}; choose another place")
    assert (tmp_path / "page").read_text(encoding="utf-8") == "old"


def test_what_stops_half_way_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "page").write_text("old", encoding="utf-8")
    for reason in (KeyboardInterrupt(), RunError("x"), MemoryError()):

        def parts(raised: BaseException = reason) -> Iterator[bytes]:
            yield b"half"
            raise raised

        with pytest.raises(type(reason)):
            replace_file(tmp_path / "page", parts())
    assert contents(tmp_path) == {"page": b"old"}


def test_a_reader_of_a_fifo_that_leaves_early_is_a_line(command: Command, tmp_path: Path, run: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = threading.Thread(target=lambda: (tmp_path / "pipe").open("rb").close(), daemon=True)
    reader.start()

    def page() -> Iterator[str]:
        reader.join(20)
        yield "x" * 200_000

    with pytest.raises(RunError, match="pipe can't be written: Broken pipe; choose another place"):
        write_atomically(tmp_path / "pipe", page())
    assert stat.S_ISFIFO((tmp_path / "pipe").lstat().st_mode)
