"""Every law is held against every implementation that it is asked of, and the known breaches against the entries."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from suites.driver.profiles import DEFAULT, profile_named
from suites.implementations.catalogue import versions_of
from suites.laws.catalogue import GROUPS, LAWS, UnknownLaw, law_named
from suites.laws.known_law_defects import LawDefect, law_defect_of
from suites.laws.law import BITWISE, BITWISE_ON_ONE_PATH, WITHIN
from suites.laws.observations import Observation
from suites.laws.trials import Broken, Trial, Trials
from suites.plan.cell import Selection
from suites.session import Session

_DOCUMENT = Path(__file__).parents[2] / "docs" / "laws.md"
_DEFECTS = Path(__file__).parents[1] / "known_defects.toml"


class BrokenLaw(AssertionError):
    """A law does not hold; the message has the bits that show it."""


def _version(framework: str) -> str:
    return versions_of(framework).get(framework, "0")


def test_law_holds(trials: Trials, trial: Trial, request: pytest.FixtureRequest) -> None:
    reasons = [trials.missing(subject) for subject in trials.subjects(trial)]
    if reasons and all(reasons):
        pytest.skip(str(reasons[0]))
    broken = trials.broken(trial)
    implementation = trials.by_name[trial.implementation]
    version = _version(implementation.framework)
    known = {b.key: None if implementation.own else law_defect_of(b, version) for b in broken}
    new = [b for b in broken if known[b.key] is None]
    if broken and not new:  # how badly, is asserted by the entry's own test below
        ids = sorted({d.id for d in known.values() if d is not None})
        request.applymarker(pytest.mark.xfail(raises=BrokenLaw, reason=f"known: {', '.join(ids)}"))
    if broken:
        raise BrokenLaw(_text(trial, new or broken))


def _text(trial: Trial, broken: list[Broken]) -> str:
    law = law_named(trial.law)
    head = f"{law.code}, {law.name}: {law.says} ({law.holds}; {law.promise})"
    return "\n".join([head, *(b.breach.text for b in broken)])


def test_known_law_defect_is_as_recorded(session: Session, trials: Trials, law_defect: LawDefect) -> None:
    reason = session.introductions.missing(profile_named(law_defect.framework, DEFAULT))
    if reason:
        pytest.skip(reason)
    version = _version(law_defect.framework)
    if not law_defect.applies_to(version):
        ranges = " or ".join(filter(None, (law_defect.versions, law_defect.also)))
        pytest.skip(f"{law_defect.framework} {version} is not in {ranges}")
    chosen = [trial for trial in trials.planned() if law_defect.may_select(trial)]
    reasons = {trials.missing(s) for trial in chosen for s in trials.subjects(trial)}
    if reasons and None not in reasons:
        pytest.skip(str(reasons.pop()))
    if not chosen or any(i.own for i in trials.implementations):
        pytest.skip("its laws or implementations are not selected")
    mine = [b for b in trials.all_broken(chosen) if law_defect_of(b, version) is law_defect]
    complete = session.selection == Selection() and _all_of(law_defect, trials)
    # Another tier has other rows, and thereby other sizes, as another machine has.
    where = session.where(law_defect.framework) if session.selection.tier == "standard" else session.selection.tier
    if not law_defect.has_figures_of(version):
        where = f"{law_defect.framework} {version}"
    found = law_defect.contradictions(mine, where, complete=complete)
    assert found == []


def _all_of(defect: LawDefect, trials: Trials) -> bool:
    """Whether every implementation that the entry names is tried in this session, and can be here."""
    if not set(defect.selectors["implementation"]) <= set(trials.by_name):
        return False
    chosen = [trial for trial in trials.planned() if defect.may_select(trial)]
    return not any(trials.missing(s) for trial in chosen for s in trials.subjects(trial))


def test_what_is_not_promised_is_observed(
    trials: Trials, watched: tuple[str, str], record_observation: Callable[[Observation], None]
) -> None:
    """Nothing is required of the bits; but every comparison has to be made, of as many numbers as it has."""
    compared = trials.comparisons(*watched)
    reasons = [trials.missing(c.usual) or trials.missing(c.other) for c in compared]
    if all(reasons):
        pytest.skip(str(reasons[0]))
    for comparison, reason in zip(compared, reasons, strict=True):
        if reason is None:
            observation = comparison.observe(trials.evaluations)
            record_observation(observation)
            assert observation.key == comparison.key
            assert observation.elements == comparison.rows.size * comparison.given.shape[1]
            assert (observation.changed == 0) == (observation.max_ulp == 0)


# -- the catalogue ---------------------------------------------------------------------------------------------------


def test_every_law_says_how_it_holds_and_by_which_bound() -> None:
    names = [law.name for law in LAWS]
    assert len(set(names)) == len(names)
    for law in LAWS:
        assert law.holds in (BITWISE, WITHIN, BITWISE_ON_ONE_PATH)
        assert bool(law.bound) == (law.holds != BITWISE), law.name
        assert re.fullmatch(r"P\d+(, P\d+)*", law.code)


def test_the_document_has_the_laws_of_the_catalogue() -> None:
    rows = [
        f"| {law.code} | {law.name} | {law.says} | {law.holds}{f': {law.bound}' if law.bound else ''} "
        f"| `suites/laws/{group.__name__.rpartition('.')[2]}.py` |"
        for group in GROUPS
        for law in group.LAWS
    ]
    written = re.search(r"<!-- laws: begin -->\n(.*)\n<!-- laws: end -->", _DOCUMENT.read_text(), re.DOTALL)
    assert written is not None
    assert written[1].splitlines()[2:] == rows


def test_every_code_of_a_law_or_of_a_known_defect_is_defined_once_in_the_document() -> None:
    text = _DOCUMENT.read_text(encoding="utf-8")
    _, _, codes = text.partition("| code | asks |")
    defined = re.findall(r"^\| (P\d+) \|", codes.partition("\n\n")[0], re.MULTILINE)
    used = set(re.findall(r"\bP\d+\b", text + _DEFECTS.read_text(encoding="utf-8")))
    assert sorted(defined) == sorted(used)


def test_an_unknown_law_is_named_with_those_there_are() -> None:
    with pytest.raises(UnknownLaw, match="unknown law 'gravity'; known are run to run, "):
        law_named("gravity")
