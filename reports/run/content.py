"""What a run is made of, by content: frameworks, a user's own files, what judges, and the suite's own sources.

A name and a version don't show an edited file, a patched package or another file of the same name.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Executor
from pathlib import Path

from references.bulk.cache import VARIABLE
from reports.run.packages import COMPUTES_WITH
from reports.run.records import Manifest, RunError
from suites.driver.pool import content_of
from suites.driver.profiles import DEFAULT, Profile
from suites.driver.worker_process import WorkerDied
from suites.implementations.catalogue import Implementation, cxx_compiler
from suites.implementations.implementation import COMPILER
from suites.worker.digests import digest_of, sha256_of, together
from suites.worker.environment import JUDGES
from suites.worker.files_read import MISSING, UNSETTLED
from suites.worker.installed import START, of_packages
from suites.worker.self_report import Introduction, Unavailable

Content = dict[str, str]

# How the entries begin that are no package under test.
OWN, JUDGE = "own ", "judge "
SUITE, COMPILED_BY = "suite", "compiler"


class ContentUnknown(RunError):
    """What a run is made of can't be read, since a worker was lost over it."""


_ROOT = Path(__file__).resolve().parent.parent.parent
_LAYERS = ("references", "suites", "reports")
_NOT_RUN = {"tests", "benchmarks", "__pycache__"}
_SOURCES = {".py", ".toml"}


def content_of_run(
    implementations: Iterable[Implementation],
    present: Mapping[Profile, Introduction],
    workers: Executor | None,
    read: Iterable[str] = (),
) -> Content:
    """The sha256 of all that the cells of a run depend on, by name.

    ``present`` are the profiles that are measured, whose workers are asked; what a user's function consists of, it was
    asked before, and ``read`` names the files of its folder that it has read since.  ``workers`` runs the functions of
    suites.driver.pool, this process where it is None.  Raises ContentUnknown.
    """
    chosen, memory = list(implementations), _memory()
    place = str(memory) if memory else None
    questions = [(profile, packages, place) for profile, packages in _asked(present, chosen).items()]
    try:
        if workers is None:
            answers = [content_of(*question) for question in questions]
        else:
            answers = [future.result() for future in [workers.submit(content_of, *question) for question in questions]]
    except (WorkerDied, Unavailable) as failure:
        raise ContentUnknown(f"the files of the frameworks can't be read: {failure}; run again") from None
    found = {name: sha256 for answer in answers for name, sha256 in answer.items()}
    judges = of_packages((*JUDGES, "numpy"), memory)
    found.update({f"{JUDGE}{name}": sha256 for name, sha256 in judges.items() if name != START})
    for implementation in chosen:
        found.update({f"{OWN}{name}": sha256 for name, sha256 in _own(implementation, read).items()})
    if any(COMPILER in i.needs for i in chosen):
        found.update(_compiler())
    return {**found, SUITE: suite_content(_ROOT)}


def files_read(manifest: Manifest) -> tuple[str, ...]:
    """The names of what a run says that a user's function consists of."""
    return tuple(name[len(OWN) :] for name in manifest.content or {} if name.startswith(OWN))


def _own(implementation: Implementation, read: Iterable[str]) -> dict[str, str]:
    """What a user's function was declared to consist of, where its file still is what it was then, and what it has read
    besides, as that is now."""
    found = dict(implementation.content or {})
    if implementation.own and found:
        file = Path(implementation.own[0])
        if digest_of(str(file)) != found[file.name]:
            found[file.name] = UNSETTLED
        found.update({name: digest_of(str(file.parent / name)) or MISSING for name in read if name not in found})
    return found


def _asked(present: Mapping[Profile, Introduction], implementations: list[Implementation]) -> dict[Profile, list[str]]:
    """Whose worker is asked for which packages: each for one, for all profiles of a run load the same files."""
    profiles: dict[str, Profile] = {}
    for profile in present:
        if profile.framework not in profiles or profile.name == DEFAULT:
            profiles[profile.framework] = profile
    found: dict[Profile, list[str]] = {}
    packages = {p: asked for f, asked in profiles.items() for p in _packages(f, implementations)}
    for package, asked in sorted(packages.items()):
        found.setdefault(profiles.get(package, asked), []).append(package)
    return found


def _packages(framework: str, implementations: Iterable[Implementation]) -> tuple[str, ...]:
    """The packages that a framework's implementations compute with; NumPy carries the bits of all."""
    needed = [name for i in implementations if i.framework == framework for name in i.needs if name != COMPILER]
    used = [package for name in (framework, *needed) for package in COMPUTES_WITH[name]]
    return tuple(sorted({*used, "numpy"}))


def _memory() -> Path | None:
    """Where the sha256 of installed files are kept between processes: beside the references, and off with them."""
    place = os.environ.get(VARIABLE, "")
    if place.lower() == "off":
        return None
    if place:
        return Path(place).expanduser().absolute() / "content"
    from platformdirs import user_cache_path

    return user_cache_path("softmax-accuracy", appauthor=False) / "content"


def suite_content(root: Path) -> str:
    """One sha256 for the sources below a checkout, and the tables that they read; tests and benchmarks don't count."""
    found = {}
    for layer in _LAYERS:
        for place, below, names in os.walk(root / layer):
            below[:] = [name for name in below if name not in _NOT_RUN]
            for file in (Path(place, name) for name in names if Path(name).suffix in _SOURCES):
                found[file.relative_to(root).as_posix()] = sha256_of(file)
    return together(found)


def _compiler() -> Content:
    """The C++ compiler that torch.compile calls."""
    found = shutil.which(cxx_compiler())
    return {COMPILED_BY: sha256_of(Path(found).resolve())} if found else {}


def is_known(content: Mapping[str, str] | None) -> bool:
    """Whether a run says by content what it measured, and that it stayed so."""
    return content is not None and SUITE in content and UNSETTLED not in content.values()


# -- what differs ----------------------------------------------------------------------------------------------------


def changed(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    """The names of what differs, or is on one side alone."""
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name) or UNSETTLED in (old.get(name), new.get(name)):
            yield name


def described(name: str, packages: Mapping[str, str]) -> str:
    """What an entry is the content of, in words."""
    if name.startswith(OWN):
        return name[len(OWN) :]
    if name.startswith(JUDGE):
        return f"the files of {name[len(JUDGE) :]}, which judges"
    told = {
        SUITE: "this suite's own sources",
        COMPILED_BY: "the C++ compiler",
        START: "what Python runs as it starts (.pth files, sitecustomize)",
    }
    return told.get(name) or f"the files of {name} {packages.get(name, '')}".rstrip()
