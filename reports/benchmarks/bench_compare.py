"""How long ``compare`` takes, and how much memory, on synthetic runs of 5,000 and 100,000 cells that all differ.

Each comparison is a process of its own; its processor time and peak memory are printed.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reports.tests.synthetic import drawn_cells, drawn_lines, write_run

# A process's peak memory begins with that of the process that started it, so runs are made in others.
_APART = multiprocessing.get_context("spawn")

_ROUNDS = {5_000: 5, 100_000: 1}


def _run(path: Path, cells: int, seed: int) -> Path:
    maker = _APART.Process(target=_make, args=(path, cells, seed))
    maker.start()
    maker.join()
    assert maker.exitcode == 0
    return path


def _make(path: Path, cells: int, seed: int) -> None:
    write_run(path, drawn_lines(drawn_cells(cells), seed))


def _compared(old: Path, new: Path, *options: str) -> resource.struct_rusage:
    """What a comparison in a process of its own used."""
    command = [sys.executable, "-m", "reports", "compare", str(old), str(new), *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    assert os.waitstatus_to_exitcode(status) in (0, 1)
    return used


@pytest.mark.parametrize("cells", list(_ROUNDS))
@pytest.mark.parametrize("changed", [True, False], ids=["all changed", "all identical"])
def bench_compare(benchmark: Any, tmp_path: Path, cells: int, changed: bool) -> None:
    old = _run(tmp_path / "old", cells, 1)
    new = _run(tmp_path / "new", cells, 2) if changed else old
    _measured(benchmark, cells, lambda: _compared(old, new))


@pytest.mark.parametrize("cells", list(_ROUNDS))
def bench_compare_with_pages(benchmark: Any, tmp_path: Path, cells: int) -> None:
    old = _run(tmp_path / "old", cells, 1)
    new = _run(tmp_path / "new", cells, 2)
    files = [f"--{kind}={tmp_path / kind}" for kind in ("html", "markdown", "json")]
    _measured(benchmark, cells, lambda: _compared(old, new, *files))


def _measured(benchmark: Any, cells: int, run: Callable[[], resource.struct_rusage]) -> None:
    used = benchmark.pedantic(run, rounds=_ROUNDS[cells])
    seconds = used.ru_utime + used.ru_stime
    print(f"\n  {cells:,} cells: {seconds:.2f} s of processor time, {used.ru_maxrss / 1024:.0f} MB")
