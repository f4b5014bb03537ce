"""Where the program begins: nothing unforeseen ends with 1, which means "worse", nor with anything else of a verb's."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from reports.console.exits import FAULT, INCOMPLETE, USAGE
from reports.console.streams import READER_GONE
from reports.tests.conftest import Command

ROOT = Path(__file__).parents[2]
FAULT_LINE = "softmax-accuracy: this is a fault of the program, not of your command ({}); please report it"


def raising(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object, **options: object) -> None:
        raise error

    monkeypatch.setattr("reports.verbs.explain.explained", broken)


@pytest.mark.parametrize(
    ("error", "named"),
    [
        (ZeroDivisionError("ours\nand more"), "ZeroDivisionError: ours"),
        (AssertionError(), "AssertionError"),
        (MemoryError("Unable to allocate 8 TiB"), "MemoryError: Unable to allocate 8 TiB"),
        (RecursionError("maximum recursion depth exceeded"), "RecursionError: maximum recursion depth exceeded"),
        (EOFError("no data left"), "EOFError: no data left"),
        (SystemExit(1), "SystemExit: 1"),
        (SystemExit(0), "SystemExit: 0"),
        (SystemExit("a library gave up"), "SystemExit: a library gave up"),
        (GeneratorExit(), "GeneratorExit"),
        (
            ImportError("cannot import name 'x' from 'suites.plan.cells'", name="suites.plan.cells"),
            "ImportError: cannot import",
        ),
        (ModuleNotFoundError("No module named 'tomlib'"), "ModuleNotFoundError: No module named 'tomlib'"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_what_nobody_has_foreseen_has_a_code_a_line_and_its_traceback(
    command: Command, monkeypatch: pytest.MonkeyPatch, error: BaseException, named: str
) -> None:
    raising(error, monkeypatch)
    ran = command("explain", "1", "2")
    assert ran.code == FAULT
    assert ran.err.splitlines()[0] == "Traceback (most recent call last):"
    assert "in broken" in ran.err
    assert ran.err.splitlines()[-1].startswith(FAULT_LINE.format(named).split(")")[0])
    assert "please report it" in ran.err.splitlines()[-1]


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (KeyboardInterrupt(), INCOMPLETE, "interrupted"),
        (
            ModuleNotFoundError("No module named 'jinja2'", name="jinja2"),
            USAGE,
            "jinja2 can't be imported (No module named 'jinja2'); pip install 'softmax-accuracy[report]' brings it",
        ),
        (
            ModuleNotFoundError("No module named 'mpmath.libmp'", name="mpmath.libmp"),
            USAGE,
            "mpmath can't be imported (No module named 'mpmath.libmp'); pip install softmax-accuracy brings it",
        ),
        (
            OSError(errno.ENOSPC, "No space left on device", "page.html"),
            USAGE,
            "page.html: No space left on device; free space, or choose another place",
        ),
        (
            BrokenPipeError(errno.EPIPE, "Broken pipe"),
            USAGE,
            "Broken pipe; free space, or choose another place",
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_what_is_the_machines_or_the_users_is_one_line(
    command: Command, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, line: str
) -> None:
    raising(error, monkeypatch)
    ran = command("explain", "1", "2")
    assert (ran.code, ran.err.strip().startswith(f"softmax-accuracy: {line}")) == (code, True)
    assert "Traceback" not in ran.err


def test_a_broken_package_is_named_by_what_it_could_not_import(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = ImportError("\n\nIMPORTANT: PLEASE READ THIS\n")
    error.__cause__ = ModuleNotFoundError("no extension", name="numpy._core._multiarray_umath")
    raising(error, monkeypatch)
    ran = command("explain", "1", "2")
    assert ran.code == USAGE
    assert ran.complaint().startswith("numpy can't be imported (IMPORTANT: PLEASE READ THIS); pip install ")


@pytest.mark.parametrize("error", ["SystemExit(1)", "RuntimeError('here')", "MemoryError('here')"])
def test_a_fault_in_a_thread_of_the_pool_is_a_fault(
    command: Command, monkeypatch: pytest.MonkeyPatch, error: str
) -> None:
    def evaluate(task: object) -> None:
        raise eval(error)

    monkeypatch.setattr("reports.measure.loop.evaluate", evaluate)
    chosen = ("--framework", "numpy", "--tier", "smoke", "--family", "gauss1", "--format", "binary32")
    ran = command("measure", *chosen, "--out", "run")
    assert (ran.code, "in evaluate" in ran.err) == (FAULT, True)


# -- as processes ----------------------------------------------------------------------------------------------------


def python(program: str, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *options, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )


PLANTED = (
    "import sys\n"
    "import reports.inspect.explain\n"
    "def broken(*arguments, **options): raise {}\n"
    "reports.inspect.explain.explained = broken\n"
    "sys.argv = ['softmax-accuracy', 'explain', '1', '2']\n"
)
WAYS = {
    "python -m reports": "import runpy\nrunpy.run_module('reports', run_name='__main__', alter_sys=False)\n",
    "the console script": (
        "import tomllib\n"
        "where = tomllib.load(open('pyproject.toml', 'rb'))['project']['scripts']['softmax-accuracy']\n"
        "module, function = where.split(':')\n"
        "sys.exit(getattr(__import__(module, fromlist=[function]), function)())\n"
    ),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("error", ["ValueError('ours')", "SystemExit(1)"])
def test_both_ways_to_start_it_end_alike(way: str, error: str) -> None:
    done = python(PLANTED.format(error) + WAYS[way])
    assert done.returncode == FAULT
    assert done.stderr.splitlines()[-1].startswith("softmax-accuracy: this is a fault of the program")


@pytest.mark.parametrize("package", ["click", "numpy", "mpmath", "rich"])
def test_a_clone_without_what_it_needs_says_what_that_is(package: str) -> None:
    done = python(
        f"import sys\nsys.modules[{package!r}] = None\nsys.argv = ['x', 'explain', '1']\n" + WAYS["python -m reports"]
    )
    assert (done.returncode, done.stdout) == (USAGE, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"softmax-accuracy: {package} can't be imported (")
    assert line.endswith("; pip install softmax-accuracy brings it (in a clone, pip install -e .)")


@pytest.mark.parametrize("arguments", ["--help", "explain 0 1 --json", "explain 0 1"])
def test_a_reader_that_leaves_is_no_verdict(arguments: str) -> None:
    program = f"import os, sys\nsys.argv = ['x', *{arguments.split()}]\n" + WAYS["python -m reports"]
    process = subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    told = process.stderr.read()
    assert (process.wait(), told) == (READER_GONE, "")


def test_without_a_standard_error_the_code_is_the_same() -> None:
    done = python("import sys\nsys.stderr = None\n" + PLANTED.format("ValueError('ours')") + WAYS["python -m reports"])
    assert done.returncode == FAULT
