"""What a comparison must not show: --fail-on in one value."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from references.vocabulary import VERDICTS
from reports.compare.evidence import Drift
from reports.compare.judgement import BROKEN, CHANGED, DIFFERENT, NOT_COMPARABLE, REMOVED, WORSE, Change
from reports.vocabulary import LEVELS, known
from suites.known_defects import REQUIRED

# From the strictest; each fails on what the next ones fail on, too.
_FAILING: dict[str, tuple[str, ...]] = {CHANGED: DIFFERENT, WORSE: (WORSE, BROKEN), BROKEN: (BROKEN,)}


@dataclass(frozen=True)
class Demand:
    """The words that fail, and the verdict below which a cell that falls is broken."""

    level: str = WORSE
    allowed: str = REQUIRED

    def fails(self, change: Change) -> bool:
        return change.accepted is None and change.word in _FAILING[self.level]

    def fails_drift(self, drift: Drift) -> bool:
        if drift.accepted is not None or self.level == BROKEN:
            return False
        return drift.grows or self.level == CHANGED

    @staticmethod
    def leaves_open(change: Change) -> bool:
        """Whether a cell is left without an answer that it had before."""
        return change.accepted is None and change.word in (REMOVED, NOT_COMPARABLE)


def demand_of(words: Iterable[str]) -> Demand:
    """The demand of --fail-on, given any number of times: the strictest level, the highest verdict.

    A verdict alone fails only where a cell falls below it, or off its contract.  Raises UsageError.
    """
    words = known("--fail-on", words)
    levels = [word for word in words if word in LEVELS]
    verdicts = [word for word in words if word in VERDICTS]
    usual = BROKEN if verdicts else WORSE
    return Demand(
        level=min(levels, key=LEVELS.index, default=usual),
        allowed=max(verdicts, key=VERDICTS.index, default=REQUIRED),
    )
