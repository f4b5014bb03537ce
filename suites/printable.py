"""Text that somebody else wrote, made fit for a terminal, a record and a page: bounded, without control characters.

Standard library alone, and fit for Python 3.9.
"""

from __future__ import annotations

import unicodedata

# Control characters (escape sequences begin with one), invisible ones that turn the direction of text, lone halves of
# surrogate pairs, those for private use, those that aren't assigned, and the separators that some take for a new line.
_HIDDEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")

MOST = 500


def printable(text: str, most: int = MOST, *, lines: bool = False) -> str:
    """At most ``most`` characters; what can't be seen is written as ``\\x1b``, the end that is left out as ``...``.

    Line breaks and tabs become spaces, unless ``lines`` keeps them.
    """
    if text.isascii() and text.isprintable() and len(text) <= most:
        return text
    kept = "\n\t" if lines else ""
    shown = "".join(c if c in kept else _shown(c) for c in text[: most + 1])
    return shown if len(shown) <= most else shown[: max(0, most - 3)] + "..."


def _shown(character: str) -> str:
    if character in "\n\t\r":
        return " "
    if unicodedata.category(character) not in _HIDDEN:
        return character
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
