"""A comparison as Markdown and as one self-contained HTML page."""

from __future__ import annotations

from reports import html, markdown
from reports.causes.causes import Causes
from reports.compare.comparison import Comparison
from reports.comparison_pages.page import page_of


def as_html(comparison: Comparison, causes: Causes) -> str:
    """No script, no external resource; the same text for the same comparison."""
    return html.environment().get_template("compare.html.j2").render(page=page_of(comparison, causes))


def as_markdown(comparison: Comparison, causes: Causes) -> str:
    """Tables that fit a pull request or the summary of a CI job."""
    return markdown.environment().get_template("compare.md.j2").render(page=page_of(comparison, causes))
