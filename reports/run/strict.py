"""JSON taken at its word: no key twice, no value that its field can't have, and one line for whatever is wrong."""

from __future__ import annotations

import functools
import json
import re
import reprlib
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

Made = TypeVar("Made")

# What a text that can't be taken raises, once ``parsed`` and ``made`` have put it in words.
DAMAGE = (ValueError, KeyError, TypeError)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"{reprlib.repr(twice)} is there twice")
    return found


# NaN and infinities pass here, so that the field that has one is named.
_DECODER = json.JSONDecoder(object_pairs_hook=_unique)


def parsed(text: str) -> Any:
    """What a JSON text holds.  Raises ValueError, in one line, for what is no JSON and a key that is there twice."""
    try:
        found = _DECODER.decode(text)
        if "\\u" in text:  # half of a pair of code units is no character, and can't be written anywhere
            json.dumps(found, ensure_ascii=False).encode("utf-8")
        return found
    except UnicodeEncodeError:
        raise ValueError("half of a surrogate pair in a text") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"no JSON: {error.msg} at character {error.pos + 1}") from None
    except RecursionError:
        raise ValueError("no JSON of ours: nested too deep") from None
    except ValueError as error:
        # Python takes no integer of thousands of digits.
        reason = "an integer has thousands of digits" if "integer string conversion" in str(error) else str(error)
        raise ValueError(reason) from None


@functools.cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def made(kind: type[Made], data: Any) -> Made:
    """A value of a type of ``reports.run.records``.  Raises ValueError, in one line, which names a field at fault."""
    try:
        found: Made = _adapter(cast(Any, kind)).validate_python(data)
    except ValidationError as error:
        raise ValueError(_told(error)) from None
    return found


def _told(error: ValidationError) -> str:
    """The first fault; of a field that may be one of several things, the one that came furthest."""
    fault = max(error.errors(include_url=False), key=lambda e: _FIRST.get(e["type"], 0))
    where = ".".join(str(part) for part in fault["loc"] if re.fullmatch(r"\w+", str(part), re.ASCII)) or "the line"
    if fault["type"] == "missing":
        return f"{where} is missing"
    if fault["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        return f"{where[:60]} is no field that this version knows; one that wrote it can read it"
    value = _repr(fault["input"])
    said = re.sub(r"^(Input|String|Value|List|Dictionary)( should)", "it\\2", fault["msg"])
    return f"{where}: {value}: {said}"


# A field of the right name that holds something wrong says more than what is missing or left over beside it.
_FIRST = {"missing": -1, "extra_forbidden": -2, "unexpected_keyword_argument": -2}

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 50


def _repr(value: Any) -> str:
    try:
        return _SHORT.repr(value)
    except ValueError:  # an integer of too many digits to be shown
        return "a number of thousands of digits"
