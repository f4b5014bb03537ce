"""Run directories made of lines that a test chooses, with no measurement behind them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from reports.run.reader import record_of_line
from reports.run.records import Manifest, Record
from suites.plan import Cell, rows_of

Line = tuple[dict[str, Any], list[float | None]]

WORST: dict[str, Any] = {
    "row": 0,
    "index": 1,
    "logits": ["0x3f800000", "0xbf800000"],
    "cotangent": None,
    "tangent": None,
    "vector_kind": None,
    "computed": "0x3df3cf7b",
    "computed_value": "0.11904236",
    "exact": "0.119202922022117560186",
    "ulp_error": 2.5,
    "bound_ratio": 0.25,
    "outcome": "ordinary",
}

MANIFEST = Manifest(
    schema=1,
    created="2026-01-01T00:00:00+00:00",
    tier="standard",
    selection={},
    implementations=["torch/eager"],
    planned=1,
    finished=True,
    packages={"torch": "2.9.0", "numpy": "2.4.0", "mpmath": "1.3.0"},
    python="3.12.1",
    platform="Linux",
    cpu="Some CPU",
    gpu=None,
    settings={"torch": {"threads": "1"}},
    environment={},
    seed="streams",
    git_commit="abc",
    inputs_sha256="f" * 64,
    unmeasured=[],
)


def cell(number: int = 0, **changes: Any) -> Cell:
    """A cell; ``number`` makes the row length."""
    usual = Cell("torch/eager", "default", "softmax", "forward", "binary32", "last", "gauss1", number + 2)
    return dataclasses.replace(usual, **changes)


def line(of: Cell, maxima: Iterable[float | None] = (2.5, 1.0), **changes: Any) -> Line:
    """A line of cells.jsonl with its row maxima; the largest error and its ratio to a bound of ten ulps follow from
    them unless they are given."""
    rows = [None if m is None else float(m) for m in maxima]
    largest = max((m for m in rows if m is not None), default=None)
    record = {
        "implementation": of.implementation,
        "framework": of.implementation.partition("/")[0],
        "version": "2.9.0",
        "profile": of.profile,
        "device": "cpu",
        "operation": of.operation,
        "quantity": of.quantity,
        "format": of.format,
        "layout": of.layout,
        "family": of.family,
        "row_length": of.row_length,
        "call": "torch.softmax(x, dim)",
        "rows": len(rows),
        "elements": len(rows) * of.row_length,
        "max_ulp": largest,
        "p99_ulp": largest,
        "mean_ulp": largest,
        "bias_ulp": 0.0,
        "correctly_rounded_share": 0.5,
        "faithful_share": 0.75,
        "bound_ratio": None if largest is None else largest / 10,
        "storage_ratio": None,
        "conditioning_ratio": 0.5,
        "infinite_ratios": 0,
        "order_assumed": False,
        "max_abs": 1e-8,
        "max_rel": 1e-7,
        "row_sum_error": 0.0,
        "outcomes": {},
        "input_sha256": "0" * 64,
        "output_sha256": "1" * 64,
        "verdict": "accurate",
        "evidence": "sampled",
        "oracle": "double-double",
        "reference_error_ulps": 1e-9,
        "flushes": False,
        "worst": WORST,
    }
    return record | changes, rows


def record(**changes: Any) -> Record:
    """A record; ``changes`` are of its fields, those of its cell among them."""
    of = cell(**{name: changes[name] for name in changes if name in {f.name for f in dataclasses.fields(Cell)}})
    return record_of_line({"path": [], **line(of, **changes)[0]})


def write_run(path: Path, lines: Iterable[Line], **manifest: Any) -> Path:
    """A finished run directory of some lines."""
    (path / "rows").mkdir(parents=True)
    keyed = sorted(((_key(record), record, rows) for record, rows in lines), key=lambda item: item[0])
    changes = {"planned": len(keyed), **manifest}
    text = json.dumps(dataclasses.asdict(dataclasses.replace(MANIFEST, **changes)))
    (path / "manifest.json").write_text(text, encoding="utf-8")
    with (path / "cells.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(record) + "\n" for _, record, _ in keyed)
    with (path / "rows" / "maxima.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps({"key": key, "max_ulp": rows}) + "\n" for key, _, rows in keyed)
    return path


def _key(record: dict[str, Any]) -> str:
    names = [field.name for field in dataclasses.fields(Cell)]
    return Cell(**{name: record[name] for name in names}).key


def drawn_cells(count: int) -> Iterator[Cell]:
    """Cells as a large plan has them: many lines, families whose rows are drawn, short and long rows."""
    families = ("gauss1", "gauss10", "dominant", "offset", "masked")
    lengths = (2, 99, 333, 1000, 4097)
    formats = ("binary64", "binary32", "binary16", "bfloat16")
    for number in range(count):
        place, line_number = divmod(number, 160)
        yield Cell(
            implementation=f"torch/kernel{line_number // 32}",
            profile="default",
            operation=("softmax", "log_softmax")[line_number % 2],
            quantity=("forward", "vjp")[line_number // 2 % 2],
            format=formats[line_number // 4 % 4],
            layout=("last", "inner")[line_number // 16 % 2],
            family=families[place // 5 % 5],
            row_length=lengths[place % 5] + place // 25,
        )


def drawn_lines(cells: Iterable[Cell], seed: int, scale: float = 1.0, **changes: Any) -> Iterator[Line]:
    """Lines drawn anew from one distribution: an element's error is half an ulp for its rounding and an exponential
    rest, a row's the largest of its elements, times ``scale``; there are as many rows as the plan has."""
    generator = np.random.default_rng(seed)
    for of in cells:
        uniform = generator.uniform(size=rows_of(of.family, of.row_length))
        errors = (0.5 - 0.5 * np.log1p(-(uniform ** (1 / of.row_length)))) * scale
        yield line(of, errors.tolist(), output_sha256=f"{seed:064d}", **changes)
