"""Run directories made of lines that a test chooses, with no measurement behind them."""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from references.formats import BINARY32, FORMATS, compute_format
from references.functions import needs_cotangent, needs_tangent
from reports.compare.figures import Figures, figures_of_record
from reports.run.reader import fingerprint_of, record_of_line
from reports.run.records import LONGEST_INLINE, Manifest, Record
from suites.plan.cell import Cell
from suites.plan.cells import rows_of

Line = tuple[dict[str, Any], list[float | None]]

WORST: dict[str, Any] = {
    "row": 0,
    "index": 1,
    "logits": ["0x3f800000", "0xbf800000"],
    "cotangent": None,
    "tangent": None,
    "vector_kind": None,
    "computed": "0x3df3cf7b",
    "computed_value": "0.11904808133840561",
    "exact": "0.119202922022117560186",
    "ulp_error": 2.5,
    "bound_ratio": 0.0025,
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
    """A line of cells.jsonl with its row maxima; the largest error and its ratio to a bound of a thousand ulps follow
    from them unless they are given, and so does whatever a record of its verdict has: ``accurate`` unless it is given,
    or its figures are beyond all that is."""
    rows = [None if m is None else float(m) for m in maxima]
    largest = changes.get("max_ulp", max((m for m in rows if m is not None), default=None))
    verdict = changes.get("verdict") or _verdict(largest, changes)
    elements = len(rows) * of.row_length
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
        "elements": elements,
        "max_ulp": largest,
        "p99_ulp": largest,
        "mean_ulp": largest,
        "bias_ulp": None if largest is None else 0.0,
        "correctly_rounded_share": 1.0 if verdict == "correctly rounded" else 0.0,
        "faithful_share": 1.0 if verdict in ("correctly rounded", "faithful") else 0.0,
        "bound_ratio": _ratio(largest, verdict),
        "storage_ratio": None,
        "conditioning_ratio": 3.0 if verdict == "stable" else 0.5,
        "infinite_ratios": 0,
        "order_assumed": False,
        "max_abs": 1e-8,
        "max_rel": 1e-7,
        "row_sum_error": 0.0,
        "outcomes": {"touched_memory": 1} if verdict == "wrong" else {},
        "input_sha256": "0" * 64,
        "output_sha256": "1" * 64,
        "verdict": verdict,
        "evidence": "sampled",
        "oracle": "double-double",
        "reference_error_ulps": 1e-9,
        "flushes": False,
        "rows_without_bound": len(rows) if verdict == "n/a" else None,
        **changes,
    }
    if "worst" not in changes:
        record["worst"] = _worst(record)
    if "storage_ratio" not in changes and compute_format(FORMATS[of.format]) is not FORMATS[of.format]:
        ratio = record["bound_ratio"]
        record["storage_ratio"] = min(ratio, 1.0) if verdict == "storage-stable" and ratio else ratio
    if record["infinite_ratios"]:
        record["bound_ratio"] = record["storage_ratio"] = None
    return record, rows


def _verdict(largest: float | None, changes: dict[str, Any]) -> str:
    if largest is None and "bound_ratio" not in changes:
        return "n/a"
    return "unstable" if changes.get("infinite_ratios") or (changes.get("bound_ratio") or 0) > 1 else "accurate"


def _ratio(largest: float | None, verdict: str) -> float | None:
    if largest is None or verdict == "n/a":
        return None
    ratio = largest / 1000
    return max(ratio, 1.5) if verdict in ("unstable", "storage-stable") else ratio


def _worst(record: dict[str, Any]) -> dict[str, Any]:
    """The worst element of a record: its vectors have the length of its rows, its errors are the largest."""
    format, n = FORMATS[record["format"]], record["row_length"]
    zero = format.hexadecimal(0)

    def vector(wanted: bool) -> Any:
        if not wanted:
            return None
        return [zero] * n if n <= LONGEST_INLINE else {"file": f"{0:016x}.npy", "length": n}

    infinite = record["infinite_ratios"] > 0
    usual = (record["format"], n) == ("binary32", 2)
    return WORST | {
        "index": min(1, n - 1),
        "logits": WORST["logits"] if usual else vector(True),
        "cotangent": vector(needs_cotangent(record["quantity"])),
        "tangent": vector(needs_tangent(record["quantity"])),
        "vector_kind": None if record["quantity"] == "forward" else "gauss",
        "computed": WORST["computed"] if format is BINARY32 else zero,
        "computed_value": WORST["computed_value"] if format is BINARY32 else "0.0",
        "ulp_error": record["max_ulp"],
        "bound_ratio": None if infinite else record["bound_ratio"] or 0.0,
        "outcome": next(iter(record["outcomes"]), "ordinary") if record["verdict"] == "wrong" else "ordinary",
    }


def figures_of_line(record: dict[str, Any]) -> Figures:
    """The figures of a line, which is read as a reader reads it."""
    return figures_of_record(record_of_line(copy.deepcopy(record)))


def record(**changes: Any) -> Record:
    """A record; ``changes`` are of its fields, those of its cell among them."""
    of = cell(**{name: changes[name] for name in changes if name in {f.name for f in dataclasses.fields(Cell)}})
    return record_of_line({"path": [], **line(of, **changes)[0]})


def write_run(path: Path, lines: Iterable[Line], **manifest: Any) -> Path:
    """A finished run directory of some lines."""
    (path / "rows").mkdir(parents=True)
    keyed = sorted(((_key(record), record, rows) for record, rows in lines), key=lambda item: item[0])
    inputs = fingerprint_of(record["input_sha256"] for _, record, _ in keyed)
    changes = {"planned": len(keyed), "inputs_sha256": inputs, **manifest}
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
