"""What is installed, by content: every file that is imported counts, and is read once while it stays as it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import venv
from collections.abc import Callable
from pathlib import Path

import pytest

from suites.driver.pool import content_of, stop_workers
from suites.driver.profiles import DEFAULT, Profile
from suites.worker.digest_cache import Memory
from suites.worker.digests import sha256_of
from suites.worker.installed import START, of_packages

ROOT = Path(__file__).parents[2]

ASK = """
import json, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from suites.worker.installed import of_packages
for name in sys.argv[3:]:
    __import__(name)
memory = Path(sys.argv[2]) if sys.argv[2] else None
print(json.dumps(of_packages(["thing", "torch"], memory, beside={"torch": "nvidia[-_.]"})))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of packages with one distribution, as an installer leaves it."""
    place = tmp_path / "packages"
    for name, text in {
        "thing/__init__.py": "from thing.core import one\n",
        "thing/core.py": "one = 1\n",
        "thing/data/table.txt": "1 2 3\n",
        "thing.libs/libthing.so": "machine code",
        "thing-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n",
        "thing-1.0.dist-info/INSTALLER": "pip\n",
    }.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text, encoding="utf-8")
    files = sorted(f.relative_to(place).as_posix() for f in place.rglob("*") if f.is_file())
    record = "".join(f"{name},,\n" for name in [*files, "../../bin/thing", "thing/__pycache__/core.cpython-311.pyc"])
    (place / "thing-1.0.dist-info" / "RECORD").write_text(record, encoding="utf-8")
    return place


def content(
    folder: Path, memory: Path | str = "", *imported: str, python: str = sys.executable, beside: Path | None = None
) -> dict[str, str]:
    """What a fresh Python says that finds the package in a folder."""
    path = os.pathsep.join([str(folder), *([str(beside)] if beside else [])])
    ran = subprocess.run(
        [python, "-c", ASK, str(ROOT), str(memory), *imported],
        env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, str] = json.loads(ran.stdout)
    return found


def edit(folder: Path) -> None:
    (folder / "thing" / "core.py").write_text("one = 2\n", encoding="utf-8")


def edit_and_put_the_time_back(folder: Path) -> None:
    file = folder / "thing" / "core.py"
    times = file.stat()
    file.write_text("one = 2\n", encoding="utf-8")
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))


def edit_data(folder: Path) -> None:
    (folder / "thing" / "data" / "table.txt").write_text("1 2 4\n", encoding="utf-8")


def edit_a_library_beside(folder: Path) -> None:
    (folder / "thing.libs" / "libthing.so").write_text("machine cod3", encoding="utf-8")


def remove_a_file(folder: Path) -> None:
    (folder / "thing" / "data" / "table.txt").unlink()


def drop_a_file_in(folder: Path) -> None:
    (folder / "thing" / "patch.py").write_text("", encoding="utf-8")


def drop_a_compiled_file_in(folder: Path) -> None:
    (folder / "thing" / "patch.pyc").write_bytes(b"")


def put_a_link_to_other_files(folder: Path) -> None:
    (folder.parent / "elsewhere").mkdir()
    (folder.parent / "elsewhere" / "patch.py").write_text("", encoding="utf-8")
    (folder / "thing" / "linked").symlink_to(folder.parent / "elsewhere")


@pytest.mark.parametrize("remember", [True, False])
@pytest.mark.parametrize(
    "change",
    [
        edit,
        edit_and_put_the_time_back,
        edit_data,
        edit_a_library_beside,
        remove_a_file,
        drop_a_file_in,
        drop_a_compiled_file_in,
        put_a_link_to_other_files,
    ],
)
def test_a_package_that_was_changed_has_another_content(
    folder: Path, tmp_path: Path, change: Callable[[Path], None], remember: bool
) -> None:
    memory = tmp_path / "memory" if remember else ""
    before = content(folder, memory)["thing"]
    assert content(folder, memory)["thing"] == before
    change(folder)
    assert content(folder, memory)["thing"] != before


def test_the_libraries_that_a_framework_computes_with_on_a_card_count_by_their_own_name(folder: Path) -> None:
    for name, text in {
        "torch/__init__.py": "",
        "torch-9.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: torch\nVersion: 9.0\n",
        "torch-9.0.dist-info/RECORD": "torch/__init__.py,,\n",
        "nvidia/cublas/lib/libcublas.so.12": "machine code",
        "nvidia_cublas_cu12-12.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: nvidia-cublas-cu12\n",
        "nvidia_cublas_cu12-12.0.dist-info/RECORD": "nvidia/cublas/lib/libcublas.so.12,,\n",
        "nvidious-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: nvidious\n",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    before = content(folder)
    (folder / "nvidia" / "cublas" / "lib" / "libcublas.so.12").write_text("machine cod3", encoding="utf-8")
    after = content(folder)
    assert [name for name in after if after[name] != before[name]] == ["nvidia_cublas_cu12"]
    assert "nvidious" not in after


def test_a_worker_shows_the_content_of_its_own_python() -> None:
    try:
        told = content_of(Profile(DEFAULT, "numpy"), ["numpy"], None)
    finally:
        stop_workers()
    assert told["numpy"] == of_packages(["numpy"], None)["numpy"]


def test_what_python_and_installers_write_of_themselves_does_not_count(folder: Path) -> None:
    before = content(folder)
    (folder / "thing" / "__pycache__").mkdir()
    (folder / "thing" / "__pycache__" / "core.cpython-311.pyc").write_bytes(b"compiled")
    (folder / "thing-1.0.dist-info" / "INSTALLER").write_text("uv\n", encoding="utf-8")
    assert content(folder) == before


def test_the_place_of_an_environment_does_not_count(folder: Path, tmp_path: Path) -> None:
    before = content(folder)
    folder.rename(tmp_path / "moved")
    assert content(tmp_path / "moved") == before


def test_a_package_that_hides_the_installed_one_is_the_one_that_counts(folder: Path, tmp_path: Path) -> None:
    before = content(folder)["thing"]
    (tmp_path / "first" / "thing").mkdir(parents=True)
    (tmp_path / "first" / "thing" / "__init__.py").write_text("one = 3\n", encoding="utf-8")
    hidden = content(tmp_path / "first", beside=folder)["thing"]
    assert hidden != before
    (tmp_path / "first" / "thing" / "__init__.py").write_text("one = 4\n", encoding="utf-8")
    assert content(tmp_path / "first", beside=folder)["thing"] not in (before, hidden)


def test_a_module_that_a_developers_build_takes_from_elsewhere_counts(folder: Path, tmp_path: Path) -> None:
    built = tmp_path / "build" / "core.py"
    built.parent.mkdir()
    built.write_text("one = 1\n", encoding="utf-8")
    (folder / "thing" / "core.py").unlink()
    (folder / "thing" / "__init__.py").write_text(
        f"__path__.append({str(built.parent)!r})\nfrom thing.core import one\n"
    )
    (folder / "thing" / "__init__.py").touch()
    before = content(folder, "", "thing")["thing"]
    built.write_text("one = 2\n", encoding="utf-8")
    assert content(folder, "", "thing")["thing"] != before


def test_what_python_runs_as_it_starts_counts(folder: Path) -> None:
    before = content(folder).get(START)
    (folder / "sitecustomize.py").write_text("one = 1\n", encoding="utf-8")
    customized = content(folder).get(START)
    (folder / "sitecustomize.py").write_text("one = 2\n", encoding="utf-8")
    assert len({before, customized, content(folder).get(START)}) == 3


def test_a_line_that_a_pth_file_runs_counts_and_a_folder_that_it_names_does_not(folder: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=False)
    python = str(tmp_path / "venv" / "bin" / "python")
    place = next((tmp_path / "venv").glob("lib/python*/site-packages"))
    before = content(folder, python=python).get(START)
    (place / "places.pth").write_text(f"{tmp_path}\n", encoding="utf-8")
    assert content(folder, python=python).get(START) == before
    (place / "patch.pth").write_text("import patching\n", encoding="utf-8")
    (place / "patching.py").write_text("one = 1\n", encoding="utf-8")
    patched = content(folder, python=python).get(START)
    (place / "patching.py").write_text("one = 2\n", encoding="utf-8")
    assert len({before, patched, content(folder, python=python).get(START)}) == 3


def test_a_package_that_is_not_there_has_no_content(folder: Path) -> None:
    assert "nowhere_at_all" not in of_packages(["nowhere_at_all"], None)


def test_a_pipe_among_the_files_is_not_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "thing" / "pipe")
    assert content(folder)["thing"]


# -- memory ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def settled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that changed long enough ago."""
    file = tmp_path / "file"
    file.write_text("one", encoding="utf-8")
    now = time.time()
    monkeypatch.setattr("suites.worker.digest_cache.time.time", lambda: now + 60.0)
    return file


def kept(memory: Path, file: Path) -> str:
    found = Memory(memory, "question")
    sha256 = found.sha256(str(file))
    found.keep()
    return sha256


def test_a_file_is_read_once_while_it_stays(settled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []

    def counting(file: Path) -> str:
        read.append(file)
        return sha256_of(file)

    monkeypatch.setattr("suites.worker.digest_cache.sha256_of", counting)
    first = kept(tmp_path / "memory", settled)
    assert kept(tmp_path / "memory", settled) == first
    assert read == [settled]
    settled.write_text("two", encoding="utf-8")
    assert kept(tmp_path / "memory", settled) != first


def test_a_file_that_may_change_within_a_tick_is_read_again(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("one", encoding="utf-8")
    memory = Memory(tmp_path / "memory", "question")
    memory.sha256(str(tmp_path / "file"))
    memory.keep()
    assert not (tmp_path / "memory").exists()


@pytest.mark.parametrize("damage", ["", "x", "[]", "0\n{}\n"])
def test_a_damaged_memory_is_no_memory_and_is_written_anew(settled: Path, tmp_path: Path, damage: str) -> None:
    right = kept(tmp_path / "memory", settled)
    (file,) = (tmp_path / "memory").iterdir()
    whole = file.read_text(encoding="utf-8")
    file.write_text(damage, encoding="utf-8")
    assert kept(tmp_path / "memory", settled) == right
    assert file.read_text(encoding="utf-8") == whole


def test_a_memory_with_one_digit_changed_is_not_believed(settled: Path, tmp_path: Path) -> None:
    right = kept(tmp_path / "memory", settled)
    (file,) = (tmp_path / "memory").iterdir()
    wrong = ("1" if right[0] == "0" else "0") + right[1:]
    file.write_text(file.read_text(encoding="utf-8").replace(right, wrong), encoding="utf-8")
    assert kept(tmp_path / "memory", settled) == right


def test_a_memory_that_can_not_be_kept_costs_nothing_else(settled: Path, tmp_path: Path) -> None:
    (tmp_path / "memory").write_text("in the way", encoding="utf-8")
    assert kept(tmp_path / "memory", settled) == sha256_of(settled)


def test_memories_of_environments_that_are_gone_are_removed(settled: Path, tmp_path: Path) -> None:
    kept(tmp_path / "memory", settled)
    (old,) = (tmp_path / "memory").iterdir()
    os.utime(old, (0, 0))
    other = Memory(tmp_path / "memory", "another question")
    other.sha256(str(settled))
    other.keep()
    assert old not in list((tmp_path / "memory").iterdir())
