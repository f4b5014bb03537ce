"""Where tables are printed: as wide as the terminal, and wide enough in a file or a pipe."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from reports.console.lines import LONGEST
from suites.printable import printable

# Columns of a table that goes to a file or a pipe.
_FILE_WIDTH = 140


class PlainConsole(Console):
    """A console that takes every string for text: no ``[red]`` or ``:smile:`` is markup, no character a command.

    What has a style of its own is a ``Text``, and ``plain`` makes one of text from elsewhere.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """The lines of a cell or a title, each of them printable."""
        return super().render_str("\n".join(printable(line, LONGEST) for line in text.split("\n")), **options)


def plain(text: str) -> Text:
    """Text from anywhere, in one line."""
    return Text(printable(text, LONGEST))


def table_console() -> Console:
    console = PlainConsole()
    return console if console.is_terminal else PlainConsole(width=_FILE_WIDTH)
