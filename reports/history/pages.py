"""A history as Markdown, and as one self-contained HTML page with charts."""

from __future__ import annotations

from reports import html, markdown
from reports.history.page import HistoryPage


def as_html(page: HistoryPage) -> str:
    """No script, no external resource; the same text for the same runs."""
    return html.environment().get_template("history.html.j2").render(page=page)


def as_markdown(page: HistoryPage) -> str:
    """Tables, each line with its chart in bars of text."""
    return markdown.environment().get_template("history.md.j2").render(page=page)
