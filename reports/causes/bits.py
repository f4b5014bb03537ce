"""The bits of some cells in some environment, evaluated and not judged."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future
from contextlib import nullcontext

from references.formats import Bits
from suites.driver.pool import WorkerPool, evaluate
from suites.driver.profiles import UnknownProfile, profile_named
from suites.driver.tasks import Answer, task_of
from suites.driver.worker_process import WorkerDied
from suites.implementations.catalogue import CATALOGUE
from suites.plan.cell import Cell
from suites.scoring.cell import input_of, request_of
from suites.worker.self_report import Unavailable

# Cells and an interpreter -> their outputs [rows, n] by key; cells that give none there are not in it.
Evaluate = Callable[[Iterable[Cell], str], dict[str, Bits]]


def evaluated(cells: Iterable[Cell], interpreter: str, engine: Executor | None = None) -> dict[str, Bits]:
    """The outputs of cells of the catalogue with the frameworks of another Python.

    Those whose evaluation fails, or whose profile or framework isn't there, are left out.
    """
    alike: dict[tuple[object, ...], list[Cell]] = {}
    for cell in cells:
        if cell.implementation in CATALOGUE:
            drawn = CATALOGUE[cell.implementation].drawn.get(cell.format)
            framework = CATALOGUE[cell.implementation].framework
            alike.setdefault((framework, cell.profile, cell.row_length, cell.format, cell.family, drawn), []).append(
                cell
            )
    found: dict[str, Bits] = {}
    with nullcontext(engine) if engine else WorkerPool() as workers:
        waiting = [(group, _submitted(workers, group, interpreter)) for group in alike.values()]
        for group, future in waiting:
            try:
                answers = future.result() if future else []
            except (WorkerDied, Unavailable):
                continue
            found |= {c.key: a.bits for c, a in zip(group, answers, strict=False) if a.bits is not None}
    return found


def _submitted(workers: Executor, group: list[Cell], interpreter: str) -> Future[list[Answer]] | None:
    """None where this framework has no profile of that name."""
    framework = CATALOGUE[group[0].implementation].framework
    try:
        profile = profile_named(framework, group[0].profile, interpreter)
    except UnknownProfile:
        return None
    requests = tuple(request_of(cell, CATALOGUE[cell.implementation]) for cell in group)
    return workers.submit(evaluate, task_of(profile, input_of(group[0]), requests))


def sha256_of(bits: Bits) -> str:
    """The fingerprint of an output, as records have it."""
    return hashlib.sha256(bits.astype(bits.dtype.newbyteorder("<")).tobytes()).hexdigest()
