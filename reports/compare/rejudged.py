"""Equal bits judged twice: whether it was by the same judge, and then whether the figures are the same."""

from __future__ import annotations

import math

from reports.compare.figures import REST, Figures
from reports.run.records import Manifest

# The part of a run's content that judges, and the packages that the judge computes with.
_SUITE = "suite"
_PACKAGES = ("mpmath", "gmpy2")

# What sums in another order may change of a figure.
_ROOM = 1e-9

_FIGURES = ("verdict", "max_ulp", "bound_ratio", "storage_ratio", "outcomes", "p99_ulp", "bias_ulp")


def same_judge(old: Manifest, new: Manifest) -> bool:
    """Whether two runs were judged by the same version of this suite: by its content, else by its commit.

    A commit with changes beside it may be any version.
    """
    if old.content is not None and new.content is not None:
        return old.content.get(_SUITE) == new.content.get(_SUITE)
    packages = all(old.packages.get(name) == new.packages.get(name) for name in _PACKAGES)
    return packages and old.git_commit == new.git_commit and not (old.git_commit or "").endswith("-dirty")


def other_figure(old: Figures, new: Figures) -> str | None:
    """The first figure that two judgements of the same bits can't both be right about."""
    found = next((name for name in _FIGURES if not _same(getattr(old, name), getattr(new, name), old)), None)
    if found is None and old.worst and new.worst and old.worst != new.worst:
        return "worst"
    if found is None and old.rest and new.rest:
        pairs = zip(REST, old.rest, new.rest, strict=True)
        return next((name for name, before, after in pairs if not _same(before, after, old)), None)
    return found


def _same(old: object, new: object, of: Figures) -> bool:
    if isinstance(old, float) and isinstance(new, float):
        largest = of.max_ulp or 0.0  # a mean may be nothing but what its terms leave
        return old == new or math.isclose(old, new, rel_tol=_ROOM, abs_tol=_ROOM * min(largest, 1.0))
    return old == new
