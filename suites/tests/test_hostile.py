"""What a user's function may do to its process and to others: it costs its cell with a reason, or nothing."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from references.ieee.float_state import what_is_off
from suites.driver.pool import declaration_of, evaluate, stop_workers
from suites.driver.profiles import Limits
from suites.driver.tasks import Answer, Task
from suites.tests.planted import NUMPY, QUICK, task_of

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
        (
            "raise ValueError('\\x1b[2Jred \\u202e' + chr(0xd800) + chr(0x9b))",
            r"ValueError: \x1b[2Jred \u202e\ud800\x9b",
        ),
        ("raise ValueError('x' * 1_000_000)", "ValueError: " + "x" * 485 + "..."),
        ("os.kill(os.getppid(), signal.SIGTERM)\ntime.sleep(60)", "the worker was ended by SIGTERM"),
        ("os.kill(0, signal.SIGTERM)\ntime.sleep(60)", "the worker was ended by SIGTERM"),
        ("os.setsid()\nos.kill(os.getpid(), signal.SIGTERM)", "the worker was ended by SIGTERM"),
        ("os.closerange(0, 1024)\nreturn sound(x, axis)", "the worker exited with 1"),
        ("if os.fork() == 0:\n    time.sleep(300)\nos._exit(5)", "the worker exited with 5"),
        ("return x.astype(np.float64)", "TypeError: the result is float64, not float32"),
        (
            "at = {'shape': x.shape, 'typestr': '<f4', 'data': (8, False), 'version': 3}\n"
            "return type('D', (), {'shape': x.shape, 'dtype': x.dtype, '__array_interface__': at})()",
            "the worker was ended by SIGSEGV",
        ),
        ("return [0]", "AttributeError: 'list' object has no attribute 'dtype'"),
        ("import builtins\nbuiltins.len = None\nreturn sound(x, axis)", "the worker exited with 1"),
        # And what harms nobody else.
        (FORGED + "return sound(x, axis)", "sound"),
        (
            "for number in range(10):\n    try: os.close(number)\n    except OSError: pass\nreturn sound(x, axis)",
            "sound",
        ),
        ("os.fork()\nreturn sound(x, axis)", "sound"),
        ("sys.stdout = sys.stderr = None\nreturn sound(x, axis)", "sound"),
        ("sys.stdout.close()\nsys.stderr.close()\nreturn sound(x, axis)", "sound"),
        ("os.write(1, b'x' * 20_000_000)\nprint('x' * 20_000_000)\nreturn sound(x, axis)", "sound"),
        ("os.chdir('/')\nos.environ.clear()\ngc.freeze()\nreturn sound(x, axis)", "sound"),
        ("import json\njson.dumps = json.loads = np.save = np.load = None\nreturn sound(x, axis)", "sound"),
        ("time.perf_counter = lambda: 'late'\nreturn sound(x, axis)", "sound"),
        ("import atexit\natexit.register(time.sleep, 300)\nreturn sound(x, axis)", "sound"),
        ("signal.signal(signal.SIGABRT, signal.SIG_IGN)\nreturn sound(x, axis)", "sound"),
        (
            "threading.Thread(target=lambda: [print('x' * 99) for _ in range(9999)]).start()\nreturn sound(x, axis)",
            "sound",
        ),
        ("def on_fork(): pass\nos.register_at_fork(before=on_fork)\nreturn sound(x, axis)", "sound"),
    ],
)
def test_what_a_function_does_costs_its_own_cell_at_most(tmp_path: Path, body: str, expected: str) -> None:
    assert outcome(evaluate(hostile(tmp_path, body))) == expected


def test_a_function_that_floods_the_pipe_of_answers_is_ended(tmp_path: Path) -> None:
    body = "for number in range(200, 300):\n    try:\n        while True: os.write(number, b'x' * 65536)\n"
    body += "    except OSError: pass\nreturn sound(x, axis)"
    assert outcome(evaluate(hostile(tmp_path, body))) == "the worker sent more than 4 MiB of no answer"


def test_a_function_that_ignores_signals_and_hangs_is_ended(tmp_path: Path) -> None:
    body = "os.setsid()\nfor number in (2, 6, 15): signal.signal(number, signal.SIG_IGN)\nwhile True: pass"
    answers = evaluate(hostile(tmp_path, body, limits=Limits(first_call=1.0, call=30.0)))
    assert outcome(answers) == "no answer from kernels/softmax within 1 s"


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
def test_a_file_that_changes_it_when_it_is_imported_is_reported_and_changes_nothing_here(tmp_path: Path) -> None:
    task = hostile(tmp_path, "return sound(x, axis)", UPWARD)
    own = task.requests[0].own
    assert own is not None
    assert declaration_of(task.profile, own).state == "it rounds upward"
    assert what_is_off() == ""
    assert outcome(evaluate(task)) == "sound"
