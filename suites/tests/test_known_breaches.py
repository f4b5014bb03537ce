"""The [[law_defect]] entries: what they select, how strict they are, and what a mistake in the file says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from suites.driver.profiles import DEFAULT, profile_named
from suites.implementations.catalogue import CATALOGUE
from suites.known_defects import DefectError, known_defects
from suites.laws.known_law_defects import LawDefect, fingerprint, law_defects
from suites.laws.law import CRASHED, LOST, Breach
from suites.laws.subjects import Subject
from suites.laws.trials import Broken, Trial

HERE = "this machine"

ENTRY = """
[[law_defect]]
id = "one"
title = "why"
law = ["shift", "axis"]
framework = "torch"
versions = ">=2,<3"
implementation = "torch/eager"
format = ["binary16"]
profile = "this machine"
size = [2.0, inf]
breaches = 1
fingerprint = "0"
"""


def broken(law: str = "shift", format: str = "binary16", size: float = 4.0) -> Broken:
    subject = Subject(CATALOGUE["torch/eager"], profile_named("torch", DEFAULT), "softmax", "forward", format, "inner")
    return Broken(law, subject, Breach(subject.key, size, "ulp", "text"))


def read(folder: Path, text: str = ENTRY) -> LawDefect:
    file = folder / "defects.toml"
    file.write_text(text, encoding="utf-8")
    (entry,) = law_defects(file)
    return entry


def measured(folder: Path, found: list[Broken]) -> LawDefect:
    return read(folder, ENTRY.replace('fingerprint = "0"', f'fingerprint = "{fingerprint(found)}"'))


def test_an_entry_selects_by_law_and_by_every_name_that_it_has(tmp_path: Path) -> None:
    entry = read(tmp_path)
    assert entry.selects(broken("shift"))
    assert entry.selects(broken("axis"))
    assert not entry.selects(broken("memory"))
    assert not entry.selects(broken(format="binary32"))
    assert entry.may_select(Trial("shift", "torch/eager", "log_softmax"))
    assert not entry.may_select(Trial("shift", "torch/out", "softmax"))


def test_what_is_as_recorded_contradicts_nothing(tmp_path: Path) -> None:
    found = [broken()]
    assert measured(tmp_path, found).contradictions(found, HERE, complete=True) == []


@pytest.mark.parametrize(
    ("version", "applies", "figures"), [("2.1", True, True), ("1.9", True, False), ("1.7", False, False)]
)
def test_an_entry_may_speak_of_versions_without_figures(
    tmp_path: Path, version: str, applies: bool, figures: bool
) -> None:
    entry = read(tmp_path, ENTRY.replace('versions = ">=2,<3"', 'versions = ">=2,<3"\nalso = ">=1.8,<2"'))
    assert (entry.applies_to(version), entry.has_figures_of(version)) == (applies, figures)


def test_a_breach_that_is_gone_or_larger_or_another_one_contradicts(tmp_path: Path) -> None:
    entry = measured(tmp_path, [broken()])
    assert entry.contradictions([], "elsewhere", complete=True) == [
        "one: nothing breaks the law any more; remove the entry"
    ]
    assert entry.contradictions([], HERE, complete=False) == []
    smaller = entry.contradictions([broken(size=1.0)], HERE, complete=False)
    assert smaller == ["one: 1 ulp is outside [2, inf]: shift: torch/eager/default/softmax/forward/binary16/inner"]
    other = entry.contradictions([broken("axis")], HERE, complete=True)
    assert other == ["one: 1 breaches, not the 1 that it was measured with, or others"]
    assert entry.contradictions([broken(size=1.0)], "elsewhere", complete=True) == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('["shift", "axis"]', '["gravity"]', "unknown law 'gravity'"),
        ("[2.0, inf]", "[2.0, 1.0]", "a range of sizes"),
        ('implementation = "torch/eager"\n', "", "an implementation"),
        (">=2,<3", "two", "Invalid specifier"),
        ('title = "why"', 'reason = "why"', "reason"),
    ],
)
def test_a_mistake_is_reported_with_the_entry_and_the_file(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(DefectError, match=message) as told:
        read(tmp_path, ENTRY.replace(old, new))
    assert "defects.toml: law_defect 'one' is not understood" in str(told.value)


def test_two_entries_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DefectError, match="two entries are called 'one'"):
        read(tmp_path, ENTRY + ENTRY)


def test_the_other_reader_leaves_them_alone(tmp_path: Path) -> None:
    file = tmp_path / "defects.toml"
    file.write_text(ENTRY, encoding="utf-8")
    assert known_defects(file) == ()


@pytest.mark.parametrize(
    ("crash", "unit", "selected"),
    [(True, CRASHED, True), (True, LOST, False), (False, CRASHED, False), (False, LOST, False), (True, "ulp", True)],
)
def test_only_a_crash_entry_excuses_a_missing_result_and_only_after_a_signal(
    tmp_path: Path, crash: bool, unit: str, selected: bool
) -> None:
    entry = read(tmp_path, ENTRY + ("crash = true\n" if crash else ""))
    found = broken()
    assert entry.selects(replace(found, breach=Breach(found.subject.key, 4.0, unit, "text"))) == selected
