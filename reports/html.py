"""The report as one self-contained HTML page: no script, no external resource.

What a template prints is escaped, and clean of what a browser or a terminal would obey without showing it.
"""

from __future__ import annotations

import re

import jinja2
from markupsafe import Markup, escape

from reports.facts import captions
from reports.facts.page import page_of
from reports.facts.sentences import Sentence
from reports.run.records import Run
from suites.printable import printable

_POWER = re.compile(r"(?<![\w.])(-?\d+(?:\.\d+)?)e(-?\d+)(?![\w.])")


def render(run: Run) -> str:
    """The page of a run, from its records alone; the same text for the same run."""
    return environment().get_template("report.html.j2").render(page=page_of(run), prose=captions)


def environment() -> jinja2.Environment:
    """What pages are rendered by: escaped, self-contained, with the filters ``power`` and ``css``."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("reports"),
        autoescape=True,
        finalize=_finalized,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters.update(power=_power, css=_css)
    return made


def _finalized(value: object) -> object:
    """What ``{{ value }}`` prints, before it is escaped."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return _sentence(value) if isinstance(value, Sentence) else printable(value)


def _sentence(value: Sentence) -> Markup:
    """Escaped text with its code."""
    pieces = ((part.code, escape(printable(part.text))) for part in value.parts)
    return Markup("").join(Markup("<code>{}</code>").format(text) if code else text for code, text in pieces)


def _power(text: str) -> Markup:
    """Escaped text, with 1.2e34 as a power of ten."""
    return Markup(_POWER.sub(r"\1×10<sup>\2</sup>", str(escape(printable(text)))))


def _css(word: str) -> str:
    """The part of a class name that stands for a verdict or another word."""
    return re.sub(r"[^0-9A-Za-z-]", "-", word)
