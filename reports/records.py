"""The one definition of a record and of a run directory; every writer and reader imports it.

RUN/manifest.json     what was measured, where and with which versions (``Manifest``)
RUN/cells.jsonl       one ``Record`` a line, sorted by key once the run is finished
RUN/rows/maxima.jsonl the largest ulp error of each row of each cell, for paired tests
RUN/rows/*.npy        the bits of worst rows that are too long for their record, named by content

There is no NaN or infinity in the JSON: null, and a count (``outcomes``, ``infinite_ratios``) in its place.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from references.formats import Bits, Format, format_named
from suites.measure import Measurement
from suites.plan import Cell

SCHEMA = 1

# Worst rows longer than this are kept in rows/, by reference.
LONGEST_INLINE = 32

# Row maxima kept of a cell.
_MOST_ROWS = 64


class RunError(Exception):
    """A run directory that can't be read or written as asked; one line, with the path and the remedy."""


@dataclass(frozen=True)
class Worst:
    """A cell's worst element.  Vectors are hex bit strings, or {"file": ..., "length": n} below the run directory."""

    row: int
    index: int
    logits: Any
    cotangent: Any
    tangent: Any
    vector_kind: str | None
    computed: str
    computed_value: str
    exact: str
    ulp_error: float | None
    bound_ratio: float | None
    outcome: str


@dataclass(frozen=True)
class Record:
    """One cell's result; the fields that identify it come first, in the order of its key (framework, version and device
    aside, which the profile implies)."""

    implementation: str
    framework: str
    version: str
    profile: str
    device: str
    operation: str
    quantity: str
    format: str
    layout: str
    family: str
    row_length: int
    call: str
    rows: int
    elements: int
    max_ulp: float | None
    p99_ulp: float | None
    mean_ulp: float | None
    bias_ulp: float | None
    correctly_rounded_share: float
    faithful_share: float
    bound_ratio: float | None
    storage_ratio: float | None
    conditioning_ratio: float | None
    infinite_ratios: int
    order_assumed: bool
    max_abs: float | None
    max_rel: float | None
    row_sum_error: float | None
    outcomes: dict[str, int]
    input_sha256: str
    output_sha256: str
    verdict: str
    evidence: str
    oracle: str
    reference_error_ulps: float
    flushes: bool
    worst: Worst

    @property
    def cell(self) -> Cell:
        return Cell(
            self.implementation,
            self.profile,
            self.operation,
            self.quantity,
            self.format,
            self.layout,
            self.family,
            self.row_length,
        )

    @property
    def key(self) -> str:
        return self.cell.key


@dataclass(frozen=True)
class Unmeasured:
    """A framework of which nothing was measured, and why."""

    framework: str
    reason: str


@dataclass(frozen=True)
class Timing:
    """log(softmax(x)) against log_softmax(x): ``ratio`` is the median of paired time ratios, with their quartiles."""

    framework: str
    mode: str
    quantity: str
    shape: list[int]
    ratio: float
    lower_quartile: float
    upper_quartile: float
    microseconds: float


@dataclass(frozen=True)
class Manifest:
    """What a run is of; ``planned`` counts its cells and ``finished`` says that all of them are there."""

    schema: int
    created: str
    tier: str
    selection: dict[str, list[str]]
    implementations: list[str]
    planned: int
    finished: bool
    packages: dict[str, str]
    python: str
    platform: str
    cpu: str
    gpu: str | None
    settings: dict[str, dict[str, str]]
    environment: dict[str, str]
    seed: str
    git_commit: str | None
    inputs_sha256: str | None
    unmeasured: list[Unmeasured]
    timings: list[Timing] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """A run as it was read: records sorted by key."""

    path: Path
    manifest: Manifest
    records: list[Record]

    def named(self, cell: str) -> Record:
        """The record of a key, or of a unique prefix of its sha256.  Raises RunError."""
        found = [r for r in self.records if r.key == cell] or [
            r for r in self.records if len(cell) >= 4 and r.cell.digest.startswith(cell.lower())
        ]
        if len(found) != 1:
            what = "names no cell" if not found else f"names {len(found)} cells"
            raise RunError(f"{cell!r} {what} of {self.path}; give a key from cells.jsonl or more of its sha256")
        return found[0]

    def bits(self, vector: Any, format: Format) -> Bits:
        """The bit patterns of a vector of a ``Worst``, from the record or from rows/.  Raises RunError."""
        if isinstance(vector, list):
            return np.array([int(b, 16) for b in vector], dtype=format.bits_dtype)
        file = self.path / "rows" / vector["file"]
        try:
            return np.asarray(np.load(file, allow_pickle=False), dtype=format.bits_dtype)
        except (OSError, ValueError) as error:
            raise RunError(f"{file} can't be read ({error}); measure again") from None


# -- from measurements -----------------------------------------------------------------------------------------------


def record_of(measurement: Measurement, call: str, version: str, device: str, rows: Path) -> Record:
    """The record of a measurement; long worst rows are written to the directory ``rows``."""
    cell, statistics, judgement = measurement.cell, measurement.statistics, measurement.judgement
    format, worst = format_named(cell.format), measurement.worst

    def vector(bits: Bits | None) -> Any:
        if bits is None:
            return None
        if bits.size <= LONGEST_INLINE:
            return [format.hexadecimal(b) for b in bits.tolist()]
        return {"file": _keep_row(bits, rows), "length": int(bits.size)}

    return Record(
        implementation=cell.implementation,
        framework=measurement.framework,
        version=version,
        profile=cell.profile,
        device=device,
        operation=cell.operation,
        quantity=cell.quantity,
        format=cell.format,
        layout=cell.layout,
        family=cell.family,
        row_length=cell.row_length,
        call=call,
        rows=measurement.rows,
        elements=statistics.elements,
        max_ulp=_finite(statistics.max_ulp),
        p99_ulp=_finite(statistics.p99_ulp),
        mean_ulp=_finite(statistics.mean_ulp),
        bias_ulp=_finite(statistics.bias_ulp),
        correctly_rounded_share=statistics.correctly_rounded_share,
        faithful_share=statistics.faithful_share,
        bound_ratio=_finite(judgement.bound_ratio),
        storage_ratio=_finite(judgement.storage_ratio),
        conditioning_ratio=_finite(judgement.conditioning_ratio),
        infinite_ratios=int(np.isinf(judgement.by_element).sum()),
        order_assumed=judgement.order_assumed,
        max_abs=_finite(statistics.max_abs),
        max_rel=_finite(statistics.max_rel),
        row_sum_error=_finite(measurement.row_sum_error),
        outcomes=statistics.outcomes,
        input_sha256=measurement.input_sha256,
        output_sha256=measurement.output_sha256,
        verdict=judgement.verdict,
        evidence="sampled",
        oracle=measurement.oracle,
        reference_error_ulps=measurement.reference_error_ulps,
        flushes=measurement.flushes,
        worst=Worst(
            row=worst.row,
            index=worst.column,
            logits=vector(worst.logits),
            cotangent=vector(worst.vectors.get("cotangent")),
            tangent=vector(worst.vectors.get("tangent")),
            vector_kind=worst.vector_kind,
            computed=format.hexadecimal(worst.computed),
            computed_value=repr(worst.computed_value),
            exact=worst.exact,
            ulp_error=worst.ulp_error,
            bound_ratio=worst.bound_ratio,
            outcome=worst.outcome,
        ),
    )


def _finite(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else float(value)


def _keep_row(bits: Bits, rows: Path) -> str:
    name = f"{hashlib.sha256(bits.tobytes()).hexdigest()[:16]}.npy"
    if not (rows / name).exists():
        temporary = rows / f"{name}.{os.getpid()}.part"
        with temporary.open("wb") as file:
            np.save(file, bits, allow_pickle=False)
        temporary.replace(rows / name)
    return name


# -- writing ---------------------------------------------------------------------------------------------------------


class RunWriter:
    """A run directory being filled: finished cells are on disk at once, the order is mended at the end.

    Raises RunError where the directory can't be written, or holds a run of something else.
    """

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path, self.manifest = path, manifest
        self.rows = path / "rows"
        try:
            self.rows.mkdir(parents=True, exist_ok=True)
            self.done = self._resume() if (path / "manifest.json").exists() else {}
            self._write_manifest(manifest)
            self._cells = (path / "cells.jsonl").open("a", encoding="utf-8")
            self._maxima = (self.rows / "maxima.jsonl").open("a", encoding="utf-8")
        except OSError as error:
            raise RunError(f"{path} can't be written: {error.strerror or error}; choose another --out") from None

    def _resume(self) -> dict[str, str]:
        """The cells that are there, by key, after dropping what an interruption cut off or anything has damaged."""
        old = read_manifest(self.path)
        for name in ("tier", "selection", "implementations", "packages", "python", "settings", "environment"):
            if getattr(old, name) != getattr(self.manifest, name):
                raise RunError(f"{self.path} holds a run with another {name}; choose another --out, or remove it")
        # Maxima are written before their record, so a record always has them.
        cells = dict(_undamaged(self.path / "cells.jsonl", lambda line: _parsed(line).key))
        maxima = dict(_undamaged(self.rows / "maxima.jsonl", lambda line: str(json.loads(line)["key"])))
        done = {key: line for key, line in cells.items() if key in maxima}
        _replace_lines(self.path / "cells.jsonl", done.values())
        _replace_lines(self.rows / "maxima.jsonl", (maxima[key] for key in done))
        return done

    def add(self, record: Record, maxima: list[float | None]) -> None:
        """Write one cell; it is safe once this returns."""
        row = {"key": record.key, "max_ulp": [_finite(m) for m in maxima[:_MOST_ROWS]]}
        try:
            for file, value in ((self._maxima, row), (self._cells, dataclasses.asdict(record))):
                file.write(json.dumps(value, allow_nan=False) + "\n")
                file.flush()
        except OSError as error:
            raise RunError(
                f"{self.path} can't be written: {error.strerror or error}; free space and run again"
            ) from None

    def finish(self, **changes: Any) -> None:
        """Sort the lines by key and write the manifest with the last facts, a fingerprint of all inputs among them."""
        self.close()
        cells = _sorted_lines(self.path / "cells.jsonl", _key_of)
        _sorted_lines(self.rows / "maxima.jsonl", lambda line: str(line["key"]))
        digest = hashlib.sha256("".join(sorted({cell["input_sha256"] for cell in cells})).encode()).hexdigest()
        self._write_manifest(dataclasses.replace(self.manifest, inputs_sha256=digest, **changes))

    def close(self) -> None:
        self._cells.close()
        self._maxima.close()

    def _write_manifest(self, manifest: Manifest) -> None:
        write_atomically(self.path / "manifest.json", json.dumps(dataclasses.asdict(manifest), indent=1) + "\n")


def write_atomically(path: Path, text: str) -> None:
    """Replace a file as a whole, so that a reader sees the old text or the new.  Raises RunError."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise RunError(f"{path} can't be written: {error.strerror or error}; choose another place") from None


def _replace_lines(path: Path, lines: Iterable[str]) -> None:
    write_atomically(path, "".join(f"{line}\n" for line in lines))


def _sorted_lines(path: Path, key: Callable[[dict[str, Any]], str]) -> list[dict[str, Any]]:
    lines = sorted(((json.loads(line), line) for line in _whole_lines(path)), key=lambda pair: key(pair[0]))
    _replace_lines(path, (line for _, line in lines))
    return [parsed for parsed, _ in lines]


def _whole_lines(path: Path) -> Iterator[str]:
    """The lines that were written to their end; a cut last one is left out."""
    if not path.exists():
        return
    text = path.read_text(encoding="utf-8", errors="replace")
    for line in text.splitlines(keepends=True):
        if line.endswith("\n"):
            try:
                json.loads(line)
            except ValueError:
                continue
            yield line.rstrip("\n")


def _undamaged(path: Path, key: Callable[[str], str]) -> Iterator[tuple[str, str]]:
    """Key and line of the lines that can be read."""
    for line in _whole_lines(path):
        try:
            yield key(line), line
        except _DAMAGE:
            continue


def _key_of(line: dict[str, Any]) -> str:
    names = [f.name for f in dataclasses.fields(Cell)]
    return Cell(**{name: line[name] for name in names}).key


# -- reading ---------------------------------------------------------------------------------------------------------


def read_manifest(path: Path) -> Manifest:
    """The manifest of a run directory.  Raises RunError."""
    file = path / "manifest.json"
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunError(f"{path} is no run directory: it has no manifest.json; make one with 'measure --out'") from None
    except (OSError, ValueError) as error:
        raise RunError(f"{file} can't be read ({error}); measure again") from None
    found = data.get("schema") if isinstance(data, dict) else None
    if found != SCHEMA:
        raise RunError(f"{file} has schema version {found}, this program reads {SCHEMA}; measure again")
    try:
        data["unmeasured"] = [Unmeasured(**u) for u in data["unmeasured"]]
        data["timings"] = [Timing(**t) for t in data["timings"]]
        return Manifest(**data)
    except (KeyError, TypeError) as error:
        raise RunError(f"{file} is not a manifest of schema {SCHEMA} ({error}); measure again") from None


# What a line that is no record raises.
_DAMAGE = (ValueError, KeyError, TypeError)


def _parsed(line: str) -> Record:
    """The record of a line.  Raises what _DAMAGE names."""
    data = json.loads(line)
    data["worst"] = Worst(**data["worst"])
    return Record(**data)


def read_run(path: Path) -> Run:
    """A run directory.  Raises RunError for another schema, a line that was cut off or damaged, or missing files."""
    manifest = read_manifest(path)
    file = path / "cells.jsonl"
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise RunError(f"{file} can't be read ({error}); measure again") from None
    records = []
    for number, line in enumerate(text.splitlines(keepends=True), start=1):
        try:
            if not line.endswith("\n"):
                raise ValueError("cut off")
            records.append(_parsed(line))
        except _DAMAGE as error:
            remedy = f"run 'measure --out {path}' again to complete it"
            raise RunError(f"{file}, line {number} is damaged ({error}); {remedy}") from None
    return Run(path, manifest, sorted(records, key=lambda r: r.key))
