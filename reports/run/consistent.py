"""Whether the fields of a record fit together: what follows from others is worked out again and held against it."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from typing import Any

from references.formats import FORMATS, Format, compute_format
from references.functions import needs_cotangent, needs_tangent
from references.verdict.attribution import EXCESS
from references.verdict.possible import CellFigures, possible_verdicts
from reports.run.records import Record, Worst
from reports.wording import judged_by
from suites.implementations.catalogue import FRAMEWORKS
from suites.scoring.output import TOUCHED

# What sums in another order may change of a mean.
_ROOM = 1 + 1e-9

# An exact value nearer to zero than this may have been one to whoever left zeros out.
_ZERO = 1e-322


def contradiction(record: Record) -> str | None:
    """The first field that contradicts the others, and how; None for a record that is of one piece."""
    return next(_contradictions(record), None)


def _contradictions(record: Record) -> Iterator[str]:
    format = FORMATS[record.format]
    yield from _of_counts(record, format)
    yield from _of_errors(record)
    yield from _of_verdict(record, format)
    yield from _of_worst(record, record.worst, format)


def _of_counts(record: Record, format: Format) -> Iterator[str]:
    elements, largest = record.elements, _largest(record)
    if elements != record.rows * record.row_length:
        yield f"elements: {elements} is not {record.rows} rows of {record.row_length}"
    own = record.implementation.partition("/")[0]
    if own in FRAMEWORKS and own != record.framework:
        yield f"framework: {record.framework} is not that of {record.implementation}"
    if record.outcomes and sum(n for name, n in record.outcomes.items() if name != TOUCHED) > elements:
        yield f"outcomes: they count more than the {elements} elements"
    if record.infinite_ratios > elements:
        yield f"infinite_ratios: {record.infinite_ratios} is more than the {elements} elements"
    if record.infinite_ratios and record.bound_ratio is not None:
        yield "bound_ratio: it is finite, and infinite_ratios says that it is not"
    yield from _of_tiers(record)
    if record.rows_without_bound is not None and record.rows_without_bound > record.rows:
        yield f"rows_without_bound: {record.rows_without_bound} is more than the {record.rows} rows"
    if record.rows_without_bound == record.rows and largest is not None:
        yield "bound_ratio: it is there, and rows_without_bound says that no row has a bound"
    if record.storage_ratio is not None:
        if largest is None or compute_format(format) is format:
            yield f"storage_ratio: {record.format} has none here"
        elif record.storage_ratio > largest:
            yield "storage_ratio: it is larger than bound_ratio"


def _of_tiers(record: Record) -> Iterator[str]:
    counts = record.elements_by_tier
    if counts is None:
        return
    if sum(counts.values()) != record.elements or not all(counts.values()):
        yield f"elements_by_tier: it doesn't count each of the {record.elements} elements once"
    elif record.oracle != judged_by(counts):
        yield f"oracle: it says {record.oracle!r}; elements_by_tier says {judged_by(counts)!r}"


def _largest(record: Record) -> float | None:
    return math.inf if record.infinite_ratios else record.bound_ratio


def _of_errors(record: Record) -> Iterator[str]:
    for name in ("correctly_rounded_share", "faithful_share"):
        share = getattr(record, name)
        if round(share * record.elements) / record.elements != share:
            yield f"{name}: {share} is no share of {record.elements} elements"
    if record.correctly_rounded_share > record.faithful_share:
        yield "faithful_share: it is less than correctly_rounded_share"
    largest, mean, bias = record.max_ulp, record.mean_ulp, record.bias_ulp
    if (largest is None) != (record.p99_ulp is None):
        yield "p99_ulp: it and max_ulp are null together or not at all"
    if largest is None:
        if mean is not None or bias is not None:
            yield "mean_ulp, bias_ulp: they are null where max_ulp is"
        return
    if record.p99_ulp is not None and record.p99_ulp > largest:
        yield "p99_ulp: it is larger than max_ulp"
    if mean is not None and mean > largest * _ROOM:
        yield "mean_ulp: it is larger than max_ulp"
    if mean is not None and bias is not None and abs(bias) > mean * _ROOM:
        yield "bias_ulp: it is larger than mean_ulp"
    if record.faithful_share == 1 and largest >= 1:
        yield "faithful_share: it is 1, and max_ulp says that an error is an ulp or more"
    if record.correctly_rounded_share == 1 and largest > 0.5 * _ROOM + record.reference_error_ulps:
        yield "correctly_rounded_share: it is 1, and max_ulp says that an error is more than half an ulp"


def _of_worst(record: Record, worst: Worst, format: Format) -> Iterator[str]:
    if worst.row >= record.rows:
        yield f"worst.row: {worst.row} is not below {record.rows}"
    if worst.index >= record.row_length:
        yield f"worst.index: {worst.index} is not below {record.row_length}"
    for name, vector, wanted in (
        ("logits", worst.logits, True),
        ("cotangent", worst.cotangent, needs_cotangent(record.quantity)),
        ("tangent", worst.tangent, needs_tangent(record.quantity)),
    ):
        if (vector is not None) != wanted:
            yield f"worst.{name}: {record.quantity} {'needs one' if wanted else 'takes none'}"
        if vector is not None and not _fits(vector, record.row_length, format):
            yield f"worst.{name}: it doesn't have {record.row_length} numbers of {format.width} bits"
    if (worst.vector_kind is not None) != (record.quantity != "forward"):
        yield f"worst.vector_kind: {worst.vector_kind} is none of {record.quantity}"
    if len(worst.computed) != _digits(format):
        yield f"worst.computed: it doesn't have {format.width} bits"
    elif _decoded(worst.computed, format) != worst.computed_value:
        yield f"worst.computed_value: {worst.computed_value} is not what {worst.computed} stands for"
    if worst.attribution is not None and EXCESS not in worst.attribution:
        yield f"worst.attribution: it has no {EXCESS}"
    if worst.outcome != "ordinary" and not record.outcomes.get(worst.outcome):
        yield f"worst.outcome: no {worst.outcome} is counted among outcomes"
    yield from _of_worst_error(record, worst)


def _of_worst_error(record: Record, worst: Worst) -> Iterator[str]:
    """The worst element is one that is wrong, else the one farthest beyond its bound, else that with the most ulps."""
    error, largest, ratio = worst.ulp_error, record.max_ulp, _largest(record)
    exact = abs(float(worst.exact))
    counts = error is not None and _ZERO < exact < math.inf
    if counts and error is not None and (largest is None or error > largest):
        yield "worst.ulp_error: it is larger than max_ulp"
    if worst.bound_ratio is None and not record.infinite_ratios:
        yield "worst.bound_ratio: it is infinite, and infinite_ratios counts none"
    if worst.bound_ratio is not None and worst.bound_ratio > (0 if ratio is None else ratio):
        yield "worst.bound_ratio: it is larger than bound_ratio"
    if record.verdict == "wrong":
        if worst.outcome == "ordinary":
            yield "worst.outcome: ordinary, and the verdict is wrong"
        elif worst.outcome in ("underflow", "flipped") and worst.bound_ratio is not None and worst.bound_ratio <= 1:
            yield f"worst.outcome: {worst.outcome} within its bound, and the verdict is wrong"
    elif ratio is not None and ratio > 1:
        if (math.inf if worst.bound_ratio is None else worst.bound_ratio) != ratio:
            yield "worst.bound_ratio: it is not the largest one, bound_ratio"
    elif largest and error != largest:
        yield "worst.ulp_error: it is not the largest one, max_ulp"


def _fits(vector: Any, length: int, format: Format) -> bool:
    if isinstance(vector, dict):
        return bool(vector["length"] == length)
    digits = _digits(format)
    return len(vector) == length and all(len(bits) == digits for bits in vector)


def _digits(format: Format) -> int:
    return 2 + format.width // 4


_UNPACK = {"binary64": ("<Q", "<d"), "binary32": ("<I", "<f"), "binary16": ("<H", "<e")}


def _decoded(hexadecimal: str, format: Format) -> str:
    """The shortest decimal number that stands for a bit pattern, as it is recorded."""
    bits = int(hexadecimal, 16)
    if format.name == "bfloat16":
        bits, name = bits << 16, "binary32"
    else:
        name = format.name
    if name not in _UNPACK:
        return repr(float(format.value(bits)))
    whole, number = _UNPACK[name]
    return repr(struct.unpack(number, struct.pack(whole, bits))[0])


def _of_verdict(record: Record, format: Format) -> Iterator[str]:
    if record.outcomes.get(TOUCHED):
        possible: tuple[str, ...] = ("wrong",)
    else:
        possible = possible_verdicts(
            CellFigures(
                format,
                record.elements,
                record.outcomes,
                record.bound_ratio,
                record.infinite_ratios,
                record.storage_ratio,
                record.conditioning_ratio,
                record.correctly_rounded_share,
                record.faithful_share,
                record.rows_without_bound,
                record.worst.outcome,
                record.worst.bound_ratio,
            )
        )
    if record.verdict not in possible:
        yield f"verdict: it says {record.verdict}; its figures say {' or '.join(possible)}"
