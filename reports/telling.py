"""What is told of cells that are measured: how long it will take, progress, and which were lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from reports.estimate import Estimate
from reports.facts.wording import count
from reports.lines import say as say
from reports.measuring import Outcome
from reports.measuring import Progress as Show
from reports.progress import progress_bar
from reports.run.reader import read_lost
from suites.plan import Cell

# So many cells that were lost for one reason are named; more are counted.
_MOST_NAMED = 5


# What tells a line to whoever waits.
Say = Callable[[str], None]


@contextmanager
def cell_progress(first: str = "importing") -> Iterator[Show]:
    """A progress bar that names what is being measured."""
    with progress_bar(first) as advance:

        def show(done: int, planned: int, cell: Cell) -> None:
            advance(done, planned, f"{cell.implementation} {cell.operation} {cell.format}")

        yield show


def foretell(estimate: Estimate) -> None:
    """Tell how long a run will take."""
    say(f"{estimate.text}; it can be interrupted: the same command goes on from there")


def say_lost(outcome: Outcome) -> None:
    """Tell which cells were lost, by reason, and where there is more about it; what isn't supported is counted."""
    by_reason: dict[tuple[str, str], list[Cell]] = {}
    unsupported: Counter[str] = Counter()
    for lost in outcome.lost:
        if lost.unsupported:
            unsupported[lost.reason] += 1
        else:
            by_reason.setdefault((lost.cell.profile, lost.reason), []).append(lost.cell)
    for reason, cells in unsupported.items():
        say(f"not supported by this version: {count(cells, 'cell')}: {reason}")
    for (_, reason), cells_of_it in by_reason.items():
        for cell in cells_of_it[:_MOST_NAMED]:
            say(f"not measured: {cell.key}: {reason}")
        more = len(cells_of_it) - _MOST_NAMED
        if more > 0:
            say(f"not measured: {more} more cells of profile {cells_of_it[0].profile}: {reason}")
    if any(lost.log for lost in read_lost(outcome.run.path)):
        say(f"{outcome.run.path / 'lost.jsonl'} has what the workers had printed")
