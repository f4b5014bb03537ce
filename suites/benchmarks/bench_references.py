"""Elements per second of the oracle, of Arb and of the vectorised reference, side by side in one run.

The rates are printed at the end: a noisy machine moves all of them together, so read the ratios.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import flint
import pytest

from references.bulk.batches import reference, references_of, tiles
from references.formats import BFLOAT16, BINARY32, BINARY64, Floats, Format
from references.functions import Function, Problem
from references.oracle import sums
from references.oracle.certified import correctly_rounded
from references.vocabulary import OPERATIONS
from suites.inputs.families import logits_of

# Processor time: other programs on the machine don't count.
pytestmark = pytest.mark.benchmark(timer=time.process_time)

_N = 1000
_ROWS = 4 * 65  # four blocks of whole rows
_BOTH = [Function(operation, "forward") for operation in OPERATIONS]

# Bits of Arb's balls: what a binary64 result needs to be rounded correctly, nearly always.
_ARB_BITS = 117

_RATES: dict[str, float] = {}

_RATIOS = (
    ("double-double, both", "oracle, both"),
    ("double-double, both", "Arb, both"),
    ("double-double, softmax vjp", "oracle, softmax vjp"),
    ("binary64 tier, both (binary32)", "double-double, both"),
)


def rows_of(format: Format) -> Floats:
    return format.decode(logits_of("gauss10", format, _ROWS, _N))


@pytest.fixture(scope="module", autouse=True)
def rates() -> Iterator[None]:
    yield
    print("\nmillion elements per second of processor time (both: softmax and log_softmax of one element):")
    for name, rate in sorted(_RATES.items(), key=lambda pair: pair[1]):
        print(f"  {name:<40} {rate / 1e6:9.3f}")
    for name, other in _RATIOS:
        if name in _RATES and other in _RATES:
            print(f"  {name} : {other:<24} {_RATES[name] / _RATES[other]:9.1f}")


def _timed(benchmark: Any, name: str, elements: int, run: Callable[[], Any]) -> None:
    benchmark(run)
    _RATES[name] = elements / benchmark.stats.stats.median


def _certify(*problems: Problem) -> None:
    sums.exponentials.cache_clear()
    sums.mean_of.cache_clear()
    for problem in problems:
        correctly_rounded(problem, BINARY64)


def bench_oracle_forward(benchmark: Any) -> None:
    row = rows_of(BINARY64)[0].tolist()
    problems = [Problem(operation, "forward", row) for operation in OPERATIONS]
    _timed(benchmark, "oracle, both", _N, lambda: _certify(*problems))


@pytest.mark.parametrize("operation", OPERATIONS)
def bench_oracle_vjp(benchmark: Any, operation: str) -> None:
    rows = rows_of(BINARY64)
    problem = Problem(operation, "vjp", rows[0].tolist(), rows[1].tolist())
    _timed(benchmark, f"oracle, {operation} vjp", _N, lambda: _certify(problem))


def bench_arb_forward(benchmark: Any) -> None:
    """Balls rounded to binary64 at both ends, as a reference made of them would have to be."""
    row = rows_of(BINARY64)[0].tolist()

    def both() -> None:
        flint.ctx.prec = _ARB_BITS
        top = flint.arb(max(row))
        d = [flint.arb(x) - top for x in row]
        e = [v.exp() for v in d]
        total = sum(e, flint.arb(0))
        log_total = total.log()
        balls = [v / total for v in e] + [v - log_total for v in d]
        assert all(float(ball.lower()) == float(ball.upper()) for ball in balls)

    _timed(benchmark, "Arb, both", _N, both)


def bench_pairs_forward(benchmark: Any) -> None:
    rows = rows_of(BINARY64)
    _timed(benchmark, "double-double, both", rows.size, lambda: references_of(_BOTH, rows, BINARY64))


@pytest.mark.parametrize("operation", OPERATIONS)
def bench_pairs_vjp(benchmark: Any, operation: str) -> None:
    rows = rows_of(BINARY64)
    g = rows[::-1].copy()
    run = lambda: reference(Function(operation, "vjp"), rows, BINARY64, cotangent=g)  # noqa: E731
    _timed(benchmark, f"double-double, {operation} vjp", rows.size, run)


@pytest.mark.parametrize("format", [BINARY32, BFLOAT16], ids=lambda format: format.name)
def bench_plain_forward(benchmark: Any, format: Format) -> None:
    rows = rows_of(format)
    run = lambda: [tile for tile in tiles(_BOTH, rows, format) if tile.rows.start < 0]  # noqa: E731
    _timed(benchmark, f"binary64 tier, both ({format.name})", rows.size, run)


def bench_plain_vjp(benchmark: Any) -> None:
    rows = rows_of(BFLOAT16)
    g = rows[::-1].copy()
    run = lambda: reference(Function("softmax", "vjp"), rows, BFLOAT16, cotangent=g)  # noqa: E731
    _timed(benchmark, "binary64 tier, softmax vjp (bfloat16)", rows.size, run)
