"""A progress bar on stderr, shown only where that is a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from reports.console.tables import PlainConsole
from suites.printable import printable

# How many are done, how many there are, and what is being done.
Advance = Callable[[int, int, str], None]

_WIDTH = 44


@contextmanager
def progress_bar(first: str) -> Iterator[Advance]:
    """Show ``first`` until the function that this gives is called."""
    columns = (
        TextColumn(f"{{task.description:<{_WIDTH}}}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    console = PlainConsole(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(first, total=None)

        def advance(done: int, planned: int, what: str) -> None:
            bar.update(task, completed=done, total=planned, description=printable(what, _WIDTH))

        yield advance
