"""The worker: it needs Python 3.9, the standard library and NumPy, and runs from a bare checkout."""

from __future__ import annotations

import ast
import importlib.util
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from suites.driver.pool import evaluate, introduction_of, stop_workers
from suites.driver.profiles import DEFAULT, Profile
from suites.implementations.catalogue import CATALOGUE
from suites.implementations.frameworks import frameworks
from suites.scoring.cell import proven_flush
from suites.tests.planted import BITS, NUMPY, task_of, written

ROOT = Path(__file__).parents[2]
WORKER = ROOT / "suites" / "worker" / "main.py"

# What a worker may import besides the standard library and this project.
FRAMEWORKS = {*frameworks(), "ml_dtypes"}
OURS = {"suites", "references"}


@pytest.fixture(autouse=True)
def no_worker_left() -> Iterator[None]:
    yield
    stop_workers()


def modules_of(file: Path) -> set[str]:
    """The modules that a file imports anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def file_of(module: str) -> Path | None:
    base = ROOT / module.replace(".", "/")
    return next((f for f in (base.with_suffix(".py"), base / "__init__.py") if f.is_file()), None)


@cache
def reached() -> tuple[Path, ...]:
    """The worker and what it imports of this project; the implementations are imported by their names."""
    waiting = [WORKER, *(ROOT / "suites" / "implementations").rglob("*.py")]
    found: dict[Path, None] = {}
    while waiting:
        file = waiting.pop()
        if file not in found:
            found[file] = None
            inside = (file_of(module) for module in modules_of(file) if module.split(".")[0] in OURS)
            waiting += [f for f in inside if f is not None]
    return tuple(found)


def test_the_worker_reaches_what_it_evaluates_with() -> None:
    names = {file.relative_to(ROOT).as_posix() for file in reached()}
    assert {
        "suites/worker/evaluation.py",
        "suites/worker/self_report.py",
        "suites/inputs/layouts.py",
        "suites/worker/timing.py",
    } <= names
    assert {"suites/worker/link.py", "suites/worker/supervisor.py", "suites/worker/own_content.py"} <= names


def test_the_worker_reaches_no_oracle() -> None:
    names = {file.relative_to(ROOT).as_posix() for file in reached()}
    assert {name for name in names if name.startswith("references/")} == {
        "references/ieee/float_state.py",
    }


@pytest.mark.parametrize("file", sorted(reached()), ids=lambda f: f.relative_to(ROOT).as_posix())
def test_what_a_worker_runs_is_python_3_9(file: Path) -> None:
    tree = ast.parse(file.read_text(encoding="utf-8"), feature_version=(3, 9))
    future = [n for n in tree.body if isinstance(n, ast.ImportFrom) and n.module == "__future__"]
    code = [n for n in tree.body if not (isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant))]
    assert future or not code, "annotations such as int | None have to stay text"


@pytest.mark.parametrize("file", sorted(reached()), ids=lambda f: f.relative_to(ROOT).as_posix())
def test_what_a_worker_runs_imports_nothing_else(file: Path) -> None:
    tops = {module.split(".")[0] for module in modules_of(file)}
    assert tops - sys.stdlib_module_names - FRAMEWORKS <= OURS


# -- a Python with nothing but NumPy ---------------------------------------------------------------------------------

BARE = """#!{python}
import runpy, sys

ALLOWED = {{*sys.stdlib_module_names, "numpy", "suites", "references"}}


class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in ALLOWED:
            raise ModuleNotFoundError("not in this Python: " + name, name=name)


sys.meta_path.insert(0, Nothing())
print("A banner that some interpreters print,")
print("@softmax-accuracy and worse")
print("@softmax-accuracy []", end="", flush=True)
sys.argv.pop(0)
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture
def bare(tmp_path: Path) -> Profile:
    """A profile whose interpreter can import the standard library and NumPy, and prints what nobody asked for."""
    interpreter = tmp_path / "python"
    interpreter.write_text(BARE.format(python=sys.executable), encoding="utf-8")
    interpreter.chmod(0o755)
    return replace(NUMPY, interpreter=str(interpreter))


def test_a_worker_runs_with_numpy_alone(bare: Profile, tmp_path: Path) -> None:
    introduction = introduction_of(bare)
    assert introduction.packages["numpy"] == np.__version__
    (mine,) = evaluate(task_of(written(tmp_path), "sound", profile=bare))
    (other,) = evaluate(task_of(written(tmp_path), "sound"))
    assert mine.bits is not None
    assert other.bits is not None
    assert np.array_equal(mine.bits, other.bits)


@pytest.mark.parametrize("framework", ["torch", "jax", "scipy"])
def test_a_framework_that_its_python_has_not_is_reported(bare: Profile, framework: str) -> None:
    with pytest.raises(Exception, match=f"{framework} (is not installed|can't be imported)"):
        introduction_of(replace(bare, framework=framework))


def others() -> list[str]:
    """Other Pythons on the path that have NumPy."""
    found = []
    for minor in range(9, 16):
        python = shutil.which(f"python3.{minor}")
        if python and minor != sys.version_info.minor:
            asked = subprocess.run([python, "-c", "import numpy"], capture_output=True, check=False)
            found += [] if asked.returncode else [python]
    return found


def test_another_python_gives_bits_too(tmp_path: Path) -> None:
    pythons = others()
    if not pythons:
        pytest.skip("no other Python with NumPy is on the path")
    for python in pythons:
        profile = replace(NUMPY, interpreter=python)
        (answer,) = evaluate(task_of(written(tmp_path), "sound", profile=profile))
        assert answer.bits is not None
        assert answer.bits.shape == BITS.shape


# -- what it says of itself ------------------------------------------------------------------------------------------


def test_a_worker_introduces_itself_as_what_it_is() -> None:
    found = introduction_of(NUMPY)
    assert (found.framework, found.device, found.card) == ("numpy", "cpu", None)
    assert found.python == ".".join(map(str, sys.version_info[:3]))
    assert Path(found.interpreter) == Path(sys.executable)
    assert not found.flushes


def test_a_worker_is_started_by_its_path_from_anywhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", "")
    assert introduction_of(NUMPY).framework == "numpy"


def test_numpy_has_no_card() -> None:
    with pytest.raises(Exception, match="NumPy computes on the CPU"):
        introduction_of(Profile("cuda", "numpy", device="cuda"))


def test_the_default_profile_in_this_process_and_in_a_worker_are_the_same() -> None:
    from suites.worker.self_report import introduce

    assert introduction_of(NUMPY).selected == introduce("numpy").selected
    assert NUMPY.name == DEFAULT


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the constants of fesetround are not known")
def test_a_process_that_computes_otherwise_from_its_start_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whatever sets it: here what this Python imports by itself."""
    (tmp_path / "sitecustomize.py").write_text("import ctypes\nctypes.CDLL(None).fesetround(0x800)\n", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert introduction_of(replace(NUMPY, name="rounding")).arithmetic == "it rounds upward"


@pytest.mark.parametrize("framework", ["numpy", "torch", "scipy"])
def test_every_framework_is_probed_for_flushing_and_excused_only_if_it_declares_it(
    framework: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if importlib.util.find_spec(framework) is None or importlib.util.find_spec("torch") is None:
        pytest.skip("torch, which can set it, or the framework is not installed")
    profile = Profile(DEFAULT, framework)
    assert introduction_of(profile).details["flushes subnormals"] == "False"
    program = "import torch\ntorch.set_flush_denormal(True)\n"
    (tmp_path / "sitecustomize.py").write_text(program, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = introduction_of(replace(profile, name="flushing"))
    assert found.flushes
    assert found.arithmetic.startswith("subnormal results are flushed to zero")
    implementation = next(i for i in CATALOGUE.values() if i.framework == framework)
    assert not proven_flush(implementation, found.flushes)
