"""A user's own file: its function, or the reason why it can't be had."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any


class UnknownName(ValueError):
    """An implementation, framework or file that can't be had; the message names it and says what can."""


@cache
def load_function(file: str, name: str) -> Callable[..., Any]:
    """The callable of that name in a Python file.  Raises UnknownName."""
    module = load_module(file)
    function = getattr(module, name, None)
    if not callable(function):
        raise UnknownName(f"{file} has no function {name!r}")
    result: Callable[..., Any] = function
    return result


@cache
def load_module(file: str) -> ModuleType:
    """A Python file, imported once.  Raises UnknownName."""
    if not os.path.isfile(file):
        raise UnknownName(f"no such file: {file}")
    spec = importlib.util.spec_from_file_location(f"user_{Path(file).stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # a user's file can raise anything, and leave as a script does
        raise UnknownName(f"{file} can't be imported: {type(error).__name__}: {error}") from error
    return module
