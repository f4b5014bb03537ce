"""What went wrong with a file, in words for people."""

from __future__ import annotations


def reason_of(error: OSError) -> str:
    """``No space left on device`` and the like; NumPy reports a full disk by counting numbers, without an errno."""
    return reason_in(error.strerror or str(error))


def reason_in(text: str) -> str:
    """The same for the text of such an error."""
    return "No space left on device" if "requested and" in text and text.endswith("written") else text
