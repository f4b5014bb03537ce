"""The law_defect entries measured anew: their figures put into the file, and nothing else touched."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from reports.defects.laws import main, measured_fields
from reports.defects.toml import rewritten
from suites.known_defects import FILE
from suites.laws.known_law_defects import TABLE
from suites.tests.test_known_breaches import ENTRY, broken, read

OTHER = '# A comment that stays.\n\n[[defect]]\nid = "one"\nprofile = "kept"\nfingerprint = "kept"\n'


def test_figures_are_put_into_their_entry_alone() -> None:
    text = rewritten(OTHER + ENTRY, TABLE, {"one": {"profile": '"new"', "size": "[1, 2]", "breaches": "7"}})
    assert text.startswith(OTHER)
    assert 'profile = "new"\nsize = [1, 2]\nbreaches = 7\nfingerprint = "0"\n' in text


def test_the_figures_are_those_of_the_breaches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reports.defects.laws.profile_of", lambda framework: f"a machine with {framework}")
    entry = read(tmp_path)
    fields = measured_fields(entry, [broken(size=4.0), broken("axis", size=math.inf)])
    assert fields["profile"] == '"a machine with torch"'
    assert fields["size"] == "[4, inf]"
    assert fields["breaches"] == "2"


@pytest.mark.parametrize(("version", "written"), [("2.1", True), ("1.9", False)])
def test_figures_of_a_version_without_any_are_shown_and_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], version: str, written: bool
) -> None:
    """An entry's figures are those of its ``versions``; those of ``also`` would take their place."""
    text = ENTRY.replace('versions = ">=2,<3"', 'versions = ">=2,<3"\nalso = ">=1.8,<2"')
    entry = read(tmp_path, text)
    file = tmp_path / "written.toml"
    file.write_text(text, encoding="utf-8")
    for name, value in {
        "Trials.all_broken": lambda self, chosen: [broken(size=3.0)],
        "FILE": file,
        "law_defects": lambda: (entry,),
        "law_defect_of": lambda found, of: entry if entry.applies_to(of) else None,
        "profile_of": lambda framework: "here",
        "versions_of": lambda framework: {framework: version},
    }.items():
        monkeypatch.setattr(f"reports.defects.laws.{name}", value)
    assert main(["torch", "--write"]) == 0
    assert capsys.readouterr().out.startswith('one  "here"  [3, 3]  1  ')
    assert (file.read_text(encoding="utf-8") != text) == written


def test_nothing_is_changed_without_figures() -> None:
    text = FILE.read_text(encoding="utf-8")
    assert rewritten(text, TABLE, {}) == text


def test_an_unknown_framework_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tensorflow"]) == 2
    assert (
        "usage: python -m reports.defects.laws [--write] [torch | jax | mlx | scipy | numpy]" in capsys.readouterr().err
    )
