"""A comparison in lines for the terminal: what differs, the sign-offs, what fails, and the sentence over all."""

from __future__ import annotations

from collections.abc import Iterator

from reports.causes.causes import Causes
from reports.compare.comparison import Comparison
from reports.comparison_pages import causes as shown
from reports.comparison_pages.page import drift_text, line_of, replay_line
from reports.wording import whole

# Failing cells shown; the pages have more.
_MOST_FAILING = 10


def lines(comparison: Comparison, causes: Causes) -> Iterator[str]:
    """The lines, the sentence over all last."""
    for difference in comparison.differences:
        yield f"{difference.what}: {difference.old} → {difference.new}"
    yield from comparison.notes
    yield ""
    yield from (group.sentence for group in comparison.groups)
    yield ""
    yield from _failing(comparison)
    yield from shown.lines(causes)
    yield from (f"--allow: {problem}" for problem in comparison.problems)
    yield comparison.sentence


def _failing(comparison: Comparison) -> Iterator[str]:
    failing = comparison.failing
    for change in failing[:_MOST_FAILING]:
        yield f"{change.word}: {change.cell.key}"
        line = line_of(change, comparison)
        yield f"    {line.reasons or 'other bits'}"
        yield f"    max {line.max_ulp} ulp; p99 {line.p99_ulp}; bias {line.bias_ulp}; {line.bound_ratio} of the bound"
        yield f"    {replay_line(change, comparison)}"
    if len(failing) > _MOST_FAILING:
        yield f"and {whole(len(failing) - _MOST_FAILING)} more; --markdown, --html and --json have them"
    for drift in comparison.failing_drifts:
        yield f"drift: {drift_text(drift)}"
