"""Known defects: the loader names what it can't understand; an entry notices each way of being true no more."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import Any

import pytest

from references.verdict.ladder import at_least
from references.vocabulary import QUANTITIES, VERDICTS
from suites.implementations.catalogue import CATALOGUE, FRAMEWORKS
from suites.inputs import special
from suites.known_defects import (
    REQUIRED,
    Defect,
    DefectError,
    Failing,
    defect_of,
    fingerprint,
    known_defects,
)
from suites.plan.cell import Cell
from suites.vocabulary import FAMILIES, FORMATS, LAYOUTS
from suites.worker.environment import profile_text

ENTRY = """
[[defect]]
id = "order-b"
title = "x - (max + log(sum)) loses the log-sum"
law = "P2"
issue = "https://example.org/1"
framework = "torch"
versions = ">=2.1,<3"
implementation = ["torch/eager", "torch/log-of-softmax"]
operation = "log_softmax"
row_length = [2, 9]
profile = "a processor; AVX512"
verdict = "unstable"
bound_ratio = [2.5, 80.0]
cells = 2
fingerprint = "0123456789ab"
"""

PROFILE = "a processor; AVX512"
CELL = Cell("torch/eager", "default", "log_softmax", "forward", "binary32", "last", "offset", 9)
OTHER = Cell("torch/eager", "default", "log_softmax", "forward", "binary64", "last", "offset", 2)


def loaded(folder: Path, text: str) -> tuple[Defect, ...]:
    file = folder / "defects.toml"
    file.write_text(text, encoding="utf-8")
    return known_defects(file)


# -- the loader ------------------------------------------------------------------------------------------------------


def test_an_entry_is_read_with_single_names_as_lists(tmp_path: Path) -> None:
    (defect,) = loaded(tmp_path, ENTRY)
    assert defect.id == "order-b"
    assert defect.bound_ratio == (2.5, 80.0)
    assert defect.selectors == {
        "implementation": ("torch/eager", "torch/log-of-softmax"),
        "operation": ("log_softmax",),
        "row_length": ("2", "9"),
    }
    assert defect.issue == "https://example.org/1"


def test_an_entry_needs_no_upstream_issue_and_may_have_no_finite_ratio(tmp_path: Path) -> None:
    text = ENTRY.replace('issue = "https://example.org/1"\n', "").replace("80.0]", "inf]")
    (defect,) = loaded(tmp_path, text)
    assert defect.issue is None
    assert defect.bound_ratio == (2.5, math.inf)


def test_a_file_without_entries_knows_no_defects(tmp_path: Path) -> None:
    assert loaded(tmp_path, "# nothing yet\n") == ()


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('title = "x - (max + log(sum)) loses the log-sum"\n', "", "title"),
        ("cells = 2\n", "", "cells"),
        ("bound_ratio = [2.5, 80.0]\n", "", "bound_ratio"),
        ("[2.5, 80.0]", "[2.5]", "not enough values"),
        ("[2.5, 80.0]", "2.5", "not enough values"),
        ("[2.5, 80.0]", '["low", "high"]', "could not convert"),
        ("[2.5, 80.0]", "[nan, 80.0]", "a range"),
        ("[2.5, 80.0]", "[2.5, nan]", "a range"),
        ("[2.5, 80.0]", "[80.0, 2.5]", "a range"),
        (">=2.1,<3", "about 2", "about 2"),
        ('versions = ">=2.1,<3"\n', "", "versions"),
        ('"unstable"', '"horrible"', "a verdict"),
        ("law =", "lore =", "lore"),
        ("implementation =", "implementations =", "implementations"),
        ('implementation = ["torch/eager", "torch/log-of-softmax"]\n', "", "an implementation"),
    ],
)
def test_an_entry_that_makes_no_sense_is_named_in_one_line(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    assert old in ENTRY
    with pytest.raises(DefectError) as caught:
        loaded(tmp_path, ENTRY.replace(old, new, 1))
    message = str(caught.value)
    assert "\n" not in message
    assert "entry 'order-b'" in message
    assert complaint in message
    assert str(tmp_path / "defects.toml") in message


def test_an_entry_without_an_id_is_named_by_its_number(tmp_path: Path) -> None:
    with pytest.raises(DefectError, match="entry 'number 2' is not understood: .*'id'"):
        loaded(tmp_path, ENTRY + ENTRY.replace('id = "order-b"\n', ""))


def test_two_entries_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DefectError, match="two entries are called 'order-b'"):
        loaded(tmp_path, ENTRY + ENTRY)


@pytest.mark.parametrize("header", ["[defect]", "[[defects]]"])
def test_a_misspelt_header_does_not_lose_the_entry(tmp_path: Path, header: str) -> None:
    with pytest.raises(DefectError, match=r"^[^\n]*defects.toml[^\n]*\[\[defect\]\][^\n]*$"):
        loaded(tmp_path, ENTRY.replace("[[defect]]", header))


@pytest.mark.parametrize("text", ["[[defect]", "id = ", "\x00"])
def test_a_file_that_is_no_toml_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    with pytest.raises(DefectError, match=r"^[^\n]*defects.toml can't be read: [^\n]*$"):
        loaded(tmp_path, text)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DefectError, match="nowhere.toml can't be read"):
        known_defects(tmp_path / "nowhere.toml")


# -- what the project ships ------------------------------------------------------------------------------------------


def test_the_shipped_entries_are_understood_and_select_what_exists() -> None:
    known: dict[str, Any] = {
        "implementation": CATALOGUE,
        "operation": ("softmax", "log_softmax"),
        "quantity": QUANTITIES,
        "format": FORMATS,
        "layout": LAYOUTS,
        "family": (*FAMILIES, special.FAMILY),
    }
    for defect in known_defects():
        assert defect.framework in FRAMEWORKS
        assert not at_least(defect.verdict, REQUIRED)
        for selector, names in defect.selectors.items():
            for name in names:
                assert name in known.get(selector, (name,)), f"{defect.id}: {selector} {name}"
        assert {CATALOGUE[name].framework for name in defect.selectors["implementation"]} == {defect.framework}


def test_the_required_verdict_is_one_of_the_ladder() -> None:
    assert REQUIRED in VERDICTS


# -- selecting -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("candidate", "selected"),
    [
        (CELL, True),
        (OTHER, True),
        (Cell("torch/eager", "default", "softmax", "forward", "binary32", "last", "offset", 9), False),
        (Cell("jax/jit", "default", "log_softmax", "forward", "binary32", "last", "offset", 9), False),
        (Cell("torch/eager", "default", "log_softmax", "forward", "binary32", "last", "offset", 1000), False),
    ],
)
def test_an_entry_selects_the_cells_that_every_list_names(tmp_path: Path, candidate: Cell, selected: bool) -> None:
    (defect,) = loaded(tmp_path, ENTRY)
    assert defect.selects(candidate) == selected


@pytest.mark.parametrize(
    ("version", "applies"),
    [("2.1.0", True), ("2.13.0+cpu", True), ("2.9.0rc1", True), ("2.0.1", False), ("3.0", False)],
)
def test_an_entry_speaks_of_a_range_of_versions(tmp_path: Path, version: str, applies: bool) -> None:
    (defect,) = loaded(tmp_path, ENTRY)
    assert defect.applies_to(version) == applies


@pytest.mark.parametrize(
    ("version", "applies", "figures"), [("2.1.0", True, True), ("2.0.1", True, False), ("1.9", False, False)]
)
def test_an_entry_may_speak_of_versions_that_it_has_no_figures_of(
    tmp_path: Path, version: str, applies: bool, figures: bool
) -> None:
    (defect,) = loaded(tmp_path, ENTRY.replace('versions = ">=2.1,<3"', 'versions = ">=2.1,<3"\nalso = ">=2,<2.1"'))
    assert (defect.applies_to(version), defect.has_figures_of(version)) == (applies, figures)


def test_the_first_entry_that_fits_cell_and_version_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = loaded(tmp_path, ENTRY.replace(">=2.1,<3", "<2.1").replace('"order-b"', '"old"') + ENTRY)
    monkeypatch.setattr("suites.known_defects.known_defects", lambda: entries)
    found = [defect_of(CELL, version) for version in ("2.0", "2.13.0+cpu", "3.1")]
    assert [defect and defect.id for defect in found] == ["old", "order-b", None]
    assert defect_of(Cell("scipy", "default", "softmax", "forward", "binary32", "last", "equal", 2), "2.13") is None


def test_a_fingerprint_stands_for_a_set_of_cells_in_any_order() -> None:
    both = hashlib.sha256(f"{CELL.key}\n{OTHER.key}".encode()).hexdigest()[:12]
    if CELL.key > OTHER.key:
        both = hashlib.sha256(f"{OTHER.key}\n{CELL.key}".encode()).hexdigest()[:12]
    assert fingerprint([CELL, OTHER]) == fingerprint([OTHER, CELL]) == both
    assert fingerprint([CELL]) != both


def test_a_profile_shows_processor_instruction_set_and_what_is_set() -> None:
    assert profile_text({"threads": "1", "XLA_FLAGS": ""}, "AVX2", "a processor") == "a processor; AVX2; threads 1"


# -- contradictions --------------------------------------------------------------------------------------------------

AS_RECORDED = [Failing(CELL, "unstable", 80.0), Failing(OTHER, "unstable", 2.5)]


def recorded(folder: Path) -> Defect:
    """The entry as measured on AS_RECORDED."""
    return loaded(folder, ENTRY.replace("0123456789ab", fingerprint(f.cell for f in AS_RECORDED)))[0]


@pytest.mark.parametrize("complete", [True, False])
def test_what_was_recorded_contradicts_nothing(tmp_path: Path, complete: bool) -> None:
    assert recorded(tmp_path).contradictions(AS_RECORDED, PROFILE, complete=complete) == []


def test_a_defect_that_is_mended_is_noticed(tmp_path: Path) -> None:
    for profile in (PROFILE, "another processor"):
        (told,) = recorded(tmp_path).contradictions([], profile, complete=True)
        assert told == "order-b: no cell fails any more; remove the entry"


def test_a_selection_of_cells_in_which_none_fails_says_nothing(tmp_path: Path) -> None:
    assert recorded(tmp_path).contradictions([], PROFILE, complete=False) == []


@pytest.mark.parametrize("profile", [PROFILE, "another processor"])
def test_a_cell_that_fails_worse_is_noticed_anywhere(tmp_path: Path, profile: str) -> None:
    worse = [Failing(CELL, "wrong", 80.0), AS_RECORDED[1]]
    (told,) = recorded(tmp_path).contradictions(worse, profile, complete=True)
    assert told == f"order-b: a cell is wrong, the entry says unstable: {CELL.key}"


@pytest.mark.parametrize("ratio", [2.4, 80.1, 1e9, math.inf, math.nan])
def test_a_ratio_outside_the_range_is_noticed_where_it_was_measured(tmp_path: Path, ratio: float) -> None:
    moved = [Failing(CELL, "unstable", ratio), AS_RECORDED[1]]
    (told,) = recorded(tmp_path).contradictions(moved, PROFILE, complete=True)
    assert told == f"order-b: bound ratio {ratio:.6g} is outside [2.5, 80]: {CELL.key}"


def test_figures_are_not_compared_on_another_profile(tmp_path: Path) -> None:
    moved = [Failing(CELL, "unstable", 1e9)]
    assert recorded(tmp_path).contradictions(moved, "another processor", complete=True) == []


def test_a_ratio_that_differs_in_its_last_digits_is_the_same(tmp_path: Path) -> None:
    moved = [Failing(CELL, "unstable", 80.0 * (1 + 5e-7)), Failing(OTHER, "unstable", 2.5 * (1 - 5e-7))]
    assert recorded(tmp_path).contradictions(moved, PROFILE, complete=True) == []


def test_fewer_failing_cells_are_noticed_when_all_were_measured(tmp_path: Path) -> None:
    (told,) = recorded(tmp_path).contradictions(AS_RECORDED[:1], PROFILE, complete=True)
    assert told == "order-b: 1 cells fail, not the 2 that the entry was measured with"
    assert recorded(tmp_path).contradictions(AS_RECORDED[:1], PROFILE, complete=False) == []


def test_as_many_but_other_failing_cells_are_noticed(tmp_path: Path) -> None:
    third = Cell("torch/eager", "default", "log_softmax", "forward", "binary16", "last", "offset", 9)
    (told,) = recorded(tmp_path).contradictions(
        [AS_RECORDED[0], Failing(third, "unstable", 2.5)], PROFILE, complete=True
    )
    assert told.startswith("order-b: 2 cells fail, not the 2 that")
