"""What else differs between two runs: it limits what a change can be put down to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from reports.compare.pairing import Stored
from reports.facts.wording import count, listing
from reports.records import Manifest
from reports.run_directory import read_lost

_NONE = "none"

# The packages that are under test; the others help to judge them.
_SUBJECTS = ("torch", "jax", "jaxlib", "numpy", "scipy")


@dataclass(frozen=True)
class Difference:
    """A fact of the manifests, before and after.  ``subject``: a package under test, whose change is the question."""

    what: str
    old: str
    new: str
    subject: bool = False


def differences(old: Manifest, new: Manifest) -> tuple[Difference, ...]:
    return tuple(d for d in _facts(old, new) if d.old != d.new)


def _facts(old: Manifest, new: Manifest) -> Iterator[Difference]:
    def fact(what: str, of: Callable[[Manifest], str | None]) -> Difference:
        return Difference(what, of(old) or _NONE, of(new) or _NONE)

    for package in dict.fromkeys([*old.packages, *new.packages]):
        before, after = old.packages.get(package, _NONE), new.packages.get(package, _NONE)
        yield Difference(package, before, after, subject=package in _SUBJECTS)
    yield fact("Python", lambda m: m.python)
    yield fact("platform", lambda m: m.platform)
    yield fact("processor", lambda m: m.cpu)
    yield fact("GPU", lambda m: m.gpu)
    yield from _settings(old, new)
    for flag in sorted(old.environment | new.environment):
        yield Difference(flag, old.environment.get(flag, _NONE), new.environment.get(flag, _NONE))
    yield fact("tier", lambda m: m.tier)
    yield fact("selection", _selection)
    yield fact("this suite's commit", lambda m: m.git_commit)


def _settings(old: Manifest, new: Manifest) -> Iterator[Difference]:
    """Settings of frameworks; those that changed alike, such as an instruction set in many places, as one."""
    changed: dict[tuple[str, str], dict[str, list[str]]] = {}
    for framework in (f for f in old.settings if f in new.settings):
        settings = [m.settings[framework] for m in (old, new)]
        for name in dict.fromkeys(name for found in settings for name in found):
            before, after = (found.get(name) or _NONE for found in settings)
            if before != after:
                changed.setdefault((before, after), {}).setdefault(framework, []).append(name)
    for values, by_framework in changed.items():
        alike: dict[tuple[str, ...], list[str]] = {}
        for framework, names in by_framework.items():
            alike.setdefault(tuple(names), []).append(framework)
        for settings_alike, frameworks in alike.items():
            yield Difference(f"{listing(settings_alike)} of {listing(frameworks)}", *values)


def _selection(manifest: Manifest) -> str:
    return "; ".join(f"{k}: {', '.join(v)}" for k, v in manifest.selection.items() if v) or "everything"


def notes(old: Stored, new: Stored, found: tuple[Difference, ...]) -> Iterator[str]:
    """Sentences on what the differences, and gaps in the runs, mean for the comparison."""
    subjects, others = any(d.subject for d in found), any(not d.subject for d in found)
    if subjects and others:
        yield "More than the packages under test differs, so a change need not come from them."
    elif others:
        yield "The packages under test are the same: what changed comes from the other differences."
    elif not found:
        yield "Packages, machine, settings and flags are the same: every cell should be identical."
    for name, run in (("OLD", old), ("NEW", new)):
        if not run.manifest.finished:
            yield f"{name} ({run.path}) is an incomplete run; 'measure' with the same options completes it."
        if not run.has_maxima:
            yield f"{name} ({run.path}) has no rows/maxima.jsonl: there is no paired test, only figures and verdicts."
        for missing in run.manifest.unmeasured:
            yield f"{name} has nothing of {missing.name}: {missing.reason}."
        for reason, cells in Counter(lost.reason for lost in read_lost(run.path)).items():
            yield f"{name} could not measure {count(cells, 'cell')}: {reason}."
