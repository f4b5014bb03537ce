"""The first released version in which a cell has other bits, found by halving over the versions in between."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from packaging.version import Version


class Unmeasurable(Exception):
    """A version that can't be installed, or in which the cell can't be measured; the message is the reason."""


@dataclass(frozen=True)
class BisectionStep:
    """A version that was looked at: the fingerprint of the cell's output and its figures in words, or why not.

    ``packages`` are those of its environment.
    """

    version: str
    output_sha256: str | None
    figures: str
    reason: str = ""
    packages: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Bisection:
    """What halving has found.

    ``last`` is the last version with the old bits and ``first`` the first with others, of those that can be measured;
    ``skipped`` are the versions between the two that can't.  ``steps`` are in the order in which they were taken;
    ``several``: the bits changed again between ``first`` and the newest version.  ``because``: of several packages that
    moved between the two, which it was.
    """

    package: str
    cell: str
    versions: tuple[str, ...]
    steps: tuple[BisectionStep, ...]
    last: str
    first: str
    skipped: tuple[str, ...]
    several: bool
    because: str = ""

    @property
    def in_order(self) -> tuple[BisectionStep, ...]:
        """The steps from the old version to the new one."""
        return tuple(step for version in self.versions for step in self.steps if step.version == version)

    @property
    def sentence(self) -> str:
        """What was found, in one sentence."""
        text = f"{self.cell}: other bits first in {self.package} {self.first}; {self.last} still has the old ones"
        if self.skipped:
            text += f"; not measurable between the two: {', '.join(self.skipped)}"
        if self.several:
            text += "; they change again after it"
        return f"{text}; {self.because}." if self.because else f"{text}."

    def step(self, version: str) -> BisectionStep:
        """The step of a version that was looked at."""
        return next(step for step in self.steps if step.version == version)


def between(versions: tuple[str, ...], old: str, new: str) -> tuple[str, ...]:
    """The versions from ``old`` to ``new``, in that direction, both among them whether or not they are listed."""
    low, high = sorted((Version(old), Version(new)))
    inner = [v for v in versions if low < Version(v) < high]
    way = [str(v) for v in inner]
    return (old, *(way if Version(old) == low else way[::-1]), new)


# A version -> a step of it.  Raises Unmeasurable.
Measure = Callable[[str], BisectionStep]


def bisected(
    package: str, cell: str, versions: Sequence[str], measure: Measure, say: Callable[[str], None]
) -> Bisection | None:
    """Halve over ``versions``, the old one first and the new one last; None where these two have the same bits.

    Of several changes it finds one before which the old bits stand: what was not measured before it is taken to have
    them.  Each version is measured once, and ``say`` prints it.  Raises Unmeasurable for the first or the last.
    """
    steps: dict[str, BisectionStep] = {}

    def taken(version: str) -> BisectionStep:
        step = measure(version)
        steps[version] = step
        return step

    old, new = taken(versions[0]), taken(versions[-1])
    for step in (old, new):
        say(f"{package} {step.version}: {_told(step, old)}")
    if old.output_sha256 == new.output_sha256:
        return None
    low, high = 0, len(versions) - 1
    lost: set[int] = set()
    while (number := _middle(low, high, lost)) is not None:
        try:
            step = taken(versions[number])
        except Unmeasurable as reason:
            lost.add(number)
            steps[versions[number]] = BisectionStep(versions[number], None, "", str(reason))
            say(f"{package} {versions[number]}: not measurable: {reason}")
            continue
        if step.output_sha256 == old.output_sha256:
            low = number
        else:
            high = number
        left = high - low - 1
        say(f"{package} {step.version}: {_told(step, old)}; {left} version{'s' if left != 1 else ''} left")
    first = steps[versions[high]]
    return Bisection(
        package=package,
        cell=cell,
        versions=tuple(versions),
        steps=tuple(steps.values()),
        last=versions[low],
        first=versions[high],
        skipped=tuple(versions[n] for n in sorted(lost) if low < n < high),
        several=first.output_sha256 != new.output_sha256,
    )


def _middle(low: int, high: int, lost: set[int]) -> int | None:
    """The measurable version nearest to the middle of those strictly between, None if there is none left."""
    left = [number for number in range(low + 1, high) if number not in lost]
    return min(left, key=lambda number: (abs(2 * number - low - high), number)) if left else None


def _told(step: BisectionStep, old: BisectionStep) -> str:
    bits = "the old bits" if step.output_sha256 == old.output_sha256 else "other bits"
    return f"{bits} ({step.figures})"
