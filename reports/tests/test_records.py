"""Records and run directories: what is written is read back, an interruption loses nothing, damage is named."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from references.formats import BINARY32, FORMATS
from reports.files import write_atomically
from reports.inspect.explain import measurable
from reports.measure.run import run_measurements
from reports.run.from_measurement import record_of, timing_of
from reports.run.packages import SUBJECTS
from reports.run.reader import read_manifest, read_run
from reports.run.records import LONGEST_INLINE, SCHEMA, Manifest, Record, Run, RunError, Timing
from reports.run.strict import made
from reports.run.writer import RunWriter
from suites.driver.pool import evaluate
from suites.driver.tasks import Answer, Task
from suites.implementations.catalogue import CATALOGUE, FRAMEWORKS, framework_named, versions_of
from suites.inputs.batch import batch_of
from suites.plan.cell import Cell, Selection
from suites.scoring.cell import measure
from suites.worker.timing import TimeRatio


def lines_of(run: Run, name: str = "cells.jsonl") -> list[str]:
    return (run.path / name).read_text(encoding="utf-8").splitlines()


def leftovers(run: Run) -> list[Path]:
    return list(run.path.rglob("*.part"))


def no_constant(name: str) -> Any:
    raise AssertionError(f"{name} in the JSON")


def one_line(error: pytest.ExceptionInfo[RunError]) -> str:
    message = str(error.value)
    assert "\n" not in message
    return message


# -- records ---------------------------------------------------------------------------------------------------------


def test_a_record_is_read_back_as_it_was_written(finished: Run, tmp_path: Path) -> None:
    cell = Cell("numpy/shifted", "default", "log_softmax", "vjp", "binary32", "last", "dominant", 2)
    writer = RunWriter(tmp_path / "run", dataclasses.replace(finished.manifest, planned=1))
    made = record_of(measure(cell), "the call", "1.0", "cpu", writer.rows)
    writer.add(made, [1.0])
    writer.finish(finished=True)
    run = read_run(tmp_path / "run")
    assert run.records == [made]
    assert run.records[0].cell == cell
    assert run.records[0].key == cell.key
    assert dataclasses.replace(run.manifest, inputs_sha256=None) == dataclasses.replace(
        finished.manifest, inputs_sha256=None, planned=1
    )


def test_nothing_in_a_run_is_a_json_nan_or_infinity(finished: Run) -> None:
    for name in ("cells.jsonl", "rows/maxima.jsonl", "manifest.json"):
        text = (finished.path / name).read_text(encoding="utf-8")
        for line in [text] if name == "manifest.json" else text.splitlines():
            json.loads(line, parse_constant=no_constant)


def test_what_is_not_finite_becomes_null_and_a_count(finished: Run) -> None:
    # exp(x) / sum(exp(x)) of the largest numbers is inf / inf.
    key = "numpy/naive/default/softmax/forward/binary32/last/special/3"
    record = finished.named(key)
    assert record.verdict == "wrong"
    assert record.infinite_ratios > 0
    assert record.bound_ratio is None
    assert record.outcomes["nan_for_number"] > 0
    assert record.worst.computed_value == "nan"
    assert record.worst.ulp_error is None
    assert record.worst.bound_ratio is None


def test_the_worst_element_has_the_parts_of_its_bound_and_none_where_there_is_no_number(finished: Run) -> None:
    attributed = [r for r in finished.records if r.worst.attribution is not None]
    for record in attributed:
        parts, error = dict(record.worst.attribution or {}), record.worst.ulp_error
        excess = parts.pop("excess")
        assert error is not None
        assert record.worst.bound_ratio == pytest.approx(error / sum(parts.values()), rel=1e-9)
        assert excess == pytest.approx(max(error - sum(parts.values()), 0.0), rel=1e-9)
    assert {r.quantity for r in attributed} == {"forward", "vjp"}
    assert all(r.worst.attribution is None for r in finished.records if r.worst.ulp_error is None)


def test_a_record_has_the_fields_of_the_contract_in_the_order_of_the_key(finished: Run) -> None:
    line = json.loads(lines_of(finished)[0])
    identity = ["implementation", "profile", "operation", "quantity", "format", "layout", "family", "row_length"]
    assert [name for name in line if name in identity] == identity
    assert list(line)[:11] == [*identity[:1], "framework", "version", "profile", "device", *identity[2:]]
    assert set(line) == {field.name for field in dataclasses.fields(Record)}


def test_vectors_of_a_record_are_bits_of_the_format(finished: Run) -> None:
    record = finished.named("numpy/shifted/default/softmax/vjp/binary32/last/dominant/2")
    batch = batch_of("dominant", "binary32", record.rows, 2)
    worst = record.worst
    assert worst.logits == [f"0x{bits:08x}" for bits in batch.logits[worst.row].tolist()]
    assert finished.bits(worst.cotangent, BINARY32).tolist() == batch.cotangent[worst.row].tolist()
    assert worst.tangent is None
    assert worst.vector_kind in ("one-hot", "gauss", "constant", "alternating", "cancelling")


def test_a_long_worst_row_is_kept_by_reference_and_read_back(finished: Run) -> None:
    record = finished.named("numpy/shifted/default/softmax/vjp/binary32/last/gauss1/1000")
    batch = batch_of("gauss1", "binary32", record.rows, 1000)
    assert record.worst.logits["length"] == 1000
    for vector, rows in ((record.worst.logits, batch.logits), (record.worst.cotangent, batch.cotangent)):
        assert (finished.path / "rows" / vector["file"]).is_file()
        found = finished.bits(vector, BINARY32)
        assert found.dtype == np.uint32
        assert found.tolist() == rows[record.worst.row].tolist()


@pytest.mark.parametrize(("n", "inline"), [(LONGEST_INLINE, True), (LONGEST_INLINE + 1, False)])
def test_rows_up_to_32_elements_stay_in_the_record(tmp_path: Path, n: int, inline: bool) -> None:
    cell = Cell("numpy/shifted", "default", "softmax", "forward", "binary16", "last", "gauss1", n)
    record = record_of(measure(cell), "the call", "1.0", "cpu", tmp_path)
    assert isinstance(record.worst.logits, list) == inline
    assert len(list(tmp_path.iterdir())) == (0 if inline else 1)


def test_a_worst_row_that_is_lost_is_named(copied: Run) -> None:
    record = copied.named("numpy/shifted/default/softmax/vjp/binary32/last/gauss1/1000")
    file = copied.path / "rows" / record.worst.logits["file"]
    file.write_bytes(b"no array")
    with pytest.raises(RunError) as damaged:
        copied.bits(record.worst.logits, BINARY32)
    file.unlink()
    with pytest.raises(RunError) as lost:
        copied.bits(record.worst.logits, BINARY32)
    assert one_line(damaged).startswith(f"{file} is not the row that its record names")
    assert one_line(lost).startswith(f"{file} can't be read")
    for error in (damaged, lost):
        assert one_line(error).endswith("; measure again")


def test_a_row_that_was_damaged_is_written_again(tmp_path: Path) -> None:
    cell = Cell("numpy/shifted", "default", "softmax", "forward", "binary16", "last", "gauss1", LONGEST_INLINE + 1)
    record_of(measure(cell), "the call", "1.0", "cpu", tmp_path)
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[:-2])
    record_of(measure(cell), "the call", "1.0", "cpu", tmp_path)
    assert file.read_bytes() == whole


def test_hexadecimal_vectors_of_every_format_are_read_back(finished: Run) -> None:
    for format in FORMATS.values():
        text = [format.hexadecimal(bits) for bits in (0, 1, format.nan_bits, format.sign_bit)]
        assert finished.bits(text, format).tolist() == [0, 1, format.nan_bits, format.sign_bit]


# -- the files of a run ----------------------------------------------------------------------------------------------


def test_lines_are_sorted_by_key_and_every_record_has_its_row_maxima(finished: Run) -> None:
    keys = [record.key for record in finished.records]
    assert keys == sorted(keys)
    parsed = [json.loads(line) for line in lines_of(finished)]
    assert ["/".join((p["implementation"], "default", p["operation"])) for p in parsed] == [
        "/".join(key.split("/")[:4]) for key in keys
    ]
    maxima = [json.loads(line) for line in lines_of(finished, "rows/maxima.jsonl")]
    assert [m["key"] for m in maxima] == keys
    for record, line in zip(finished.records, maxima, strict=True):
        assert len(line["max_ulp"]) == record.rows
        assert max((m for m in line["max_ulp"] if m is not None), default=None) == record.max_ulp


def test_at_most_64_row_maxima_are_kept(finished: Run, tmp_path: Path) -> None:
    writer = RunWriter(tmp_path / "run", dataclasses.replace(finished.manifest, planned=1))
    writer.add(finished.records[0], [None, float("inf"), *([0.5] * 98)])
    writer.finish()
    (line,) = lines_of(read_run(tmp_path / "run"), "rows/maxima.jsonl")
    assert json.loads(line)["max_ulp"] == [None, None, *([0.5] * 62)]


def test_a_finished_run_says_what_it_was_made_of_and_leaves_no_temporary_file(finished: Run) -> None:
    manifest = finished.manifest
    assert manifest.schema == SCHEMA
    assert manifest.finished
    assert manifest.planned == len(finished.records) > 0
    assert manifest.inputs_sha256 is not None
    assert len(manifest.inputs_sha256) == 64
    assert manifest.packages["numpy"] == np.__version__
    assert manifest.selection["families"] == ["gauss1", "dominant", "special"]
    assert leftovers(finished) == []


def test_the_fingerprint_of_the_inputs_depends_on_them_and_not_on_the_order(finished: Run, tmp_path: Path) -> None:
    short = [r for r in finished.records if r.family == "dominant"]
    other = [dataclasses.replace(short[0], input_sha256="0" * 64), *short[1:]]
    found = []
    for number, records in enumerate((short, short[::-1], other)):
        writer = RunWriter(tmp_path / str(number), finished.manifest)
        for record in records:
            writer.add(record, [])
        writer.finish()
        found.append(read_manifest(tmp_path / str(number)).inputs_sha256)
    assert found[0] == found[1] != found[2]


# -- cells by name ---------------------------------------------------------------------------------------------------


def test_a_cell_is_named_by_its_key_or_a_prefix_of_its_digest(finished: Run) -> None:
    for record in finished.records[:5]:
        assert finished.named(record.key) is record
        assert finished.named(record.cell.digest) is record
        assert finished.named(record.cell.digest[:12].upper()) is record


@pytest.mark.parametrize("name", ["", "abc", "numpy/shifted", "zzzzzzzz", "numpy/shifted/default/softmax"])
def test_a_name_of_no_cell_is_refused_with_the_remedy(finished: Run, name: str) -> None:
    with pytest.raises(RunError) as error:
        finished.named(name)
    assert one_line(error).startswith(f"{name!r} names no cell of {finished.path}; give a key")


def test_an_ambiguous_prefix_is_refused_with_a_count(finished: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Cell, "digest", property(lambda cell: f"abcd{cell.row_length}"))
    with pytest.raises(RunError) as error:
        finished.named("abcd")
    assert f"'abcd' names {len(finished.records)} cells" in one_line(error)
    assert "more of its sha256" in one_line(error)


# -- reading what is damaged -----------------------------------------------------------------------------------------


def test_a_directory_that_is_no_run_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(RunError) as error:
            read_run(path)
        assert one_line(error).startswith(f"{path} is no run directory")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "can't be read"),
        ("[]", "has schema version None, this program reads 1; measure again"),
        ('{"schema": 99}', "has schema version 99, this program reads 1; measure again"),
        ('{"schema": 1}', "is not a manifest of schema 1"),
        ('{"schema": 1, "unmeasured": [], "timings": [], "colour": 3}', "is not a manifest of schema 1"),
        ('{"schema": 1, "unmeasured": 3, "timings": []}', "is not a manifest of schema 1"),
    ],
)
def test_a_manifest_that_can_not_be_understood_is_named(copied: Run, text: str, complaint: str) -> None:
    (copied.path / "manifest.json").write_text(text, encoding="utf-8")
    with pytest.raises(RunError) as error:
        read_run(copied.path)
    assert f"{copied.path / 'manifest.json'} {complaint}" in one_line(error)


def cut(run: Run, name: str = "cells.jsonl") -> str:
    """Cut the last line of a file in its middle; the line as it was."""
    file = run.path / name
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    file.write_text("".join(lines[:-1]) + lines[-1][: len(lines[-1]) // 2], encoding="utf-8")
    return lines[-1]


def test_a_cut_last_line_is_an_error_that_names_file_line_and_remedy(copied: Run) -> None:
    cut(copied)
    with pytest.raises(RunError) as error:
        read_run(copied.path)
    where = f"{copied.path / 'cells.jsonl'}, line {len(copied.records)} is damaged (cut off)"
    assert one_line(error) == f"{where}; run 'measure --out {copied.path}' again to complete it"


def test_a_last_line_that_lost_only_its_end_is_damaged_too(copied: Run) -> None:
    file = copied.path / "cells.jsonl"
    file.write_text(file.read_text(encoding="utf-8").rstrip("\n"), encoding="utf-8")
    with pytest.raises(RunError, match="is damaged"):
        read_run(copied.path)


def as_list(line: dict[str, Any]) -> Any:
    return list(line)


def without_verdict(line: dict[str, Any]) -> Any:
    return {name: value for name, value in line.items() if name != "verdict"}


def with_a_new_field(line: dict[str, Any]) -> Any:
    return {**line, "colour": 3}


def without_worst(line: dict[str, Any]) -> Any:
    return {**line, "worst": {}}


def with_worst_as_text(line: dict[str, Any]) -> Any:
    return {**line, "worst": "bad"}


def as_number(line: dict[str, Any]) -> Any:
    return len(line)


every_damage = pytest.mark.parametrize(
    "spoil", [as_list, as_number, without_verdict, with_a_new_field, without_worst, with_worst_as_text]
)


@every_damage
def test_a_line_that_is_no_record_is_named_by_its_number(copied: Run, spoil: Callable[[dict[str, Any]], Any]) -> None:
    lines = lines_of(copied)
    lines[2] = json.dumps(spoil(json.loads(lines[2])))
    (copied.path / "cells.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(RunError) as error:
        read_run(copied.path)
    assert one_line(error).startswith(f"{copied.path / 'cells.jsonl'}, line 3 is damaged")


def test_a_run_without_its_cells_is_refused(copied: Run) -> None:
    (copied.path / "cells.jsonl").unlink()
    with pytest.raises(RunError, match="cells.jsonl can't be read"):
        read_run(copied.path)


# -- resuming --------------------------------------------------------------------------------------------------------


def test_a_writer_goes_on_after_a_kill_in_the_middle_of_a_line(copied: Run) -> None:
    before = lines_of(copied)
    cut(copied)
    writer = RunWriter(copied.path, copied.manifest)
    assert list(writer.done) == [record.key for record in copied.records[:-1]]
    writer.add(copied.records[-1], [0.25])
    writer.finish(finished=True)
    assert lines_of(copied) == before
    assert json.loads(lines_of(copied, "rows/maxima.jsonl")[-1]) == {
        "key": copied.records[-1].key,
        "max_ulp": [0.25],
    }
    assert read_run(copied.path).records == copied.records
    assert leftovers(copied) == []


def test_a_record_whose_maxima_were_cut_is_measured_again(copied: Run) -> None:
    cut(copied, "rows/maxima.jsonl")
    writer = RunWriter(copied.path, copied.manifest)
    writer.close()
    assert list(writer.done) == [record.key for record in copied.records[:-1]]
    assert len(lines_of(copied)) == len(copied.records) - 1


@every_damage
def test_a_damaged_line_is_dropped_and_measured_again_as_its_message_promises(
    copied: Run, spoil: Callable[[dict[str, Any]], Any]
) -> None:
    for name in ("cells.jsonl", "rows/maxima.jsonl"):
        lines = lines_of(copied, name)
        place = 2 if name == "cells.jsonl" else 3
        lines[place] = json.dumps(spoil(json.loads(lines[place])))
        (copied.path / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    writer = RunWriter(copied.path, dataclasses.replace(copied.manifest, finished=False))
    writer.close()
    left = {record.key for record in copied.records} - set(writer.done)
    assert left >= {copied.records[2].key}
    assert left <= {copied.records[2].key, copied.records[3].key}
    assert {record.key for record in read_run(copied.path).records} == set(writer.done)


def test_maxima_without_a_record_are_dropped(copied: Run) -> None:
    lines = lines_of(copied)
    (copied.path / "cells.jsonl").write_text("\n".join(lines[1:]) + "\n", encoding="utf-8")
    RunWriter(copied.path, copied.manifest).close()
    assert len(lines_of(copied, "rows/maxima.jsonl")) == len(lines) - 1


def test_an_interrupted_run_says_that_it_is_not_finished(copied: Run) -> None:
    RunWriter(copied.path, dataclasses.replace(copied.manifest, finished=False)).close()
    assert not read_run(copied.path).manifest.finished


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tier", "deep"),
        ("selection", {"families": ["equal"]}),
        ("implementations", ["numpy/naive"]),
        ("packages", {"numpy": "1.26.0"}),
        ("python", "3.99.0"),
        ("settings", {"numpy": {"exp f": "X86_V3"}}),
        ("environment", {"NPY_DISABLE_CPU_FEATURES": "X86_V4"}),
    ],
)
def test_a_directory_with_another_run_is_not_added_to(copied: Run, name: str, value: Any) -> None:
    before = lines_of(copied)
    with pytest.raises(RunError) as error:
        RunWriter(copied.path, dataclasses.replace(copied.manifest, **{name: value}))
    assert one_line(error) == f"{copied.path} holds a run with another {name}; choose another --out, or remove it"
    assert lines_of(copied) == before
    assert read_manifest(copied.path) == copied.manifest


def test_a_directory_with_a_run_of_another_schema_is_not_added_to(copied: Run) -> None:
    (copied.path / "manifest.json").write_text('{"schema": 0}', encoding="utf-8")
    with pytest.raises(RunError, match="has schema version 0, this program reads 1"):
        RunWriter(copied.path, copied.manifest)


def test_only_what_is_missing_is_measured(copied: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    before = lines_of(copied)
    cut(copied)
    seen: list[str] = []

    def counted(task: Task) -> list[Answer]:
        seen.extend(f"{r.implementation} {r.operation} {r.quantity} {r.layout}" for r in task.requests)
        return evaluate(task)

    monkeypatch.setattr("reports.measure.loop.evaluate", counted)
    implementations = [CATALOGUE[name] for name in copied.manifest.implementations]
    selection = Selection(copied.manifest.tier, **{n: tuple(v) for n, v in copied.manifest.selection.items()})
    outcome = run_measurements(copied.path, implementations, selection, lambda *_: None)
    last = copied.records[-1]
    assert seen == [f"{last.implementation} {last.operation} {last.quantity} {last.layout}"]
    assert outcome.run.manifest.finished
    assert lines_of(copied) == before


# -- writing ---------------------------------------------------------------------------------------------------------


def test_a_directory_that_can_not_be_made_is_refused(finished: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    for path in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(RunError) as error:
            RunWriter(path, finished.manifest)
        assert one_line(error).startswith(f"{path} can't be written: ")
        assert one_line(error).endswith("; choose another --out")


def test_an_atomic_write_replaces_the_text_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    write_atomically(tmp_path / "page.md", "old")
    write_atomically(tmp_path / "page.md", "new")
    assert [file.name for file in tmp_path.iterdir()] == ["page.md"]
    assert (tmp_path / "page.md").read_text(encoding="utf-8") == "new"


@pytest.mark.parametrize("step", ["open", "replace"])
def test_an_atomic_write_that_fails_keeps_the_old_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    write_atomically(tmp_path / "page.md", "old")

    def full(*arguments: Any, **options: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, step, full)
        with pytest.raises(RunError) as error:
            write_atomically(tmp_path / "page.md", "new")
    assert "page.md can't be written: No space left on device; choose another place" in one_line(error)
    assert [file.name for file in tmp_path.iterdir()] == ["page.md"]
    assert (tmp_path / "page.md").read_text(encoding="utf-8") == "old"


def test_a_manifest_is_plain_json(finished: Run) -> None:
    data = json.loads((finished.path / "manifest.json").read_text(encoding="utf-8"))
    assert set(data) == {field.name for field in dataclasses.fields(Manifest)}
    assert data["schema"] == SCHEMA


# -- what can't be measured ------------------------------------------------------------------------------------------


def test_an_implementation_that_needs_what_is_not_here_is_alone_unmeasured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("scipy")
    monkeypatch.setenv("CXX", "no-such-compiler")
    monkeypatch.delenv("SCIPY_ARRAY_API", raising=False)
    names = ("torch/out", "torch/compile", "scipy", "scipy/torch-arrays")
    present, missing = measurable([CATALOGUE[name] for name in names])
    assert [i.name for i in present] == ["torch/out", "scipy"]
    assert [(u.framework, u.name) for u in missing] == [("torch", "torch/compile"), ("scipy", "scipy/torch-arrays")]
    selection = Selection("smoke", formats=("binary32",), operations=("softmax",))
    outcome = run_measurements(
        tmp_path / "run", [CATALOGUE[name] for name in names[:2]], selection, lambda *_: None, timing=False
    )
    assert read_run(tmp_path / "run").manifest.unmeasured == outcome.run.manifest.unmeasured
    assert {r.implementation for r in outcome.run.records} == {"torch/out"}
    assert outcome.run.manifest.finished


def test_a_recorded_timing_has_the_fields_of_a_measured_one() -> None:
    ratio = TimeRatio("torch", "eager", "forward", (64, 1000), 2.0, 1.5, 3.0, 40.0)
    timing = timing_of(ratio)
    assert [f.name for f in dataclasses.fields(Timing)] == [f.name for f in dataclasses.fields(TimeRatio)]
    assert dataclasses.asdict(timing) == {**dataclasses.asdict(ratio), "shape": [64, 1000]}
    assert made(Timing, json.loads(json.dumps(dataclasses.asdict(timing)))) == timing


def test_every_framework_says_what_is_installed_and_what_it_computes_with() -> None:
    for name in FRAMEWORKS:
        framework = framework_named(name)
        assert set(framework.distributions) <= set(framework.computes_with)
        assert set(versions_of(name)) <= set(framework.distributions)
    assert set(SUBJECTS) >= {"torch", "jax", "jaxlib", "scipy", "numpy"}
