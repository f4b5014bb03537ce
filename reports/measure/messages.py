"""What is printed while cells are measured: how long it will take, and progress."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from reports.console.lines import say as say
from reports.console.progress import progress_bar
from reports.measure.estimate import Estimate
from reports.measure.loop import Progress as Show
from suites.plan.cell import Cell

# Prints a line for whoever waits.
Say = Callable[[str], None]


@contextmanager
def cell_progress(first: str = "importing") -> Iterator[Show]:
    """A progress bar that names what is being measured."""
    with progress_bar(first) as advance:

        def show(done: int, planned: int, cell: Cell) -> None:
            advance(done, planned, f"{cell.implementation} {cell.operation} {cell.format}")

        yield show


def say_estimate(estimate: Estimate) -> None:
    """Say how long a run will take."""
    say(f"{estimate.text}; it can be interrupted: the same command goes on from there")
