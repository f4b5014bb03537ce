"""Sentences of ours in which some words are code; what is filled in from data stays what it is, whatever it holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from reports.wording import listing

_PLACE = "{}"


class SentencePart(NamedTuple):
    """A piece of a sentence; ``code`` is set as such on a page."""

    text: str
    code: bool


class Sentence(str):
    """Text that was written for a page: a str with code in backticks, which knows in ``parts`` what is code.

    A plain str on a page is data: its backticks are backticks.  So is what str's own methods make of a sentence.
    """

    parts: tuple[SentencePart, ...]

    def __new__(cls, text: str) -> Sentence:
        """Raises ValueError for a backtick without its partner."""
        pieces = text.split("`")
        if len(pieces) % 2 == 0:
            raise ValueError(f"a backtick has no partner in {text!r}")
        return cls._of(SentencePart(piece, place % 2 == 1) for place, piece in enumerate(pieces))

    @classmethod
    def _of(cls, parts: Iterable[SentencePart]) -> Sentence:
        kept = tuple(part for part in parts if part.text)
        made = super().__new__(cls, "".join(f"`{part.text}`" if part.code else part.text for part in kept))
        made.parts = kept
        return made

    def filled(self, *values: str) -> Sentence:
        """The sentence with a value for each ``{}``: sentences keep their code, a plain str has none of its own.

        Raises ValueError for another number of values than there are places.
        """
        places = sum(part.text.count(_PLACE) for part in self.parts)
        if places != len(values):
            raise ValueError(f"{self!r} has {places} places, not {len(values)}")
        left = iter(values)
        return Sentence._of(part for own in self.parts for part in _filled(own, left))


def _filled(own: SentencePart, values: Iterator[str]) -> Iterator[SentencePart]:
    """A part with its places filled; what is filled into code is code."""
    first, *rest = own.text.split(_PLACE)
    if own.code:
        yield SentencePart("".join([first, *(f"{next(values)}{after}" for after in rest)]), True)
        return
    yield SentencePart(first, False)
    for after in rest:
        value = next(values)
        yield from value.parts if isinstance(value, Sentence) else (SentencePart(value, False),)
        yield SentencePart(after, False)


def code(text: str) -> Sentence:
    """Data that is set as code."""
    return Sentence(f"`{_PLACE}`").filled(text)


def listed(words: Iterable[str]) -> Sentence:
    """a, b and c, of sentences and plain words."""
    found = list(words)
    return Sentence(listing([_PLACE] * len(found))).filled(*found)


def together(sentences: Iterable[str]) -> Sentence:
    """One after the other."""
    found = list(sentences)
    return Sentence(" ".join([_PLACE] * len(found))).filled(*found)
