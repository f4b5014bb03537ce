"""Text of anybody's as a line that a terminal only shows."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from suites.printable import printable

# Any character, lone surrogates and unassigned ones among them.
ANYTHING = st.text(st.characters(), max_size=40)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("torch/eager  softmax", "torch/eager  softmax"),
        ("log_softmax \u2192 größer", "log_softmax \u2192 größer"),
        ("one\ntwo \r\n\t three\x85four\u2028five", "one two three four five"),
        ("\x1b[2J\x07red\x9b31m\x00", "\\x1b[2J\\x07red\\x9b31m\\x00"),
        ("a\u202eb\u2066c\u200bd\ufeffe", "a\\u202eb\\u2066c\\u200bd\\ufeffe"),
        ("file \udcff.py", "file \\udcff.py"),
        ("one\u00a0blank", "one blank"),
        ("::error file=x::gone", ":\\:error file=x::gone"),
        ("  ::set-output name=x::y", "  :\\:set-output name=x::y"),
        ("\n::error::x", " :\\:error::x"),
        ("was ##[error] and ##vso[task.complete]", "was #\\#[error] and #\\#vso[task.complete]"),
        ("jax::jit and # 1 and ## two", "jax::jit and # 1 and ## two"),
        ("", ""),
    ],
)
def test_what_a_terminal_would_obey_is_shown_instead(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(ANYTHING)
@example("\x1b]0;title\x07")
@example("\ud800")
def test_a_line_has_printing_characters_alone(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert len(shown.splitlines()) <= 1
    assert not [c for c in shown if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")]
    assert not re.search(r"^\s*::|##\w*\[", shown)
    shown.encode("utf-8")


@given(ANYTHING)
def test_a_line_that_was_made_printable_stays_as_it_is(text: str) -> None:
    assert printable(printable(text)) == printable(text)


@given(st.text(st.sampled_from([chr(code) for code in range(32, 127)]), max_size=40))
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert printable(text) == text or re.search(r"^\s*::|##\w*\[", text)


@given(ANYTHING, st.integers(0, 30))
def test_a_limit_holds_for_what_is_shown_and_a_cut_is_marked(text: str, limit: int) -> None:
    shown = printable(text, limit)
    assert len(shown) <= limit
    assert shown == printable(text) or shown.endswith("..."[:limit])


def test_a_limit_bounds_the_work_on_a_long_text() -> None:
    assert printable(" " * 3_000_000 + "\x1b", 9) == "      ..."
    assert printable("\x1b" * 4_000_000, 12) == "\\x1b\\x1b\\..."
