"""Pages of hostile runs: nothing in a value becomes markup, in Markdown or in HTML, whichever field it stands in."""

from __future__ import annotations

import dataclasses
import functools
import json
import re
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from reports import html, markdown
from reports.causes.bisect import Bisection, BisectionStep
from reports.causes.causes import causes_of
from reports.compare.allowed import read_entries
from reports.compare.comparison import compare_runs
from reports.compare.pairing import stored
from reports.comparison_pages.page import page_of as compare_page_of
from reports.facts import captions
from reports.facts.page import page_of
from reports.facts.sentences import Sentence, code, listed, together
from reports.history.page import page_of as history_page_of
from reports.history.timeline import timelines_of
from reports.run.records import MeasuredProfile, Timing, Unmeasured
from reports.tests.synthetic import cell, line, write_run
from reports.tests.test_pages import COMPOSED, FUSED, record, run_of
from suites.printable import printable

HOSTILE = {
    "tag": "<script>alert(1)</script><img src=x onerror=y><!-- z -->",
    "quotes": '" onclick="x()" \' style=\'color:red',
    "heading": "\n\n# Heading\n\nSetext\n======\n",
    "heading at once": "# Heading",
    "link": "[text](http://evil.example) ![picture](http://evil.example/x.png) [ref]: /x",
    "closing a link": "](http://evil.example)",
    "autolink": "<http://evil.example> http://evil.example www.evil.example mail@evil.example",
    "one backtick": "`",
    "backticks": "`a` ``b`` ```c",
    "code turned round": "x` <b>out</b> [l](http://evil.example) `y",
    "fence": "\n```\ncode\n```\n~~~ x",
    "pipes": "a | b | c \\| d \\\\| e",
    "backslash": "ends with a backslash\\",
    "row": " |\n| new | row |",
    "emphasis": "**bold** _em_ __strong__ ~~gone~~ *",
    "list": "- item\n- item\n1. one\n+ x",
    "quote": "> quoted\n> [!NOTE]",
    "rule": "---\n***\n___",
    "entities": "&lt;b&gt; &#60; &copy; &amp;lt;",
    "terminal": "\x1b[31mred\x1b]8;;http://evil.example\x07link\x9b2J\r\x08\x00",
    "directions": "\u202eabc\u2066\u200b\ufeff\u2028\x85",
    "surrogate": "\ud800 \udcff",
    "github": "@someone #123 GH-12 owner/name#4 :tada: $x$ $$y$$ [^1]",
    "comment": "--> <!-- ]]> </style></title><svg onload=x>",
    "indented": "        eight blanks",
    "brackets": "[ ] [x] {{ 7 * 7 }} {% raw %}",
    "command": "::error::x",
}

# How often each kind of markup occurs.
Structure = Counter[tuple[str, ...]]

# What is made by the project and not from text: digests, and addresses that the filter for links checks.
_NOT_TEXT = {"anchor", "url", "changes", "comparison"}


def planted(made: Any, text: str) -> Any:
    """A page with ``text`` after every string in it."""
    if isinstance(made, str):
        plain = not isinstance(made, Sentence)
        return made + text if plain else Sentence("{}{}").filled(made, text)
    if dataclasses.is_dataclass(made) and not isinstance(made, type):
        fields = (f.name for f in dataclasses.fields(made) if f.init and f.name not in _NOT_TEXT)
        return dataclasses.replace(made, **{name: planted(getattr(made, name), text) for name in fields})
    fields_of = getattr(made, "_asdict", None)
    if fields_of:
        return type(made)(*(v if n in _NOT_TEXT else planted(v, text) for n, v in fields_of().items()))
    if isinstance(made, tuple | list):
        return type(made)(planted(value, text) for value in made)
    if isinstance(made, dict):
        return type(made)({key: planted(value, text) for key, value in made.items()})
    return made


# -- the three pages -------------------------------------------------------------------------------------------------


def report_page(tmp_path: Path) -> Any:
    bad: dict[str, Any] = {"verdict": "wrong", "bound_ratio": 3.0}
    run = run_of(
        record(),
        record(**FUSED),
        record(**COMPOSED, **bad),
        record(quantity="vjp", **bad),
        record(implementation="numpy/shifted", framework="numpy", call="shifted(x)", path=[], **bad),
        record(family="special", row_length=3, **bad),
        record({"cotangent": ["0x3f800000"] * 2, "vector_kind": "random"}, profile="threads-2", **bad),
        record(operation="log_softmax", family="dominant"),
        record(**{**FUSED, "implementation": "mine/kernel"}, path=["unknown-path"], flushes=True, order_assumed=True),
        timings=[Timing("torch", "eager", "forward", [64, 1000], 2.1, 1.8, 2.9, 36.0)],
        unmeasured=[Unmeasured("jax", "absent"), Unmeasured("torch", "no compiler", implementation="torch/compile")],
        profiles=[
            MeasuredProfile("threads-2", "torch", "cpu", "python", "3.12", {}, {"threads": "2"}, {"a": "b"}, "k")
        ],
        environment={"XLA_FLAGS": "--x"},
        selection={"formats": ["binary32"]},
        gpu="a card",
    )
    seen: dict[str, Any] = {
        "what": "threads",
        "framework": "torch",
        "implementation": "torch/eager",
        "profile": "threads-2",
    }
    seen |= {"operation": "softmax", "quantity": "forward", "format": "binary32", "layout": "last", "row_length": 9}
    seen |= {"paths": ["p"], "elements": 9, "changed": 3, "max_ulp": 1.0, "max_row_ulp": 1.0}
    (tmp_path / "observations.jsonl").write_text(json.dumps(seen) + "\n", encoding="utf-8")
    return page_of(dataclasses.replace(run, path=tmp_path))


def stored_runs(tmp_path: Path) -> tuple[Path, Path]:
    rows = [float(n) for n in range(1, 34)]
    drawn = [cell(n) for n in range(4)]
    special, gone = cell(family="special", row_length=3), cell(family="equal")
    old = [line(of, rows) for of in (*drawn, special, gone)]
    new = [line(of, [r * 90 for r in rows], output_sha256="2" * 64, verdict="unstable", version="3.0") for of in drawn]
    new += [line(special, rows, output_sha256="2" * 64, outcomes={"nan_for_number": 3}, verdict="wrong", version="3.0")]
    new += [line(cell(family="offset"), rows, version="3.0")]
    changes: dict[str, Any] = {"packages": {"torch": "3.0", "numpy": "2.4.0", "mpmath": "1.3.0"}, "cpu": "Another CPU"}
    return write_run(tmp_path / "old", old), write_run(tmp_path / "new", new, **changes)


def compare_page(tmp_path: Path) -> Any:
    allow = tmp_path / "allow.toml"
    entry = '[[allow]]\nframework = "torch"\nchange = "{}"\nreason = "known"\nexpires = 2999-01-01\n'
    allow.write_text(entry.format("drift") + entry.format("improved"), encoding="utf-8")
    comparison = compare_runs(*stored_runs(tmp_path), allow=read_entries(allow))
    step = BisectionStep("2.9", "1" * 64, "max 2 ulp", "")
    bisection = Bisection("torch", "cell", ("2.9", "3.0"), (step, dataclasses.replace(step, version="3.0")), "2.9",
                          "3.0", ("2.95",), True)  # fmt: skip
    causes = dataclasses.replace(causes_of(comparison), notes=("one note",), bisection=bisection)
    return compare_page_of(comparison, causes)


def history_page(tmp_path: Path) -> Any:
    return history_page_of(timelines_of([stored(path) for path in stored_runs(tmp_path)]))


PAGES = {"report": report_page, "compare": compare_page, "history": history_page}


@dataclasses.dataclass(frozen=True)
class Case:
    """A page, and the markup of one with an ordinary word in every value."""

    name: str
    page: Any
    plain_markdown: Structure
    plain_html: Structure


@pytest.fixture(scope="module", params=PAGES)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    name: str = request.param
    page = PAGES[name](tmp_path_factory.mktemp(name))
    plain = planted(page, "plain")
    return Case(name, page, structure_of(rendered(name, plain, "md")), Tags(rendered(name, plain, "html")).found)


def shown_after_text(value: str) -> str:
    return printable(f"a{value}")[1:]


def rendered(name: str, page: Any, kind: str) -> str:
    environment = {"md": markdown, "html": html}[kind].environment()
    text: str = environment.get_template(f"{name}.{kind}.j2").render(page=page, prose=captions)
    return text


# -- Markdown --------------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=1)
def tokens_of(text: str) -> tuple[Token, ...]:
    """The tokens of a document as GitHub reads it, those within paragraphs after each."""
    return tuple(_tokens(text))


def _tokens(text: str) -> Iterator[Token]:
    for token in MarkdownIt("gfm-like", {"linkify": False, "html": True}).parse(text):
        yield token
        yield from token.children or ()


def structure_of(text: str) -> Structure:
    """Of a Markdown page, by what makes it markup: a tag's text, a link's target."""
    found: Structure = Counter()
    for token in tokens_of(text):
        if token.type not in ("text", "code_inline", "inline"):
            content = token.content if "html" in token.type else ""
            found[token.type, token.markup if token.type != "text_special" else "", f"{content}{token.attrs}"] += 1
    return found


def text_of(text: str) -> str:
    parts = (t.content for t in tokens_of(text) if t.type in ("text", "code_inline", "code_block", "fence"))
    return " ".join("".join(parts).split())


@pytest.mark.parametrize("attack", HOSTILE)
def test_a_value_adds_no_markup_to_a_markdown_page(case: Case, attack: str) -> None:
    hostile = rendered(case.name, planted(case.page, HOSTILE[attack]), "md")
    found, plain = structure_of(hostile), case.plain_markdown
    assert not found - plain
    # A value that begins or ends with a blank or a mark isn't set in bold type; nothing else may be missing.
    assert {kind[0] for kind in plain - found} <= {"strong_open", "strong_close"}
    assert hostile.replace("\n", "").isprintable()
    assert " ".join(shown_after_text(HOSTILE[attack]).split()) in text_of(hostile)


def test_a_page_of_plain_values_has_the_markup_of_its_template(case: Case) -> None:
    assert case.plain_markdown == structure_of(rendered(case.name, case.page, "md"))


@given(st.lists(st.one_of(st.sampled_from(list("\\`*_[]|~$&<>()!#+-=:.1 @\n")), st.characters()), max_size=12))
def test_any_text_is_read_back_as_it_was_wherever_it_stands(characters: list[str]) -> None:
    value = "".join(characters)
    shown = " ".join(printable(value).split())
    render = markdown.environment().from_string
    for template, types in (
        ("a\n\n{{ value }}\n", ["paragraph_open", "inline", "paragraph_close"] * 2),
        ("- {{ value }} x\n", None),
        ("| a | b |\n|---|---|\n| {{ value }} | {{ value | code }} |\n", None),
        ("**{{ value | code }}** x{{ value }}y\n", None),
    ):
        text = render(template).render(value=value)
        kinds = {t.type for t in tokens_of(text)}
        assert not kinds & {"html_inline", "html_block", "link_open", "image", "heading_open", "hr", "blockquote_open"}
        assert not kinds & {"fence", "code_block", "hardbreak", "em_open", "s_open", "ordered_list_open"}
        assert sum(t.type == "td_open" for t in tokens_of(text)) in (0, 2)
        assert "".join(shown.split()) in "".join(text_of(text).split())
        if types and shown:
            assert [t.type for t in MarkdownIt("gfm-like", {"linkify": False}).parse(text)] == types


@pytest.mark.parametrize("value", ["`", "``", "a`b", "`a`", "a``b```", " a", "a ", "\\", "x | y", "a\\|b", "\\`|"])
def test_code_keeps_its_text_in_a_table_too(value: str) -> None:
    text = markdown.environment().from_string("|a|b|\n|---|---|\n| {{ v | code }} | end |\n").render(v=value)
    cells = [t for t in tokens_of(text) if t.type == "inline"][2:]
    assert len(cells) == 2
    (shown,) = ("".join(child.content for child in cells[0].children or ()),)
    assert shown.strip() == value.strip()


def test_what_github_makes_a_link_of_by_itself_is_broken_up() -> None:
    value = "@me x@y.example #12 GH-7 https://x.example www.x.example :tada: but 12:30:45 and C# stay"
    text = markdown.environment().from_string("{{ v }}").render(v=value)
    assert text == (
        "`@`me x`@`y.example `#`12 GH`-`7 https\\://x.example www\\.x.example `:`tada: but 12:30:45 and C# stay"
    )


def test_only_addresses_become_links() -> None:
    link = markdown.environment().from_string("{{ name | link(address) }}")
    assert link.render(name="a]b", address="https://github.com/a/b/issues/1") == (
        "[a\\]b](https://github.com/a/b/issues/1)"
    )
    for address in ("javascript:x", "https://x.example) [b](y", "http://x.example"):
        with pytest.raises(ValueError, match="no address that a page links to"):
            link.render(name="x", address=address)


def test_templates_print_values_neither_inside_tags_nor_beside_backticks() -> None:
    for file in (Path(markdown.__file__).parent / "templates").glob("*.md.j2"):
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"`\{\{|\}\}`", text), file
        assert not re.search(r'\| code \}\}\{\{ [^"]|[^"]\}\}\{\{[^}"]*\| code', text), file
        assert not re.search(r"^[- ]*\{\{[^}]*\}\}[.)]", text, re.MULTILINE), f"{file}: a number would begin a list"
        inside = re.findall(r"<[a-z]+ [^>]*\{\{([^}]*)\}\}|<summary>.*?\{\{([^}]*)\}\}", text)
        allowed = {"case.anchor", '"{:,}".format(section.cells)', "page.worst.left_out"}
        assert {(a or b).strip() for a, b in inside} <= allowed, file


# -- HTML ------------------------------------------------------------------------------------------------------------


class Tags(HTMLParser):
    """What a page's tags are and which attributes they have; texts apart."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: Structure = Counter()
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "sup":  # powers of ten, where a value is one
            self.found[tag, ",".join(name for name, _ in attrs)] += 1
        styles = dict(attrs)
        assert re.fullmatch(r"(flex: [\d.]+|width: \d+%|min-width: \d+rem)?", styles.get("style") or "")
        assert re.fullmatch(r"[\w -]*", styles.get("class") or "")
        assert (styles.get("href") or "#").startswith(("#", "https://github.com/"))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def handle_comment(self, data: str) -> None:
        self.found["comment", ""] += 1


@pytest.mark.parametrize("attack", HOSTILE)
def test_a_value_adds_no_markup_to_an_html_page(case: Case, attack: str) -> None:
    hostile = rendered(case.name, planted(case.page, HOSTILE[attack]), "html")
    assert Tags(hostile).found == case.plain_html
    assert hostile.replace("\n", "").isprintable()
    shown = "".join(shown_after_text(HOSTILE[attack]).split())
    assert shown in "".join("".join(Tags(hostile).texts).split())


# -- sentences of ours -----------------------------------------------------------------------------------------------


def test_a_sentence_knows_its_code_whatever_is_filled_in() -> None:
    told = Sentence("Profile `{}` of {}, by {}.").filled("a`b", "`c`", code("d`e"))
    assert told.parts == (
        ("Profile ", False),
        ("a`b", True),
        (" of ", False),
        ("`c`", False),
        (", by ", False),
        ("d`e", True),
        (".", False),
    )
    render = markdown.environment().from_string("{{ told }}").render
    assert render(told=told) == "Profile ``a`b`` of \\`c\\`, by ``d`e``."
    page = html.environment().from_string("{{ told }}").render(told=Sentence("`{}` & {}").filled("<b>", "<i>"))
    assert page == "<code>&lt;b&gt;</code> &amp; &lt;i&gt;"


def test_sentences_are_joined_as_sentences() -> None:
    assert listed([code("a"), code("b"), "3 more"]) == "`a`, `b` and 3 more"
    assert [part.code for part in together([code("a"), Sentence("b `c`")]).parts] == [True, False, False, True]
    assert listed([]) == together([]) == ""


def test_two_pieces_of_code_do_not_become_one() -> None:
    text = markdown.environment().from_string("{{ told }}").render(told=Sentence("{}{}").filled(code("a"), "@b"))
    assert [t.content for t in tokens_of(text) if t.type == "code_inline"] == ["a", "@"]


def test_a_sentence_has_pairs_of_backticks_and_a_value_for_each_place() -> None:
    with pytest.raises(ValueError, match="no partner"):
        Sentence("one ` alone")
    for values in ((), ("a", "b")):
        with pytest.raises(ValueError, match="has 1 places"):
            Sentence("one {}").filled(*values)
