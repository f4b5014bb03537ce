"""The experiments of an audit: packages swapped in environments of their own, and versions halved over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

from reports.audit.environments import EnvironmentFailed, environment_of
from reports.audit.released import NotListed, released
from reports.audit.sides import AuditSide
from reports.causes.bisect import Bisection
from reports.causes.bits import evaluated
from reports.causes.causes import Causes, ExperimentEvidence, causes_of
from reports.causes.first_version import Bisecting, first_version, measured_cell
from reports.causes.swapping import Sides, Unresolvable, swapped
from reports.causes.view import ChangedPart, View
from reports.compare.comparison import Comparison
from reports.console.usage import UsageError
from reports.measure.messages import Say


@dataclass(frozen=True)
class Audited:
    """What an audit has made of requirements: both sides, and how it made them; ``place`` is its directory."""

    comparison: Comparison
    sides: tuple[AuditSide, AuditSide]
    python: str
    installer: str
    place: Path
    say: Say

    @property
    def log(self) -> Path:
        """What the installer prints of the environments between the two."""
        return self.place / f"causes-{self.installer}.log"

    @property
    def named(self) -> tuple[str, ...]:
        """The packages that the requirements of both sides name."""
        words = [word for side in self.sides for word in side.asked.split()]
        return tuple(dict.fromkeys(_name(word) for word in words))

    def build(self, versions: Mapping[str, str]) -> str:
        """The interpreter of an environment with these versions, kept like any other.  Raises Unresolvable."""
        text = " ".join(f"{name}=={version}" for name, version in versions.items())
        try:
            made = environment_of(text, python=self.python, log=self.log, installer=self.installer, say=self.say)
        except EnvironmentFailed as failure:
            raise Unresolvable(failure.reason) from None
        return str(made.interpreter)


def causes_of_audit(audit: Audited, *, swap: bool = True, bisect: str | None = None) -> Causes:
    """The causes that the two runs show, and with ``swap`` those that swapping shows; with ``bisect``, a cell, the
    first version in which it changed.

    Raises RunError, UsageError.
    """

    def experiment(view: View, parts: list[ChangedPart]) -> ExperimentEvidence:
        old, new = (side.interpreter for side in audit.sides)
        return swapped(view, parts, Sides(old, new), audit.build, evaluated, audit.say)

    found = causes_of(audit.comparison, experiment if swap else None)
    return replace(found, bisection=bisection_of_audit(bisect, audit)) if bisect else found


def bisection_of_audit(word: str, audit: Audited) -> Bisection:
    """The first version in which a cell has other bits.  Raises UsageError, RunError."""

    def known(package: str) -> tuple[str, ...]:
        try:
            return released(package, audit.sides[0].interpreter, audit.log)
        except NotListed as reason:
            raise UsageError(f"--bisect {word!r}: {reason}") from None

    lent = Bisecting(
        comparison=audit.comparison,
        named=audit.named,
        place=audit.place / "bisect",
        build=audit.build,
        released=known,
        measure=partial(measured_cell, tier=audit.comparison.new.manifest.tier),
        say=audit.say,
    )
    return first_version(word, lent)


def _name(requirement: str) -> str:
    """The package of ``name==1.0`` or of the path of a wheel, as the runs call it."""
    if requirement.endswith(".whl") and "@" not in requirement:
        name: str = parse_wheel_filename(Path(requirement).name)[0]
    else:
        name = canonicalize_name(Requirement(requirement).name)
    return name.replace("-", "_")
