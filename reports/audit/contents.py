"""What is in an environment, file by file: taken when it has been built, and held against it before each use.

Every file below its folder counts, not only those that packages list in their RECORD: an extra module shadows others,
and who edits a file can edit the RECORD beside it.  Links are not followed; where they lead to is part of them.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from suites.worker.digests import sha256_of

# By path below the environment: sha256 and size of a file, or where a link leads to.
Contents = dict[str, str]


def contents_of(place: Path, but: frozenset[str]) -> Contents:
    """What there is in a folder, without the files ``but`` in it.  Raises OSError."""
    return {name: _told(path) for name, path in _files(place) if name not in but}


def difference(place: Path, contents: Mapping[str, str], but: frozenset[str]) -> str | None:
    """The first thing that is not as it was, in words; None if there is none.

    Compiled modules that are not as they were are removed, since Python makes them anew from what was checked.
    """
    found = dict(_files(place))
    for name, path in found.items():
        if name in but:
            continue
        try:
            same = name in contents and _told(path) == contents[name]
        except OSError as error:
            return f"{name} can't be read: {error.strerror or error}"
        if not same:
            if _is_compiled(path):
                with contextlib.suppress(OSError):
                    path.unlink()
                if not os.path.lexists(path):
                    continue
            return f"{name} was changed" if name in contents else f"{name} was added"
    missing = next((name for name in contents if name not in found and not _is_compiled(Path(name))), None)
    return f"{missing} is gone" if missing is not None else None


def _is_compiled(path: Path) -> bool:
    """Whether Python keeps a module there that it has compiled."""
    return path.parent.name == "__pycache__" and path.suffix == ".pyc"


def _files(place: Path) -> Iterator[tuple[str, Path]]:
    """Everything in a folder that is no folder itself, by its path below it."""

    def stop(error: OSError) -> None:
        raise error

    for folder, folders, files in os.walk(place, onerror=stop):
        here = Path(folder)
        for name in sorted(files + [name for name in folders if (here / name).is_symlink()]):
            path = here / name
            yield path.relative_to(place).as_posix(), path


def _told(path: Path) -> str:
    if path.is_symlink():
        return f"link {os.readlink(path)}"
    if not path.is_file():
        return "neither a file nor a link"  # a FIFO: nobody is to wait for it
    return f"{sha256_of(path)} {path.stat().st_size}"
