"""Environments of audits: built once for a lock, found again offline, rebuilt where a build was killed."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from reports.audit import installers
from reports.audit.environments import Environment, EnvironmentFailed, environment_of, place_of_environments
from reports.audit.installers import Failed
from reports.audit.interpreters import Interpreter

ROOT = Path(__file__).parents[2]


# -- with an installer that installs nothing -------------------------------------------------------------------------


class Fake:
    """Makes environments that are this Python by another path; ``offers`` has the lock of each line."""

    name = "pip"

    def __init__(self) -> None:
        self.offers = {"numpy": "numpy==2.0\n", "numpy==2.0": "numpy==2.0\n", "numpy==1.0": "numpy==1.0\n"}
        self.steps: list[str] = []
        self.interrupt: str | None = None

    def _step(self, name: str) -> None:
        self.steps.append(name)
        if name == self.interrupt:
            raise KeyboardInterrupt

    def make(self, place: Path, interpreter: Interpreter, log: Path) -> None:
        self._step("make")
        python = installers.python_in(place)
        python.parent.mkdir(parents=True)
        python.symlink_to(interpreter.executable)
        log.write_text("made\n", encoding="utf-8")

    def resolve(self, place: Path, lines: Sequence[str], log: Path) -> str:
        self._step("resolve")
        if lines[0] not in self.offers:
            raise Failed(f"No matching distribution found for {lines[0]}.")
        return self.offers[lines[0]]

    def install(self, place: Path, lock: Path, log: Path) -> None:
        self._step("install")


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Fake:
    made = Fake()
    monkeypatch.setitem(installers.INSTALLERS, "pip", made)
    monkeypatch.setenv("SOFTMAX_ACCURACY_ENVIRONMENTS", str(tmp_path / "kept"))
    return made


@pytest.fixture
def environment(tmp_path: Path, fake: Fake) -> Callable[[str], Environment]:
    return lambda text: environment_of(text, python=sys.executable, log=tmp_path / "log")


def kept() -> list[str]:
    return sorted(path.name for path in (place_of_environments() / "environments").iterdir())


def test_what_is_pinned_is_built_once(fake: Fake, environment: Callable[[str], Environment]) -> None:
    built, again = environment("numpy==2.0"), environment("numpy==2.0")
    assert fake.steps == ["make", "resolve", "install"]
    assert (built.cached, again.cached) == (False, True)
    assert (again.interpreter, again.lock, again.key) == (built.interpreter, "numpy==2.0\n", built.key)
    assert "mpmath" in again.packages  # read from the environment, which is this Python here


def test_other_words_that_lead_to_the_same_lock_share_the_environment(
    fake: Fake, environment: Callable[[str], Environment]
) -> None:
    built, shared = environment("numpy==2.0"), environment("numpy")
    assert shared.interpreter == built.interpreter
    assert shared.cached
    assert fake.steps.count("install") == 1
    assert kept() == [built.interpreter.parents[1].name]
    assert environment("numpy==1.0").key != built.key


def test_what_is_not_pinned_is_resolved_anew_and_falls_back_on_what_it_led_to(
    fake: Fake, environment: Callable[[str], Environment], tmp_path: Path
) -> None:
    first = environment("numpy")
    fake.offers["numpy"] = "numpy==3.0\n"
    second = environment("numpy")
    assert (first.lock, second.lock) == ("numpy==2.0\n", "numpy==3.0\n")
    del fake.offers["numpy"]
    said: list[str] = []
    offline = environment_of("numpy", python=sys.executable, log=tmp_path / "log", say=said.append)
    assert offline.key == second.key
    assert said[-1] == "numpy: No matching distribution found for numpy.; taking what it led to last time"


def test_what_can_not_be_resolved_is_one_line_with_the_reason_and_leaves_nothing(
    environment: Callable[[str], Environment], tmp_path: Path
) -> None:
    with pytest.raises(EnvironmentFailed) as failed:
        environment("numpy==9.0")
    version = ".".join(map(str, sys.version_info[:3]))
    assert str(failed.value) == (
        f"'numpy==9.0' can't be installed for Python {version}: No matching distribution found for numpy==9.0; "
        f"{tmp_path / 'log'} has all that pip said, and --python names another Python"
    )
    assert kept() == []


@pytest.mark.parametrize("step", ["make", "resolve", "install"])
def test_an_interrupted_build_leaves_nothing_and_is_done_again(
    fake: Fake, environment: Callable[[str], Environment], step: str
) -> None:
    fake.interrupt = step
    with pytest.raises(KeyboardInterrupt):
        environment("numpy==2.0")
    assert kept() == []
    fake.interrupt = None
    assert not environment("numpy==2.0").cached


@pytest.mark.parametrize("loss", ["marker", "damage", "python"])
def test_what_is_not_complete_is_removed_and_built_again(
    fake: Fake, environment: Callable[[str], Environment], loss: str
) -> None:
    built = environment("numpy==2.0")
    place = built.interpreter.parents[1]
    if loss == "marker":  # a killed process never came to write it
        (place / "audit.json").unlink()
    elif loss == "damage":
        (place / "audit.json").write_text("{", encoding="utf-8")
    else:
        built.interpreter.unlink()
        built.interpreter.symlink_to("/nowhere/python")
    again = environment("numpy==2.0")
    assert not again.cached
    assert again.key == built.key
    assert kept() == [again.interpreter.parents[1].name]


def test_another_index_is_another_question_and_its_address_is_not_kept(
    fake: Fake, environment: Callable[[str], Environment], monkeypatch: pytest.MonkeyPatch
) -> None:
    environment("numpy==2.0")
    monkeypatch.setenv("PIP_INDEX_URL", "https://me:secret@example.org/simple")
    fake.offers["numpy==2.0"] = "numpy==2.0+local\n"
    assert environment("numpy==2.0").lock == "numpy==2.0+local\n"
    written = "".join(p.read_text(encoding="utf-8") for p in place_of_environments().rglob("*.json"))
    assert "secret" not in written


def test_a_place_that_can_not_be_written_is_named(
    environment: Callable[[str], Environment], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SOFTMAX_ACCURACY_ENVIRONMENTS", str(tmp_path / "file" / "below"))
    with pytest.raises(EnvironmentFailed, match="can't be written: Not a directory; free space there, or name another"):
        environment("numpy==2.0")


# -- with pip --------------------------------------------------------------------------------------------------------


def wheel(folder: Path, name: str, version: str, text: str) -> None:
    """A wheel of one module."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": text,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{file},sha256={_digest(content)},{len(content)}\n" for file, content in files.items())
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for file, content in files.items():
            archive.writestr(file, content)


def _digest(content: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content.encode()).digest()).rstrip(b"=").decode()


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels, which is all that pip knows."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    for name, value in {
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(folder),
        "PIP_CONFIG_FILE": os.devnull,
        "SOFTMAX_ACCURACY_ENVIRONMENTS": str(tmp_path / "kept"),
        "PYTHONPATH": str(ROOT),
    }.items():
        monkeypatch.setenv(name, value)
    return folder


def test_pip_installs_what_it_resolved_after_a_process_that_was_killed_in_the_midst_of_it(
    offline: Path, tmp_path: Path
) -> None:
    wheel(offline, "numpy", "9.1", "where = 'in the wheel'\n")
    program = (
        "import sys; from pathlib import Path; from reports.audit.environments import environment_of;"
        f"environment_of('numpy==9.1', python=sys.executable, log=Path({str(tmp_path / 'killed.log')!r}))"
    )
    killed = subprocess.Popen([sys.executable, "-c", program], start_new_session=True)
    everything = place_of_environments() / "environments"
    while not (everything.is_dir() and list(everything.iterdir())):
        assert killed.poll() is None
        time.sleep(0.01)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    (left,) = everything.iterdir()
    assert not (left / "audit.json").exists()

    log = tmp_path / "log"
    built = environment_of("numpy==9.1", python=sys.executable, log=log)
    assert list(everything.iterdir()) == [built.interpreter.parents[1]]
    assert built.packages == {"numpy": "9.1"}
    sha256 = hashlib.sha256((offline / "numpy-9.1-py3-none-any.whl").read_bytes()).hexdigest()
    assert built.lock in (f"numpy==9.1 --hash=sha256:{sha256}\n", "numpy==9.1\n")
    told = subprocess.run(
        [str(built.interpreter), "-I", "-c", "import numpy; print(numpy.where)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout == "in the wheel\n"
    assert "Would install numpy-9.1" in log.read_text(encoding="utf-8")

    shutil.rmtree(offline)
    again = environment_of("numpy==9.1", python=sys.executable, log=log)
    assert (again.interpreter, again.cached) == (built.interpreter, True)
