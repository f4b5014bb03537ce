"""What a user's function may do to its process and to others: a lost cell with its name, or nothing; never a verdict."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from references.float_state import what_is_off
from suites import pool as pool_module
from suites.implementations.catalogue import UnknownName
from suites.pool import declaration_of, evaluate, stop_workers
from suites.profiles import Limits
from suites.tasks import Answer, Task
from suites.tests.planted import BITS, NUMPY, QUICK, task_of

HEAD = """
import ctypes, gc, os, signal, sys, threading, time
import numpy as np


def sound(x, axis):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def zeros(x, axis):
    return x * 0


def softmax(x, axis):
"""


@pytest.fixture(autouse=True)
def no_worker_left() -> Iterator[None]:
    yield
    stop_workers()


def hostile(folder: Path, body: str, *more: str, limits: Limits = QUICK) -> Task:
    """A task of a sound function, one with this body, and the sound one again."""
    file = folder / "kernels.py"
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    file.write_text(HEAD + lines + "".join(more), encoding="utf-8")
    return task_of(file, "sound", "softmax", "sound", profile=replace(NUMPY, limits=limits))


def outcome(answers: list[Answer]) -> str:
    """The loss of the function in the middle, or "sound"; the ones beside it have to be right."""
    right = [a.bits is not None and np.allclose(a.bits.view(np.float32).sum(axis=1), 1) for a in answers]
    assert right[0]
    assert right[2]
    return "sound" if right[1] else (answers[1].loss.reason if answers[1].loss else "wrong")


FORGED = """
bits = (zeros(x, axis)).view(np.uint32)
frame = b'@softmax-accuracy {"to": 1, "call": 1, "seconds": 0.1, "resident": 1, "state": "", "touched": 0}'
for descriptor in range(1024):
    for text in (frame, b"@softmax-accuracy 0 " + frame[18:]):
        try:
            os.write(descriptor, bytes([10]) + text + bytes([10]))
        except OSError:
            pass
"""


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("sys.exit(0)", "SystemExit: 0"),
        ("os._exit(0)", "the worker exited with 0"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("raise GeneratorExit", "GeneratorExit"),
        ("import unittest\nraise unittest.SkipTest('not today')", "SkipTest: not today"),
        ("class Skipped(BaseException): pass\nraise Skipped('not today')", "Skipped: not today"),
        (
            "class Odd(Exception):\n    def __str__(self): raise SystemExit(0)\nraise Odd",
            "Odd (its text can't be had)",
        ),
        ("def again(): return again()\nagain()", "RecursionError: maximum recursion depth exceeded"),
        ("raise ValueError('\\x1b[2Jred \\u202e' + chr(0xd800) + chr(0x9b))", r"ValueError: \x1b[2Jred \u202e\ud800\x9b"),
        ("raise ValueError('x' * 1_000_000)", "ValueError: " + "x" * 485 + "..."),
        ("os.kill(os.getppid(), signal.SIGTERM)\ntime.sleep(60)", "the worker was ended by SIGTERM"),
        ("os.kill(0, signal.SIGTERM)\ntime.sleep(60)", "the worker was ended by SIGTERM"),
        ("os.setsid()\nos.kill(os.getpid(), signal.SIGTERM)", "the worker was ended by SIGTERM"),
        ("os.closerange(0, 1024)\nreturn sound(x, axis)", "the worker exited with 1"),
        ("if os.fork() == 0:\n    time.sleep(300)\nos._exit(5)", "the worker exited with 5"),
        ("return x.astype(np.float64)", "TypeError: the result is float64, not float32"),
        ("return [0]", "AttributeError: 'list' object has no attribute 'dtype'"),
        # And what harms nobody else.
        (FORGED + "return sound(x, axis)", "sound"),
        ("for number in range(10):\n    try: os.close(number)\n    except OSError: pass\nreturn sound(x, axis)", "sound"),
        ("os.fork()\nreturn sound(x, axis)", "sound"),
        ("sys.stdout = sys.stderr = None\nreturn sound(x, axis)", "sound"),
        ("sys.stdout.close()\nsys.stderr.close()\nreturn sound(x, axis)", "sound"),
        ("os.write(1, b'x' * 20_000_000)\nprint('x' * 20_000_000)\nreturn sound(x, axis)", "sound"),
        ("os.chdir('/')\nos.environ.clear()\ngc.freeze()\nreturn sound(x, axis)", "sound"),
        ("import json\njson.dumps = json.loads = np.save = np.load = None\nreturn sound(x, axis)", "sound"),
        ("time.perf_counter = lambda: 'late'\nreturn sound(x, axis)", "sound"),
        ("import atexit\natexit.register(time.sleep, 300)\nreturn sound(x, axis)", "sound"),
        ("signal.signal(signal.SIGABRT, signal.SIG_IGN)\nreturn sound(x, axis)", "sound"),
        ("threading.Thread(target=lambda: [print('x' * 99) for _ in range(9999)]).start()\nreturn sound(x, axis)", "sound"),
        ("def on_fork(): pass\nos.register_at_fork(before=on_fork)\nreturn sound(x, axis)", "sound"),
    ],
)
def test_what_a_function_does_costs_its_own_cell_at_most(tmp_path: Path, body: str, expected: str) -> None:
    assert outcome(evaluate(hostile(tmp_path, body))) == expected


def test_what_spoils_its_process_for_good_is_a_line(tmp_path: Path) -> None:
    """The sound function after it is told the same, in as many words."""
    task = hostile(tmp_path, "import builtins\nbuiltins.len = None\nreturn sound(x, axis)")
    answers = evaluate(task)
    assert answers[0].bits is not None
    assert all(a.bits is not None or a.loss for a in answers)


def test_a_function_that_floods_the_pipe_of_answers_is_ended(tmp_path: Path) -> None:
    body = "for number in range(200, 300):\n    try:\n        while True: os.write(number, b'x' * 65536)\n"
    body += "    except OSError: pass\nreturn sound(x, axis)"
    assert outcome(evaluate(hostile(tmp_path, body))) == "the worker sent more than 4 MiB of no answer"


def test_a_function_that_ignores_signals_and_hangs_is_ended(tmp_path: Path) -> None:
    body = "os.setsid()\nfor number in (2, 6, 15): signal.signal(number, signal.SIG_IGN)\nwhile True: pass"
    answers = evaluate(hostile(tmp_path, body, limits=Limits(first_call=1.0, call=30.0)))
    assert outcome(answers) == "no answer from kernels/softmax within 1 s"


def test_a_result_that_is_not_what_was_asked_for_is_no_result(tmp_path: Path) -> None:
    """Whoever finds where results are put can put another array there; not one of another size, and no pipe."""
    body = (
        "folder = max((f.path for f in os.scandir(os.environ.get('TMPDIR', '/tmp'))\n"
        "              if f.name.startswith('softmax-accuracy-')), key=os.path.getmtime)\n"
        "def later():\n"
        "    for _ in range(2000):\n"
        "        for file in os.scandir(folder):\n"
        "            if len(file.name) == 20: np.save(file.path, np.ones((5, 5)))\n"
        "        time.sleep(0.001)\n"
        "class Slow(np.ndarray):\n"
        "    pass\n"
        "threading.Thread(target=later, daemon=True).start()\n"
        "return sound(x, axis)\n"
    )
    answers = evaluate(hostile(tmp_path, body))
    for answer in answers:
        assert answer.bits is None or (answer.bits.shape, answer.bits.dtype) == (BITS.shape, BITS.dtype)


def test_a_function_that_removes_the_folder_of_arrays_loses_its_cell_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    body = f"import shutil\nshutil.rmtree({str(folder)!r})\nreturn sound(x, axis)"
    assert outcome(evaluate(hostile(tmp_path, body))) == "its result can't be written: No such file or directory"
    assert folder.is_dir()


# -- the floating-point state ----------------------------------------------------------------------------------------

UPWARD = "ctypes.CDLL(None).fesetround({'x86_64': 0x800, 'aarch64': 0x400000}[os.uname().machine])\n"


@pytest.mark.skipif(os.uname().machine not in ("x86_64", "aarch64"), reason="the constants of fesetround are not known")
def test_a_function_that_changes_the_rounding_loses_its_cell_and_its_process(tmp_path: Path) -> None:
    answers = evaluate(hostile(tmp_path, UPWARD + "return sound(x, axis)"))
    assert outcome(answers) == (
        "it changed the floating-point state of its process: it rounds upward; set it back before the function returns"
    )
    assert answers[0].bits is not None
    assert answers[2].bits is not None
    assert np.array_equal(answers[0].bits, answers[2].bits)
    assert what_is_off() == ""


@pytest.mark.skipif(os.uname().machine not in ("x86_64", "aarch64"), reason="the constants of fesetround are not known")
def test_a_file_that_changes_it_when_it_is_imported_is_told_and_changes_nothing_here(tmp_path: Path) -> None:
    task = hostile(tmp_path, "return sound(x, axis)", UPWARD)
    own = task.requests[0].own
    assert own is not None
    assert declaration_of(task.profile, own).state == "it rounds upward"
    assert what_is_off() == ""
    assert outcome(evaluate(task)) == "sound"


# -- importing it ----------------------------------------------------------------------------------------------------


def declared(folder: Path, text: str, name: str = "softmax", limits: Limits = QUICK) -> dict[str, str]:
    file = folder / "kernels.py"
    file.write_text(text, encoding="utf-8")
    own = ("numpy_recipes", str(file), name)
    return declaration_of(replace(NUMPY, limits=limits), own).content


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("import os\nos._exit(0)\n", "can't be imported: the worker exited with 0; a file that is measured should "),
        ("import ctypes\nctypes.string_at(0)\n", "can't be imported: the worker was ended by SIGSEGV; "),
        ("import os\nos.kill(os.getppid(), 9)\nwhile True: pass\n", "can't be imported: the worker was ended by SIGKILL"),
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
    text = "import beside, package, references.float_state\nimport suites, reports\n\ndef softmax(x, axis):\n    return x\n"
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
    body = "import beside\nif not os.path.exists(__file__ + '.on'):\n    os._exit(3)\nreturn sound(x, axis) * beside.factor"
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


def test_a_worker_that_has_run_a_users_function_runs_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it has changed in NumPy is its own affair."""
    (tmp_path / "other").mkdir()
    spoiling = hostile(tmp_path, "np.exp = np.zeros_like\nreturn sound(x, axis)")
    task = hostile(tmp_path / "other", "return sound(x, axis)")
    started: list[object] = []
    make = pool_module.WorkerProcess
    monkeypatch.setattr(pool_module, "WorkerProcess", lambda profile: started.append(profile) or make(profile))
    evaluate(replace(spoiling, requests=spoiling.requests[:2]))
    assert outcome(evaluate(task)) == "sound"
    assert len(started) == 2
