"""pytest's side of the suite: options, the header, cells as parameters, recording, a guard against lost tests."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from references.problem import OPERATIONS
from references.verdict import VERDICTS
from reports.baseline import conditions, read_baseline
from reports.compare.figures import figures_of_measurement
from reports.compare.judgement import BROKEN, WORSE
from reports.ratchet import Ratchet, Told, WorseThanBaseline, failure
from reports.run.content import content_of_run
from reports.run.from_measurement import measured_profile, record_of
from reports.run.manifest import manifest_of, version_text
from reports.run.records import MeasuredProfile, Record, RunError, Worst
from reports.run.writer import RunWriter
from suites import environment
from suites.implementations.catalogue import (
    FRAMEWORKS,
    OWN_FRAMEWORKS,
    UnknownName,
    of_frameworks,
    settings_of,
    user_implementation,
    versions_of,
    why_not_measured,
)
from suites.known_defects import REQUIRED, DefectError, known_defects
from suites.laws.known_breaches import LawDefect, law_defects
from suites.laws.requirements import Session
from suites.laws.trials import Trials
from suites.laws.unpromised import Observation
from suites.measure import Measurement
from suites.plan import FORMATS, TIERS, Selection
from suites.pool import stop_workers
from suites.profiles import DEFAULT, devices_of, every_name, is_card

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

# option -> what it is, the known values, whether it may be given more than once
_OPTIONS: dict[str, tuple[str, tuple[str, ...] | None, bool]] = {
    "framework": ("measure only these frameworks", FRAMEWORKS, True),
    "device": ("measure on cpu (default), cuda, cuda:N or all: the CPU and a card", None, False),
    "profile": ("only these profiles, for example default or aten-avx2", None, True),
    "format": ("only these formats", FORMATS, True),
    "operation": ("only these operations", OPERATIONS, True),
    "tier": ("smoke, standard (default) or deep", TIERS, False),
    "implementation": ("measure your own FILE.py:NAME, a callable NAME(x, axis); needs one --framework", None, False),
    "require": (f"the verdict every cell has to reach (default {REQUIRED})", VERDICTS, False),
    "record": ("write what is measured into this run directory", None, False),
    "baseline": ("hold every cell against this run directory or baseline file: none may be worse", None, False),
}

_SESSION: pytest.StashKey[Session] = pytest.StashKey()
_TRIALS: pytest.StashKey[Trials] = pytest.StashKey()
_WRITER: pytest.StashKey[RunWriter] = pytest.StashKey()
_RATCHET: pytest.StashKey[Ratchet] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("softmax-accuracy")
    for name, (text, _, many) in _OPTIONS.items():
        extra: dict[str, Any] = {"action": "append"} if many else {}
        group.addoption(f"--{name}", help=text, **extra)
        parser.addini(name, text, type="args" if many else "string", default=[] if many else "")
    text = "fail where --device names what is not there"
    group.addoption("--require-device", action="store_true", help=text)
    parser.addini("require-device", text, type="bool", default=False)


def _option(config: pytest.Config, name: str) -> Any:
    text, known, many = _OPTIONS[name]
    value = config.getoption(f"--{name}") or config.getini(name)
    for word in (value if many else [value]) if known else []:
        if word and known and word not in known:
            raise pytest.UsageError(f"--{name}: unknown {word!r}; known are {', '.join(known)}")
    return tuple(value) if many else (value or None)


def pytest_configure(config: pytest.Config) -> None:
    tier = _option(config, "tier") or "standard"
    settings.load_profile({"smoke": "smoke", "deep": "deep"}.get(tier, "ci"))
    frameworks, operations = _option(config, "framework"), _option(config, "operation")
    own = _option(config, "implementation")
    try:
        implementations = of_frameworks(frameworks)
        if own:
            if len(frameworks) != 1:
                raise pytest.UsageError(f"--implementation {own} needs one --framework: {', '.join(OWN_FRAMEWORKS)}")
            operation = operations[0] if len(operations) == 1 else None
            implementations = [user_implementation(own, frameworks[0], operation)]
        known_defects()
        law_defects()
    except (UnknownName, DefectError) as error:
        raise pytest.UsageError(str(error)) from None
    selection = Selection(
        tier,
        operations=operations,
        formats=_option(config, "format"),
        profiles=_profiles(config),
        devices=_devices(config),
    )
    session = config.stash[_SESSION] = Session(
        implementations,
        selection,
        _option(config, "require") or REQUIRED,
        require_device=config.getoption("--require-device") or config.getini("require-device"),
    )
    config.stash[_TRIALS] = Trials(implementations, selection)
    path = _option(config, "baseline")
    if path:
        try:
            config.stash[_RATCHET] = Ratchet(
                read_baseline(Path(path)),
                session.required,
                session.cells(),
                lambda framework, profile: conditions(environment.cpu(), session.settings(framework, profile)),
            )
        except RunError as error:
            raise pytest.UsageError(f"--baseline: {error}") from None
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Controller(config))


def _profiles(config: pytest.Config) -> tuple[str, ...]:
    names: tuple[str, ...] = _option(config, "profile")
    for name in names:
        if name not in every_name() and not is_card(name):
            raise pytest.UsageError(f"--profile: unknown {name!r}; known are {', '.join(every_name())}, cuda, cuda:N")
    return names


def _devices(config: pytest.Config) -> tuple[str, ...]:
    """Empty for the CPU, which is what a selection means by default."""
    word = _option(config, "device") or "cpu"
    devices = devices_of(word)
    if devices is None:
        raise pytest.UsageError(f"--device: unknown {word!r}; known are cpu, cuda, cuda:N, all")
    return () if devices == ("cpu",) else devices


def pytest_report_header(config: pytest.Config) -> list[str]:
    session = config.stash[_SESSION]
    lines = [f"softmax-accuracy: tier {session.selection.tier}, {session.required} required, on {environment.cpu()}"]
    for framework in dict.fromkeys(i.framework for i in session.implementations):
        reason = why_not_measured(framework)
        if reason:
            lines.append(f"  {framework}: not measured: {reason}")
            continue
        versions = ", ".join(f"{name} {version}" for name, version in versions_of(framework).items())
        chosen = "; ".join(f"{name} {value}" for name, value in settings_of(framework).items() if value)
        lines.append(f"  {versions} ({chosen})")
        lines += _profile_lines(session, framework)
        skipped = {i.name: session.skipped(i) for i in session.implementations if i.framework == framework}
        lines += [f"  {name}: not measured: {reason}" for name, reason in skipped.items() if reason]
    flags = " ".join(f"{name}={value}" for name, value in environment.flags().items())
    return [*lines, f"  environment: {flags or 'no flag set'}"]


def _profile_lines(session: Session, framework: str) -> list[str]:
    """The profiles that a framework is measured in besides the default one, and those that this machine can't offer."""
    names = [i.name for i in session.implementations if i.framework == framework]
    one_of_each = {cell.profile: cell for cell in session.cells() if cell.implementation in names}
    others = {name: session.refused(cell) for name, cell in one_of_each.items() if name != DEFAULT}
    here = sorted(name for name, reason in others.items() if not reason)
    lines = [f"    also in the profiles {', '.join(here)}"] if here else []
    return lines + [f"    {name}: {reason}" for name, reason in sorted(others.items()) if reason]


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
    return framework if framework == "jax" else "others"


@pytest.fixture(scope="session")
def session(request: pytest.FixtureRequest) -> Session:
    """What this session was asked to test."""
    return request.config.stash[_SESSION]


@pytest.fixture(scope="session")
def trials(request: pytest.FixtureRequest) -> Trials:
    """The laws that this session tries, and what has come of them in this process."""
    return request.config.stash[_TRIALS]


@pytest.fixture
def record_measurement(request: pytest.FixtureRequest) -> Callable[[Measurement], None]:
    """Hands a measurement to the run directory of --record, as text: reports cross process borders under xdist."""
    directory = _option(request.config, "record")
    if not directory:
        return lambda measurement: None
    current = request.config.stash[_SESSION]

    def record(measurement: Measurement) -> None:
        cell = measurement.cell
        implementation, introduction = current.by_name[cell.implementation], current.introduction(cell)
        made = record_of(
            measurement,
            implementation.calls[cell.operation],
            version_text(implementation.framework, introduction.packages),
            introduction.device,
            Path(directory) / "rows",
        )
        profile = measured_profile(current.profile(cell), introduction)
        parts = {"record": asdict(made), "maxima": measurement.row_maxima, "profile": asdict(profile)}
        request.node.user_properties.append(("measurement", json.dumps(parts)))

    return record


@pytest.fixture
def record_observation(request: pytest.FixtureRequest) -> Callable[[Observation], None]:
    """Hands an observation to the run directory of --record."""
    if not _option(request.config, "record"):
        return lambda observation: None
    properties = request.node.user_properties
    return lambda observation: properties.append(("observation", json.dumps(asdict(observation))))


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
        request.node.user_properties.append(("baseline", Told.text(change, ratchet)))
        if change.word in (WORSE, BROKEN):
            raise WorseThanBaseline(failure(change, ratchet))

    return hold


def pytest_sessionstart(session: pytest.Session) -> None:
    directory = _option(session.config, "record")
    if directory and not hasattr(session.config, "workerinput"):
        current = session.config.stash[_SESSION]
        roster = current.roster()
        planned = [cell for cell in current.cells() if current.profile(cell) not in roster.refused]
        try:
            content = content_of_run(current.implementations, roster.present, None)
            manifest = manifest_of(current.implementations, current.selection, len(planned), roster, content=content)
            session.config.stash[_WRITER] = RunWriter(Path(directory), manifest)
        except RunError as error:
            raise pytest.UsageError(str(error)) from None


def pytest_sessionfinish() -> None:
    stop_workers()


class _Controller:
    """Gathers reports where they all arrive: in the only process, or in xdist's controller."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.collected: set[str] = set()
        self.reported: set[str] = set()
        self.told = Told()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.collected |= {item.nodeid for item in session.items}

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        self.collected |= set(ids)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.reported.add(report.nodeid)
        if report.when != "call":
            return
        for name, text in report.user_properties:
            if name == "measurement" and _WRITER in self.config.stash:
                self._write(self.config.stash[_WRITER], json.loads(str(text)))
            elif name == "observation" and _WRITER in self.config.stash:
                self.config.stash[_WRITER].observe(Observation(**json.loads(str(text))))
            elif name == "baseline":
                self.told.add(str(text))

    def _write(self, writer: RunWriter, data: dict[str, Any]) -> None:
        data["record"]["worst"] = Worst(**data["record"]["worst"])
        record = Record(**data["record"])
        if record.key not in writer.done:
            writer.note(MeasuredProfile(**data["profile"]))
            writer.add(record, data["maxima"])

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        ratchet = self.config.stash.get(_RATCHET, None)
        if ratchet is not None:
            terminalreporter.section("baseline")
            for line in self.told.lines(ratchet, self.config.stash[_SESSION].selection):
                terminalreporter.write_line(line)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        writer = self.config.stash.get(_WRITER, None)
        if writer is not None:
            writer.finish(finished=exitstatus in (0, 1) and not session.shouldstop)
        # pytest 9.2.0 with xdist 3.8.0 can end an internal error in a worker with exit 0 and tests left unreported.
        lost = self.collected - self.reported
        if exitstatus == 0 and lost and not self.config.getoption("collectonly"):
            print(f"\n{len(lost)} collected tests were not reported, {min(lost)} among them", file=sys.stderr)
            session.exitstatus = 3
