"""A pytest session's cells: workers evaluate all of them, and what is missing has its reason."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from suites.driver.pool import introduction_of, stop_workers
from suites.driver.profiles import DEFAULT, Profile, profile_named, why_not_here
from suites.driver.self_reports import Introductions
from suites.driver.worker_process import WorkerDied, WorkerProcess
from suites.implementations.catalogue import CATALOGUE, user_implementation
from suites.laws.catalogue import law_named
from suites.laws.evaluation import Evaluations
from suites.laws.subjects import Subject
from suites.laws.trials import Broken, breach_of
from suites.plan.cell import Cell, Selection
from suites.scoring.cell import measure
from suites.session import LostEvaluation, Session

CELL = Cell("numpy/shifted", "without-x86-v3", "softmax", "forward", "binary32", "last", "gauss1", 33)
HERE = Cell("numpy/shifted", DEFAULT, "softmax", "forward", "binary32", "last", "gauss1", 33)


@pytest.fixture(autouse=True)
def no_worker_left() -> Iterator[None]:
    yield
    stop_workers()


def session_of(*names: str, selection: Selection | None = None, require_device: bool = False) -> Session:
    return Session([CATALOGUE[n] for n in names], selection or Selection(), require_device=require_device)


@pytest.fixture
def numpy() -> Session:
    session = session_of("numpy/shifted")
    reason = session.missing(CELL)
    if reason:
        pytest.skip(reason)
    return session


def test_a_cell_of_another_profile_is_evaluated_by_a_worker_of_it(numpy: Session) -> None:
    there, here = numpy.measure(CELL), numpy.measure(HERE)
    assert there.input_sha256 == here.input_sha256
    assert there.output_sha256 != here.output_sha256, "libm's exp and NumPy's own give the same bits here"
    assert here.output_sha256 == measure(HERE).output_sha256
    assert numpy.measured == {CELL.key: None, HERE.key: None}


def test_what_a_profile_selected_is_reported_for_its_records(numpy: Session) -> None:
    assert not {"X86_V4", "X86_V3"} & set(numpy.introduction(CELL).selected.values())
    assert numpy.introduction(HERE) == introduction_of(profile_named("numpy", DEFAULT))


@pytest.mark.parametrize("profile", [DEFAULT, CELL.profile])
def test_a_worker_that_dies_fails_the_cell_with_what_it_had_printed(tmp_path: Path, profile: str) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "import os\n\ndef softmax(x, axis):\n    os.write(2, b'last words')\n    os.abort()\n", encoding="utf-8"
    )
    session = Session([user_implementation(f"{file}:softmax", "numpy", None)], Selection())
    cell = replace(CELL, implementation="mine/softmax", profile=profile)
    if session.missing(cell):
        pytest.skip("there is one profile only")
    with pytest.raises(LostEvaluation, match=r"(?s)^mine/softmax/.*: the worker was ended by SIGABRT\n.*last words"):
        session.measure(cell)


@pytest.mark.parametrize(
    ("on_empty", "told"),
    [
        ("os._exit(0)", "has no result: the worker exited with 0"),
        ("raise RecursionError('too deep')", "has no result: RecursionError: too deep"),
        ("return x.reshape(-1)", "has no result: WrongShape: it gave an array of shape (0,)"),
        ("raise ValueError('nothing to reduce')", None),
        ("return x", None),
    ],
)
def test_an_array_without_elements_may_be_refused_and_no_more(tmp_path: Path, on_empty: str, told: str | None) -> None:
    file = tmp_path / "mine.py"
    lines = ("import os", "", "def softmax(x, axis):", "    if not x.size:", f"        {on_empty}", "    return x + 1")
    file.write_text("\n".join(lines), encoding="utf-8")
    mine = user_implementation(f"{file}:softmax", "numpy", None)
    subject = Subject(mine, profile_named("numpy", DEFAULT), "softmax", "forward", "binary32", "last")
    assert law_named("degenerate shapes").is_asked(subject)
    breach = breach_of(law_named("degenerate shapes"), subject, Evaluations("smoke"))
    assert (breach.text if breach else None) == (told and f"{subject.key} of an array of shape (0, 3) {told}")


@pytest.mark.parametrize("does", ["os._exit(0)", "raise MemoryError", "sys.exit(0)", "raise AttributeError('shape')"])
def test_a_law_whose_evaluation_is_lost_is_broken_and_no_known_defect_excuses_it(tmp_path: Path, does: str) -> None:
    file = tmp_path / "mine.py"
    file.write_text(f"import os, sys\n\ndef softmax(x, axis):\n    {does}\n", encoding="utf-8")
    mine = user_implementation(f"{file}:softmax", "numpy", None)
    subject = Subject(mine, profile_named("numpy", DEFAULT), "softmax", "forward", "binary32", "last")
    breach = breach_of(law_named("run to run"), subject, Evaluations("smoke"))
    assert breach is not None
    assert Broken("run to run", subject, breach).lost
    assert breach.text.startswith(f"{subject.key} has no result: ")


def test_a_profile_that_does_not_take_effect_fails_and_is_not_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    session = session_of("numpy/shifted")
    if why_not_here(profile_named("numpy", CELL.profile), introduction_of(profile_named("numpy", DEFAULT))):
        pytest.skip("there is one profile only")
    monkeypatch.setattr("suites.driver.worker_process.variables_of", lambda profile: {"PATH": "/usr/bin"})
    with pytest.raises(WorkerDied, match="did not take effect: exp d is still X86_V"):
        session.missing(CELL)


def test_a_card_that_is_missing_is_a_reason_and_a_failure_where_it_is_required() -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a card")
    on_card = Selection("smoke", devices=("cuda",))
    session = session_of("torch/eager", "numpy/shifted", selection=on_card)
    cells = session.cells()
    assert {(c.implementation, c.profile) for c in cells} == {("torch/eager", "cuda")}
    assert session.refused(cells[0]) is None  # nothing is started to know
    reason = session.missing(cells[0])
    assert reason is not None
    assert reason.startswith(f"torch {torch.__version__} ")
    strict = session_of("torch/eager", selection=on_card, require_device=True)
    with pytest.raises(LostEvaluation, match=f"--require-device: torch on cuda: {reason.split()[0]}"):
        strict.missing(cells[0])
    assert strict.missing(replace(HERE, implementation="torch/eager")) is None


def test_a_roster_is_made_with_no_other_worker_than_that_of_the_default_profile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started = []

    def counted(profile: Profile) -> WorkerProcess:
        started.append(profile)
        return WorkerProcess(profile)

    monkeypatch.setattr("suites.driver.pool.WorkerProcess", counted)
    availability = session_of("numpy/shifted").availability()
    assert started == list(availability.present) == [profile_named("numpy", DEFAULT)]
    assert availability.failed == {}


def test_an_implementation_that_can_not_run_here_leaves_the_profile_to_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    pytest.importorskip("torch")
    availability = session_of("torch/compile", "torch/eager").availability()
    assert profile_named("torch", DEFAULT) in availability.present


def test_a_default_profile_that_can_not_be_started_is_a_failure_and_no_reason_to_skip(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("suites.driver.worker_process.variables_of", lambda profile: {"PYTHONHOME": "/nowhere"})
    session = session_of("numpy/shifted")
    with pytest.raises(WorkerDied, match="can't be started: the worker exited with 1"):
        session.missing(HERE)
    assert list(session.availability().failed) == session.lanes


# -- what profiles selected, from process to process -------------------------------------------------------------------


def test_what_one_process_has_asked_another_need_not_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    default, other = profile_named("numpy", DEFAULT), profile_named("numpy", CELL.profile)
    one = Introductions()
    one.gather([default, other])
    stop_workers()

    def refuse(profile: object) -> None:
        raise AssertionError("a worker was started")

    monkeypatch.setattr("suites.driver.pool.WorkerProcess", refuse)
    two = Introductions()
    two.learn(one.text())
    assert two.of(default) == one.of(default)
    assert two.missing(other) == one.missing(other)
    assert two.refused(other) == one.refused(other)


def test_a_failure_to_start_goes_from_process_to_process_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    default = profile_named("numpy", DEFAULT)
    one, two = Introductions(), Introductions()
    with monkeypatch.context() as patch:
        patch.setattr("suites.driver.worker_process.variables_of", lambda profile: {"PYTHONHOME": "/nowhere"})
        one.gather([default])
    two.learn(one.text())
    for known in (one, two):
        for _ in range(2):
            with pytest.raises(WorkerDied) as death:
                known.of(default)
            assert death.value.loss.reason == "can't be started: the worker exited with 1"
