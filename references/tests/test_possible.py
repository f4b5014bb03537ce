"""The verdicts that the figures of a cell allow, by hand; judged outputs are in suites/tests/test_judged_figures.py."""

from __future__ import annotations

from dataclasses import replace

import pytest

from references.formats import BINARY16, BINARY32
from references.verdict.errors import OUTCOMES
from references.verdict.possible import CellFigures, possible_verdicts
from references.vocabulary import NOT_APPLICABLE, VERDICTS

FIGURES = CellFigures(BINARY32, 10, {}, 0.5, 0, None, 0.5, 0.5, 0.75, 0, "ordinary", 0.5)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ["accurate"]),
        ({"rows_without_bound": None}, ["n/a", "accurate"]),
        ({"rows_without_bound": 1}, ["n/a"]),
        ({"bound_ratio": None}, ["n/a"]),
        ({"bound_ratio": None, "conditioning_ratio": None, "correctly_rounded_share": 1.0}, ["correctly rounded"]),
        ({"conditioning_ratio": 1.5}, ["stable", "accurate"]),
        ({"conditioning_ratio": 2.5}, ["stable"]),
        ({"conditioning_ratio": None}, ["stable"]),
        ({"faithful_share": 1.0}, ["faithful"]),
        ({"faithful_share": 1.0, "correctly_rounded_share": 1.0}, ["correctly rounded"]),
        ({"bound_ratio": 1.5}, ["unstable"]),
        ({"bound_ratio": None, "infinite_ratios": 1}, ["unstable"]),
        ({"format": BINARY16, "bound_ratio": 1.5, "storage_ratio": 0.9}, ["storage-stable"]),
        ({"format": BINARY16, "bound_ratio": 1.5, "storage_ratio": 1.1}, ["unstable"]),
        ({"format": BINARY16, "bound_ratio": None, "infinite_ratios": 1, "storage_ratio": None}, ["unstable"]),
    ],
)
def test_what_figures_allow(changes: dict[str, object], words: list[str]) -> None:
    assert list(possible_verdicts(replace(FIGURES, **changes))) == words  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "outcome", [o for o in OUTCOMES if o not in ("ordinary", "underflow", "flipped", "infinite_for_finite")]
)
def test_an_outcome_that_is_always_wrong_allows_nothing_else(outcome: str) -> None:
    assert possible_verdicts(replace(FIGURES, outcomes={outcome: 1})) == ("wrong",)


def test_every_word_is_possible_somewhere() -> None:
    assert {*VERDICTS, NOT_APPLICABLE} == {
        word
        for changes in (
            {},
            {"outcomes": {"nan_for_number": 1}},
            {"bound_ratio": 2.0},
            {"format": BINARY16, "bound_ratio": 2.0, "storage_ratio": 1.0},
            {"rows_without_bound": 2},
            {"conditioning_ratio": 3.0},
            {"faithful_share": 1.0},
            {"correctly_rounded_share": 1.0},
        )
        for word in possible_verdicts(replace(FIGURES, **changes))
    }
