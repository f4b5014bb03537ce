"""Measuring: a lost cell is written down and tried again, a full disk loses nothing, and the driver stays bare."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cachetools import LRUCache

from reports.console.exits import INCOMPLETE, OK, USAGE
from reports.inspect.replay import replayed
from reports.measure.run import Outcome, run_measurements
from reports.run.packages import version_text
from reports.run.reader import read_lost, read_manifest, read_run
from reports.run.records import LostCell, Run, RunError
from reports.run.writer import RunWriter
from reports.tests.conftest import Command
from reports.tests.test_cli import TINY, TINY_CELLS
from reports.verbs.measure import shares
from suites.driver.pool import stop_workers
from suites.driver.tasks import Answer, Loss, Task
from suites.implementations.catalogue import CATALOGUE, why_not_measured, why_skipped
from suites.inputs.batch import batch_of
from suites.plan.cell import Selection
from suites.scoring import output

ROOT = Path(__file__).parents[2]
ONE = Selection("smoke", quantities=("forward",), formats=("binary32",), families=("gauss1",))
NUMPY = [i for i in CATALOGUE.values() if i.framework == "numpy"]

CRASHING = """
import os, signal
import numpy as np

def softmax(x, axis):
    if axis == 0 and not os.path.exists("mended"):
        print("going down", flush=True)
        os.kill(os.getpid(), signal.SIGSEGV)
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)
"""
CRASHED = "crashing/softmax/default/softmax/forward/binary32/inner/gauss1/1000"


@pytest.fixture(autouse=True)
def no_worker_left() -> Iterator[None]:
    yield
    stop_workers()


def measured(path: Path, selection: Selection = ONE, **options: Any) -> Outcome:
    return run_measurements(path, NUMPY, selection, lambda *_: None, timing=False, **options)


# -- lost cells ------------------------------------------------------------------------------------------------------


def test_a_crash_costs_its_cell_is_written_down_and_is_tried_again_by_the_same_command(
    command: Command, tmp_path: Path
) -> None:
    (tmp_path / "crashing.py").write_text(CRASHING, encoding="utf-8")
    arguments = ("measure", *TINY, "--implementation", "crashing.py:softmax", "--out", "run")
    ran = command(*arguments)
    assert ran.code == INCOMPLETE
    told = ran.err.splitlines()
    assert told[1:] == [
        f"not measured: {CRASHED}: the worker was ended by SIGSEGV",
        "run/lost.jsonl has what the workers had printed",
    ]
    assert ran.out.startswith("2 of 3 cells in run: ")
    (lost,) = read_lost(tmp_path / "run")
    assert (lost.key, lost.reason, lost.signal) == (CRASHED, "the worker was ended by SIGSEGV", "SIGSEGV")
    assert lost.input_sha256 == batch_of("gauss1", "binary32", 18, 1000).sha256
    assert "going down" in lost.log
    assert not read_manifest(tmp_path / "run").finished
    (tmp_path / "mended").touch()
    again = command(*arguments)
    assert (again.code, again.err.count("\n")) == (OK, 1)  # what its operation is taken for
    assert again.out.startswith("3 of 3 cells in run: ")
    assert not (tmp_path / "run" / "lost.jsonl").exists()
    assert read_manifest(tmp_path / "run").finished


def test_many_cells_that_are_lost_for_one_reason_are_counted(command: Command, tmp_path: Path) -> None:
    (tmp_path / "raising.py").write_text("def softmax(x, axis):\n    raise ValueError('never')\n", encoding="utf-8")
    smoke = ("--framework", "numpy", "--tier", "smoke", "--implementation", "raising.py:softmax")
    ran = command("measure", *smoke, "--out", "run")
    assert ran.code == INCOMPLETE
    lines = ran.err.splitlines()[1:]
    assert len(lines) == 6
    assert all(line.endswith(": ValueError: never") for line in lines)
    lost = len(read_lost(tmp_path / "run"))
    assert lines[-1] == f"not measured: {lost - 5} more cells of profile default: ValueError: never"


def test_what_a_version_does_not_have_leaves_the_run_finished_and_the_command_incomplete(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("suites.driver.pool._Lane._attempt", none_supported)
    ran = command("measure", *TINY, "--out", "run")
    assert ran.code == INCOMPLETE
    lost = read_lost(tmp_path / "run")
    assert all(cell.unsupported for cell in lost)
    assert f"not supported by this version: {len(lost)} cells: not implemented for 'Half'" in ran.err.splitlines()
    assert "not measured: " not in ran.err
    manifest = read_manifest(tmp_path / "run")
    assert (manifest.finished, manifest.planned) == (True, 0)


def none_supported(self: object, task: Task, answers: list[Answer]) -> None:
    answers += [Answer(None, loss=Loss("not implemented for 'Half'", unsupported=True))] * len(task.requests)


def test_another_framework_is_needed_beside_the_interpreter_that_is_measured() -> None:
    arrays = CATALOGUE["scipy/jax-arrays"]
    variables = {"SCIPY_ARRAY_API": "1"}
    assert why_skipped(arrays, variables, {"jax": "0.4.30"}) is None
    assert why_skipped(arrays, variables, {"scipy": "1.17"}) == "scipy/jax-arrays needs jax, which is not installed"


def test_lost_cells_are_sorted_by_key(finished: Run, tmp_path: Path) -> None:
    writer = RunWriter(tmp_path / "run", finished.manifest)
    for key in ("b", "c", "a"):
        writer.lose(LostCell(key, "why", None, "0" * 64, ""))
    writer.finish()
    assert [lost.key for lost in read_lost(tmp_path / "run")] == ["a", "b", "c"]


def test_a_damaged_file_of_lost_cells_is_named(copied: Run) -> None:
    assert read_lost(copied.path) == []
    (copied.path / "lost.jsonl").write_text('{"key": "a"}\n', encoding="utf-8")
    with pytest.raises(RunError, match="lost.jsonl, line 1 is damaged"):
        read_lost(copied.path)


# -- full disks ------------------------------------------------------------------------------------------------------


def full(*arguments: Any, **named: Any) -> None:
    raise OSError(28, "No space left on device")


def test_a_disk_that_fills_up_between_cells_ends_the_run_and_loses_nothing(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    added: list[str] = []
    add = RunWriter.add

    def adding(self: RunWriter, *arguments: Any) -> None:
        if len(added) == 7:
            monkeypatch.setattr("reports.run.writer.json.dumps", full)
        add(self, *arguments)
        added.append(arguments[0].key)

    with monkeypatch.context() as patch:
        patch.setattr(RunWriter, "add", adding)
        ran = command("measure", *TINY, "--out", "run")
        monkeypatch.undo()
    assert ran.code == USAGE
    assert ran.complaint() == "run can't be written: No space left on device; free space and run again"
    assert {record.key for record in read_run(tmp_path / "run").records} == set(added)
    monkeypatch.chdir(tmp_path)
    again = command("measure", *TINY, "--out", "run")
    assert again.code == OK
    assert again.out.startswith(f"{TINY_CELLS} of {TINY_CELLS} cells")


def test_a_worst_row_that_can_not_be_kept_is_reported_and_leaves_no_part(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = np.save

    def cut(file: Any, *rest: Any, **named: Any) -> None:
        if isinstance(file, Path):  # what goes to a worker
            save(file, *rest, **named)
            return
        file.write(b"half")
        raise OSError("1000 requested and 17 written")

    monkeypatch.setattr("reports.run.records.np.save", cut)
    ran = command("measure", *TINY, "--out", "run")
    assert ran.code == USAGE
    assert ran.complaint() == "run/rows can't be written: No space left on device; free space and run again"
    assert [f.name for f in (tmp_path / "run" / "rows").iterdir()] == ["maxima.jsonl"]


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 kilobytes."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a file system can't be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_run_goes_on_once_there_is_room(command: Command, tiny: Path) -> None:
    (tiny / "filler").write_bytes(bytes(40_000))
    ran = command("measure", *TINY, "--out", tiny / "run")
    assert ran.code == USAGE
    assert "No space left on device" in ran.complaint()
    kept = (tiny / "run" / "cells.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    whole = [line for line in kept if line.endswith("\n")]
    assert 0 < len(whole) < TINY_CELLS
    (tiny / "filler").unlink()
    subprocess.run(["mount", "-o", "remount,size=4m", str(tiny)], check=True)
    again = command("measure", *TINY, "--out", tiny / "run")
    assert again.code == OK
    lines = (tiny / "run" / "cells.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    assert set(whole) <= set(lines)
    assert len(lines) == TINY_CELLS


def test_a_scratch_folder_that_can_not_be_written_is_a_line(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    ran = command("measure", *TINY, "--out", "run")
    assert ran.code == USAGE
    assert ran.complaint().startswith(f"{tmp_path / 'nowhere'} can't be written: No such file or directory; ")


# -- profiles --------------------------------------------------------------------------------------------------------


def test_a_run_says_what_its_profiles_selected_and_a_record_of_one_replays(tmp_path: Path) -> None:
    selection = dataclasses.replace(ONE, tier="standard", layouts=("inner",), profiles=("default", "without-x86-v3"))
    outcome = measured(tmp_path / "run", selection)
    assert outcome.lost == []
    run = outcome.run
    noted = {p.name: p for p in run.manifest.profiles}
    if "without-x86-v3" not in noted:
        (reason,) = [u.reason for u in run.manifest.unmeasured]
        pytest.skip(reason)
    other = noted["without-x86-v3"]
    assert other.asked == {"NPY_DISABLE_CPU_FEATURES": "X86_V4 X86_V3"}
    assert not {"X86_V4", "X86_V3"} & set(other.selected.values())
    assert noted["default"].selected == {**run.manifest.settings["numpy"], "flushes subnormals": "False"}
    records = [r for r in run.records if r.profile == "without-x86-v3"]
    assert records
    pairs = [(r, d) for r in records for d in run.records if d.key == r.key.replace("/without-x86-v3/", "/default/")]
    changed = [r for r, d in pairs if r.output_sha256 != d.output_sha256]
    assert changed, "libm's exp and NumPy's own give the same bits here"
    assert replayed(run, changed[0]).same


def test_a_record_of_a_profile_that_is_gone_is_not_replayed(finished: Run) -> None:
    record = dataclasses.replace(finished.records[0], profile="long-forgotten")
    with pytest.raises(RunError, match="numpy has no profile 'long-forgotten'; it has default, "):
        replayed(finished, record)


def test_a_run_is_not_continued_where_a_profile_selects_something_else(copied: Run) -> None:
    other = dataclasses.replace(copied.manifest.profiles[0], selected={"exp f": "another"})
    with pytest.raises(RunError, match="holds a run whose profile default of numpy selected something else"):
        RunWriter(copied.path, dataclasses.replace(copied.manifest, profiles=[other]))


def test_a_card_that_is_missing_is_reported_and_required_only_where_that_is_asked(
    command: Command, tmp_path: Path
) -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a card")
    chosen = ("--framework", "torch", "--tier", "smoke", "--family", "special", "--format", "binary32")
    ran = command("measure", *chosen, "--device", "all", "--out", "run")
    assert ran.code == OK
    assert ran.err.startswith("not measured: torch cuda: torch ")
    (unmeasured,) = read_run(tmp_path / "run").manifest.unmeasured
    assert (unmeasured.framework, unmeasured.profile) == ("torch", "cuda")
    assert command("measure", *chosen, "--device", "all", "--require-device", "--out", "run").code == INCOMPLETE


def test_frameworks_that_compute_on_the_cpu_alone_have_no_cells_on_a_card(command: Command) -> None:
    ran = command("measure", *TINY, "--device", "cuda", "--out", "run")
    assert ran.code == USAGE
    assert "these filters select no cell" in ran.complaint()


def test_another_python_is_measured_and_replayed_where_it_is_named(command: Command, tmp_path: Path) -> None:
    other = tmp_path / "other-python"
    other.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', encoding="utf-8")
    other.chmod(0o755)
    assert command("measure", *TINY, "--python", other, "--out", "run").code == OK
    run = read_run(tmp_path / "run")
    assert run.manifest.packages["numpy"] == np.__version__
    assert command("replay", "run", run.records[0].key, "--python", other).code == OK
    broken = tmp_path / "broken-python"
    broken.write_text("#!/bin/sh\nexit 3\n", encoding="utf-8")
    broken.chmod(0o755)
    ran = command("replay", "run", run.records[0].key, "--python", broken)
    assert ran.code == INCOMPLETE
    assert ran.err == f"{run.records[0].key}: can't be started: the worker exited with 3\n"


# -- the driver ------------------------------------------------------------------------------------------------------


def test_another_engine_gives_the_same_run(finished: Run, tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as engine:
        elsewhere = measured(tmp_path / "elsewhere", engine=engine)
    here = measured(tmp_path / "here")
    for name in ("cells.jsonl", "rows/maxima.jsonl"):
        assert (tmp_path / "elsewhere" / name).read_bytes() == (tmp_path / "here" / name).read_bytes()
    assert elsewhere.run.manifest.planned == here.run.manifest.planned


def test_the_driver_imports_no_framework_and_nothing_of_the_extras(tmp_path: Path) -> None:
    names = [name for name in ("torch", "jax", "scipy") if why_not_measured(name) is None]
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from reports.verbs.measure import measure_verb\n"
        "filters = dict.fromkeys(['quantities', 'layouts', 'profiles', 'operations'], ())\n"
        "filters.update(formats=('binary32',), families=('special',), frameworks=('numpy', *sys.argv[2:]))\n"
        "out = Path(sys.argv[1])\n"
        "code = measure_verb(out, 'smoke', None, **filters, device='cpu', require_device=False, implementation=None)\n"
        "absent = {'torch', 'jax', 'scipy', 'ml_dtypes', 'jinja2', 'hypothesis', 'pytest', 'flint'}\n"
        "print(code, sorted(absent & set(sys.modules)))\n"
    )
    command_line = [sys.executable, "-c", program, str(tmp_path / "run"), *(n for n in names if n == "scipy")]
    done = subprocess.run(command_line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "0 []", done.stderr


def test_a_version_names_the_library_below_where_it_has_another() -> None:
    assert version_text("torch", {"torch": "2.13.0+cpu", "numpy": "2.4.6"}) == "2.13.0+cpu"
    assert version_text("jax", {"jax": "0.10.2", "jaxlib": "0.10.2"}) == "0.10.2"
    assert version_text("jax", {"jax": "0.4.31", "jaxlib": "0.4.30"}) == "0.4.31 0.4.30"


def test_shares_of_time_are_of_the_work_and_waiting_is_distinguished() -> None:
    seconds = {"total": 100.0, "evaluation": 90.0, "reference": 30.0, "judging": 60.0, "idle": 10.0, "rest": 0.0}
    assert shares(seconds) == (
        "100 s, of which the driver waited 10%; of the work: evaluation 50%, judging 33%, reference 17%."
    )


def test_a_runs_seconds_add_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # What this process has judged before would be judged without a reference.
    monkeypatch.setattr(output, "_JUDGED", LRUCache(1 << 28, getsizeof=output._size))
    finished = measured(tmp_path / "run").run
    seconds = finished.manifest.seconds
    assert {"total", "evaluation", "reference", "certification", "judging", "writing", "idle"} <= set(seconds)
    parts = [value for name, value in seconds.items() if name not in ("total", "evaluation")]
    assert abs(sum(parts) - seconds["total"]) <= 0.05 * len(seconds) + 0.1
    assert json.loads((finished.path / "manifest.json").read_text())["seconds"] == seconds
    assert np.isfinite(list(seconds.values())).all()
