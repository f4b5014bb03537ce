"""How long a user waits before anything happens: imports and --help, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest


@pytest.mark.parametrize(
    "arguments",
    [
        ["-c", "pass"],
        ["-c", "import references"],
        ["-c", "import references.bulk.batches"],
        ["-m", "reports", "--help"],
    ],
    ids=["python alone", "import references", "import references.bulk.batches", "softmax-accuracy --help"],
)
def bench_startup(benchmark: Any, arguments: list[str]) -> None:
    benchmark.pedantic(lambda: subprocess.run([sys.executable, *arguments], check=True, capture_output=True), rounds=7)
