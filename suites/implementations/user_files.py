"""A user's own file: imported as it stands now, with what lies beside it; its function, or why it can't be had."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from functools import cache
from importlib.machinery import (
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    ModuleSpec,
    SourceFileLoader,
)
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

# Characters of an exception's text that are worth their way.
_MOST = 2000


class UnknownName(ValueError):
    """An implementation, framework or file that can't be had; the message names it and says what can."""


def found_file(file: str) -> str:
    """The absolute path of a file that is there.  Raises UnknownName."""
    path = os.path.realpath(file)
    if os.path.isdir(path):
        raise UnknownName(f"{path} is a folder, not a Python file")
    if not os.path.exists(path):
        raise UnknownName(f"no such file: {path}")
    if not os.path.isfile(path):
        raise UnknownName(f"{path} is no regular file")
    if not os.access(path, os.R_OK):
        raise UnknownName(f"{path} can't be read")
    return path


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
    """A Python file, imported once, with its folder to import from.  Raises UnknownName."""
    file = found_file(file)
    _offer(os.path.dirname(file))
    name = f"user_{Path(file).stem}"
    loader = _FromSource(name, file)
    module = ModuleType(name)
    module.__file__, module.__loader__ = file, loader
    module.__spec__ = ModuleSpec(name, loader, origin=file)
    sys.modules[name] = module  # where dataclasses and pickle look for it
    try:
        loader.exec_module(module)
    except BaseException as error:  # a user's file can raise anything, and leave as a script does
        raise UnknownName(f"{file} can't be imported: {described(error, file)}") from error
    return module


def described(error: BaseException, file: str | None = None) -> str:
    """The first line of an exception that somebody else raised, and the line of ``file`` that it comes from."""
    name = getattr(type(error), "__name__", "exception")
    try:
        text = (f"{name}: {error}".splitlines() or [name])[0][:_MOST].rstrip(": ")
    except BaseException:  # its own __str__ can raise anything, too
        text = f"{name} (its text can't be had)"
    if file is None or isinstance(error, SyntaxError):  # which names file and line itself
        return text
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f"{text} (line {lines[-1]})" if lines else text


class _FromSource(SourceFileLoader):
    """Compiles what is in the file.

    Python's own caches (__pycache__) go by a file's time in seconds and its length: an edit can leave both as they are.
    """

    def get_code(self, fullname: str) -> CodeType | None:
        """The code of the file's present content."""
        path = self.get_filename(fullname)
        code: CodeType = self.source_to_code(self.get_data(path), path)
        return code


def _offer(folder: str) -> None:
    """Let the file import what lies beside it, as a script may; the project's own modules go before."""
    if folder not in sys.path:
        sys.path.insert(1, folder)

    def hook(path: str) -> FileFinder:
        if not _lies_in(folder, path) or not os.path.isdir(path):
            raise ImportError(path)
        return FileFinder(path, (ExtensionFileLoader, EXTENSION_SUFFIXES), (_FromSource, SOURCE_SUFFIXES))

    sys.path_hooks.insert(0, hook)
    for known in [path for path in sys.path_importer_cache if _lies_in(folder, path)]:
        del sys.path_importer_cache[known]


def _lies_in(folder: str, path: str) -> bool:
    """Whether a path is a folder's, and not one of packages that are installed somewhere below it."""
    installed = any(part in ("site-packages", "dist-packages") for part in Path(path).parts)
    return not installed and os.path.join(path, "").startswith(os.path.join(folder, ""))
