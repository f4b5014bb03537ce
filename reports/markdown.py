"""The report as Markdown, with the facts of the HTML page in tables narrow enough to read.

What a template prints is text: nothing in a value can start a tag, a link, a heading or a table cell, whether or not
the template's author thought of it.  Markup comes from the templates, from the filters below and from ``Sentence``.
"""

from __future__ import annotations

import re

import jinja2
from markupsafe import Markup

from reports.facts import captions
from reports.facts.page import page_of
from reports.facts.sentences import Sentence
from reports.run.records import Run
from suites.printable import printable


def render(run: Run) -> str:
    """The text of a run, from its records alone; the same for the same run."""
    return environment().get_template("report.md.j2").render(page=page_of(run), prose=captions)


def environment() -> jinja2.Environment:
    """What pages are rendered by: values come out as text; the filters ``code`` and ``link`` make markup of them."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("reports"),
        autoescape=True,  # so that Markup passes, and what macros return is Markup; `finalize` comes first
        finalize=_finalized,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters.update(code=_code, link=_link)
    return made


def _finalized(value: object) -> Markup:
    """What ``{{ value }}`` prints."""
    if isinstance(value, Markup):
        return value
    return _sentence(value) if isinstance(value, Sentence) else _text(str(value))


# -- text ------------------------------------------------------------------------------------------------------------

# What has a meaning within a line.
_MARKS = re.compile(r"[\\`*_\[\]|~$&<]")

# What GitHub makes a link of without any mark: addresses, mail, mentions, issues; and names of pictures (`:tada:`).
_ADDRESS = re.compile(r"(?i)\b(https?|ftp|mailto|xmpp)(?=:)|\b(www)(?=\.)")
_REFERENCE = re.compile(r"@(?=\w)|#(?=\d)|(?<=\bGH)-(?=\d)|:(?=(?:[-+]1|[-+\w]{0,30}[a-z][-+\w]{0,30}):)")

# What begins a block where it stands first in a line: a heading, a quote, a list, a rule, a fence, a definition.
_START = re.compile(r"( ?)(?:#{1,6}(?= |$)|>|[-+](?=[-+ ]|$)|[=:](?=[=: ]|$)|(\d{1,9})[.)](?= |$))")


def _text(value: str) -> Markup:
    """One line, which may stand anywhere: first in a paragraph, in a table cell, between brackets."""
    line = _one_line(value)
    start = _START.match(line)
    if start is None:
        return _inside(line)
    mark = start.end(2) if start[2] else start.end(1)
    return Markup(f"{line[:mark]}\\{line[mark]}") + _inside(line[mark + 1 :])


def _one_line(value: str) -> str:
    return re.sub(" +", " ", printable(value))


def _inside(line: str) -> Markup:
    """Text that doesn't begin a line."""
    pieces, end = [], 0
    for found in _REFERENCE.finditer(line):
        # A character in a code span is the same to a reader, and GitHub looks for references outside of them.
        pieces += [_escaped(line[end : found.start()]), f"`{found.group()}`"]
        end = found.end()
    return Markup("".join([*pieces, _escaped(line[end:])]))


def _escaped(text: str) -> str:
    text = _ADDRESS.sub(r"\g<0>\\", _MARKS.sub(r"\\\g<0>", text))
    return f"{text[:-1]}\\!" if text.endswith("!") else text


# -- markup ----------------------------------------------------------------------------------------------------------


def _sentence(value: Sentence) -> Markup:
    """A sentence with its code.  Two pieces of code with nothing between them are kept apart by a blank."""
    made = Markup("")
    for number, part in enumerate(value.parts):
        piece = _code(part.text) if part.code else _inside(_one_line(part.text)) if number else _text(part.text)
        made += Markup(" ") + piece if made.endswith("`") and piece.startswith("`") else piece
    return made


def _code(value: str) -> Markup:
    """One line of code; text where it has a ``|``, for readers of tables don't agree on where such code ends."""
    line = printable(value)
    if "|" in line or not line.strip():
        return _text(line)
    fence = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    room = " " if line[0] in "` " or line[-1] in "` " else ""
    return Markup(f"{fence}{room}{line}{room}{fence}")


def _link(name: str, address: str) -> Markup:
    """A link; the address is one of ours and has to look like it.  Raises ValueError."""
    if not re.fullmatch(r"https://[\w.-]+(?:/[\w.#-]+)*", address):
        raise ValueError(f"{address!r} is no address that a page links to")
    return Markup(f"[{_escaped(printable(name))}]({address})")
