"""The words of an audit: requirements, Pythons and installers, and what is said of those that mean nothing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from reports.audit.installers import installer_named, reason_in
from reports.audit.interpreters import clean_environment, interpreter_at
from reports.audit.requirements import requirements_of
from reports.console.usage import UsageError


def test_a_side_is_read_into_lines_for_the_installer_and_the_frameworks_that_are_named() -> None:
    found = requirements_of("scipy==1.13.1  numpy==1.26.4")
    assert found.lines == ("numpy==1.26.4", "scipy==1.13.1")
    assert found.frameworks == ("scipy", "numpy")
    assert found.pinned


def test_numpy_which_every_worker_needs_is_added_and_not_audited() -> None:
    found = requirements_of("jax==0.10.2 ml_dtypes==0.5.4")
    assert (found.lines, found.frameworks) == (("jax==0.10.2", "ml_dtypes==0.5.4", "numpy"), ("jax",))


@pytest.mark.parametrize(
    ("torch", "numpy"),
    [("torch==2.1.2", "numpy<2"), ("torch==2.2.2+cpu", "numpy<2"), ("torch==2.3.0", "numpy"), ("torch<2.3", "numpy")],
)
def test_wheels_of_torch_that_were_built_for_numpy_1_get_it(torch: str, numpy: str) -> None:
    assert requirements_of(torch).lines == (numpy, torch)


@pytest.mark.parametrize("text", ["jax", "jax>=0.9", "jax==0.9.*", "jax==0.9.2 numpy", "jax>=0.9,<0.10"])
def test_what_can_mean_another_version_tomorrow_is_not_pinned(text: str) -> None:
    assert not requirements_of(text).pinned


def test_a_wheel_is_given_by_its_path(tmp_path: Path) -> None:
    wheel = tmp_path / "jax-0.11.0.dev1-py3-none-any.whl"
    wheel.touch()
    found = requirements_of(str(wheel))
    assert found.lines[0] == f"jax@ {wheel.as_uri()}" or found.lines[0] == f"jax @ {wheel.as_uri()}"
    assert found.frameworks == ("jax",)
    assert not found.pinned  # another build may take its place


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("numpy==1 numpy==2", "names numpy twice"),
        ("pandas==2", "'pandas==2' names no framework; give a requirement for one of torch, jax, "),
        ("", "'' names no framework"),
        ("numpy >= 1", "'>=' in 'numpy >= 1' is no requirement; write NAME==VERSION"),
        ("nowhere/jax-0.11.0-py3-none-any.whl", "nowhere/jax-0.11.0-py3-none-any.whl is not there"),
        ("jax.whl", "jax.whl is not named as a wheel is"),
    ],
)
def test_what_is_no_requirement_is_named(text: str, said: str) -> None:
    with pytest.raises(UsageError) as refused:
        requirements_of(text)
    assert said in str(refused.value)


# -- Pythons ---------------------------------------------------------------------------------------------------------


def script(file: Path, text: str) -> str:
    file.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    file.chmod(0o755)
    return str(file)


def test_a_python_says_what_it_is_and_keeps_the_path_that_it_was_asked_for_by(tmp_path: Path) -> None:
    wrapper = script(tmp_path / "wrapper", f'exec "{sys.executable}" "$@"')
    found = interpreter_at(wrapper)
    assert found.path == Path(wrapper)
    assert found.executable == sys.executable
    assert found.version == ".".join(map(str, sys.version_info[:3]))


def test_what_is_no_python_or_too_old_a_one_is_named(tmp_path: Path) -> None:
    old = script(tmp_path / "old", """echo '["/old", "CPython", "3.8.18", "linux-x86_64", 3, 8]'""")
    failing = script(tmp_path / "failing", "echo no such thing >&2; exit 3")
    silent = script(tmp_path / "silent", "exit 0")
    for python, said in (
        ("nowhere", "--old-python 'nowhere' is no program"),
        (old, "is Python 3.8.18; the worker needs 3.9 or newer"),
        (failing, "does not run as a Python: no such thing"),
        (silent, "does not run as a Python: it prints nothing"),
    ):
        with pytest.raises(UsageError) as refused:
            interpreter_at(python, "--old-python")
        assert said in str(refused.value)


def test_nothing_of_this_python_gets_into_another(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"):
        monkeypatch.setenv(name, "/here")
    clean = clean_environment()
    assert "/here" not in clean.values()
    assert clean["PYTHONNOUSERSITE"] == "1"


# -- installers ------------------------------------------------------------------------------------------------------


def test_an_installer_that_is_unknown_or_not_there_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown installer 'conda'; known are pip, uv"):
        installer_named("conda")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="uv is not found; pip install uv adds it"):
        installer_named("uv")


@pytest.mark.parametrize(
    ("printed", "reason"),
    [
        (
            "ERROR: Could not find a version that satisfies the requirement numpy==9 (from versions: 1.26.4, 2.0.0)\n"
            "ERROR: No matching distribution found for numpy==9\n",
            "No matching distribution found for numpy==9",
        ),
        (
            "ERROR: Could not find a version that satisfies the requirement numpy==9 (from versions: none)\n"
            "ERROR: No matching distribution found for numpy==9\n",
            "No matching distribution found for numpy==9 (the index has no wheel of it, or can't be reached)",
        ),
        (
            "ERROR: Cannot install a and b because these package versions have conflicting dependencies.\n"
            "ERROR: ResolutionImpossible: for help visit https://pip.pypa.io\n",
            "Cannot install a and b because these package versions have conflicting dependencies.",
        ),
        (
            "  × No solution found:\n  ╰─▶ Because a==9 is not there\n      and b is, no.\n",
            "Because a==9 is not there and b is, no.",
        ),
        (
            "error: No solution found\n  cause: Because a needs b<2, no.\n\nhint: allow more",
            "Because a needs b<2, no.",
        ),
        ("The virtual environment was not created because ensurepip is not\navailable.\n", "available."),
        ("", ""),
    ],
)
def test_the_reason_is_the_line_that_shows_it(printed: str, reason: str) -> None:
    assert reason_in(printed).startswith(reason)
