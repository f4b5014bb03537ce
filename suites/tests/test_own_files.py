"""A user's own file: imported by workers alone, held to what it was when the run began, and nobody else's neighbour."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from suites.driver import pool as pool_module
from suites.driver.pool import declaration_of, evaluate, stop_workers
from suites.driver.profiles import Limits, Profile
from suites.driver.worker_process import WorkerProcess
from suites.implementations.catalogue import UnknownName
from suites.tests.planted import NUMPY, QUICK
from suites.tests.test_hostile import hostile, outcome


@pytest.fixture(autouse=True)
def no_worker_left() -> Iterator[None]:
    yield
    stop_workers()


def declared(folder: Path, text: str, name: str = "softmax", limits: Limits = QUICK) -> dict[str, str]:
    file = folder / "kernels.py"
    file.write_text(text, encoding="utf-8")
    own = ("numpy.recipes", str(file), name)
    return declaration_of(replace(NUMPY, limits=limits), own).content


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("import os\nos._exit(0)\n", "can't be imported: the worker exited with 0; a file that is measured should "),
        ("import ctypes\nctypes.string_at(0)\n", "can't be imported: the worker was ended by SIGSEGV; "),
        (
            "import os\nos.kill(os.getppid(), 9)\nwhile True: pass\n",
            "can't be imported: the worker was ended by SIGKILL",
        ),
        ("raise SystemExit(0)\n", "can't be imported: SystemExit: 0 (line 1)"),
        ("\nraise KeyboardInterrupt\n", "can't be imported: KeyboardInterrupt (line 2)"),
        ("def softmax(x, axis:\n", "can't be imported: SyntaxError: '(' was never closed (kernels.py, line 1)"),
        ("import no_such_thing\n", "can't be imported: ModuleNotFoundError: No module named 'no_such_thing' (line 1)"),
        ("raise ValueError('\\x1b[2J')\n", r"can't be imported: ValueError: \x1b[2J (line 1)"),
        ("number = 3\n", "has no function 'softmax'"),
        ("softmax = 3\n", "has no function 'softmax'"),
    ],
)
def test_a_file_that_can_not_be_imported_is_a_line(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(UnknownName) as told:
        declared(tmp_path, text)
    assert str(told.value).startswith(f"{tmp_path / 'kernels.py'} {complaint}")
    assert "\n" not in str(told.value)


def test_a_file_that_hangs_when_it_is_imported_is_ended_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownName, match=r"can't be imported: no answer from importing .*kernels.py within 1 s; "):
        declared(tmp_path, "while True:\n    pass\n", limits=Limits(first_call=1.0))


def test_what_a_function_consists_of_is_declared(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("factor = 1\n", encoding="utf-8")
    (tmp_path / "reports.py").write_text("raise RuntimeError('not this one')\n", encoding="utf-8")
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("from . import inside\n", encoding="utf-8")
    (tmp_path / "package" / "inside.py").write_text("", encoding="utf-8")
    imports = "import beside, package, references.ieee.float_state, suites, reports\n"
    text = imports + "\ndef softmax(x, axis):\n    return x\n"
    content = declared(tmp_path, text)
    assert {"kernels.py", "beside", "package", "package.inside"} <= set(content)
    assert all(len(digest) == 64 for digest in content.values())
    (tmp_path / "beside.py").write_text("factor = 2\n", encoding="utf-8")
    again = declared(tmp_path, text)
    assert {name for name in content if again[name] != content[name]} == {"beside"}


@pytest.mark.parametrize("changed", ["kernels.py", "beside.py"])
def test_a_file_that_is_edited_after_it_was_declared_is_not_evaluated_as_it_was(
    tmp_path: Path, changed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An edit of the same second and length, which Python's own cache would not see."""
    (tmp_path / "beside.py").write_text("factor = 1\n", encoding="utf-8")
    body = "import beside\nos._exit(3)"
    task = hostile(tmp_path, body, "\nimport beside\n")
    own = task.requests[1].own
    assert own is not None
    content = tuple(declaration_of(task.profile, own).content.items())
    task = replace(task, requests=tuple(replace(r, content=content) for r in task.requests))
    file = tmp_path / changed
    before = file.stat()
    file.write_text(file.read_text().replace("factor = 1", "factor = 2").replace("zeros", "ZEROS"), encoding="utf-8")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    answers = evaluate(task)
    what = "kernels.py" if changed == "kernels.py" else "kernels.py, by way of beside,"
    assert answers[0].bits is not None  # by the process that had imported it before
    for answer in answers[1:]:
        assert answer.loss is not None
        assert answer.loss.reason == f"{what} has changed since the run began; run again"


def test_a_worker_that_has_run_a_users_function_runs_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it has changed in NumPy is its own affair."""
    (tmp_path / "other").mkdir()
    spoiling = hostile(tmp_path, "np.exp = np.zeros_like\nreturn sound(x, axis)")
    task = hostile(tmp_path / "other", "return sound(x, axis)")
    started: list[Profile] = []

    class Counted(WorkerProcess):
        def __init__(self, profile: Profile) -> None:
            started.append(profile)
            super().__init__(profile)

    monkeypatch.setattr(pool_module, "WorkerProcess", Counted)
    evaluate(replace(spoiling, requests=spoiling.requests[:2]))
    assert outcome(evaluate(task)) == "sound"
    assert len(started) == 2
