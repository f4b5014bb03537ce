"""What is installed beside this Python, by content: a framework that was patched keeps its version.

A distribution counts by the files of its RECORD and by all that lies in the folder that is really imported: one that
shadows it, a developer's build, a file that was dropped in.  Compiled ``.pyc`` files and what an installer writes of
itself don't count.  Standard library alone, Python 3.9.
"""

from __future__ import annotations

import csv
import importlib.metadata
import importlib.util
import os
import re
import site
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from suites.worker.digest_cache import Memory
from suites.worker.digests import file_of, together

# What Python runs as it starts, before any framework: it can change one without a trace in it.
START = "site"

_NOTHING: Mapping[str, str] = MappingProxyType({})


def of_packages(
    names: Iterable[str], memory: Path | None, at_start: Iterable[str] = (), beside: Mapping[str, str] = _NOTHING
) -> dict[str, str]:
    """The sha256 of each of these packages that is here, by name, and of what Python runs as it starts.

    ``beside`` has, by package, a pattern for the names of others that it computes with.  ``memory`` is a folder that
    keeps the sha256 of files between processes; ``at_start`` are the modules that were there before the program began.
    """
    found = {}
    for name in sorted(set(names)):
        for whose, files in _packages(name, beside.get(name, "")):
            if files:
                known = Memory(memory, f"{whose} {min(files.values())}")
                found[whose] = together({place: known.sha256(file) for place, file in files.items()})
                known.keep()
    started = _started(at_start)
    if started:
        found[START] = together(started)
    return found


def _packages(name: str, beside: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Files by their place in the folder of packages: those of a package, and of what it computes with besides."""
    try:
        distribution = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        yield name, _imported(name)
        return
    recorded = _recorded(distribution)
    yield name, {**recorded, **_imported(name)}
    folder = Path(str(distribution.locate_file("")))
    for entry in sorted(os.listdir(str(folder))) if beside and folder.is_dir() else ():
        whose, _, ending = entry.partition("-")
        if ending.endswith(".dist-info") and re.match(beside, whose.lower()):
            yield whose, _recorded(importlib.metadata.Distribution.at(folder / entry))


def _recorded(distribution: importlib.metadata.Distribution) -> dict[str, str]:
    """The files that an installer put into the folder of packages; scripts beside it begin with that folder's path."""
    found, folder = {}, str(distribution.locate_file(""))
    for row in csv.reader((distribution.read_text("RECORD") or "").splitlines()):
        first = row[0].partition("/")[0] if row else ".."
        if first != ".." and not first.endswith(".dist-info") and not row[0].endswith(".pyc"):
            found[row[0]] = os.path.join(folder, row[0])
    return found


def _imported(name: str) -> dict[str, str]:
    """The files in the folders that a package is imported from, and those of its modules from anywhere else."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return {}
    if spec is None:
        return {}
    folders = list(spec.submodule_search_locations or ())
    found = {f"{name}/{place}": file for folder in folders for place, file in _files_below(folder)}
    for module_name, module in list(sys.modules.items()):
        if module_name == name or module_name.startswith(f"{name}."):
            file = file_of(module)
            if file and not any(str(file).startswith(folder.rstrip(os.sep) + os.sep) for folder in folders):
                found[f"module {module_name}"] = str(file)
    return found


def _files_below(folder: str) -> Iterator[tuple[str, str]]:
    """All files but what Python compiles by itself, through links as well."""
    seen = set()
    for place, below, names in os.walk(folder, followlinks=True):
        real, within = os.path.realpath(place), place[len(folder) :].strip(os.sep).replace(os.sep, "/")
        within = f"{within}/" if within else ""
        below[:] = [] if real in seen else sorted(b for b in below if b != "__pycache__")
        for name in [] if real in seen else names:
            yield f"{within}{name}", os.path.join(place, name)
        seen.add(real)


def _started(at_start: Iterable[str]) -> dict[str, str]:
    """The lines of .pth files that are run, the modules that they name, sitecustomize and usercustomize, and whatever
    those have imported that is not Python's own.

    A line that only names a folder is left out: what is imported from there counts by its own content.
    """
    folders, known = _site_folders(), Memory(None, START)
    found, modules = {}, {"sitecustomize", "usercustomize"}
    for folder in folders:
        for file in sorted(Path(folder).glob("*.pth")):
            for line in _run_lines(file):
                found[f"{file.name}: {line}"] = ""
                modules.update(m for m in re.findall(r"import\s+(\w+)", line) if not m.startswith("__editable__"))
    for name in modules:
        loaded = file_of(sys.modules.get(name))
        customizes = name in ("sitecustomize", "usercustomize")
        if loaded and (customizes or any(str(loaded).startswith(f + os.sep) for f in folders)):
            found[name] = known.sha256(str(loaded))
    own = tuple(os.path.join(sysconfig.get_path(name), "") for name in ("stdlib", "platstdlib"))
    for name in at_start:
        loaded = file_of(sys.modules.get(name))
        beside = loaded and (
            not str(loaded).startswith(own) or any(str(loaded).startswith(f + os.sep) for f in folders)
        )
        if loaded and beside and name != "__main__" and not name.startswith("__editable__"):
            found[name] = known.sha256(str(loaded))
    return found


def _site_folders() -> list[str]:
    folders = [*site.getsitepackages(), *([site.getusersitepackages()] if site.ENABLE_USER_SITE else [])]
    return [folder for folder in dict.fromkeys(folders) if os.path.isdir(folder)]


def _run_lines(file: Path) -> list[str]:
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return [line.rstrip() for line in text.splitlines() if line.startswith(("import ", "import\t"))]
