"""Which cells were lost, in few lines: what can't be done at all, with the option that leaves it out, and the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from reports.measure.loop import Lost
from reports.measure.messages import say
from reports.measure.run import Outcome
from reports.run.reader import read_lost
from reports.run.records import Record
from reports.vocabulary import WORDS
from reports.wording import count, listing
from suites.plan.cell import Cell

# So many cells that were lost for one reason are named; more are counted.
_MOST_NAMED = 5

# What a kernel can be unable to do by its nature: fields of a cell, which are options too.
_NATURES = ("quantity", "format", "layout")


@dataclass(frozen=True)
class Inability:
    """Cells that were lost for what they ask: ``words`` of one field, of which no cell could be measured.

    ``left`` are the words of that field of which cells were.
    """

    field: str
    words: tuple[str, ...]
    left: tuple[str, ...]
    lost: tuple[Lost, ...]

    @property
    def text(self) -> str:
        """One line with the option that leaves the cells out."""
        names = list(dict.fromkeys(lost.cell.implementation for lost in self.lost))
        who = f"{names[0]} does" if len(names) == 1 else "the implementations do"
        reasons = Counter(lost.reason for lost in self.lost).most_common()
        others = f", and {count(len(reasons) - 1, 'other reason')}" if len(reasons) > 1 else ""
        what = listing(self.words) if self.field == "quantity" else f"{self.field} {listing(self.words)}"
        options = " ".join(f"--{self.field} {word}" for word in self.left)
        need, them = ("needs", "it") if len(self.lost) == 1 else ("need", "them")
        return (
            f"{count(len(self.lost), 'cell')} {need} {what}, which {who} not support "
            f"({reasons[0][0]}{others}); leave {them} out with {options}"
        )


def inabilities(lost: Iterable[Lost], measured: Iterable[Record]) -> list[Inability]:
    """What was refused wherever it was asked, the field that explains most cells first.

    A word of a field explains a cell that was refused if no cell with that word was measured.  Where several could
    explain the same cells, the one that explains most of them does.
    """
    refused = [cell for cell in lost if cell.refused and not cell.unsupported]
    kept = [record.cell for record in measured]
    if not kept:
        return []  # no option would leave anything
    left = {field: {getattr(cell, field) for cell in kept} for field in _NATURES}
    found: dict[str, list[str]] = {}
    explained: dict[str, list[Lost]] = {}
    while refused:
        by_word: dict[tuple[str, str], list[Lost]] = {}
        for one in refused:
            for field in _NATURES:
                if (word := getattr(one.cell, field)) not in left[field]:
                    by_word.setdefault((field, word), []).append(one)
        if not by_word:
            break
        (field, word), cells = max(by_word.items(), key=lambda item: len(item[1]))
        found.setdefault(field, []).append(word)
        explained.setdefault(field, []).extend(cells)
        refused = [one for one in refused if getattr(one.cell, field) != word]
    return [
        Inability(field, _in_order(field, words), _in_order(field, left[field]), tuple(explained[field]))
        for field, words in found.items()
    ]


def _in_order(field: str, words: Iterable[str]) -> tuple[str, ...]:
    chosen = set(words)
    return tuple(word for word in WORDS[field] if word in chosen)


def say_lost(outcome: Outcome) -> None:
    """Print which cells were lost, by what they have in common, and where there is more about it."""
    told = inabilities(outcome.lost, outcome.run.records)
    for inability in told:
        say(inability.text)
    explained = {lost.cell for inability in told for lost in inability.lost}
    by_reason: dict[tuple[str, str], list[Cell]] = {}
    unsupported: Counter[str] = Counter()
    for lost in outcome.lost:
        if lost.unsupported:
            unsupported[lost.reason] += 1
        elif lost.cell not in explained:
            by_reason.setdefault((lost.cell.profile, lost.reason), []).append(lost.cell)
    for reason, cells in unsupported.items():
        say(f"not supported by this version: {count(cells, 'cell')}: {reason}")
    for (profile, reason), cells_of_it in by_reason.items():
        for cell in cells_of_it[:_MOST_NAMED]:
            say(f"not measured: {cell.key}: {reason}")
        more = len(cells_of_it) - _MOST_NAMED
        if more > 0:
            say(f"not measured: {more} more cells of profile {profile}: {reason}")
    if any(lost.log for lost in read_lost(outcome.run.path)):
        say(f"{outcome.run.path / 'lost.jsonl'} has what the workers had printed")
