"""The small JSON files of audits, read without belief: one object, its fields named, each held against a pattern."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

# Far more than they have: the longest names the files of an environment.
_LONGEST = 64 << 20

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.!+_-]*")
SHA256 = re.compile(r"[0-9a-f]{64}")
# One line that is shown to people.
LINE = re.compile(r"[^\x00-\x1f\x7f-\x9f]+")
# Words with any space between them, as a command line gives them.
WORDS = re.compile(r"[^\x00-\x08\x0e-\x1f\x7f-\x9f]+")
TEXT = re.compile(r"[^\x00]+")

Check = Callable[[Any], bool]


class Damaged(Exception):
    """A file that is there and is not what it should be; the message says in a few words what is wrong."""


def read_object(file: Path, checks: Mapping[str, Check]) -> dict[str, Any]:
    """The object in a file, which has these fields and no others, each as its check wants it.

    Raises FileNotFoundError, and Damaged for everything else that can be wrong with it.
    """
    try:
        status = file.lstat()
        if not stat.S_ISREG(status.st_mode):
            raise Damaged("it is no ordinary file")
        if status.st_size > _LONGEST:
            raise Damaged(f"it has {status.st_size} bytes")
        found = json.loads(file.read_text(encoding="utf-8"), object_pairs_hook=_without_repeats)
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(str(file)) from None
    except OSError as error:
        raise Damaged(error.strerror or str(error)) from None
    except RecursionError:
        raise Damaged("it is nested too deeply") from None
    except ValueError as error:
        raise Damaged(f"it is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise Damaged("it is no object")
    check_fields(found, checks)
    return found


def check_fields(found: Mapping[str, Any], checks: Mapping[str, Check]) -> None:
    """Raises Damaged, which names the field, where one is missing, unknown, or not as its check wants it."""
    for name in (*checks, *found):
        if name not in found:
            raise Damaged(f"it has no {name}")
        if name not in checks:
            raise Damaged(f"it has a field {name!r} that nobody knows")
        if not checks[name](found[name]):
            raise Damaged(f"its {name} is not what it should be")


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Damaged("it has a field twice")
    return found


def of_pattern(pattern: re.Pattern[str]) -> Check:
    """Whether something is a text of a pattern."""
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def is_packages(value: Any) -> bool:
    """Whether something has versions by the names of packages."""
    return isinstance(value, dict) and all(
        NAME.fullmatch(name) and isinstance(version, str) and VERSION.fullmatch(version)
        for name, version in value.items()
    )


def is_contents(value: Any) -> bool:
    """Whether something has texts by paths that stay below a folder."""
    return isinstance(value, dict) and all(
        isinstance(told, str) and name and not name.startswith("/") and ".." not in name.split("/")
        for name, told in value.items()
    )
