"""What workers answer, checked: lines with the token, fields of the right types, text that can be shown."""

from __future__ import annotations

import contextlib
import json
import types
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from suites.printable import printable
from suites.worker.link import MARK

T = TypeVar("T")

# Characters of one text in an answer: variables of the environment can be long.
_TEXT = 1 << 14

# No number in an answer is as large: seconds, bytes and elements.
_MOST = 1 << 60


class Nonsense(ValueError):
    """An answer that no worker gives; the message says what is wrong with it."""


@dataclass(frozen=True)
class Evaluated:
    """The answer to one call; ``state`` is what has changed of the thread's arithmetic."""

    call: int
    seconds: float
    resident: int
    state: str
    touched: int | None = None
    raised: str | None = None
    unsupported: bool = False
    refused: bool = False
    read: dict[str, str] = field(default_factory=dict)
    memory: str | None = None
    scratch: str | None = None
    errno: int | None = None


@dataclass(frozen=True)
class Declared:
    """The answer about a user's file."""

    content: dict[str, str] | None = None
    state: str = ""
    refused: str | None = None


@dataclass(frozen=True)
class Contents:
    """The answer about packages: the sha256 of the files of each."""

    content: dict[str, str]


def reply_on(line: bytes, token: str, to: int) -> dict[str, Any] | None:
    """The answer to a request on a line; None for anything else, such as the banner of an interpreter."""
    start = f"{MARK}{token} ".encode()
    if not line.startswith(start):
        return None
    try:
        reply = json.loads(line[len(start) :])
    except (ValueError, RecursionError):
        return None
    return reply if isinstance(reply, dict) and reply.pop("to", None) == to else None


def made(kind: type[T], reply: Any) -> T:
    """A dataclass from the fields of an answer.  Raises Nonsense for a missing, an unknown or one of another type."""
    if not isinstance(reply, dict):
        raise Nonsense(f"{printable(repr(reply), 60)} in place of fields")
    hints = get_type_hints(kind)
    unknown = [name for name in reply if name not in hints]
    if unknown:
        raise Nonsense(f"a field {printable(unknown[0], 60)!r} that is not known")
    needed = [f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING]  # type: ignore[arg-type]
    for name in needed:
        if name not in reply:
            raise Nonsense(f"no field {name!r}")
    return kind(**{name: _checked(hints[name], value, name) for name, value in reply.items()})


def _of_one(hints: tuple[Any, ...], value: Any, name: str) -> Any:
    """The value as the first of some types that it has."""
    *others, last = (hint for hint in hints if hint is not type(None))
    for hint in others:
        with contextlib.suppress(Nonsense):
            return _checked(hint, value, name)
    return _checked(last, value, name)


def _checked(hint: Any, value: Any, name: str) -> Any:
    origin, inside = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return None if value is None and type(None) in inside else _of_one(inside, value, name)
    if origin is dict and isinstance(value, dict):
        return {printable(key, _TEXT): _checked(inside[1], item, name) for key, item in value.items()}
    if origin is list and isinstance(value, list):
        return [_checked(inside[0], item, name) for item in value]
    if origin is tuple and isinstance(value, list) and len(value) == len(inside):
        return tuple(_checked(h, item, name) for h, item in zip(inside, value, strict=True))
    if hint is str and isinstance(value, str):
        return printable(value, _TEXT)
    if hint is bool and isinstance(value, bool):
        return value
    if hint is int and type(value) is int and 0 <= value < _MOST:
        return value
    if hint is float and type(value) in (int, float) and 0 <= value < _MOST:
        return float(value)
    raise Nonsense(f"{name} is {printable(repr(value)[:100], 60)}")
