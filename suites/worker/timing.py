"""How long log(softmax(x)) takes against log_softmax(x): paired, interleaved, as ratios.

Only ratios of neighbours in time are formed: on a shared machine the absolute times drift by more than the difference.
"""

from __future__ import annotations

import importlib
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from suites.implementations.frameworks import framework_named

Rows = npt.NDArray[np.uint32]

SHAPES = ((64, 1000), (8, 32768))
_PAIRS = 41


@dataclass(frozen=True)
class TimeRatio:
    """Quartiles of time(log of softmax) / time(log_softmax) over pairs of calls, and the latter's median time."""

    framework: str
    mode: str
    quantity: str
    shape: tuple[int, int]
    ratio: float
    lower_quartile: float
    upper_quartile: float
    microseconds: float


def time_ratios(framework: str, batches: Iterable[Rows]) -> list[TimeRatio]:
    """Forward, and forward with backward, on the CPU and the last axis of batches of binary32 rows, given as bits.

    Empty for frameworks that aren't timed.
    """
    if not framework_named(framework).timed:
        return []
    pairs = importlib.import_module(f"suites.implementations.{framework}.timing").pairs
    return [
        _compare(framework, mode, quantity, (rows.shape[0], rows.shape[1]), *pair)
        for rows in batches
        for (mode, quantity), pair in pairs(rows.view(np.float32)).items()
    ]


def _compare(
    framework: str,
    mode: str,
    quantity: str,
    shape: tuple[int, int],
    composed: Callable[[], Any],
    fused: Callable[[], Any],
) -> TimeRatio:
    for _ in range(5):
        composed()
        fused()
    ratios, times = [], []
    for pair in range(_PAIRS):
        first, second = (composed, fused) if pair % 2 else (fused, composed)
        start = time.perf_counter()
        first()
        middle = time.perf_counter()
        second()
        end = time.perf_counter()
        a, b = (middle - start, end - middle) if pair % 2 else (end - middle, middle - start)
        ratios.append(a / b)
        times.append(b)
    lower, median, upper = statistics.quantiles(ratios, n=4)
    return TimeRatio(framework, mode, quantity, shape, median, lower, upper, statistics.median(times) * 1e6)
