"""P1, P9: every cell against the oracle, values and gradients; the verdict is the criterion."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from references.verdict.ladder import at_least
from suites.driver.profiles import DEFAULT, profile_named
from suites.known_defects import Defect
from suites.plan.cell import Cell
from suites.scoring.cell import Measurement
from suites.session import BelowRequired, LostEvaluation, Recorder, Session, failure_text


def test_cell_reaches_the_required_verdict(
    session: Session,
    cell: Cell,
    recorder: Recorder,
    hold_against_baseline: Callable[[Measurement], None],
    request: pytest.FixtureRequest,
) -> None:
    with recorder.losses_of(cell):
        reason = session.missing(cell)
        if reason:
            recorder.missing(cell)
            pytest.skip(reason)
        try:
            measurement = session.measure(cell)
        except LostEvaluation as lost:
            defect = session.defect(cell)
            if defect and defect.crash and lost.loss.signal:
                request.applymarker(pytest.mark.xfail(raises=LostEvaluation, reason=f"known: {defect.id}"))
            raise
    recorder.measured(measurement)
    hold_against_baseline(measurement)
    if not at_least(measurement.judgement.verdict, session.required):
        defect = session.defect(cell)
        if defect:  # which cells of an entry fail, and how badly, is asserted by the entry's own test below
            request.applymarker(pytest.mark.xfail(raises=BelowRequired, reason=f"known: {defect.id}"))
        raise BelowRequired(failure_text(measurement, session.required))


def test_known_defect_is_as_recorded(session: Session, defect: Defect) -> None:
    chosen = [i for i in session.implementations if i.framework == defect.framework and not i.own]
    if not chosen:
        pytest.skip(f"{defect.framework} is not selected")
    reason = session.introductions.missing(profile_named(defect.framework, DEFAULT))
    if reason:
        pytest.skip(reason)
    version = session.version(chosen[0].name)
    if not defect.applies_to(version):
        ranges = " or ".join(filter(None, (defect.versions, defect.also)))
        pytest.skip(f"{defect.framework} {version} is not in {ranges}")
    selected = [cell for cell in session.cells() if defect.selects(cell)]
    reasons = {session.missing(cell) for cell in selected}
    if reasons and None not in reasons:
        pytest.skip(str(reasons.pop()))
    found = session.failing(defect)
    if session.complete:
        assert selected, f"{defect.name} selects no cell"
    profile = session.where(defect.framework) if defect.has_figures_of(version) else f"{defect.framework} {version}"
    assert defect.contradictions(found, profile, complete=session.complete) == []
