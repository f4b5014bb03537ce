"""Where a verb is asked to write, held against what is there before the work begins: nothing is lost by a slip."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from reports.console.usage import UsageError
from reports.files import descriptor_of, status_of
from reports.run.records import OBSERVATIONS

STDOUT = "-"

# What a run directory is made of, and what of it says that it is one.
_DATA = frozenset({"manifest.json", "cells.jsonl", "lost.jsonl", OBSERVATIONS, "rows", ".lock"})
_MARKS = ("manifest.json", "cells.jsonl", "rows")

_APART = "what is written needs a place of its own"


def check_outputs(
    outputs: Iterable[Path | None],
    *,
    inputs: Iterable[Path | None] = (),
    runs: Iterable[Path] = (),
    audit: Path | None = None,
) -> None:
    """Hold the files that are to be written against each other, what is read, and the data of run directories.

    ``runs`` are the run directories that the verb reads or makes; those of others are known by their files.  ``audit``
    is an audit's directory, which need not be there yet.  Raises UsageError.
    """
    named = [path for path in outputs if path is not None]
    for path in named:
        _check_place(path, audit)
    _keep_apart(named, [path for path in inputs if path is not None])
    for path in named:
        if str(path) != STDOUT:
            _spare_data(path, tuple(runs), audit)


def check_run_directory(path: Path) -> None:
    """Refuse a run directory amidst the data of another.  Raises UsageError."""
    try:
        status_of(path)
    except OSError as error:
        raise UsageError(f"{path} can't be written: {error.strerror or error}; choose another --out") from None
    _spare_data(path, (), None)


# -- a place -----------------------------------------------------------------------------------------------------------


def _check_place(path: Path, audit: Path | None) -> None:
    if str(path) == STDOUT:
        return
    try:
        _try_place(path, audit)
    except OSError as error:
        raise UsageError(f"{path} can't be written: {error.strerror or error}; choose another place") from None


def _try_place(path: Path, audit: Path | None) -> None:
    """Whether a file can be written there, as far as that is known without doing it.  Raises OSError."""
    descriptor = descriptor_of(path)
    if descriptor is not None:
        os.fstat(descriptor)
        return
    status = status_of(path)
    if status and stat.S_ISDIR(status.st_mode):
        raise _error(errno.EISDIR)
    if status and not os.access(path, os.W_OK):
        raise OSError(errno.EACCES, "it is read-only")
    if status and not stat.S_ISREG(status.st_mode):
        return
    folder = Path(os.path.realpath(path)).parent
    if audit is not None and folder == Path(os.path.realpath(audit)) and not folder.exists():
        return  # it will be made
    if not folder.exists():
        raise _error(errno.ENOENT)
    if not folder.is_dir():
        raise _error(errno.ENOTDIR)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OSError(errno.EACCES, f"{folder} is read-only")


def _error(code: int) -> OSError:
    return OSError(code, os.strerror(code))


# -- apart from each other ---------------------------------------------------------------------------------------------


def _keep_apart(outputs: list[Path], inputs: list[Path]) -> None:
    taken = {_identity(path) for path in inputs}
    for path in outputs:
        if str(path) != STDOUT and _swallows(path):
            continue
        identity = ("descriptor", 1) if str(path) == STDOUT else _identity(path)
        if identity in taken:
            raise UsageError(f"{path} is named twice; {_APART}")
        taken.add(identity)


def _swallows(path: Path) -> bool:
    """Whether a path is a device, which takes what comes from anywhere."""
    status = status_of(path)
    return descriptor_of(path) is None and status is not None and stat.S_ISCHR(status.st_mode)


def _identity(path: Path) -> tuple[object, ...]:
    """The same for all names of a file: relative ones, links of both kinds, other cases where they don't count."""
    descriptor = descriptor_of(path)
    if descriptor is not None:
        return "descriptor", descriptor
    try:
        status = status_of(path)
    except OSError:
        status = None  # whoever opens it will get the error
    if status is not None:
        return "file", status.st_dev, status.st_ino
    return "name", os.path.normcase(os.path.realpath(path))


# -- apart from data ---------------------------------------------------------------------------------------------------


def _spare_data(path: Path, runs: tuple[Path, ...], audit: Path | None) -> None:
    for place in {_entry(path), Path(os.path.realpath(path))}:
        for folder in place.parents:
            name = place.relative_to(folder).parts[0].casefold()
            if name in _DATA and _is_run(folder, runs):
                raise UsageError(f"{path} belongs to the data of the run {folder}; choose another place")
            if audit is not None and folder == Path(os.path.realpath(audit)) and _is_of_audit(name):
                raise UsageError(f"{path} belongs to the audit in {audit}; choose another place")
    status = status_of(path)
    if status is None or status.st_nlink < 2 or not stat.S_ISREG(status.st_mode):
        return
    for run in runs:
        if any(os.path.samestat(status, own) for own in _data_of(run)):
            raise UsageError(f"{path} is a link to data of the run {run}; choose another place")


def _entry(path: Path) -> Path:
    """Where the name itself stands, whatever it leads to."""
    absolute = Path(os.path.abspath(path))
    return Path(os.path.realpath(absolute.parent)) / absolute.name


def _is_run(folder: Path, runs: tuple[Path, ...]) -> bool:
    if any(folder == Path(os.path.realpath(run)) for run in runs):
        return True
    return sum((folder / mark).exists() for mark in _MARKS) > 1


def _is_of_audit(name: str) -> bool:
    return name == "audit.json" or name.endswith(".log")


def _data_of(run: Path) -> Iterable[os.stat_result]:
    for file in (*(run / name for name in _DATA), *_listed(run / "rows")):
        try:
            yield file.stat()
        except OSError:
            continue


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []
