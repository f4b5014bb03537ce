"""What is told while cells are measured: how long it will take, and progress."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from reports.estimate import Estimate
from reports.lines import say as say
from reports.measuring import Progress as Show
from reports.progress import progress_bar
from suites.plan import Cell

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
