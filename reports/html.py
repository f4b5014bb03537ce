"""The report as one self-contained HTML page: no script, no external resource."""

from __future__ import annotations

import re

import jinja2
from markupsafe import Markup, escape

from reports.facts import prose
from reports.facts.page import page_of
from reports.run.records import Run

_CODE = re.compile(r"`([^`]+)`")
_POWER = re.compile(r"(?<![\w.])(-?\d+(?:\.\d+)?)e(-?\d+)(?![\w.])")


def render(run: Run) -> str:
    """The page of a run, from its records alone; the same text for the same run."""
    return environment().get_template("report.html.j2").render(page=page_of(run), prose=prose)


def environment() -> jinja2.Environment:
    """What pages are rendered by: escaped, self-contained, with the filters ``prose``, ``power`` and ``css``."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("reports"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters.update(prose=_prose, power=_power, css=_css)
    return made


def _prose(text: str) -> Markup:
    """Escaped text, with `...` as code."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))


def _power(text: str) -> Markup:
    """Escaped text, with 1.2e34 as a power of ten."""
    return Markup(_POWER.sub(r"\1×10<sup>\2</sup>", str(escape(text))))


def _css(word: str) -> str:
    """The part of a class name that stands for a verdict or another word."""
    return re.sub(r"[ /]", "-", word)
