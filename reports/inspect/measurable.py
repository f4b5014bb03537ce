"""Which implementations can be evaluated in this process, and why the others can't."""

from __future__ import annotations

from reports.run.records import Unmeasured
from suites.implementations.catalogue import Implementation, why_not_measured, why_skipped


def measurable(implementations: list[Implementation]) -> tuple[list[Implementation], list[Unmeasured]]:
    """Those that can, and a reason for each framework, or single implementation, that can't."""
    missing = {}
    for i in implementations:
        reason = why_not_measured(i.framework)
        if reason:
            missing[i.framework] = Unmeasured(i.framework, reason)
        elif (reason := why_skipped(i)) is not None:
            missing[i.name] = Unmeasured(i.framework, reason, implementation=i.name)
    present = [i for i in implementations if i.framework not in missing and i.name not in missing]
    return present, list(missing.values())
