"""One writer at a time, which doubles, believes and overwrites nothing, and what is promised is on the disk."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from reports.audit.session import begin
from reports.audit.sides import AuditSide
from reports.console.exits import OK, USAGE
from reports.run.reader import read_manifest, read_observations, read_run
from reports.run.records import LostCell, Record, Run, RunError
from reports.run.writer import RunWriter
from reports.tests.conftest import Command
from reports.tests.test_cli import TINY, TINY_CELLS
from reports.tests.test_observations import SEEN
from reports.tests.test_run_content import files_of

ROOT = Path(__file__).parents[2]
REMEDY = "choose another --out, or remove it"


def refused(run: Run, path: Path | None = None) -> str:
    """What a writer says of a directory, which it leaves as it is."""
    where = path or run.path
    before = files_of(where)
    with pytest.raises(RunError) as error:
        RunWriter(where, run.manifest)
    assert files_of(where) == before
    message = str(error.value)
    assert "\n" not in message
    return message


def keys_of(run: Path, name: str = "cells.jsonl") -> list[str]:
    lines = (run / name).read_text(encoding="utf-8").splitlines()
    if name != "cells.jsonl":
        return [json.loads(line)["key"] for line in lines]
    return [record.key for record in read_run(run).records] if lines else []


# -- a directory that is something else ------------------------------------------------------------------------------


@pytest.mark.parametrize("left", ["cells.jsonl", "lost.jsonl", "observations.jsonl", "rows/maxima.jsonl"])
def test_records_without_a_manifest_are_refused_before_anything_is_measured(
    finished: Run, tmp_path: Path, left: str
) -> None:
    (tmp_path / "run" / "rows").mkdir(parents=True)
    (tmp_path / "run" / left).write_text("{}\n", encoding="utf-8")
    told = refused(finished, tmp_path / "run")
    assert told == f"{tmp_path / 'run'} has {left} and no manifest.json, which says what was measured; {REMEDY}"


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"schema": 1}', '{"name": "An app", "icons": []}'])
def test_a_manifest_that_can_not_be_read_is_refused_with_a_remedy_that_helps(copied: Run, text: str) -> None:
    (copied.path / "manifest.json").write_text(text, encoding="utf-8")
    told = refused(copied)
    assert told.startswith(f"{copied.path} can't be gone on with ({copied.path / 'manifest.json'} ")
    assert told.endswith(f"; {REMEDY}")


@pytest.mark.parametrize("damage", [Path.unlink, lambda file: file.write_text("")])
def test_no_cell_is_doubled_where_a_manifest_is_gone_or_empty(
    command: Command, tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    assert command("measure", *TINY, "--out", "run").code == OK
    damage(tmp_path / "run" / "manifest.json")
    ran = command("measure", *TINY, "--out", "run")
    assert ran.code == USAGE
    assert ran.complaint().endswith(f"; {REMEDY}")
    assert len((tmp_path / "run" / "cells.jsonl").read_text(encoding="utf-8").splitlines()) == TINY_CELLS
    assert command("measure", *TINY, "--out", "other").code == OK


@pytest.mark.parametrize("name", ["manifest.json", "cells.jsonl", "rows/maxima.jsonl", ".lock"])
@pytest.mark.parametrize("kind", ["pipe", "folder", "link"])
def test_what_is_no_plain_file_is_neither_waited_for_nor_written_through(
    copied: Run, tmp_path: Path, name: str, kind: str
) -> None:
    file, elsewhere = copied.path / name, tmp_path / "elsewhere"
    file.unlink(missing_ok=True)
    elsewhere.write_text("mine", encoding="utf-8")
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "folder":
        file.mkdir()
    else:
        file.symlink_to(elsewhere)
    with pytest.raises(RunError) as error:
        RunWriter(copied.path, copied.manifest)
    assert str(error.value) == f"{file} is no plain file; {REMEDY}"
    assert elsewhere.read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("kind", ["pipe", "folder", "link"])
def test_the_state_of_an_audit_is_read_from_a_plain_file_alone(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "audit.json"
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "folder":
        file.mkdir()
    else:
        file.symlink_to(tmp_path / "elsewhere")
    side = AuditSide("old", "numpy==2.0", "python", {"numpy": "2.0"}, ("numpy",))
    with pytest.raises(RunError) as error:
        begin(tmp_path, (side, side))
    remedy = f"choose another --out, or remove {tmp_path}"
    assert str(error.value) == f"{file} can't be read: it is no ordinary file; {remedy}"


def test_other_files_in_a_directory_are_left_alone(finished: Run, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine", encoding="utf-8")
    RunWriter(tmp_path / "run", finished.manifest).finish()
    assert (tmp_path / "run" / "notes.txt").read_text(encoding="utf-8") == "mine"


def test_a_directory_that_was_only_begun_is_taken_up(finished: Run, tmp_path: Path) -> None:
    (tmp_path / "run" / "rows").mkdir(parents=True)
    (tmp_path / "run" / ".lock").touch()
    (tmp_path / "run" / "manifest.json.123.part").touch()
    RunWriter(tmp_path / "run", finished.manifest).finish()
    assert not list((tmp_path / "run").rglob("*.part"))


# -- one writer ------------------------------------------------------------------------------------------------------


@pytest.fixture
def writing(copied: Run) -> Iterator[subprocess.Popen[str]]:
    """Another process that is writing the run directory."""
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from reports.run.reader import read_manifest\n"
        "from reports.run.writer import RunWriter\n"
        "path = Path(sys.argv[1])\n"
        "writer = RunWriter(path, read_manifest(path))\n"
        "print('writing', flush=True)\n"
        "sys.stdin.read()\n"
    )
    words = [sys.executable, "-c", program, str(copied.path)]
    with subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "writing\n"
        yield other
        other.kill()


@pytest.mark.usefixtures("writing")
def test_a_second_writer_gets_one_line_and_changes_nothing(copied: Run) -> None:
    told = refused(copied)
    assert told == f"{copied.path} is being written by another process; wait for its end, or choose another --out"
    assert len(read_run(copied.path).records) == len(copied.records)  # who reads needs no lock


def test_a_second_measurement_is_a_usage_error(command: Command, tmp_path: Path) -> None:
    assert command("measure", *TINY, "--out", "run").code == OK
    writer = RunWriter(tmp_path / "run", read_manifest(tmp_path / "run"))
    ran = command("measure", *TINY, "--out", "run")
    assert ran.code == USAGE
    assert ran.complaint().startswith("run is being written by another process; wait for its end")
    assert command("report", "run").code == OK
    writer.close()
    assert command("measure", *TINY, "--out", "run").code == OK


def test_a_writer_that_was_killed_holds_nothing(copied: Run, writing: subprocess.Popen[str]) -> None:
    writing.kill()
    writing.wait()
    RunWriter(copied.path, copied.manifest).close()


def test_a_writer_that_was_refused_or_finished_lets_others_write(copied: Run) -> None:
    with pytest.raises(RunError, match="another tier"):
        RunWriter(copied.path, dataclasses.replace(copied.manifest, tier="deep"))
    RunWriter(copied.path, copied.manifest).finish(finished=True)
    RunWriter(copied.path, copied.manifest).close()
    writer = RunWriter(copied.path, copied.manifest)
    writer.close()
    writer.close()


# -- records that are written again ----------------------------------------------------------------------------------


def other(record: Record) -> Record:
    return dataclasses.replace(record, output_sha256="f" * 64)


def test_a_record_written_again_takes_the_place_of_the_older_one(copied: Run) -> None:
    first, second = copied.records[:2]
    writer = RunWriter(copied.path, copied.manifest)
    writer.add(other(first), [0.5])
    writer.add(other(second), [0.25])
    writer.add(dataclasses.replace(second, output_sha256="e" * 64), [0.125])
    writer.finish(finished=True)
    run = read_run(copied.path)
    assert [r.output_sha256 for r in run.records[:2]] == ["f" * 64, "e" * 64]
    assert run.records[2:] == copied.records[2:]
    assert keys_of(copied.path) == keys_of(copied.path, "rows/maxima.jsonl") == [r.key for r in copied.records]
    maxima = [json.loads(line) for line in (copied.path / "rows" / "maxima.jsonl").read_text("utf-8").splitlines()]
    assert [m["max_ulp"] for m in maxima[:2]] == [[0.5], [0.125]]


def test_no_key_is_ever_twice_on_the_disk(copied: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 10_000, 10))
    monkeypatch.setattr("reports.run.writer.time.monotonic", lambda: float(next(clock)))
    writer = RunWriter(copied.path, copied.manifest)
    for record in copied.records[:3]:
        writer.add(other(record), [0.5])
        lines = (copied.path / "cells.jsonl").read_text(encoding="utf-8").splitlines()
        assert len(lines) == len({record.key for record in read_run(copied.path).records}) == len(copied.records)
        found = {r.key: r.output_sha256 for r in read_run(copied.path).records}
        assert found[record.key] == "f" * 64
    writer.close()


def test_what_replaces_older_records_is_kept_where_a_run_is_not_finished(copied: Run) -> None:
    writer = RunWriter(copied.path, copied.manifest)
    writer.add(other(copied.records[0]), [0.5])
    writer.close()
    assert read_run(copied.path).records[0].output_sha256 == "f" * 64


def test_a_cell_that_is_lost_now_has_no_older_record(copied: Run) -> None:
    first, second = (record.key for record in copied.records[:2])
    writer = RunWriter(copied.path, copied.manifest)
    for key in (first, second):
        writer.lose(LostCell(key, "why", None, "0" * 64, ""))
    writer.add(other(copied.records[1]), [0.5])
    writer.finish(finished=False)
    run = read_run(copied.path)
    assert [r.key for r in run.records] == [r.key for r in copied.records[1:]]
    assert keys_of(copied.path, "rows/maxima.jsonl") == [r.key for r in run.records]


def test_an_observation_made_again_takes_the_place_of_the_older_one(tmp_path: Path, finished: Run) -> None:
    writer = RunWriter(tmp_path / "run", finished.manifest)
    for seen in (SEEN, SEEN, dataclasses.replace(SEEN, changed=1)):
        writer.observe(seen)
        assert len((tmp_path / "run" / "observations.jsonl").read_text(encoding="utf-8").splitlines()) == 1
    writer.finish(finished=False)
    assert read_observations(tmp_path / "run") == [dataclasses.replace(SEEN, changed=1)]


def test_lines_that_are_there_twice_become_one(copied: Run) -> None:
    for name in ("cells.jsonl", "rows/maxima.jsonl"):
        file = copied.path / name
        text = file.read_text(encoding="utf-8")
        file.write_text(text + text.splitlines(keepends=True)[0], encoding="utf-8")
    RunWriter(copied.path, copied.manifest).finish(finished=True)
    assert keys_of(copied.path) == [record.key for record in copied.records]
    assert len((copied.path / "cells.jsonl").read_text(encoding="utf-8").splitlines()) == len(copied.records)


# -- rows ------------------------------------------------------------------------------------------------------------


def a_row(run: Run) -> tuple[Record, Path]:
    """A record with a long worst row, and its file."""
    record = next(r for r in run.records if isinstance(r.worst.logits, dict))
    return record, run.path / "rows" / record.worst.logits["file"]


def remove(file: Path) -> None:
    file.unlink()


def empty(file: Path) -> None:
    file.write_bytes(b"")


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-4])


def flip(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


def shorten(file: Path) -> None:
    np.save(file, np.load(file)[:-1])


def widen(file: Path) -> None:
    np.save(file, np.load(file).astype(np.uint64))


def make_a_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def make_a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def link_elsewhere(file: Path) -> None:
    file.rename(file.with_name("kept"))
    file.symlink_to(file.with_name("kept"))


@pytest.mark.parametrize(
    "damage", [remove, empty, cut, flip, shorten, widen, make_a_pipe, link_elsewhere], ids=lambda f: f.__name__
)
def test_a_record_whose_row_is_missing_or_damaged_is_measured_again(
    copied: Run, damage: Callable[[Path], None]
) -> None:
    record, file = a_row(copied)
    of_it = {r.key for r in copied.records if {"file": file.name, "length": r.row_length} in _vectors(r)}
    damage(file)
    writer = RunWriter(copied.path, copied.manifest)
    writer.close()
    assert record.key in of_it
    assert {r.key for r in copied.records} - set(writer.done) == of_it


def _vectors(record: Record) -> list[object]:
    return [record.worst.logits, record.worst.cotangent, record.worst.tangent]


@pytest.mark.parametrize("name", ["../../cells.jsonl", "/etc/hostname", "0123456789ABCDEF.npy", "maxima.jsonl", ""])
def test_a_row_by_a_name_of_no_row_is_not_opened(copied: Run, name: str) -> None:
    record, file = a_row(copied)
    text = (copied.path / "cells.jsonl").read_text(encoding="utf-8")
    (copied.path / "cells.jsonl").write_text(text.replace(file.name, name), encoding="utf-8")
    writer = RunWriter(copied.path, copied.manifest)
    writer.close()
    assert record.key not in writer.done


def test_a_missing_row_is_written_again_by_the_same_command(command: Command, tmp_path: Path) -> None:
    assert command("measure", *TINY, "--out", "run").code == OK
    before = {n: c for n, c in files_of(tmp_path / "run").items() if n != "manifest.json"}
    run = read_run(tmp_path / "run")
    flip(a_row(run)[1])
    assert command("measure", *TINY, "--out", "run").code == OK
    assert {n: c for n, c in files_of(tmp_path / "run").items() if n != "manifest.json"} == before


def test_rows_that_no_record_refers_to_are_removed_and_other_files_are_not(copied: Run) -> None:
    rows = copied.path / "rows"
    np.save(rows / f"{'0' * 16}.npy", np.zeros(40, np.uint32))
    (rows / "mine.npy").write_bytes(b"mine")
    RunWriter(copied.path, copied.manifest).finish(finished=True)
    assert not (rows / f"{'0' * 16}.npy").exists()
    assert (rows / "mine.npy").exists()
    assert a_row(copied)[1].exists()


# -- on the disk -----------------------------------------------------------------------------------------------------


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of what the disk was made to keep, in order."""
    names: list[str] = []
    fsync = os.fsync

    def noting(handle: int) -> None:
        names.append(Path(os.readlink(f"/proc/self/fd/{handle}")).name)
        fsync(handle)

    monkeypatch.setattr("os.fsync", noting)
    return names


def test_a_manifest_is_on_the_disk_before_any_cell(finished: Run, tmp_path: Path, synced: list[str]) -> None:
    writer = RunWriter(tmp_path / "run", finished.manifest)
    assert [name.partition(".")[0] for name in synced] == ["manifest", "run"]
    writer.close()


def test_cells_reach_the_disk_at_intervals_after_the_rows_that_they_refer_to(
    copied: Run, monkeypatch: pytest.MonkeyPatch, synced: list[str]
) -> None:
    now = [0.0]
    monkeypatch.setattr("reports.run.writer.time.monotonic", lambda: now[0])
    record, file = a_row(copied)
    writer = RunWriter(copied.path, copied.manifest)
    synced.clear()
    for name in ("one", "two"):
        writer.add(dataclasses.replace(record, profile=name), [0.5])
    assert synced == []
    now[0] += 60.0
    writer.add(dataclasses.replace(record, profile="three"), [0.5])
    assert synced == [file.name, "maxima.jsonl", "cells.jsonl", "rows", copied.path.name]
    synced.clear()
    writer.close()
    assert "cells.jsonl" in synced


def test_a_finished_run_is_on_the_disk_its_manifest_last(copied: Run, synced: list[str]) -> None:
    writer = RunWriter(copied.path, copied.manifest)
    writer.add(dataclasses.replace(copied.records[0], profile="another"), [0.5])
    synced.clear()
    writer.finish(finished=True)
    order = [name.partition(".")[0] for name in synced]
    last = len(order) - 1 - order[::-1].index("manifest")
    assert {"cells", "maxima"} <= set(order[:last])
    assert order[last:][:2] == ["manifest", copied.path.name]


def test_the_state_of_an_audit_is_on_the_disk(tmp_path: Path, synced: list[str]) -> None:
    side = AuditSide("old", "numpy==2.0", "python", {"numpy": "2.0"}, ("numpy",))
    begin(tmp_path / "out", (side, dataclasses.replace(side, name="new")))
    assert [name.partition(".")[0] for name in synced] == ["audit", "out"]
