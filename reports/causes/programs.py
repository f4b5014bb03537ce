"""An experiment on JAX: whether it hands its compiler the same programs, so that it is jaxlib that moved the bits."""

from __future__ import annotations

import re
import tempfile
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from suites.driver.pool import WorkerPool, evaluate, introduction_of
from suites.driver.profiles import UnknownProfile, profile_named
from suites.driver.tasks import task_of
from suites.driver.worker_process import WorkerDied
from suites.implementations.catalogue import CATALOGUE, framework_named
from suites.plan.cell import Cell
from suites.scoring.cell import input_of, request_of
from suites.worker.self_report import Unavailable

# Cells and an interpreter -> the programs that are compiled for them, without names; empty where one has none.
Programs = Callable[[Sequence[Cell], str], tuple[str, ...]]

# How often programs are compared, each time by two processes.
MOST_COMPARISONS = 24

_LOCATION = re.compile(r"\s*loc\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)")
_NAMES = re.compile(r'jax\.result_info = "[^"]*"')
_MODULE = re.compile(r"^module @\S+ attributes", re.MULTILINE)


def programs_of(cells: Sequence[Cell], interpreter: str) -> tuple[str, ...]:
    """The programs that a framework beside another Python hands to its compiler in a fresh process, sorted.

    They are those of some cells of one profile.  Empty where a cell can't be evaluated there, and where the framework
    has no compiler of its own or writes no programs.
    """
    chosen = [(cell, CATALOGUE.get(cell.implementation)) for cell in cells]
    with tempfile.TemporaryDirectory(prefix="softmax-accuracy-") as place:
        tasks = []
        for cell, implementation in chosen:
            compiler = framework_named(implementation.framework).compiler if implementation else None
            if implementation is None or compiler is None:
                return ()
            try:
                profile = profile_named(implementation.framework, cell.profile, interpreter)
            except UnknownProfile:
                return ()
            dumping = replace(profile, environment=(*profile.environment, (compiler.dumps_to, place)))
            tasks.append(task_of(dumping, input_of(cell), (request_of(cell, implementation),)))
        try:
            with WorkerPool(most=1) as workers:  # one process a profile, as JAX numbers the files of each from zero
                workers.submit(introduction_of, tasks[0].profile).result()
                mine = set(Path(place).iterdir())  # what the worker's own probes have compiled
                answers = [answer for task in tasks for answer in workers.submit(evaluate, task).result()]
        except (WorkerDied, Unavailable):
            return ()
        if any(answer.bits is None for answer in answers):
            return ()
        made = sorted(set(Path(place).glob("*.mlir")) - mine)
        return tuple(sorted(p for p in (bare(f.read_text(encoding="utf-8")) for f in made) if computes(p)))


def same_programs(cells: Sequence[Cell], old: str, new: str, programs: Programs) -> set[str]:
    """The keys of the cells for which two interpreters compile the same programs, as far as MOST_COMPARISONS go.

    All of a profile at once; those that differ somewhere in halves, until they are found.
    """
    by_profile: dict[str, list[Cell]] = {}
    for cell in cells:
        by_profile.setdefault(cell.profile, []).append(cell)
    waiting, found = deque(by_profile.values()), set[str]()
    for _ in range(MOST_COMPARISONS):
        if not waiting:
            break
        group = waiting.popleft()
        before = programs(group, old)
        if before and before == programs(group, new):
            found |= {cell.key for cell in group}
        elif len(group) > 1:
            half = len(group) // 2
            waiting += [group[:half], group[half:]]
    return found


def computes(program: str) -> bool:
    """Whether a module has an operation; newer versions also compile one that returns an array as it is."""
    return any(line.lstrip().startswith("%") for line in program.splitlines())


def bare(program: str) -> str:
    """A StableHLO module without what only names things: source locations, the module, results."""
    lines = [line for line in program.splitlines() if not line.startswith("#loc")]
    text = _LOCATION.sub("", "\n".join(lines))
    return _MODULE.sub("module attributes", _NAMES.sub("", text)).replace(" {}", "")
