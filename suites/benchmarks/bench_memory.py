"""What the vectorised reference holds beside its input, for a hundred million logits in many rows or in one."""

from __future__ import annotations

import time
import tracemalloc
from typing import Any

import numpy as np
import pytest

from references.bulk.batches import tiles
from references.formats import BINARY32, BINARY64, Format
from references.functions import Function
from references.vocabulary import OPERATIONS

_ELEMENTS = 10**8


@pytest.mark.parametrize("rows", [10**5, 100, 1])
@pytest.mark.parametrize("format", [BINARY32, BINARY64], ids=lambda format: format.name)
def bench_working_memory(benchmark: Any, format: Format, rows: int) -> None:
    logits: Any = np.tile(np.linspace(-20, 0, 10**4, dtype=np.float32), _ELEMENTS // 10**4).reshape(rows, -1)

    def both() -> None:
        for tile in tiles([Function(operation, "forward") for operation in OPERATIONS], logits, format):
            assert len(tile.results) == 2

    tracemalloc.start()
    start = time.process_time()
    benchmark.pedantic(both, rounds=1)
    seconds = time.process_time() - start
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    rate = _ELEMENTS / seconds / 1e6
    print(f"\n  {format.name}, {rows} rows: {most / 1e6:.0f} MB above the input; {rate:.1f} M elements/s while traced")
