"""Where this process computes: device, threads and wide numbers; set once, before an evaluator is made."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass
class Placement:
    """``device`` as torch spells it: cpu, cuda, cuda:1.  ``x64`` lets JAX have 64-bit numbers."""

    device: str = "cpu"
    threads: int = 1
    x64: bool = True

    @property
    def platform(self) -> str:
        """``cuda`` of ``cuda:1``."""
        return self.device.partition(":")[0]

    @property
    def index(self) -> int:
        """1 of ``cuda:1``, 0 where none is named."""
        return int(self.device.partition(":")[2] or 0)


# Number widths and threads are settings of a whole process in the frameworks themselves.
HERE = Placement()


def processors() -> int:
    """How many processors this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
