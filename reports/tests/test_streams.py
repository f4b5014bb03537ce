"""Standard output that is full, closed, or read no further: a line and exit 2, or silence, and never a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reports.console.exits import USAGE
from reports.console.streams import READER_GONE, OutputFailed, ReaderGone, flush_output, guard_streams
from reports.run.records import Run
from reports.tests.conftest import Command

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="descriptors are closed as POSIX does it")

FEW = "--framework numpy --tier smoke --format binary64 --operation softmax --family gauss1"

# Every verb that prints, in its ways to print.
PRINTS = {
    "help": "--help",
    "help of a verb": "measure --help",
    "version": "--version",
    "measure": f"measure {FEW} --out new",
    "explain": "explain 0 1",
    "explain --json": "explain 0 1 --json",
    "explain --path": "explain --path --shape 2x3",
    "baseline": "baseline RUN",
    "report": "report RUN --markdown -",
    "history": "report --history RUN RUN",
    "compare": "compare RUN RUN",
    "compare --json": "compare RUN RUN --json -",
    "replay": "replay RUN CELL",
    "replay --script": "replay RUN CELL --script",
}


@pytest.fixture(params=list(PRINTS.values()), ids=list(PRINTS))
def words(request: pytest.FixtureRequest, finished: Run) -> str:
    text: str = request.param
    return text.replace("RUN", str(finished.path)).replace("CELL", finished.records[0].key)


def ran(words: str, folder: Path, streams: str) -> subprocess.CompletedProcess[str]:
    """A command by a shell, with its streams as that puts them."""
    return subprocess.run(
        ["sh", "-c", f'"{sys.executable}" -m reports {words} {streams}'],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no full device on this system")
@pytest.mark.parametrize("words", ["--version", "baseline RUN"])
def test_a_full_disk_behind_standard_output_is_a_line(tmp_path: Path, finished: Run, words: str) -> None:
    done = ran(words.replace("RUN", str(finished.path)), tmp_path, ">/dev/full")
    assert (done.returncode, done.stderr) == (
        USAGE,
        "softmax-accuracy: standard output can't be written: No space left on device; send it elsewhere\n",
    )


@pytest.mark.parametrize("words", ["--version", "baseline RUN"])
def test_a_closed_standard_output_is_a_line(tmp_path: Path, finished: Run, words: str) -> None:
    done = ran(words.replace("RUN", str(finished.path)), tmp_path, ">&-")
    assert (done.returncode, done.stderr) == (
        USAGE,
        "softmax-accuracy: standard output can't be written: it is closed; send it elsewhere\n",
    )


@pytest.mark.parametrize("words", ["--version", "baseline RUN"])
def test_a_reader_that_has_gone_ends_the_program_in_silence(tmp_path: Path, finished: Run, words: str) -> None:
    done = subprocess.run(
        ["sh", "-c", f'("{sys.executable}" -m reports {words.replace("RUN", str(finished.path))}; echo $? >&2) | true'],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.stderr == f"{READER_GONE}\n"


def test_what_prints_nothing_there_needs_no_standard_output(tmp_path: Path, finished: Run) -> None:
    for streams in (">&-", "<&- >&- 2>&-", ">&- 2>/dev/full"):
        done = ran(f"baseline '{finished.path}' --out page", tmp_path, streams)
        assert done.returncode == 0
        assert (tmp_path / "page").read_bytes().count(b"\n") > 3  # no message among them
        (tmp_path / "page").unlink()


def test_a_standard_error_that_is_full_or_closed_leaves_the_exit_code(tmp_path: Path, finished: Run) -> None:
    for streams in ("2>&-", "2>/dev/full"):
        done = ran(f"explain 0 1 --format colour {streams}", tmp_path, "")
        assert (done.returncode, done.stdout, done.stderr) == (USAGE, "", "")
        done = ran(f"compare '{finished.path}' '{finished.path}'", tmp_path, streams)
        assert done.returncode == 0
        assert "signed off" in done.stdout


def test_a_message_on_what_was_begun_is_followed_by_nothing(tmp_path: Path, finished: Run) -> None:
    """What was printed before a verb failed can't be flushed either; the verb's own reason is told."""
    done = ran(f"compare '{finished.path}' '{finished.path}' --markdown - --html {'n' * 300}", tmp_path, ">/dev/full")
    assert done.returncode == USAGE
    assert "File name too long" in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_encoding_that_lacks_a_character_gets_it_spelt_out(tmp_path: Path, finished: Run) -> None:
    done = ran(f"replay '{finished.path}' '{finished.records[0].key}' --script | head -c 300", tmp_path, "")
    assert done.stderr == ""
    done = subprocess.run(
        [sys.executable, "-m", "reports", "report", str(finished.path), "--markdown", "-"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_what_is_written_first_comes_first(unbuffered: str) -> None:
    program = (
        "import sys; from reports.console.streams import guard_streams; guard_streams();"
        "print('1', file=sys.stderr); print('2', flush=True); print('3', file=sys.stderr); print('4' * 200_000)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": unbuffered},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["1", "2", "3", "4" * 200_000]


# -- in this process -------------------------------------------------------------------------------------------------


@pytest.fixture
def guarded(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Any]:
    """Standard output that is written to another descriptor."""
    from reports.console import streams

    def guard(descriptor: int) -> Any:
        monkeypatch.setattr(sys, "stdout", streams._guarded(None, streams._Output(descriptor, None)))
        return sys.stdout

    return guard


def test_every_verb_that_prints_reports_a_full_disk(
    command: Command, guarded: Callable[[int], Any], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    guarded(full)
    told = command(*words.split())
    os.close(full)
    assert told.code == USAGE
    assert told.err.splitlines()[-1] == (
        "softmax-accuracy: standard output can't be written: No space left on device; send it elsewhere"
    )


def test_every_verb_that_prints_ends_in_silence_when_nobody_reads(
    command: Command, guarded: Callable[[int], Any], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    read, write = os.pipe()
    os.close(read)
    guarded(write)
    told = command(*words.split())
    os.close(write)
    assert told.code == READER_GONE
    assert told.err == ""


def test_the_first_failure_is_raised_and_the_rest_goes_nowhere(guarded: Callable[[int], Any]) -> None:
    read, write = os.pipe()
    os.close(read)
    stream = guarded(write)
    print("word")
    with pytest.raises(ReaderGone) as gone:
        flush_output()
    assert gone.value.code == READER_GONE
    assert gone.value.__context__ is None
    print("more" * 10_000)
    flush_output()
    stream.close()
    os.close(write)
    stream = guarded(write)
    print("word")
    with pytest.raises(OutputFailed, match="written: Bad file descriptor; send it elsewhere$"):
        flush_output()
    stream.close()


def test_streams_that_somebody_has_put_there_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", sys.stderr)
    guard_streams()
    assert sys.stdout is sys.stderr
