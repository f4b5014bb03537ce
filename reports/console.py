"""Where tables are printed: as wide as the terminal, and wide enough in a file or a pipe."""

from __future__ import annotations

from rich.console import Console

# Columns of a table that goes to a file or a pipe.
_FILE_WIDTH = 140


def table_console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=_FILE_WIDTH)
