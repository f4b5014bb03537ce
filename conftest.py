"""Joins the suite to pytest: options, the header, cells and laws as parameters, recording, the baseline."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from reports.compare.baseline import conditions, read_baseline
from reports.compare.figures import figures_of_measurement
from reports.compare.judgement import BROKEN, WORSE
from reports.compare.ratchet import Ratchet, SessionSummary, WorseThanBaseline, failure
from reports.console.usage import UsageError
from reports.run.destinations import check_run_directory
from reports.run.packages import version_text
from reports.run.records import RunError
from reports.session.gathering import HELD, Gathering
from reports.session.header import header_lines
from reports.session.options import add_options, option, session_of
from reports.session.recording import CellRecorder, Recording
from suites.driver.pool import stop_workers
from suites.driver.profiles import DEFAULT
from suites.implementations.catalogue import UnknownName, framework_named
from suites.known_defects import known_defects
from suites.laws.known_law_defects import LawDefect, law_defects
from suites.laws.observations import Observation
from suites.laws.trials import Trials
from suites.printable import printable
from suites.scoring.cell import Measurement
from suites.session import Session
from suites.worker import environment

settings.register_profile(
    "ci",
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=30,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.differing_executors],
)
settings.register_profile("smoke", parent=settings.get_profile("ci"), max_examples=5)
settings.register_profile("deep", parent=settings.get_profile("ci"), max_examples=2000)

_SESSION: pytest.StashKey[Session] = pytest.StashKey()
_TRIALS: pytest.StashKey[Trials] = pytest.StashKey()
_RATCHET: pytest.StashKey[Ratchet] = pytest.StashKey()
_GATHERING: pytest.StashKey[Gathering] = pytest.StashKey()

# What xdist's controller knows of the profiles, for its workers: none has to start a process just to ask.
_INTRODUCTIONS = "softmax_accuracy_introductions"
_DECLARED = "softmax_accuracy_declared"


def pytest_addoption(parser: pytest.Parser) -> None:
    add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    session = config.stash[_SESSION] = session_of(config)
    settings.load_profile({"smoke": "smoke", "deep": "deep"}.get(session.selection.tier, "ci"))
    config.stash[_TRIALS] = Trials(session.implementations, session.selection, session.introductions)
    path = option(config, "baseline")
    if path:
        config.stash[_RATCHET] = _ratchet(session, Path(path))
    input_of_xdist = getattr(config, "workerinput", None)
    try:
        session.declare(input_of_xdist[_DECLARED] if input_of_xdist else None)
    except UnknownName as error:
        raise pytest.UsageError(str(error)) from None
    if input_of_xdist is None:
        config.stash[_GATHERING] = Gathering(config, session.selection, config.stash.get(_RATCHET, None))
        config.pluginmanager.register(config.stash[_GATHERING])
    else:
        session.introductions.learn(input_of_xdist[_INTRODUCTIONS])


def _ratchet(session: Session, path: Path) -> Ratchet:
    def here(framework: str, profile: str) -> str:
        return conditions(environment.cpu(), session.settings(framework, profile))

    try:
        return Ratchet(read_baseline(path), session.required, session.cells(), here)
    except RunError as error:
        raise pytest.UsageError(f"--baseline: {error}") from None


def pytest_report_header(config: pytest.Config) -> list[str]:
    return [printable(line) for line in header_lines(config.stash[_SESSION])]


def pytest_sessionstart(session: pytest.Session) -> None:
    """A directory of --record that holds a run of something else is refused before anything is collected."""
    config = session.config
    directory, gathering = option(config, "record"), config.stash.get(_GATHERING, None)
    if directory and gathering is not None and not config.getoption("collectonly"):
        try:
            check_run_directory(Path(directory))
            gathering.recording = Recording(Path(directory), config.stash[_SESSION])
        except (RunError, UsageError) as error:
            raise pytest.UsageError(f"--record: {error}") from None


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: object) -> None:
    """xdist starts a worker of its own; the controller has no use for its processes any more."""
    config, for_worker = node.config, node.workerinput  # type: ignore[attr-defined]
    for_worker[_DECLARED] = config.stash[_SESSION].declared()
    for_worker[_INTRODUCTIONS] = config.stash[_SESSION].introductions.text()
    stop_workers()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish() -> Generator[None]:
    """Once the recording has asked its last question."""
    try:
        return (yield)
    finally:
        stop_workers()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    session = metafunc.config.stash[_SESSION]
    if "cell" in metafunc.fixturenames:
        metafunc.parametrize("cell", session.cells(), ids=lambda cell: cell.key)
    if "trial" in metafunc.fixturenames:
        metafunc.parametrize("trial", metafunc.config.stash[_TRIALS].planned(), ids=lambda trial: trial.id)
    if "watched" in metafunc.fixturenames:
        pairs = metafunc.config.stash[_TRIALS].watched()
        metafunc.parametrize("watched", pairs, ids=lambda pair: "-".join(pair).replace(" ", "-"))
    if "law_defect" in metafunc.fixturenames:
        metafunc.parametrize("law_defect", law_defects(), ids=lambda defect: defect.id)
    if "defect" in metafunc.fixturenames:
        metafunc.parametrize("defect", known_defects(), ids=lambda defect: defect.name.replace(" ", "-"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Under --dist loadgroup, keep a framework's tests in one profile in one process: what JAX has compiled is compiled
    once, no worker is started twice, and an entry of the known defects finds its cells measured."""
    if not config.pluginmanager.has_plugin("xdist"):
        return
    session = config.stash[_SESSION]
    by_name = session.by_name
    for item in items:
        parameters = getattr(getattr(item, "callspec", None), "params", {})
        if "cell" in parameters:
            cell = parameters["cell"]
            item.add_marker(pytest.mark.xdist_group(_group(by_name[cell.implementation].framework, cell.profile)))
        elif "trial" in parameters:
            framework = by_name[parameters["trial"].implementation].framework
            item.add_marker(pytest.mark.xdist_group(_group(framework, DEFAULT)))
        elif isinstance(parameters.get("watched"), tuple):
            framework = by_name[parameters["watched"][0]].framework
            item.add_marker(pytest.mark.xdist_group(_group(framework, DEFAULT)))
        elif isinstance(parameters.get("law_defect"), LawDefect):
            item.add_marker(pytest.mark.xdist_group(_group(parameters["law_defect"].framework, DEFAULT)))
        elif "defect" in parameters:
            item.add_marker(pytest.mark.xdist_group(_group(parameters["defect"].framework, parameters["defect"].on)))


def _group(framework: str, profile: str) -> str:
    if profile != DEFAULT:
        return f"{framework} {profile}"
    return framework if framework_named(framework).few_shapes else "others"


@pytest.fixture(scope="session")
def session(request: pytest.FixtureRequest) -> Session:
    """What this session was asked to test."""
    return request.config.stash[_SESSION]


@pytest.fixture(scope="session")
def trials(request: pytest.FixtureRequest) -> Trials:
    """The laws that this session tries, and what has come of them in this process."""
    return request.config.stash[_TRIALS]


@pytest.fixture
def recorder(request: pytest.FixtureRequest) -> CellRecorder:
    """Hands what a test has found to the run directory of --record, if there is one."""
    directory = option(request.config, "record")
    properties = request.node.user_properties
    return CellRecorder(
        request.config.stash[_SESSION],
        Path(directory) if directory else None,
        lambda word, text: properties.append((word, text)),
    )


@pytest.fixture
def record_observation(recorder: CellRecorder) -> Callable[[Observation], None]:
    """Hands an observation to the run directory of --record."""
    return recorder.observed


@pytest.fixture
def hold_against_baseline(request: pytest.FixtureRequest) -> Callable[[Measurement], None]:
    """Raises WorseThanBaseline where a measurement is worse than in --baseline, and notes what became of its cell."""
    ratchet = request.config.stash.get(_RATCHET, None)
    if ratchet is None:
        return lambda measurement: None
    current = request.config.stash[_SESSION]

    def hold(measurement: Measurement) -> None:
        __tracebackhide__ = True
        introduction = current.introduction(measurement.cell)
        version = version_text(measurement.framework, introduction.packages)
        figures = figures_of_measurement(measurement, version, introduction.device)
        change = ratchet.held(measurement.cell, figures, measurement.row_maxima)
        request.node.user_properties.append((HELD, SessionSummary.text(change, ratchet)))
        if change.word in (WORSE, BROKEN):
            raise WorseThanBaseline(failure(change, ratchet))

    return hold
