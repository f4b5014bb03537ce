"""Where pages go: into a file, written as a whole, or to the terminal."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable
from pathlib import Path

from reports.console.lines import say
from reports.console.streams import flush_output
from reports.console.usage import UsageError
from reports.files import write_atomically


def need_templates() -> None:
    """Raises UsageError where the package that makes pages is missing, before anything else is done."""
    if importlib.util.find_spec("jinja2") is None:
        raise UsageError("pages and scripts need jinja2; pip install 'softmax-accuracy[report]' adds it")


def write_page(file: Path, text: str | Iterable[str]) -> None:
    """Write a page, or its parts one after the other, and say so; ``-`` is standard output.  Raises RunError,
    and OutputFailed for standard output."""
    if str(file) == "-":
        sys.stdout.writelines([text] if isinstance(text, str) else text)
        flush_output()
    else:
        write_atomically(file, text)
        say(f"wrote {file}")
