"""Elements per second of the oracle and of the bulk reference, side by side in one run, on rows of 1,000.

The rates are printed at the end: a noisy machine moves all of them together, so read the ratios.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from references import oracle
from references.bulk import reference
from references.formats import BINARY64
from references.oracle import correctly_rounded
from references.problem import OPERATIONS, Problem
from suites.inputs.families import logits_of

# Processor time: other programs on the machine don't count.
pytestmark = pytest.mark.benchmark(timer=time.process_time)

_N = 1000
_RATES: dict[str, float] = {}


@pytest.fixture(scope="module")
def rows() -> np.typing.NDArray[np.float64]:
    return BINARY64.decode(logits_of("gauss10", BINARY64, 64, _N))


@pytest.fixture(scope="module", autouse=True)
def rates() -> Iterator[None]:
    yield
    slowest = min(_RATES.values(), default=1.0)
    print("\nmillion elements per second, and times the slowest:")
    for name, rate in sorted(_RATES.items(), key=lambda pair: pair[1]):
        print(f"  {name:<44} {rate / 1e6:9.4f} {rate / slowest:9.1f}")


def _timed(benchmark: Any, name: str, elements: int, run: Callable[[], Any]) -> None:
    benchmark(run)
    _RATES[name] = elements / benchmark.stats.stats.median


def _uncached(problem: Problem) -> None:
    oracle._exponentials.cache_clear()
    correctly_rounded(problem, BINARY64)


@pytest.mark.parametrize("operation", OPERATIONS)
def bench_oracle_forward(benchmark: Any, rows: Any, operation: str) -> None:
    problem = Problem(operation, "forward", rows[0].tolist())
    _timed(benchmark, f"oracle, certified {operation}", _N, lambda: _uncached(problem))


@pytest.mark.parametrize("operation", OPERATIONS)
def bench_oracle_vjp(benchmark: Any, rows: Any, operation: str) -> None:
    problem = Problem(operation, "vjp", rows[0].tolist(), rows[1].tolist())
    _timed(benchmark, f"oracle, certified {operation} vjp", _N, lambda: _uncached(problem))


@pytest.mark.parametrize("operation", OPERATIONS)
def bench_bulk_forward(benchmark: Any, rows: Any, operation: str) -> None:
    run = lambda: reference(operation, "forward", rows, BINARY64)  # noqa: E731
    _timed(benchmark, f"double-double {operation}", rows.size, run)


@pytest.mark.parametrize("operation", OPERATIONS)
def bench_bulk_vjp(benchmark: Any, rows: Any, operation: str) -> None:
    run = lambda: reference(operation, "vjp", rows, BINARY64, cotangent=rows[::-1].copy())  # noqa: E731
    _timed(benchmark, f"double-double {operation} vjp", rows.size, run)
