"""KeptEnvironments environments are checked before they are used: files, packages, Python, and what is said of them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reports.audit.environments import Environment, EnvironmentFailed, environment_of, place_of_environments
from reports.audit.installers import INSTALLERS, python_in
from reports.console.exits import OK, USAGE
from reports.measure.run import run_measurements
from reports.tests import test_audit_environments as shared
from reports.tests.conftest import Command
from suites.driver.pool import stop_workers

offline, kept, wheel = shared.offline, shared.kept, shared.wheel

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links and FIFOs are POSIX's")

PACKAGE = Path("lib/python/site-packages/package")


class Fake(shared.Fake):
    """Makes environments with a package of a few files."""

    def install(self, place: Path, lock: Path, log: Path) -> None:
        super().install(place, lock, log)
        folder = place / PACKAGE
        (folder / "__pycache__").mkdir(parents=True)
        (folder / "__init__.py").write_text("x = 1\n", encoding="utf-8")
        (folder / "kernel.so").write_bytes(bytes(1000))
        (folder / "alias.so").symlink_to("kernel.so")
        (folder / "__pycache__" / "__init__.cpython-311.pyc").write_bytes(b"compiled")


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Fake:
    made = Fake()
    monkeypatch.setitem(INSTALLERS, "pip", made)
    monkeypatch.setenv("SOFTMAX_ACCURACY_ENVIRONMENTS", str(tmp_path / "kept"))
    return made


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def environment(tmp_path: Path, fake: Fake, said: list[str]) -> Callable[..., Environment]:
    return lambda text="numpy==2.0": environment_of(text, python=sys.executable, log=tmp_path / "log", say=said.append)


def place_of(environment: Environment) -> Path:
    return environment.interpreter.parents[1]


# -- files -----------------------------------------------------------------------------------------------------------


def edited(folder: Path) -> None:
    (folder / "__init__.py").write_text("x = 2\n", encoding="utf-8")


def edited_under_its_old_date(folder: Path) -> None:
    status = (folder / "kernel.so").stat()
    (folder / "kernel.so").write_bytes(bytes(999) + b"\1")
    os.utime(folder / "kernel.so", ns=(status.st_atime_ns, status.st_mtime_ns))


def cut(folder: Path) -> None:
    (folder / "kernel.so").write_bytes(b"")


def removed(folder: Path) -> None:
    (folder / "kernel.so").unlink()


def a_module_more(folder: Path) -> None:
    (folder / "kernel.py").write_text("", encoding="utf-8")


def a_module_beside_it(folder: Path) -> None:
    (folder.parent / "json.py").write_text("", encoding="utf-8")


def a_path_file(folder: Path) -> None:
    (folder.parent / "more.pth").write_text("/elsewhere\n", encoding="utf-8")


def a_link_for_a_file(folder: Path) -> None:
    (folder / "kernel.so").rename(folder.parents[5] / "kernel.so")
    (folder / "kernel.so").symlink_to(folder.parents[5] / "kernel.so")


def a_link_elsewhere(folder: Path) -> None:
    (folder / "alias.so").unlink()
    (folder / "alias.so").symlink_to("__init__.py")


def a_folder_that_is_a_link(folder: Path) -> None:
    shutil.move(folder, folder.parents[5] / "moved")
    folder.symlink_to(folder.parents[5] / "moved")


def a_fifo(folder: Path) -> None:
    (folder / "kernel.so").unlink()
    os.mkfifo(folder / "kernel.so")


def another_python(folder: Path) -> None:
    python = python_in(folder.parents[3])
    python.unlink()
    shutil.copyfile(os.path.realpath(sys.executable), python)
    python.chmod(0o755)


@pytest.mark.parametrize(
    "change",
    [edited, edited_under_its_old_date, cut, removed, a_module_more, a_module_beside_it, a_path_file, a_link_for_a_file,
     a_link_elsewhere, a_folder_that_is_a_link, a_fifo, another_python],
)  # fmt: skip
def test_an_environment_that_is_not_as_it_was_built_is_built_anew(
    fake: Fake, environment: Callable[..., Environment], said: list[str], change: Callable[[Path], None]
) -> None:
    built = environment()
    change(place_of(built) / PACKAGE)
    del said[:]
    again = environment()
    assert not again.cached
    assert again.interpreter == built.interpreter  # an audit that was begun with it goes on
    assert fake.steps.count("install") == 2
    (line,) = (line for line in said if "not as it was built" in line)
    begin, told = line.split(" is not as it was built ")
    assert begin == f"the environment {place_of(built)}"
    assert re.fullmatch(r"\(.* (was changed|was added|is gone)\); building it anew", told)
    assert kept() == [place_of(again).name]
    assert environment().cached


def test_compiled_modules_are_made_anew_and_cost_no_environment(
    fake: Fake, environment: Callable[..., Environment]
) -> None:
    folder = place_of(environment()) / PACKAGE / "__pycache__"
    (folder / "__init__.cpython-311.pyc").write_bytes(b"forged")
    (folder / "kernel.cpython-311.pyc").write_bytes(b"added")
    assert environment().cached
    assert list(folder.iterdir()) == []
    assert environment().cached


def test_a_broken_one_that_can_not_be_built_again_is_not_believed(
    fake: Fake, environment: Callable[..., Environment]
) -> None:
    edited(place_of(environment("numpy")) / PACKAGE)
    del fake.offers["numpy"]
    with pytest.raises(EnvironmentFailed, match="No matching distribution found for numpy;"):
        environment("numpy")


def test_what_pip_installs_over_a_kept_environment_is_noticed(offline: Path, tmp_path: Path) -> None:
    """A version installed by hand was measured, and signed off, in the name of another."""
    for version in ("9.1", "9.2"):
        wheel(offline, "numpy", version, f"version = {version!r}\n")
    said: list[str] = []
    built = environment_of("numpy==9.1", python=sys.executable, log=tmp_path / "log")
    subprocess.run([str(built.interpreter), "-m", "pip", "install", "-q", "numpy==9.2"], check=True)
    again = environment_of("numpy==9.1", python=sys.executable, log=tmp_path / "log", say=said.append)
    assert again.packages == {"numpy": "9.1"}
    assert not again.cached
    assert "is not as it was built" in said[0]
    asked = [str(again.interpreter), "-I", "-c", "import numpy; print(numpy.version)"]
    assert subprocess.run(asked, capture_output=True, text=True, check=True).stdout == "9.1\n"


# -- what is said of it ------------------------------------------------------------------------------------------------


def changed_fields(marker: dict[str, Any]) -> dict[str, Any]:
    """Markers that are each wrong in one way, by what is wrong."""
    odd: tuple[Any, ...] = (None, 7, [], {}, "", "\0")
    changes = {f"{name} is {value!r}": marker | {name: value} for name in marker for value in odd}
    changes |= {f"no {name}": {k: v for k, v in marker.items() if k != name} for name in marker}
    changes |= {f"another {name}": marker | {name: "0" * 64} for name in ("executable", "contents")}
    for name in ("python", "implementation", "platform"):
        changes[f"another {name}"] = marker | {name: "1"}
    changes["a field more"] = marker | {"colour": "red"}
    changes["other packages"] = marker | {"packages": marker["packages"] | {"numpy": "2.0"}}
    changes["a package more"] = marker | {"packages": marker["packages"] | {"more": "1"}}
    changes["a package with a number"] = marker | {"packages": {"numpy": 2.0}}
    changes["a version with a line break"] = marker | {"packages": {"numpy": "2\n0"}}
    return changes


def test_a_marker_that_says_something_else_is_not_believed(environment: Callable[..., Environment]) -> None:
    place = place_of(environment())
    right = json.loads((place / "audit.json").read_text(encoding="utf-8"))
    from reports.audit.kept import checked
    from reports.audit.state import Damaged

    for what, marker in changed_fields(right).items():
        (place / "audit.json").write_text(json.dumps(marker), encoding="utf-8")
        with pytest.raises(Damaged):
            assert checked(place) is None, what
    for text in ("", "{", "[1]", "null", "[" * 100_000, '{"key": "a", "key": "b"}', "\ud800", '{"key": NaN}'):
        (place / "audit.json").write_bytes(text.encode(errors="surrogatepass"))
        with pytest.raises(Damaged):
            checked(place)
    assert not environment().cached


@pytest.mark.parametrize("name", ["audit.json", "contents.json"])
def test_what_is_no_file_has_no_content_and_nobody_waits_for_it(
    environment: Callable[..., Environment], name: str
) -> None:
    for put in (os.mkfifo, os.mkdir, lambda path: os.symlink(path.with_name("elsewhere.json"), path)):
        place = place_of(environment())
        (place / name).rename(place / "elsewhere.json")
        put(place / name)
        assert not environment().cached


@pytest.mark.parametrize("name", ["..", "../../away", "/away", "", ".", "away", "0" * 12, 7, None, ["0" * 12], "a\0b"])
def test_an_answer_never_leads_out_of_its_folder(
    fake: Fake, environment: Callable[..., Environment], tmp_path: Path, name: Any
) -> None:
    """Wherever it says, and by links too: what lies there is a whole environment, and is not taken, nor removed."""
    built = environment()
    shutil.copytree(place_of(built), tmp_path / "away", symlinks=True)
    (place_of_environments() / "environments" / ("0" * 12)).symlink_to(tmp_path / "away")
    (question,) = (place_of_environments() / "questions").iterdir()
    question.write_text(json.dumps({"environment": name, "requirements": "numpy==2.0"}), encoding="utf-8")
    assert environment().interpreter == built.interpreter  # found again by its lock
    assert fake.steps.count("resolve") == 2
    assert (tmp_path / "away" / PACKAGE / "kernel.so").exists()


def test_an_answer_that_is_a_link_is_asked_anew(
    fake: Fake, environment: Callable[..., Environment], tmp_path: Path
) -> None:
    environment()
    (question,) = (place_of_environments() / "questions").iterdir()
    question.rename(tmp_path / "answer.json")
    question.symlink_to(tmp_path / "answer.json")
    environment()
    assert fake.steps.count("resolve") == 2


def test_folders_of_somebody_else_are_left_alone(environment: Callable[..., Environment]) -> None:
    """A variable that names another program's folder must not cost its environments."""
    other = place_of_environments() / "environments" / "base"
    other.mkdir(parents=True)
    (other / "file").touch()
    environment()
    assert (other / "file").exists()


@pytest.mark.parametrize("odd", ["file", "fifo", "loop", "n" * 300, "/dev/null/below"])
def test_a_place_that_can_be_none_is_a_line(
    environment: Callable[..., Environment], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, odd: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    os.mkfifo("fifo")
    Path("loop").symlink_to("loop")
    monkeypatch.setenv("SOFTMAX_ACCURACY_ENVIRONMENTS", odd)
    with pytest.raises(EnvironmentFailed, match="can't be written: .*; free space there, or name another"):
        environment()


@pytest.mark.parametrize("relative", ["below/here", "~nobody-of-this-name/x"])
def test_a_relative_place_is_one(
    environment: Callable[..., Environment], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, relative: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOFTMAX_ACCURACY_ENVIRONMENTS", relative)
    assert tmp_path / relative in environment().interpreter.parents
    monkeypatch.chdir("/")
    monkeypatch.setenv("SOFTMAX_ACCURACY_ENVIRONMENTS", str(tmp_path / relative))
    assert environment().cached


# -- the audit's own state -------------------------------------------------------------------------------------------


BOTH = ("--old-python", sys.executable, "--new-python", sys.executable)
FEW = (
    "--framework",
    "numpy",
    "--tier",
    "smoke",
    "--format",
    "binary64",
    "--operation",
    "softmax",
    "--family",
    "gauss1",
)


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What an audit of this Python writes down."""
    from reports.audit.session import begin
    from reports.audit.sides import sides_of

    out = tmp_path_factory.mktemp("audit")
    pythons = (sys.executable, sys.executable)
    begin(out, sides_of((), pythons, ("numpy",), python="", installer="pip", logs=out, say=lambda line: None))
    found: dict[str, Any] = json.loads((out / "audit.json").read_text(encoding="utf-8"))
    return found


def damaged_states(right: dict[str, Any]) -> dict[str, str]:
    odd: tuple[Any, ...] = (None, True, "1", 1.0, [], {})
    found = {f"{name} is {value!r}": json.dumps(right | {name: value}) for name in right for value in odd}
    found |= {f"no {name}": json.dumps({k: v for k, v in right.items() if k != name}) for name in right}
    for name in right["old"]:
        for value in (None, 7, "", [], [7], {"a": 1}, "a\x1b[31mb"):
            found[f"old {name} is {value!r}"] = json.dumps(right | {"old": right["old"] | {name: value}})
    found["a field more"] = json.dumps(right | {"colour": "red"})
    found["another schema"] = json.dumps(right | {"schema": 2})
    found["a field twice"] = '{"schema": 1, ' + json.dumps(right)[1:]
    return found | {repr(text[:9]): text for text in ("", "{", "[]", "null", "7", "[" * 100_000, "\0", '{"a": NaN}')}


def test_a_damaged_state_is_a_line(
    command: Command, tmp_path: Path, state: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from reports.audit.sides import sides_of

    pythons = (sys.executable, sys.executable)
    sides = sides_of((), pythons, ("numpy",), python="", installer="pip", logs=tmp_path, say=lambda line: None)
    monkeypatch.setattr("reports.verbs.audit.sides_of", lambda *_, **__: sides)
    monkeypatch.setattr("reports.verbs.audit.introduced", lambda *_: [])
    (tmp_path / "here").mkdir()
    for what, text in damaged_states(state).items():
        (tmp_path / "here" / "audit.json").write_text(text, encoding="utf-8")
        ran = command("audit", *BOTH, *FEW, "--out", "here")
        assert ran.code == USAGE, what
        assert ran.complaint().startswith("here/audit.json can't be read: "), what
        assert ran.complaint().endswith("; choose another --out, or remove here"), what
        assert "\x1b" not in ran.err
        assert (tmp_path / "here" / "audit.json").read_text(encoding="utf-8") == text


@pytest.mark.parametrize("put", [os.mkfifo, os.mkdir, lambda path: os.symlink("nowhere", path)])
def test_a_state_that_is_no_file_is_a_line(command: Command, tmp_path: Path, put: Callable[[Path], None]) -> None:
    (tmp_path / "here").mkdir()
    put(tmp_path / "here" / "audit.json")
    ran = command("audit", *BOTH, *FEW, "--out", "here")
    assert ran.code == USAGE
    assert "here/audit.json can't be read: it is no ordinary file; choose another --out" in ran.complaint()


def test_what_is_installed_while_a_side_is_measured_is_noticed(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    (packages,) = venv.glob("lib/*/site-packages")
    here = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "here.pth").write_text("".join(f"{path}\n" for path in here), encoding="utf-8")
    metadata = packages / "extra-1.0.dist-info" / "METADATA"

    def measured(path: Path, *arguments: Any, **options: Any) -> Any:
        outcome = run_measurements(path, *arguments, **options)
        metadata.parent.mkdir(exist_ok=True)
        metadata.write_text("Metadata-Version: 2.1\nName: extra\nVersion: 1.0\n", encoding="utf-8")
        return outcome

    python = venv / "bin" / "python"
    arguments = ("audit", "--old-python", python, "--new-python", python, *FEW, "--out", "here")
    with monkeypatch.context() as patch:
        patch.setattr("reports.audit.session.run_measurements", measured)
        ran = command(*arguments)
    assert ran.code == USAGE
    assert ran.err.splitlines()[-1] == (
        f"softmax-accuracy: {python} changed while it was measured (extra was not there and is 1.0); "
        "here/old-changed-1 has what was measured and counts for nothing; give the command again"
    )
    assert sorted(path.name for path in (tmp_path / "here").iterdir()) == ["audit.json", "old-changed-1"]
    shutil.rmtree(metadata.parent)
    assert command(*arguments).code == OK
    stop_workers()
