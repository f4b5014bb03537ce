"""The catalogue: listing imports no framework, a missing one has a reason, and a user's file is taken or refused."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import pytest

from references.formats import format_named
from suites.implementations.call import Call
from suites.implementations.catalogue import (
    CATALOGUE,
    FRAMEWORKS,
    OWN_FRAMEWORKS,
    UnknownName,
    frameworks,
    of_frameworks,
    own_evaluator,
    settings_of,
    user_implementation,
    versions_of,
    why_not_measured,
    why_skipped,
)
from suites.implementations.numpy import recipes as numpy_recipes
from suites.implementations.user_files import load_module
from suites.inputs.layouts import layout_named
from suites.plan.cell import Cell
from suites.scoring.cell import measure
from suites.vocabulary import LAYOUTS

ROOT = Path(__file__).parents[2]

SOUND = """
import numpy as np

def my_softmax(x, axis):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)

def my_log_softmax(x, axis):
    return np.log(my_softmax(x, axis))

softmax_of_logits = my_softmax
number = 7
"""


@pytest.fixture
def kernels(tmp_path: Path) -> Path:
    """A user's file."""
    file = tmp_path / "my_kernels.py"
    file.write_text(SOUND, encoding="utf-8")
    return file


# -- what there is ---------------------------------------------------------------------------------------------------


def test_listing_and_planning_import_no_framework() -> None:
    program = (
        "import sys\n"
        "from suites.implementations.catalogue import CATALOGUE, of_frameworks\n"
        "from suites.plan.cells import Selection, cells\n"
        "assert len(cells(of_frameworks(()), Selection('smoke'))) > 1000\n"
        "print(sorted({'torch', 'jax', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_an_unknown_framework_is_refused_with_those_that_exist() -> None:
    with pytest.raises(UnknownName, match=f"^unknown framework 'tensorflow'; known are {', '.join(FRAMEWORKS)}$"):
        of_frameworks(("numpy", "tensorflow"))


def test_frameworks_filter_implementations_and_none_named_means_all() -> None:
    assert {i.framework for i in of_frameworks(("scipy", "numpy"))} == {"scipy", "numpy"}
    assert of_frameworks(()) == list(CATALOGUE.values())
    assert {i.framework for i in CATALOGUE.values()} == set(FRAMEWORKS)


@pytest.mark.parametrize("name", CATALOGUE)
def test_an_implementation_says_how_it_is_called_for_each_operation(name: str) -> None:
    implementation = CATALOGUE[name]
    assert implementation.calls.keys() <= {"softmax", "log_softmax"}
    assert implementation.calls
    assert name.partition("/")[0] == implementation.framework


@pytest.mark.parametrize(
    ("name", "operation", "quantity", "format", "offered"),
    [
        ("torch/eager", "log_softmax", "hvp", "bfloat16", True),
        ("torch/eager", "softmax", "forward", "binary128", False),
        ("torch/log-of-softmax", "softmax", "forward", "binary32", False),
        ("torch/masked", "log_softmax", "forward", "binary32", True),
        ("torch/masked", "log_softmax", "vjp", "binary32", False),  # undefined for an element that is masked
        ("torch/masked", "softmax", "vjp", "binary32", True),
        ("torch/out", "softmax", "forward", "binary32", True),
        ("torch/out", "softmax", "vjp", "binary32", False),  # `out=` is not differentiated
        ("scipy", "softmax", "forward", "binary64", True),
        ("scipy", "softmax", "vjp", "binary64", False),
        ("numpy/shifted", "softmax", "forward", "bfloat16", False),
    ],
)
def test_an_implementation_supports_what_its_framework_can_be_asked(
    name: str, operation: str, quantity: str, format: str, offered: bool
) -> None:
    assert CATALOGUE[name].supports(operation, quantity, format) == offered


def test_no_two_implementations_share_a_name() -> None:
    assert len(CATALOGUE) == sum(len(framework.implementations) for framework in frameworks().values())


def test_a_widened_result_has_gradients_in_the_format_of_the_array() -> None:
    widened = CATALOGUE["torch/binary16-to-binary32"]
    assert widened.supports("softmax", "forward", "binary32")
    assert widened.supports("softmax", "jvp", "binary32")
    assert widened.supports("softmax", "vjp", "binary16")
    assert not widened.supports("softmax", "vjp", "binary32")
    assert not widened.supports("softmax", "forward", "binary16")


@pytest.mark.parametrize("name", [name for name, i in CATALOGUE.items() if i.drawn])
def test_numbers_are_drawn_in_a_format_whose_numbers_the_cells_format_has(name: str) -> None:
    for format, narrow in CATALOGUE[name].drawn.items():
        assert format in CATALOGUE[name].formats
        wide, drawn = format_named(format), format_named(narrow)
        assert drawn.precision < wide.precision
        assert drawn.emax <= wide.emax
        assert drawn.quantum >= wide.quantum


@pytest.mark.parametrize("name", [name for name in CATALOGUE if name.startswith("numpy/")])
def test_every_numpy_recipe_of_the_catalogue_is_written(name: str) -> None:
    recipes = {o for recipe, o in numpy_recipes.RECIPES if recipe == name.partition("/")[2]}
    assert recipes == set(CATALOGUE[name].calls)


# -- what one needs ----------------------------------------------------------------------------------------------------


def test_an_implementation_that_is_compiled_is_skipped_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    monkeypatch.setenv("CXX", "no-such-compiler")
    reason = "torch.compile needs a C++ compiler: no-such-compiler is not found; install one, or name it in CXX"
    assert why_skipped(CATALOGUE["torch/compile"]) == reason
    assert why_skipped(CATALOGUE["torch/eager"]) is None
    monkeypatch.setenv("CXX", sys.executable)  # something that can be run
    assert why_skipped(CATALOGUE["torch/compile"]) is None


def test_an_implementation_is_skipped_without_the_environment_that_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("scipy")
    pytest.importorskip("torch")
    monkeypatch.delenv("SCIPY_ARRAY_API", raising=False)
    reason = "needs SCIPY_ARRAY_API=1 in the environment before Python starts"
    assert why_skipped(CATALOGUE["scipy/torch-arrays"]) == reason
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")
    assert why_skipped(CATALOGUE["scipy/torch-arrays"]) is None


@pytest.mark.usefixtures("forgotten")
def test_an_implementation_is_skipped_without_a_framework_that_it_needs_beside_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("scipy")
    find = importlib.util.find_spec
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "jax" else find(name, *rest))
    assert why_skipped(CATALOGUE["scipy/jax-arrays"]) == "scipy/jax-arrays needs jax, which is not installed"
    assert why_skipped(CATALOGUE["scipy"]) is None


# -- what is missing -------------------------------------------------------------------------------------------------


@pytest.fixture
def forgotten() -> Iterator[None]:
    """Reasons are remembered for a process; these tests must leave none behind."""
    why_not_measured.cache_clear()
    yield
    why_not_measured.cache_clear()


@pytest.mark.usefixtures("forgotten")
def test_a_framework_that_is_not_installed_has_that_as_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec

    def find_spec(name: str, package: str | None = None) -> ModuleSpec | None:
        return None if name == "jax" else find(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)
    assert why_not_measured("jax") == "jax is not installed"
    assert why_not_measured("numpy") is None


@pytest.mark.usefixtures("forgotten")
def test_a_broken_framework_has_its_own_words_as_the_reason_in_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "broken_wheel.py").write_text("raise OSError('libfoo.so: cannot open\\nshared object')\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert why_not_measured("broken_wheel") == "broken_wheel can't be imported: OSError: libfoo.so: cannot open"


def test_versions_are_those_of_the_installed_distributions() -> None:
    assert versions_of("numpy") == {"numpy": np.__version__}


def test_numpys_settings_show_the_instruction_set_of_exp() -> None:
    settings = settings_of("numpy")
    assert settings
    assert all(isinstance(value, str) for value in settings.values())


# -- a user's own ----------------------------------------------------------------------------------------------------


def test_a_users_function_is_measured_under_its_own_name(kernels: Path) -> None:
    own = user_implementation(f"{kernels}:my_softmax", "numpy", None)
    assert own.name == "my_kernels/my_softmax"
    assert own.calls == {"softmax": f"{kernels}:my_softmax(x, axis)"}
    assert own.quantities == ("forward",)
    assert own.own is not None
    cell = Cell(own.name, "default", "softmax", "forward", "binary32", "inner", "gauss1", 9)
    assert measure(cell, own, own_evaluator(own.module, *own.own)).judgement.verdict in (
        "accurate",
        "faithful",
        "stable",
    )


@pytest.mark.parametrize(
    ("name", "given", "operation"),
    [
        ("my_softmax", None, "softmax"),
        ("my_log_softmax", None, "log_softmax"),
        ("softmax_of_logits", None, "softmax"),
        ("my_softmax", "log_softmax", "log_softmax"),
        ("my_log_softmax", "softmax", "softmax"),
    ],
)
def test_the_operation_is_the_one_given_or_that_of_the_name(
    kernels: Path, name: str, given: str | None, operation: str
) -> None:
    assert list(user_implementation(f"{kernels}:{name}", "numpy", given).calls) == [operation]


def test_a_users_function_gets_numbers_of_the_format_and_the_axis(tmp_path: Path) -> None:
    file = tmp_path / "spy.py"
    file.write_text(
        "seen = []\n\ndef softmax(x, axis):\n    seen.append((x.dtype.name, x.shape, axis))\n    return x\n"
    )
    evaluate = own_evaluator("numpy.recipes", str(file), "softmax")
    bits = np.zeros((9, 5), np.uint16)
    evaluate(Call("softmax", "forward", "binary16", 0, bits))
    assert load_module(str(file.resolve())).seen == [("float16", (9, 5), 0)]


def test_a_users_file_that_would_take_another_implementations_name_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "numpy.py"
    file.write_text(SOUND.replace("my_softmax", "shifted"), encoding="utf-8")
    with pytest.raises(UnknownName, match="would be called numpy/shifted, which is another .*; rename the file"):
        user_implementation(f"{file}:shifted", "numpy", None)
    assert user_implementation(f"{file}:my_log_softmax", "numpy", None).name == "numpy/my_log_softmax"


@pytest.mark.parametrize(
    ("where", "complaint"),
    [
        ("{folder}/my_kernels.py", "is not FILE.py:NAME"),
        ("{folder}/my_kernels.py:", "is not FILE.py:NAME"),
        ("{folder}/my_kernels.py:1st", "is not FILE.py:NAME"),
        ("{folder}/my_kernels:my_softmax", "is not FILE.py:NAME"),
        ("my_softmax", "is not FILE.py:NAME"),
        ("", "is not FILE.py:NAME"),
        ("{folder}/absent.py:my_softmax", "no such file: {folder}/absent.py"),
        ("{folder}/folder.py:my_softmax", "{folder}/folder.py is a folder, not a Python file"),
        ("{folder}/pipe.py:my_softmax", "{folder}/pipe.py is no regular file"),
    ],
)
def test_a_users_file_that_can_not_be_used_is_refused(kernels: Path, where: str, complaint: str) -> None:
    folder = kernels.parent
    (folder / "folder.py").mkdir()
    os.mkfifo(folder / "pipe.py")
    with pytest.raises(UnknownName) as caught:
        user_implementation(where.format(folder=folder), "numpy", None)
    assert complaint.format(folder=folder) in str(caught.value)


def test_a_users_file_is_not_imported_where_it_is_named(tmp_path: Path) -> None:
    file = tmp_path / "leaves.py"
    file.write_text("import os\nos._exit(0)\n", encoding="utf-8")
    assert user_implementation(f"{file}:softmax", "numpy", None).own == (str(file.resolve()), "softmax")


@pytest.mark.parametrize("framework", ["scipy", "tensorflow"])
def test_a_framework_that_runs_no_users_function_is_refused(kernels: Path, framework: str) -> None:
    with pytest.raises(
        UnknownName, match=f"--framework '{framework}' can't run .*; choose one of {', '.join(OWN_FRAMEWORKS)}"
    ):
        user_implementation(f"{kernels}:my_softmax", framework, None)


def test_numpy_derives_no_users_function(kernels: Path) -> None:
    evaluate = own_evaluator("numpy.recipes", str(kernels), "my_softmax")
    bits = np.zeros((1, 2), np.uint32)
    with pytest.raises(TypeError, match="NumPy has no automatic differentiation"):
        evaluate(Call("softmax", "vjp", "binary32", 1, bits, cotangent=bits))


# -- the document ----------------------------------------------------------------------------------------------------


def test_every_implementation_and_layout_stands_in_the_document() -> None:
    text = (ROOT / "docs" / "implementations.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    named = [name for row in rows for name in re.findall(r"`([^`]+)`", row.split("|")[1])]
    layouts = [name for name in LAYOUTS if not name.startswith("offset-")]
    assert named == [*CATALOGUE, *layouts, "offset-1", "offset-15"]
    for name in layouts:
        assert f"| `{name}` | {layout_named(name).meaning} |" in rows
