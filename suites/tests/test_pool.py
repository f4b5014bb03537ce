"""The pool: what a worker's death costs, what runs side by side, and that nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from references.formats import BINARY32
from suites.driver import pool as pool_module
from suites.driver.pool import Stopped, WorkerPool, evaluate, introduction_of, stop_workers
from suites.driver.profiles import DEFAULT, Limits, Profile, profile_named
from suites.driver.tasks import Answer, Task
from suites.driver.worker_process import ScratchError, WorkerDied, WorkerProcess
from suites.implementations.numpy.recipes import shifted
from suites.tests.planted import BITS, NUMPY, task_of, written
from suites.worker.main import is_unsupported
from suites.worker.self_report import Unavailable

ROOT = Path(__file__).parents[2]
SOUND = shifted(BITS.view(np.float32), 1).view(np.uint32)


@pytest.fixture
def kernels(tmp_path: Path) -> Path:
    return written(tmp_path)


@pytest.fixture(autouse=True)
def no_worker_left() -> Iterator[None]:
    yield
    stop_workers()


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Profile]:
    """The profiles that workers are started for, as they are."""
    found: list[Profile] = []

    class Counted(WorkerProcess):
        def __init__(self, profile: Profile) -> None:
            found.append(profile)
            super().__init__(profile)

    monkeypatch.setattr(pool_module, "WorkerProcess", Counted)
    return found


def is_sound(answer: Answer) -> bool:
    return answer.bits is not None and np.array_equal(answer.bits, SOUND)


# -- what a death costs ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "reason", "by"),
    [
        ("aborts", "the worker was ended by SIGABRT", "SIGABRT"),
        ("reads_address_zero", "the worker was ended by SIGSEGV", "SIGSEGV"),
        (
            "kills_itself",
            "the worker was ended by SIGKILL (which is how the kernel ends a process when memory",
            "SIGKILL",
        ),
        ("exits", "the worker exited with 7", None),
        ("allocates", "out of memory: ", None),
    ],
)
def test_a_death_costs_its_evaluation_and_no_other(
    kernels: Path, started: list[Profile], function: str, reason: str, by: str | None
) -> None:
    answers = evaluate(task_of(kernels, "sound", function, "sound"))
    assert [is_sound(a) for a in answers] == [True, False, True]
    assert answers[1].bits is None
    assert answers[1].loss is not None
    assert answers[1].loss.reason.startswith(reason)
    assert answers[1].loss.signal == by
    assert len(started) == 3  # the first, the one that tries again, and the one that goes on


def test_an_evaluation_that_hangs_is_ended_at_its_limit(kernels: Path, started: list[Profile]) -> None:
    impatient = replace(NUMPY, limits=Limits(first_call=0.3, call=60.0))
    answers = evaluate(task_of(kernels, "sleeps", profile=impatient))
    assert answers[0].loss is not None
    assert answers[0].loss.reason == "no answer from kernels/sleeps within 0.3 s"
    assert "in sleeps" in answers[0].loss.log  # where it hung
    assert len(started) == 2


def test_a_worker_that_dies_by_chance_costs_nothing(kernels: Path, started: list[Profile]) -> None:
    assert all(is_sound(a) for a in evaluate(task_of(kernels, "sound", "kills_itself_once", "sound")))
    assert len(started) == 2


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        ("raises", "ValueError: no answer"),
        ("leaves", "SystemExit: as a script does"),
        ("of_another_shape", "TypeError: the result has shape (1, 3), not (2, 3)"),
    ],
)
def test_what_raises_is_not_tried_again(kernels: Path, started: list[Profile], function: str, reason: str) -> None:
    answers = evaluate(task_of(kernels, function, "sound"))
    assert answers[0].loss is not None
    assert answers[0].loss.reason == reason
    assert is_sound(answers[1])
    assert len(started) == 1


def test_a_users_function_that_raises_has_failed_whatever_it_raises(kernels: Path) -> None:
    (answer,) = evaluate(task_of(kernels, "raises"))
    assert answer.loss is not None
    assert not answer.loss.unsupported


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (AttributeError("module 'torch.special' has no attribute 'log_softmax'"), True),
        (ModuleNotFoundError("No module named 'jax'"), True),
        (NotImplementedError(), True),
        (RuntimeError("\"softmax_lastdim_kernel_impl\" not implemented for 'Half'"), True),
        (RuntimeError("Dynamo is not supported on Python 3.12+"), True),
        (TypeError("log_softmax() got an unexpected keyword argument 'where'"), True),
        (TypeError("unsupported operand type(s) for +: 'int' and 'str'"), False),
        (RuntimeError("The size of tensor a must match the size of tensor b"), False),
        (ValueError("no"), False),
    ],
)
def test_what_a_version_does_not_have_is_distinguished_from_what_fails(error: Exception, expected: bool) -> None:
    assert is_unsupported(error) is expected


def test_what_a_dead_worker_had_printed_is_kept(kernels: Path) -> None:
    (answer,) = evaluate(task_of(kernels, "aborts"))
    assert answer.loss is not None
    assert "the last words" in answer.loss.log
    assert "kernels.py" in answer.loss.log  # the traceback of where it stood


def test_what_is_printed_and_read_in_a_worker_does_not_disturb_it(kernels: Path) -> None:
    assert all(is_sound(a) for a in evaluate(task_of(kernels, "talks", "sound")))


def test_a_profile_in_which_nothing_survives_is_given_up(
    kernels: Path, started: list[Profile], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "_LOST_IN_A_ROW", 2)
    answers = evaluate(task_of(kernels, "sound", "exits", "exits", "sound", "sound"))
    assert [is_sound(a) for a in answers] == [True, False, False, False, False]
    assert answers[2].loss is not None
    assert answers[2].loss.reason == "the worker exited with 7"
    for answer in answers[3:]:
        assert answer.loss is not None
        assert answer.loss.reason == (
            "given up after 2 lost evaluations in a row, the last one: the worker exited with 7"
        )
    with pytest.raises(WorkerDied, match="given up"):
        evaluate(task_of(kernels, "sound"))
    assert len(started) == 4


def test_an_answer_between_losses_keeps_the_profile(kernels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "_LOST_IN_A_ROW", 2)
    answers = evaluate(task_of(kernels, "exits", "sound", "exits", "sound"))
    assert [is_sound(a) for a in answers] == [False, True, False, True]


def test_a_worker_that_has_grown_is_replaced_before_the_next_task(
    kernels: Path, started: list[Profile], monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate(task_of(kernels, "sound"))
    evaluate(task_of(kernels, "sound"))
    assert len(started) == 1
    monkeypatch.setattr(pool_module, "_GROWN", 0)
    evaluate(task_of(kernels, "sound"))
    assert is_sound(evaluate(task_of(kernels, "sound"))[0])
    assert len(started) == 2


# -- what can't be started -------------------------------------------------------------------------------------------


def test_an_interpreter_that_is_not_there_is_named(kernels: Path, started: list[Profile]) -> None:
    nowhere = replace(NUMPY, interpreter=str(kernels.parent / "no-python"))
    for _ in range(2):
        with pytest.raises(Unavailable, match="no-python can't be started: No such file or directory"):
            evaluate(task_of(kernels, "sound", profile=nowhere))
    assert len(started) == 1


def test_a_worker_that_dies_at_its_start_is_tried_twice_and_no_more(tmp_path: Path, started: list[Profile]) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho broken >&2\nexit 9\n", encoding="utf-8")
    broken.chmod(0o755)
    for _ in range(2):
        with pytest.raises(WorkerDied, match="the worker exited with 9") as death:
            introduction_of(replace(NUMPY, interpreter=str(broken)))
        assert death.value.loss.log == "broken"
    assert len(started) == 2


def test_a_scratch_folder_that_can_not_be_written_is_named_with_the_remedy(
    kernels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(kernels))
    with pytest.raises(ScratchError) as told:
        evaluate(task_of(kernels, "sound"))
    assert str(told.value).startswith(f"{kernels} can't be written: ")
    assert str(told.value).endswith("; free space there, or set TMPDIR to another folder")


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    """A file system of 200 kilobytes."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a file system can't be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        stop_workers()
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("numbers", [10_000, 100_000])
def test_a_full_disk_is_reported_whoever_fills_it(
    kernels: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch, numbers: int
) -> None:
    """Of 10,000 numbers there is room for what goes in, and not beside it for what comes out."""
    monkeypatch.setattr("tempfile.tempdir", str(tiny))
    task = task_of(kernels, *["sound"] * 8)
    large = Task(task.profile, task.format, np.zeros((1, numbers), np.uint32), {}, task.requests)
    if numbers == 10_000:
        (tiny / "filler").write_bytes(bytes(135_000))
    with pytest.raises(ScratchError, match="tiny can't be written: No space left on device; "):
        evaluate(large)


# -- what runs side by side ------------------------------------------------------------------------------------------

OTHER = replace(NUMPY, name="other")


def test_profiles_run_side_by_side(kernels: Path) -> None:
    both = threading.Barrier(2)

    def meet(profile: Profile) -> int:
        return both.wait(timeout=30)

    with WorkerPool(2) as pool:
        assert sorted(f.result() for f in [pool.submit(meet, NUMPY), pool.submit(meet, OTHER)]) == [0, 1]


def test_what_is_for_one_profile_runs_in_order_and_never_at_once() -> None:
    running, order = threading.Lock(), []

    def alone(profile: Profile, number: int) -> None:
        assert running.acquire(blocking=False)
        order.append(number)
        time.sleep(0.001)
        running.release()

    with WorkerPool(3) as pool:
        for future in [pool.submit(alone, NUMPY, number) for number in range(20)]:
            future.result()
    assert order == list(range(20))


def test_a_busy_profile_does_not_hold_up_another() -> None:
    go = threading.Event()

    def wait(profile: Profile) -> bool:
        return go.wait(timeout=30)

    def release(profile: Profile) -> None:
        go.set()

    with WorkerPool(2) as pool:
        waiting = [pool.submit(wait, NUMPY) for _ in range(3)]
        pool.submit(release, OTHER).result(timeout=30)
        assert all(f.result(timeout=30) for f in waiting)


def shaped(profile: Profile, rows: int, columns: int, format: str = "binary32") -> Task:
    return Task(profile, format, np.zeros((rows, columns), np.uint32), {}, ())


def test_a_framework_that_compiles_has_a_worker_for_each_processor_and_a_shape_one() -> None:
    jax = profile_named("jax", DEFAULT)
    shapes = [(rows, columns) for rows in (5, 18, 33) for columns in range(1, 20)]
    with WorkerPool(2):
        keys = {shape: pool_module._HERE.key_of(shaped(jax, *shape)) for shape in shapes}
        assert {key[1] for key in keys.values()} == {0, 1}
        assert all(pool_module._HERE.key_of(shaped(jax, *shape)) == key for shape, key in keys.items())
        for other in (profile_named("jax", "one-cpu"), profile_named("numpy", DEFAULT)):
            assert {pool_module._HERE.key_of(shaped(other, *shape)) for shape in shapes} == {(other, 0)}
    with WorkerPool(1):
        assert {pool_module._HERE.key_of(shaped(jax, *shape)) for shape in shapes} == {(jax, 0)}
    assert {pool_module._HERE.key_of(shaped(jax, *shape)) for shape in shapes} == {(jax, 0)}


def test_a_pool_maps_as_every_executor_does(kernels: Path) -> None:
    with WorkerPool(2) as pool:
        answers = list(pool.map(evaluate, [task_of(kernels, "sound"), task_of(kernels, "raises")]))
    assert is_sound(answers[0][0])
    assert answers[1][0].loss is not None


def test_any_executor_can_run_an_evaluation(kernels: Path) -> None:
    executor: Executor
    with ThreadPoolExecutor(2) as executor:
        futures = [executor.submit(evaluate, task_of(kernels, "sound", "kills_itself_once")) for _ in range(3)]
        assert all(is_sound(a) for f in futures for a in f.result())


def test_what_is_raised_in_the_pool_is_the_futures(kernels: Path) -> None:
    with WorkerPool(1) as pool, pytest.raises(Unavailable):
        pool.submit(introduction_of, replace(NUMPY, interpreter="/no/python")).result()


def test_a_pool_that_is_shut_down_takes_nothing_more() -> None:
    pool = WorkerPool(1)
    pool.shutdown()
    with pytest.raises(RuntimeError, match="shut down"):
        pool.submit(introduction_of, NUMPY)


# -- what is left behind ---------------------------------------------------------------------------------------------


def sleeper(folder: Path) -> int:
    """The process that sleeps, once it does."""
    for _ in range(600):
        if (folder / "asleep").exists():
            return int((folder / "asleep").read_text())
        time.sleep(0.05)
    raise AssertionError("it did not fall asleep within 30 s")


def is_gone(process: int) -> bool:
    for _ in range(200):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        if Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            return True  # whoever inherited it has not looked yet
        time.sleep(0.05)
    return False


def test_an_interruption_ends_what_runs_and_drops_what_waits(kernels: Path) -> None:
    def interrupted() -> None:
        with WorkerPool(1) as pool:
            futures.extend(pool.submit(evaluate, task_of(kernels, "sleeps")) for _ in range(2))
            pids.append(sleeper(kernels.parent))
            raise KeyboardInterrupt

    futures: list[object] = []
    pids: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    running, waiting = futures
    assert isinstance(running.exception(), Stopped)  # type: ignore[attr-defined]
    assert waiting.cancelled()  # type: ignore[attr-defined]
    assert is_gone(pids[0])


def test_workers_end_with_a_driver_that_is_killed(kernels: Path) -> None:
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from suites.driver.pool import evaluate\n"
        "from suites.tests.planted import task_of\n"
        "evaluate(task_of(Path(sys.argv[1]), 'sleeps'))\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(kernels)], cwd=ROOT) as driver:
        worker = sleeper(kernels.parent)
        driver.send_signal(signal.SIGKILL)
    assert is_gone(worker)


def test_no_scratch_folder_is_left(kernels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = kernels.parent / "scratch"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    with WorkerPool(1) as pool:
        pool.submit(evaluate, task_of(kernels, "sound", "aborts", "sound")).result()
        assert len(list(folder.iterdir())) == 1
    assert list(folder.iterdir()) == []


def test_bits_come_back_as_unsigned_integers_of_the_format(kernels: Path) -> None:
    (answer,) = evaluate(task_of(kernels, "sound"))
    assert answer.bits is not None
    assert answer.bits.dtype == BINARY32.bits_dtype
    assert answer.seconds > 0


def test_a_thread_of_the_pool_that_fails_itself_is_reported_to_whoever_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(self: WorkerPool) -> None:
        if self._waiting:
            raise MemoryError("no room for another task")

    monkeypatch.setattr(WorkerPool, "_next", failing)
    pool = WorkerPool(most=1)
    profile = Profile("default", "numpy")
    with pytest.raises(MemoryError, match="no room for another task"):
        pool.submit(lambda subject: subject, profile).result()
    with pytest.raises(MemoryError, match="no room for another task"):
        pool.submit(lambda subject: subject, profile)
    pool.shutdown()
