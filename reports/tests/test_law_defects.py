"""The law_defect entries measured anew: their figures put into the file, and nothing else touched."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from reports.law_defects import main, measured_fields, rewritten
from suites.known_defects import FILE
from suites.tests.test_known_breaches import ENTRY, broken, read

OTHER = '# A comment that stays.\n\n[[defect]]\nid = "one"\nprofile = "kept"\nfingerprint = "kept"\n'


def test_figures_are_put_into_their_entry_alone() -> None:
    text = rewritten(OTHER + ENTRY, {"one": {"profile": '"new"', "size": "[1, 2]", "breaches": "7"}})
    assert text.startswith(OTHER)
    assert 'profile = "new"\nsize = [1, 2]\nbreaches = 7\nfingerprint = "0"\n' in text


def test_the_figures_are_those_of_the_breaches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reports.law_defects.profile_of", lambda framework: f"a machine with {framework}")
    entry = read(tmp_path)
    fields = measured_fields(entry, [broken(size=4.0), broken("axis", size=math.inf)])
    assert fields["profile"] == '"a machine with torch"'
    assert fields["size"] == "[4, inf]"
    assert fields["breaches"] == "2"


def test_nothing_is_changed_without_figures() -> None:
    text = FILE.read_text(encoding="utf-8")
    assert rewritten(text, {}) == text


def test_an_unknown_framework_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tensorflow"]) == 2
    assert "usage: python -m reports.law_defects [--write] [torch | jax | scipy | numpy]" in capsys.readouterr().err
