"""The verb ``compare``: reads two runs, says what became of each cell, and leaves with the code of the contract."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from reports.causes.causes import Causes, causes_of
from reports.compare.allowed import read_entries
from reports.compare.comparison import Comparison, compare_runs
from reports.compare.demand import demand_of
from reports.compare.pairing import Side
from reports.comparison_pages import terminal
from reports.comparison_pages.as_json import as_json
from reports.console.lines import print_line, say
from reports.console.output import need_templates, write_page
from reports.run.destinations import check_outputs


def compare_verb(
    old: Path,
    new: Path,
    fail_on: tuple[str, ...],
    allow: Path | None,
    *,
    html_file: Path | None,
    markdown_file: Path | None,
    json_file: Path | None,
    filters: dict[str, tuple[str, ...]],
) -> int:
    """Compare two run directories and write what was asked for; returns the exit code."""
    demand = demand_of(fail_on)
    wanted = _wanted(filters)
    entries = read_entries(allow) if allow else []
    check_outputs([html_file, markdown_file, json_file], inputs=[allow], runs=[old, new])
    if html_file or markdown_file:
        need_templates()
    comparison = compare_runs(old, new, demand, allow=entries, wanted=wanted)
    return concluded(comparison, causes_of(comparison), html_file, markdown_file, json_file)


def concluded(
    comparison: Comparison, causes: Causes, html_file: Path | None, markdown_file: Path | None, json_file: Path | None
) -> int:
    """Write a comparison where it was asked for and on the terminal; returns the exit code.  Raises RunError."""
    if html_file or markdown_file:
        from reports.comparison_pages.rendered import as_html, as_markdown

        if html_file:
            write_page(html_file, as_html(comparison, causes))
        if markdown_file:
            write_page(markdown_file, as_markdown(comparison, causes))
    if json_file:
        write_page(json_file, as_json(comparison, causes))
    piped = any(str(file) == "-" for file in (html_file, markdown_file, json_file))
    for line in terminal.lines(comparison, causes):
        (say if piped else print_line)(line)
    return comparison.exit_code


def _wanted(filters: dict[str, tuple[str, ...]]) -> Callable[[Side], bool]:
    def value(side: Side, name: str) -> str:
        return side.figures.framework if name == "framework" else str(getattr(side.cell, name))

    chosen = {name: words for name, words in filters.items() if words}
    return lambda side: all(value(side, name) in words for name, words in chosen.items())
