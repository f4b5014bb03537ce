"""What a user's function consists of: the sha256 of its file, of everything that importing it has brought along, and of
what it reads from its folder later.

Standard library alone, and fit for Python 3.9: it runs in the worker that imports the file.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from suites.worker.digests import digest_of
from suites.worker.files_read import UNSETTLED, Reading

T = TypeVar("T")


class ContentChanged(Exception):
    """A user's function isn't what it was when the run began."""


def loading(file: str, load: Callable[[], T], reading: Reading) -> tuple[T, dict[str, str]]:
    """What ``load`` gives, and the content of ``file`` and of the modules and libraries that loading it brought along.

    Named by the file's name, the modules' names and the libraries' paths; what else it has read of the folder of
    ``reading``, by the path from there.  Raises what ``load`` raises.
    """
    modules, libraries = set(sys.modules), mapped_libraries()
    before, reading.loading = digest_of(file), True
    try:
        found = load()
    finally:
        reading.loading = False
    brought = {Path(file).name: Path(file)}
    for name, module in sorted(sys.modules.items()):
        origin = getattr(module, "__file__", None)
        mine = origin == file or name.startswith("suites.")
        if name not in modules and not mine and isinstance(origin, str):
            brought.setdefault(name, Path(origin))
    known = {str(path) for path in brought.values()}
    reading.known(known)
    brought.update({path: Path(path) for path in sorted(mapped_libraries() - libraries - known)})
    content = {**reading.news(), **{name: digest_of(str(path)) for name, path in brought.items()}}
    for name, path in brought.items():
        if content[name] != (before if str(path) == file else reading.at_first(str(path)) or content[name]):
            raise ContentChanged(f"{path} was changed while {Path(file).name} was imported; run again")
    for name, sha256 in content.items():
        if sha256 == UNSETTLED:
            raise ContentChanged(f"{name} was changed while {Path(file).name} was imported; run again")
    return found, {name: digest for name, digest in content.items() if digest}


def check_unchanged(file: str, declared: Mapping[str, str], loaded: Mapping[str, str]) -> None:
    """Raises ContentChanged where something is not what was declared.

    What only one of the two has brought along is no change: another process may have had it already.
    """
    names = [name for name in declared if name in loaded and declared[name] != loaded[name]]
    if Path(file).name not in loaded or names:
        others = [name for name in names if name != Path(file).name]
        what = f"{Path(file).name}, by way of {', '.join(others[:3])}," if others else Path(file).name
        raise ContentChanged(f"{what} has changed since the run began; run again")


def mapped_libraries() -> set[str]:
    """The paths of the files that this process has mapped to run; none where the system doesn't list them."""
    try:
        lines = Path("/proc/self/maps").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return set()
    parts = (line.split(maxsplit=5) for line in lines)
    return {part[5] for part in parts if len(part) == 6 and "x" in part[1] and part[5].startswith("/")}
