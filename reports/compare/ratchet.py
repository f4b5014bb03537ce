"""The ratchet: a cell that was measured just now must not be worse than the baseline, and better ones are listed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property

import numpy as np

from reports.compare.baseline import Baseline
from reports.compare.evidence import ALIKE, LEVEL
from reports.compare.figures import Figures
from reports.compare.judgement import (
    ADDED,
    BROKEN,
    COMPARED,
    IDENTICAL,
    IMPROVED,
    NOT_COMPARABLE,
    WORSE,
    Change,
    Rows,
    why_not_comparable,
    word_of,
)
from reports.compare.pairing import Maxima
from reports.compare.statistics import level_of_each, sign_test, signs_of
from reports.run.records import MOST_ROWS, lane_name
from reports.wording import count, significant, whole
from suites.plan.cell import Cell, Selection
from suites.printable import printable

# Cells of one kind that the end of a session names.
_MOST_NAMED = 20

# Implementations that a baseline is said to be of, where it is of others than the session.
_FEW = 5


class WorseThanBaseline(AssertionError):
    """A cell is worse than the baseline that it is held against."""


class Ratchet:
    """A baseline, the cells that a session holds against it, and the conditions under which they are measured now.

    The paired test of a cell's rows, where the baseline keeps them, has the level of a comparison, divided among the
    cells of the session that could reject at all.
    """

    def __init__(
        self, baseline: Baseline, allowed: str, planned: Iterable[Cell], here: Callable[[str, str], str]
    ) -> None:
        """``here`` gives the conditions under which a framework is measured now in a profile."""
        self.baseline, self.allowed, self.planned, self._here = baseline, allowed, list(planned), here
        self._same: dict[tuple[str, str], bool] = {}

    @cached_property
    def _level(self) -> float:
        sides = [self.baseline.sides.get(cell.key) for cell in self.planned if cell.family not in ALIKE]
        return level_of_each([len(side.maxima) for side in sides if side and side.maxima], LEVEL / 2)

    def same_conditions(self, framework: str, profile: str) -> bool:
        """Whether figures measured now can be held against those of the baseline."""
        lane = framework, profile
        if lane not in self._same:
            self._same[lane] = self.baseline.measured_on.get(lane_name(*lane)) == self._here(*lane)
        return self._same[lane]

    def held(self, cell: Cell, figures: Figures, maxima: Maxima) -> Change:
        """The cell's change from the baseline; ``added`` where that doesn't have it."""
        side = self.baseline.sides.get(cell.key)
        if side is None:
            return Change(cell, ADDED, (), None, figures)
        old = side.figures
        reason = why_not_comparable(old, figures)
        if reason:
            return Change(cell, NOT_COMPARABLE, (reason,), old, figures)
        if old.output_sha256 == figures.output_sha256:
            return Change(cell, IDENTICAL, (), old, figures)
        same = self.same_conditions(figures.framework, cell.profile)
        rows = self._rows(cell, side.maxima, maxima) if same and side.maxima else None
        word, reasons = word_of(cell, old, figures, rows, self.allowed, figures=same)
        return Change(cell, word, reasons, old, figures, rows)

    def _rows(self, cell: Cell, before: Maxima, after: Maxima) -> Rows:
        signs = signs_of(np.array([before], float), np.array([after[:MOST_ROWS]], float))
        (grew,), (shrank,), (stayed,) = signs.grew.tolist(), signs.shrank.tolist(), signs.stayed.tolist()
        ratios, p_value = signs.ratios[~np.isnan(signs.ratios)], sign_test(grew, shrank)
        typical = float(np.median(ratios)) if ratios.size else float("nan")
        return Rows(grew, shrank, stayed, typical, p_value, cell.family not in ALIKE and p_value <= self._level)

    def unmeasured(self, selection: Selection) -> list[str]:
        """The keys of the baseline that a selection of its own tier asks for and the session doesn't have."""
        if selection.tier != self.baseline.tier:
            return []
        planned, names = {cell.key for cell in self.planned}, {cell.implementation for cell in self.planned}
        wanted = (key for key, side in self.baseline.sides.items() if selection.has(side.cell))
        return [key for key in wanted if key not in planned and self.baseline.sides[key].cell.implementation in names]


def failure(change: Change, ratchet: Ratchet) -> str:
    """What a failed test says."""
    old, new = change.both
    lines = (
        f"{change.cell.key} is {change.word}, held against {ratchet.baseline.path}: {'; '.join(change.reasons)}",
        f"  verdict {old.verdict} → {new.verdict}; largest error "
        f"{significant(old.max_ulp)} → {significant(new.max_ulp)} ulp, "
        f"{significant(old.bound_ratio)} → {significant(new.bound_ratio)} of the bound",
        f"  worst: {new.worst}",
    )
    return "\n".join(map(printable, lines))


# -- what is said at the end -----------------------------------------------------------------------------------------


class SessionSummary:
    """What the tests of a session said of their cells; it crosses process borders as text."""

    def __init__(self) -> None:
        self.by_word: dict[str, list[str]] = {}
        self.elsewhere: set[str] = set()
        self.changed_inputs: Counter[str] = Counter()

    @staticmethod
    def text(change: Change, ratchet: Ratchet) -> str:
        lane = change.side.framework, change.cell.profile
        line = f"{change.cell.key}: {'; '.join(change.reasons)}" if change.reasons else change.cell.key
        told = change.word, line, lane_name(*lane), ratchet.same_conditions(*lane), changed_input(change)
        return json.dumps(told)

    def add(self, text: str) -> None:
        word, line, lane, same, changed = json.loads(text)
        self.by_word.setdefault(word, []).append(line)
        if not same:
            self.elsewhere.add(lane)
        if changed:
            self.changed_inputs[changed] += 1

    @property
    def held(self) -> int:
        """How many cells were held against theirs of the baseline."""
        return sum(len(self.by_word.get(word, ())) for word in COMPARED)

    def lines(self, ratchet: Ratchet, selection: Selection) -> Iterator[str]:
        """The summary of a session: what is better, and what the baseline doesn't hold."""
        path = ratchet.baseline.path
        worse = len(self.by_word.get(WORSE, ())) + len(self.by_word.get(BROKEN, ()))
        if self.held:
            yield f"{count(self.held, 'cell')} held against {path}: {whole(worse)} worse"
        else:
            yield f"nothing was compared with {path}: {self._why_nothing(ratchet)}"
            yield "the session fails for it, as 'compare' leaves with 4"
        for lane in sorted(self.elsewhere):
            where = ratchet.baseline.measured_on.get(lane) or "unknown"
            yield f"{lane}: only outcomes and verdicts, for the figures are those of another machine: {where}"
        changed = [f"{name}: {count(cells, 'cell')}" for name, cells in sorted(self.changed_inputs.items())]
        kinds = (
            (f"{count(len(changed), 'input')} changed since the baseline was made", changed),
            *(
                (f"{count(len(lines), 'cell')} {meaning}", lines)
                for meaning, lines in (
                    (f"too loose: better now; 'baseline RUN --out {path}' renews it", self.by_word.get(IMPROVED, [])),
                    ("not held, and the baseline needs to be renewed", self.by_word.get(NOT_COMPARABLE, [])),
                    ("not in the baseline", self.by_word.get(ADDED, [])),
                    ("in the baseline and not measured any more", ratchet.unmeasured(selection)),
                )
            ),
        )
        for meaning, lines in kinds:
            if lines:
                yield f"{meaning}:"
                yield from (f"  {line}" for line in lines[:_MOST_NAMED])
                if len(lines) > _MOST_NAMED:
                    yield f"  and {whole(len(lines) - _MOST_NAMED)} more"

    def _why_nothing(self, ratchet: Ratchet) -> str:
        """Why no cell was held, by what the tests reported."""
        sides = ratchet.baseline.sides
        if not sides:
            return "it has no cell"
        if not any(cell.key in sides for cell in ratchet.planned):
            names = sorted({side.cell.implementation for side in sides.values()})
            more = f" and {whole(len(names) - _FEW)} more" if len(names) > _FEW else ""
            return f"it has no cell of this session; it is of {', '.join(names[:_FEW])}{more}"
        if not self.by_word:
            return "the session measured no cell"
        if NOT_COMPARABLE not in self.by_word:
            return "the cells that the session measured are not in it"
        return "no cell of it can be compared any more; make it anew"


def changed_input(change: Change) -> str:
    """The name of a cell's input, format/family/row length, where the baseline has another of that name; or nothing."""
    if change.old is None or change.new is None or change.new.input_sha256.startswith(change.old.input_sha256):
        return ""
    return f"{change.cell.format}/{change.cell.family}/{change.cell.row_length}"
