"""``report --history``: reads any number of runs and writes their pages; needs no framework."""

from __future__ import annotations

from pathlib import Path

from reports.compare.pairing import stored
from reports.console.exits import INCOMPLETE, OK
from reports.console.lines import say
from reports.console.output import need_templates, write_page
from reports.console.usage import UsageError
from reports.run.destinations import check_outputs


def history_verb(run_paths: tuple[Path, ...], html_file: Path | None, markdown_file: Path | None) -> int:
    """Write the pages, Markdown to the terminal if none is named; 3 where a run is incomplete."""
    if len(run_paths) < 2:
        raise UsageError("--history needs two runs or more: report --history RUN RUN ...")
    need_templates()
    from reports.history.page import page_of
    from reports.history.pages import as_html, as_markdown
    from reports.history.timeline import timelines_of

    check_outputs([html_file, markdown_file], runs=run_paths)
    runs = [stored(path) for path in run_paths]
    page = page_of(timelines_of(runs))
    if html_file is None and markdown_file is None:
        markdown_file = Path("-")
    if html_file is not None:
        write_page(html_file, as_html(page))
    if markdown_file is not None:
        write_page(markdown_file, as_markdown(page))
    incomplete = [run for run in runs if not run.manifest.finished]
    for run in incomplete:
        say(f"{run.path} is incomplete; 'measure' with the same options completes it")
    return INCOMPLETE if incomplete else OK
