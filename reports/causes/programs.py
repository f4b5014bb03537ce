"""An experiment on JAX: whether it hands its compiler the same programs, so that it is jaxlib that moved the bits."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from suites.implementations.catalogue import CATALOGUE
from suites.introduction import Unavailable
from suites.measure import input_of, request_of
from suites.plan import Cell
from suites.pool import WorkerPool, evaluate
from suites.profiles import UnknownProfile, profile_named
from suites.tasks import task_of
from suites.worker_process import WorkerDied

# A cell of JAX and an interpreter -> the programs that are compiled for it, without names; empty where there are none.
Programs = Callable[[Cell, str], tuple[str, ...]]

# JAX writes each StableHLO module that it compiles into the directory that this names.
_VARIABLE = "JAX_DUMP_IR_TO"

_LOCATION = re.compile(r"\s*loc\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)")
_NAMES = re.compile(r'jax\.result_info = "[^"]*"')
_MODULE = re.compile(r"^module @\S+ attributes", re.MULTILINE)


def programs_of(cell: Cell, interpreter: str) -> tuple[str, ...]:
    """The programs that another Python's JAX hands to XLA in a fresh process for one cell, sorted.

    Empty where the cell can't be evaluated there, or that JAX writes none.
    """
    implementation = CATALOGUE.get(cell.implementation)
    if implementation is None or implementation.framework != "jax":
        return ()
    with tempfile.TemporaryDirectory(prefix="softmax-accuracy-") as place:
        try:
            profile = profile_named("jax", cell.profile, interpreter)
            dumping = replace(profile, environment=(*profile.environment, (_VARIABLE, place)))
            with WorkerPool() as crew:
                task = task_of(dumping, input_of(cell), (request_of(cell, implementation),))
                (answer,) = crew.submit(evaluate, task).result()
        except (UnknownProfile, WorkerDied, Unavailable):
            return ()
        if answer.bits is None:
            return ()
        return tuple(sorted(bare(f.read_text(encoding="utf-8")) for f in Path(place).glob("*.mlir")))


def bare(program: str) -> str:
    """A StableHLO module without what only names things: source locations, the module, results."""
    lines = [line for line in program.splitlines() if not line.startswith("#loc")]
    text = _LOCATION.sub("", "\n".join(lines))
    return _MODULE.sub("module attributes", _NAMES.sub("", text)).replace(" {}", "")
