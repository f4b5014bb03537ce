"""What became of a cell: a word and its reasons, from the facts of both sides and from the paired test of its rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from references.verdict.ladder import BELOW_STABLE, at_least, rank
from reports.compare.figures import Figures
from reports.wording import count, significant, whole
from suites.inputs import special
from suites.plan.cell import Cell

IDENTICAL = "identical"
CHANGED = "changed"
IMPROVED = "improved"
WORSE = "worse"
BROKEN = "broken"
ADDED = "added"
REMOVED = "removed"
NOT_COMPARABLE = "not comparable"

# In the order of a report: what stops an upgrade first.
WORDS = (BROKEN, WORSE, NOT_COMPARABLE, REMOVED, IMPROVED, CHANGED, ADDED, IDENTICAL)

# What was compared, and what has different bits.
COMPARED = (BROKEN, WORSE, IMPROVED, CHANGED, IDENTICAL)
DIFFERENT = (BROKEN, WORSE, IMPROVED, CHANGED)

# What few rows can show: the worst error grows by two binary digits against its bound, and it isn't one row alone.  In
# a single row that happens to a few of thousands of cells by chance; there it has to be four digits, in ulps too.
FACTOR = 4.0
ALONE = 16.0


@dataclass(frozen=True, slots=True)
class Rows:
    """How many rows' largest errors grew, shrank, stayed; ``decided``: chance is ruled out at the stated level.

    ``typical`` is the median of after / before over the rows that count.
    """

    grew: int
    shrank: int
    stayed: int
    typical: float
    p_value: float
    decided: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """A cell of both runs, or of one.  ``accepted`` is the reason of the entry that accepts the change."""

    cell: Cell
    word: str
    reasons: tuple[str, ...]
    old: Figures | None
    new: Figures | None
    rows: Rows | None = None
    accepted: str | None = None

    @property
    def both(self) -> tuple[Figures, Figures]:
        """The figures of a cell that both runs have."""
        assert self.old is not None
        assert self.new is not None
        return self.old, self.new

    @property
    def side(self) -> Figures:
        """The newer figures that there are."""
        found = self.new or self.old
        assert found is not None
        return found


def why_not_comparable(old: Figures, new: Figures) -> str | None:
    """Why the figures of two sides don't bear on each other, or None.  The old fingerprint may be shortened."""
    if not new.input_sha256.startswith(old.input_sha256):
        return "the inputs differ"
    if old.output_sha256 == new.output_sha256 and old.output_sha256:
        return None
    if old.flushes != new.flushes:
        before, after = ("flushed to zero" if side.flushes else "kept" for side in (old, new))
        return f"subnormal numbers were {before}, now they are {after}, which moves the bounds"
    return None


def word_of(
    cell: Cell, old: Figures, new: Figures, rows: Rows | None, allowed: str, *, figures: bool = True
) -> tuple[str, tuple[str, ...]]:
    """The word for two comparable sides with different bits, and its reasons; the worst word where they disagree.

    ``allowed`` is the lowest verdict that may be fallen to.  Without ``figures`` only outcomes and verdicts count, as
    between machines.
    """
    chosen = cell.family == special.FAMILY  # rows that are chosen one by one, not drawn
    rules: list[tuple[str, Callable[[Figures, Figures], bool], Callable[[Figures, Figures], str]]] = [
        (BROKEN, _more_off if chosen else _newly_off, _off_text),
        (BROKEN, lambda before, after: _fell(before, after) and not at_least(after.verdict, allowed), _verdicts),
        (WORSE, lambda before, after: _fell(before, after) and after.verdict in BELOW_STABLE, _verdicts),
        (WORSE, _off_by_factor, _off_text),
    ]
    figures = figures and not chosen
    if figures:
        more = None if rows is None else (rows.grew, rows.shrank)
        less = None if rows is None else (rows.shrank, rows.grew)
        rules.append((WORSE, lambda before, after: _grew(before, after, more if after is new else less), _ratio_text))
    found = []
    for word, applies, text in rules:
        if applies(old, new) or applies(new, old):
            found.append((word if applies(old, new) else IMPROVED, text(old, new)))
    if figures and rows is not None and rows.decided:
        found.append((WORSE if rows.grew > rows.shrank else IMPROVED, _rows_text(rows)))
    if not found:
        return CHANGED, () if old.verdict == new.verdict else (_verdicts(old, new),)
    found.sort(key=lambda pair: WORDS.index(pair[0]))
    return found[0][0], tuple(dict.fromkeys(text for _, text in found))


# -- rules: whether ``after`` is worse than ``before``; the other way round, whether it is better ---------------------


def _more_off(before: Figures, after: Figures) -> bool:
    return after.off > before.off


def _newly_off(before: Figures, after: Figures) -> bool:
    return after.off > 0 == before.off


def _off_by_factor(before: Figures, after: Figures) -> bool:
    """Where rounding errors decide which elements are off, one more or less is chance."""
    return after.off >= FACTOR * before.off > 0


def _fell(before: Figures, after: Figures) -> bool:
    return rank(after.verdict) < rank(before.verdict)


def _grew(before: Figures, after: Figures, moved: tuple[int, int] | None) -> bool:
    """A worst error that grew against its bound, to an ulp or more, and the ulps don't say the opposite.

    By FACTOR where two rows or more moved that way and fewer the other way (``moved``, None where it isn't known), by
    ALONE in ulps as well whatever the other rows did.
    """
    if before.bound_ratio is None or after.bound_ratio is None or before.max_ulp is None or after.max_ulp is None:
        return False
    if after.bound_ratio <= before.bound_ratio or after.max_ulp < max(1.0, before.max_ulp):
        return False
    if after.bound_ratio >= ALONE * before.bound_ratio and after.max_ulp >= ALONE * max(1.0, before.max_ulp):
        return True
    return after.bound_ratio >= FACTOR * before.bound_ratio and (moved is None or moved[0] > max(1, moved[1]))


# -- reasons in words ------------------------------------------------------------------------------------------------


def _off_text(old: Figures, new: Figures) -> str:
    return f"{count(new.off, 'element')} off the contract, {whole(old.off)} before"


def _verdicts(old: Figures, new: Figures) -> str:
    return f"verdict {old.verdict} → {new.verdict}"


def _ratio_text(old: Figures, new: Figures) -> str:
    before, after = significant(old.bound_ratio), significant(new.bound_ratio)
    return f"the worst error went from {before} to {after} of its bound"


def _rows_text(rows: Rows) -> str:
    way = "grew" if rows.grew > rows.shrank else "shrank"
    most, moved = max(rows.grew, rows.shrank), rows.grew + rows.shrank
    return f"the error {way} in {most} of the {moved} rows where it moved (p = {significant(rows.p_value, 1)})"
