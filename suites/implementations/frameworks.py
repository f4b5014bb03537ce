"""The frameworks, found by their folders: those of the suite, and those below the folders of a variable.

Nothing is imported of a framework itself: its folder says what is known of it.
"""

from __future__ import annotations

import importlib
import os
from functools import cache
from pathlib import Path

from suites import implementations
from suites.implementations.framework import Framework
from suites.implementations.user_files import UnknownName

# Folders, separated as those of PATH are, whose own folders are further frameworks.
FRAMEWORKS_VARIABLE = "SOFTMAX_ACCURACY_FRAMEWORKS"

_FILE = "framework.py"


def _folders() -> list[Path]:
    """Folders of frameworks; the variable's become part of ``suites.implementations``.  Raises UnknownName."""
    for folder in filter(None, os.environ.get(FRAMEWORKS_VARIABLE, "").split(os.pathsep)):
        if not list(Path(folder).glob(f"*/{_FILE}")):
            raise UnknownName(f"{FRAMEWORKS_VARIABLE}: {folder} has no folder with a {_FILE}; name the folder above it")
        if folder not in implementations.__path__:
            implementations.__path__.append(folder)
    return [file.parent for place in implementations.__path__ for file in sorted(Path(place).glob(f"*/{_FILE}"))]


@cache
def frameworks() -> dict[str, Framework]:
    """Every framework by name, in the order of all lists.  Raises UnknownName."""
    found: dict[str, Framework] = {}
    for folder in _folders():
        framework = importlib.import_module(f"suites.implementations.{folder.name}.framework").FRAMEWORK
        if framework.name != folder.name or framework.name in found:
            raise UnknownName(f"{folder} declares {framework.name!r}, which is not its own name, or is taken")
        found[framework.name] = framework
    return dict(sorted(found.items(), key=lambda item: item[1].place))


def framework_named(name: str) -> Framework:
    """Raises UnknownName with the names that exist."""
    try:
        return frameworks()[name]
    except KeyError:
        raise UnknownName(f"unknown framework {name!r}; known are {', '.join(frameworks())}") from None


def folder_of(name: str) -> Path:
    """The folder of a framework."""
    return next(folder for folder in _folders() if folder.name == name)
