"""What else differs between two runs: it limits what a change can be put down to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from reports.compare.pairing import Stored
from reports.run.content import COMPILED_BY, JUDGE, SUITE, changed, described, is_known
from reports.run.packages import SUBJECTS
from reports.run.reader import read_lost
from reports.run.records import Manifest
from reports.wording import count, listing
from suites.worker.files_read import UNSETTLED
from suites.worker.installed import START
from suites.worker.self_report import is_picked

_NONE = "none"
_NOT_REPORTED = "not reported"


@dataclass(frozen=True)
class ManifestDifference:
    """A fact of the manifests, before and after.  ``subject``: a package under test, whose change is the question."""

    what: str
    old: str
    new: str
    subject: bool = False


def differences(old: Manifest, new: Manifest) -> tuple[ManifestDifference, ...]:
    return tuple(d for d in _facts(old, new) if d.old != d.new)


def _facts(old: Manifest, new: Manifest) -> Iterator[ManifestDifference]:
    def fact(what: str, of: Callable[[Manifest], str | None]) -> ManifestDifference:
        return ManifestDifference(what, of(old) or _NONE, of(new) or _NONE)

    for package in dict.fromkeys([*old.packages, *new.packages]):
        before, after = old.packages.get(package, _NONE), new.packages.get(package, _NONE)
        yield ManifestDifference(package, before, after, subject=package in SUBJECTS)
    yield from (found for _, found in contents(old, new))
    yield fact("Python", lambda m: m.python)
    yield fact("platform", lambda m: m.platform)
    yield fact("processor", lambda m: m.cpu)
    yield fact("GPU", lambda m: m.gpu)
    yield from _settings(old, new)
    for flag in sorted(old.environment | new.environment):
        yield ManifestDifference(flag, old.environment.get(flag, _NONE), new.environment.get(flag, _NONE))
    yield fact("tier", lambda m: m.tier)
    yield fact("selection", _selection)
    suite = told_suite(old), told_suite(new)
    yield ManifestDifference("this suite", *(suite if suites_differ(old, new) else ("", "")))


def contents(old: Manifest, new: Manifest) -> Iterator[tuple[str, ManifestDifference]]:
    """What has other files on each side though its version is the same, by the name of its content.

    The suite itself is left out, and everything where one side doesn't say.
    """
    before, after = old.content or {}, new.content or {}
    for name in changed(before, after) if before and after else ():
        package = name.removeprefix(JUDGE)
        renewed = old.packages.get(package) != new.packages.get(package) and name != f"{JUDGE}numpy"
        if name != SUITE and not renewed:
            subject = not name.startswith(JUDGE) and name not in (START, COMPILED_BY)
            what = described(name, new.packages)
            yield name, ManifestDifference(what, short(before.get(name)), short(after.get(name)), subject)


def short(sha256: str | None) -> str:
    """The beginning of a sha256; a word in its place is shown as it is."""
    return _NONE if sha256 is None else sha256 if sha256 == UNSETTLED else sha256[:12]


def suites_differ(old: Manifest, new: Manifest) -> bool:
    """Whether two runs were made by other sources of this suite; by its commits where one doesn't say its content."""
    if old.content is None or new.content is None:
        return old.git_commit != new.git_commit
    return SUITE in changed(old.content, new.content)


def told_suite(manifest: Manifest) -> str:
    """The suite that made a run: its commit, and its sources where they are recorded."""
    sources = f"sources {short(manifest.content.get(SUITE))}" if manifest.content else ""
    return ", ".join(word for word in (manifest.git_commit, sources) if word) or _NONE


_Values = tuple[str, str]


def _settings(old: Manifest, new: Manifest) -> Iterator[ManifestDifference]:
    """Settings of frameworks and their profiles; those that changed alike, such as an instruction set in many places,
    as one.  What a setting is called may change with a version, and so may what is picked on the same processor under
    the same variables: such a one is no difference beside the package's."""
    defaults = _changed(old.settings, new.settings)
    changed: dict[_Values, dict[str, list[str]]] = {}
    for lane, names in _changed(old.conditions, new.conditions).items():
        of_default = defaults.get(lane.partition(" ")[0], {})
        for name, values in names.items():
            if lane in defaults or of_default.get(name) != values:
                changed.setdefault(values, {}).setdefault(lane, []).append(name)
    moved = any(old.packages.get(package) != new.packages.get(package) for package in SUBJECTS)
    alike_else = old.cpu == new.cpu and old.environment == new.environment
    for values, by_lane in changed.items():
        alike: dict[tuple[str, ...], list[str]] = {}
        for lane, names_of_lane in by_lane.items():
            alike.setdefault(tuple(names_of_lane), []).append(lane)
        for settings_alike, lanes in alike.items():
            what = f"{listing(settings_alike)} of {listing(lanes)}"
            follows = _NOT_REPORTED in values or (alike_else and all(map(is_picked, settings_alike)))
            yield ManifestDifference(what, *values, subject=moved and follows)


def _changed(old: dict[str, dict[str, str]], new: dict[str, dict[str, str]]) -> dict[str, dict[str, _Values]]:
    """Settings that differ, in each place that both have, with their values before and after."""
    found: dict[str, dict[str, _Values]] = {}
    for place in (place for place in old if place in new):
        before, after = old[place], new[place]
        for name in dict.fromkeys([*before, *after]):
            values = _told(before, name), _told(after, name)
            if values[0] != values[1]:
                found.setdefault(place, {})[name] = values
    return found


def _told(settings: dict[str, str], name: str) -> str:
    return settings[name] or _NONE if name in settings else _NOT_REPORTED


def _selection(manifest: Manifest) -> str:
    return "; ".join(f"{k}: {', '.join(v)}" for k, v in manifest.selection.items() if v) or "everything"


def notes(old: Stored, new: Stored, found: tuple[ManifestDifference, ...]) -> Iterator[str]:
    """Sentences on what the differences, and gaps in the runs, mean for the comparison."""
    subjects, others = any(d.subject for d in found), any(not d.subject for d in found)
    if subjects and others:
        yield "More than the packages under test differs, so a change need not come from them."
    elif others:
        yield "The packages under test are the same: what changed comes from the other differences."
    silent = [
        f"{name} ({run.path})" for name, run in (("OLD", old), ("NEW", new)) if not is_known(run.manifest.content)
    ]
    if not found and silent:
        yield (
            "Versions, machine, settings and flags are the same; what was measured is not recorded by content in "
            f"{listing(silent)}, so an edited file would not be noticed."
        )
    elif not found:
        yield "Packages, machine, settings and flags are the same: every cell should be identical."
    yield from _unmeasured(old, new)
    for name, run in (("OLD", old), ("NEW", new)):
        if not run.manifest.finished:
            yield f"{name} ({run.path}) is an incomplete run; 'measure' with the same options completes it."
        if not run.has_maxima:
            yield f"{name} ({run.path}) has no rows/maxima.jsonl: there is no paired test, only figures and verdicts."
        for reason, cells in Counter(lost.reason for lost in read_lost(run.path)).items():
            yield f"{name} could not measure {count(cells, 'cell')}: {reason}."


def _unmeasured(old: Stored, new: Stored) -> Iterator[str]:
    """What was not measured, once where that goes for both."""
    sides: dict[tuple[str, str], list[str]] = {}
    for side, run in (("OLD", old), ("NEW", new)):
        for missing in run.manifest.unmeasured:
            sides.setdefault((missing.name, missing.reason), []).append(side)
    for (name, reason), of in sides.items():
        where = "on either side" if len(of) == 2 else f"in {of[0]}"
        yield f"Not measured {where}: {reason if reason.startswith(name) else f'{name}: {reason}'}."
