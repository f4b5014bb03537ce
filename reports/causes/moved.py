"""What differs between two runs that a framework's bits can depend on: packages, settings, machine, suite."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from reports.causes.finding import Finding, because
from reports.causes.view import Slice, View
from reports.compare.differences import contents, suites_differ, told_suite
from reports.run.content import COMPILED_BY, OWN
from reports.run.packages import COMPUTES_WITH
from reports.wording import listing
from suites.implementations.catalogue import CATALOGUE
from suites.implementations.implementation import COMPILER
from suites.worker.installed import START
from suites.worker.self_report import is_picked

# Facts about what was selected that follow from it, and are no choice of anyone's.
CONSEQUENCES = ("XLA options", "flushes subnormals")

# XLA has other options in every release, and their fingerprint names no setting.
PACKAGE = "package"
FILES = "files"
SETTING = "setting"
CHOICE = "choice"
MACHINE = "machine"
SUITE = "suite"


class Moved(NamedTuple):
    """Something that differs, before and after."""

    kind: str
    name: str
    old: str
    new: str

    @property
    def text(self) -> str:
        return f"{self.name} {self.old} → {self.new}"


def packages_of(framework: str, implementation: str) -> tuple[str, ...]:
    """The packages that an implementation computes with."""
    needs = CATALOGUE[implementation].needs if implementation in CATALOGUE else ()
    frameworks = (framework, *(name for name in needs if name != COMPILER))
    return tuple(dict.fromkeys(package for name in frameworks for package in COMPUTES_WITH[name]))


def moved_packages(view: View, of: Slice) -> list[Moved]:
    """The packages of an implementation whose versions differ; one that came or went has ``none`` on that side."""
    old, new = view.packages(of.framework, of.profile)
    names = packages_of(of.framework, of.implementation)
    pairs = [(name, old.get(name, "none"), new.get(name, "none")) for name in names]
    return [Moved(PACKAGE, *pair) for pair in pairs if pair[1] != pair[2]]


def moved(view: View, of: Slice) -> Iterator[Moved]:
    """All that differs, packages first."""
    yield from moved_packages(view, of)
    yield from _files(view, of)
    old, new = view.selected(of.framework, of.profile)
    for name in old:
        if old[name] != new[name] and name not in CONSEQUENCES:
            kind = CHOICE if is_picked(name) else SETTING
            yield Moved(kind, name, old[name] or "none", new[name] or "none")
    flags = view.old.environment, view.new.environment
    for name in sorted(flags[0].keys() | flags[1].keys()):
        before, after = (f.get(name, "none") for f in flags)
        if before != after and old.get(name) == new.get(name):
            yield Moved(SETTING, name, before, after)
    for kind, name, before, after in (
        (MACHINE, "processor", view.old.cpu, view.new.cpu),
        (MACHINE, "platform", view.old.platform, view.new.platform),
        (MACHINE, "GPU", view.old.gpu or "none", view.new.gpu or "none"),
        (MACHINE, "Python", view.old.python, view.new.python),
    ):
        if before != after:
            yield Moved(kind, name, before, after)
    if suites_differ(view.old, view.new):
        yield Moved(SUITE, "this suite", told_suite(view.old), told_suite(view.new))


def _files(view: View, of: Slice) -> Iterator[Moved]:
    """Packages of the same version with other files, a user's own files, and what Python runs as it starts."""
    used = packages_of(of.framework, of.implementation)
    own = of.implementation not in CATALOGUE
    for name, found in contents(view.old, view.new):
        if name in used or name in (START, COMPILED_BY) or (own and name.startswith(OWN)):
            yield Moved(FILES, found.what, found.old, found.new)


def candidates(view: View, of: Slice) -> Iterator[Finding]:
    """The one thing that differs is the cause, for the same bits went in; of several each may be it."""
    found = list(moved(view, of))
    packages = [f for f in found if f.kind == PACKAGE]
    choices = [f for f in found if f.kind == CHOICE]
    if len(packages) == 1 and len(found) == 1 + len(choices):
        picked = f", which picks {listing(f.text for f in choices)} by itself" if choices else ""
        yield because(PACKAGE, f"{packages[0].text}{picked}, and nothing else that it depends on differs")
    elif len(found) == 1:
        yield because(found[0].kind, f"{found[0].text}, and nothing else that it depends on differs")
    elif found:
        texts = listing(f.text for f in found)
        yield because("several", f"one or more of {texts}", explains=False)
    else:
        yield because("nothing", "nothing that the runs record differs", explains=False)
