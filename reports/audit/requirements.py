"""What is asked of one side of an audit: ``"numpy==1.26.4 scipy==1.13.1"``, read into requirements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import Version

from reports.console.usage import UsageError
from suites.implementations.catalogue import FRAMEWORKS, framework_named


@dataclass(frozen=True)
class Requirements:
    """One side of an audit.

    ``lines`` are what the installer is given: what was asked for, and NumPy, which every worker needs.  ``frameworks``
    are those among them that were named, in the order of the catalogue.  ``pinned``: every line that was asked for
    names one version, so that the same words mean the same tomorrow.
    """

    text: str
    lines: tuple[str, ...]
    frameworks: tuple[str, ...]
    pinned: bool


def requirements_of(text: str) -> Requirements:
    """Read requirements that are separated by spaces: of PEP 508 without spaces in them, or the paths of wheels.

    Raises UsageError for what is no requirement, for a package that is named twice, and where no framework is named.
    """
    found: dict[str, Requirement] = {}
    for word in text.split():
        requirement = _requirement(word, text)
        name = canonicalize_name(requirement.name)
        if name in found:
            raise UsageError(f"{text!r} names {name} twice; give one requirement for each package")
        found[name] = requirement
    frameworks = tuple(name for name in FRAMEWORKS if name in found)
    if not frameworks:
        known = ", ".join(FRAMEWORKS)
        raise UsageError(f"{text!r} names no framework; give a requirement for one of {known}, such as numpy==2.4.6")
    lines = [str(requirement) for requirement in found.values()]
    if "numpy" not in found:
        lines.append(_numpy(found, frameworks))
    return Requirements(text, tuple(sorted(lines)), frameworks, all(_version(r) for r in found.values()))


def _requirement(word: str, text: str) -> Requirement:
    if word.endswith(".whl") and "@" not in word:
        return _wheel(Path(word))
    try:
        return Requirement(word)
    except InvalidRequirement:
        raise UsageError(
            f"{word!r} in {text!r} is no requirement; write NAME==VERSION, several separated by spaces, none within one"
        ) from None


def _wheel(path: Path) -> Requirement:
    try:
        name = parse_wheel_filename(path.name)[0]
    except InvalidWheelFilename:
        raise UsageError(f"{path} is not named as a wheel is; give NAME-VERSION-TAGS.whl") from None
    if not path.is_file():
        raise UsageError(f"{path} is not there; give the path of a wheel, or NAME==VERSION")
    return Requirement(f"{name} @ {path.resolve().as_uri()}")


def _version(requirement: Requirement | None) -> Version | None:
    """The one version that a requirement allows; None if it allows others, or says where to find it instead."""
    specifiers = list(requirement.specifier) if requirement else []
    if len(specifiers) != 1 or specifiers[0].operator != "==" or specifiers[0].version.endswith("*"):
        return None
    return Version(specifiers[0].version)


def _numpy(found: Mapping[str, Requirement], frameworks: tuple[str, ...]) -> str:
    """The requirement for NumPy that all of these frameworks can work with."""
    versions = {name: _version(found[name]) for name in frameworks}
    wanted = [framework_named(name).numpy(str(v) if v else None) for name, v in versions.items()]
    return "numpy" + ",".join(sorted(set(filter(None, wanted))))
