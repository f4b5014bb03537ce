"""What is recorded of a measurement and of the process that it was made in."""

from __future__ import annotations

import io
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from references.formats import Bits, Format, format_named
from reports.files import replace_file
from reports.run.packages import version_text
from reports.run.records import LONGEST_INLINE, MeasuredProfile, Record, RunError, Timing, Worst, finite
from reports.run.rows import is_whole, name_of
from reports.wording import judged_by
from suites.driver.disk import reason_of
from suites.driver.profiles import Profile
from suites.implementations.catalogue import Implementation
from suites.scoring.cell import Measurement
from suites.worker.self_report import Introduction
from suites.worker.timing import TimeRatio


def recorded(
    measurement: Measurement, implementation: Implementation, introduction: Introduction, rows: Path
) -> Record:
    """The record of what an implementation gave in a process; long worst rows are written to ``rows``.

    Raises RunError.
    """
    call = implementation.calls[measurement.cell.operation]
    version = version_text(implementation.framework, introduction.packages)
    return record_of(measurement, call, version, introduction.device, rows)


def record_of(measurement: Measurement, call: str, version: str, device: str, rows: Path) -> Record:
    """The record of a measurement; long worst rows are written to the directory ``rows``.  Raises RunError."""
    cell, statistics, judgement = measurement.cell, measurement.statistics, measurement.judgement
    format, worst = format_named(cell.format), measurement.worst

    def vector(bits: Bits | None) -> Any:
        if bits is None:
            return None
        if bits.size <= LONGEST_INLINE:
            return [format.hexadecimal(b) for b in bits.tolist()]
        return {"file": _keep_row(bits, format, rows), "length": int(bits.size)}

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
        path=measurement.path,
        call=call,
        rows=measurement.rows,
        elements=statistics.elements,
        max_ulp=finite(statistics.max_ulp),
        p99_ulp=finite(statistics.p99_ulp),
        mean_ulp=finite(statistics.mean_ulp),
        bias_ulp=finite(statistics.bias_ulp),
        correctly_rounded_share=statistics.correctly_rounded_share,
        faithful_share=statistics.faithful_share,
        bound_ratio=finite(judgement.bound_ratio),
        storage_ratio=finite(judgement.storage_ratio),
        conditioning_ratio=finite(judgement.conditioning_ratio),
        infinite_ratios=judgement.infinite_ratios,
        order_assumed=judgement.order_assumed,
        max_abs=finite(statistics.max_abs),
        max_rel=finite(statistics.max_rel),
        row_sum_error=finite(measurement.row_sum_error),
        outcomes=statistics.outcomes,
        input_sha256=measurement.input_sha256,
        output_sha256=measurement.output_sha256,
        verdict=judgement.verdict,
        evidence="sampled",
        oracle=judged_by(measurement.elements_by_tier),
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
            attribution=worst.attribution,
        ),
        rows_without_bound=judgement.rows_without_bound,
        elements_by_tier=measurement.elements_by_tier,
    )


def measured_profile(profile: Profile, introduction: Introduction) -> MeasuredProfile:
    """A profile and what its worker said of itself."""
    return MeasuredProfile(
        name=profile.name,
        framework=profile.framework,
        device=introduction.device,
        interpreter=introduction.interpreter,
        python=introduction.python,
        packages=introduction.packages,
        asked=profile.asked(),
        selected=introduction.selected,
        card=introduction.card,
    )


def timing_of(ratio: TimeRatio) -> Timing:
    """A measured ratio of times as it is recorded: a worker, which has no pydantic, gives it as a plain value."""
    return Timing(**{**asdict(ratio), "shape": list(ratio.shape)})


def _keep_row(bits: Bits, format: Format, rows: Path) -> str:
    """Write a row unless it is there as it should be, and return its name.  Raises RunError."""
    name = name_of(bits)
    if not is_whole(rows, name, bits.size, format):
        content = io.BytesIO()
        try:
            np.save(content, bits, allow_pickle=False)
            replace_file(rows / name, [content.getvalue()])
        except OSError as error:
            raise RunError(f"{rows} can't be written: {reason_of(error)}; free space and run again") from None
    return name
