"""The report as Markdown, with the facts of the HTML page in tables narrow enough to read."""

from __future__ import annotations

import jinja2

from reports.facts import prose
from reports.facts.page import page_of
from reports.run.records import Run


def render(run: Run) -> str:
    """The text of a run, from its records alone; the same for the same run."""
    return environment().get_template("report.md.j2").render(page=page_of(run), prose=prose)


def environment() -> jinja2.Environment:
    """What pages are rendered by, with the filters ``text`` and ``code``."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("reports"),
        autoescape=False,  # Markdown: what could break a table or a paragraph goes through the filters below
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters.update(text=_text, code=_code)
    return made


def _text(value: str) -> str:
    """One line in which nothing starts a tag, a table cell or emphasis; `...` stays code."""
    parts = " ".join(value.split()).split("`")
    return "`".join(part if place % 2 else _escaped(part) for place, part in enumerate(parts)).replace("|", "\\|")


def _escaped(part: str) -> str:
    for mark in ("<", "*", "_", "["):
        part = part.replace(mark, f"\\{mark}")
    return part


def _code(value: str) -> str:
    """One line of code; a table's separator is escaped, which is how Markdown wants it even there."""
    line = " ".join(value.split()).replace("|", "\\|")
    return f"`` {line} ``" if "`" in line else f"`{line}`"
