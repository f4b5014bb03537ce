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
from reports.records import Record, RunError, Worst, record_of
from reports.run_directory import RunWriter
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
    why_skipped,
)
from suites.known_defects import REQUIRED, DefectError, known_defects
from suites.laws.requirements import Session
from suites.measure import Measurement
from suites.plan import DEVICE, FORMATS, TIERS, Selection

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
    "device": ("measure on this device", (DEVICE,), False),
    "format": ("only these formats", FORMATS, True),
    "operation": ("only these operations", OPERATIONS, True),
    "tier": ("smoke, standard (default) or deep", TIERS, False),
    "implementation": ("measure your own FILE.py:NAME, a callable NAME(x, axis); needs one --framework", None, False),
    "require": (f"the verdict every cell has to reach (default {REQUIRED})", VERDICTS, False),
    "record": ("write what is measured into this run directory", None, False),
}

_SESSION: pytest.StashKey[Session] = pytest.StashKey()
_WRITER: pytest.StashKey[RunWriter] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("softmax-accuracy")
    for name, (text, _, many) in _OPTIONS.items():
        extra: dict[str, Any] = {"action": "append"} if many else {}
        group.addoption(f"--{name}", help=text, **extra)
        parser.addini(name, text, type="args" if many else "string", default=[] if many else "")


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
    own, _ = _option(config, "implementation"), _option(config, "device")
    try:
        implementations = of_frameworks(frameworks)
        if own:
            if len(frameworks) != 1:
                raise pytest.UsageError(f"--implementation {own} needs one --framework: {', '.join(OWN_FRAMEWORKS)}")
            operation = operations[0] if len(operations) == 1 else None
            implementations = [user_implementation(own, frameworks[0], operation)]
        known_defects()
    except (UnknownName, DefectError) as error:
        raise pytest.UsageError(str(error)) from None
    selection = Selection(tier, operations=operations, formats=_option(config, "format"))
    config.stash[_SESSION] = Session(implementations, selection, _option(config, "require") or REQUIRED)
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Controller(config))


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
        skipped = {i.name: why_skipped(i) for i in session.implementations if i.framework == framework}
        lines += [f"  {name}: not measured: {reason}" for name, reason in skipped.items() if reason]
    flags = " ".join(f"{name}={value}" for name, value in environment.flags().items())
    return [*lines, f"  environment: {flags or 'no flag set'}"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    session = metafunc.config.stash[_SESSION]
    if "cell" in metafunc.fixturenames:
        metafunc.parametrize("cell", session.cells(), ids=lambda cell: cell.key)
    if "defect" in metafunc.fixturenames:
        metafunc.parametrize("defect", known_defects(), ids=lambda defect: defect.id)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Under --dist loadgroup, keep a framework's tests in one process: what JAX has compiled is compiled once, and an
    entry of the known defects finds its cells measured."""
    session = config.stash[_SESSION]
    for item in items:
        parameters = getattr(getattr(item, "callspec", None), "params", {})
        framework = None
        if "cell" in parameters:
            framework = session.by_name[parameters["cell"].implementation].framework
        elif "defect" in parameters:
            framework = parameters["defect"].framework
        if framework and config.pluginmanager.has_plugin("xdist"):
            item.add_marker(pytest.mark.xdist_group(framework if framework == "jax" else "others"))


@pytest.fixture(scope="session")
def session(request: pytest.FixtureRequest) -> Session:
    """What this session was asked to test."""
    return request.config.stash[_SESSION]


@pytest.fixture
def record_measurement(request: pytest.FixtureRequest) -> Callable[[Measurement], None]:
    """Hands a measurement to the run directory of --record, as text: reports cross process borders under xdist."""
    directory = _option(request.config, "record")
    if not directory:
        return lambda measurement: None
    current = request.config.stash[_SESSION]

    def record(measurement: Measurement) -> None:
        implementation = current.by_name[measurement.cell.implementation]
        rows = Path(directory) / "rows"
        made = record_of(
            measurement,
            implementation.calls[measurement.cell.operation],
            " ".join(dict.fromkeys(versions_of(implementation.framework).values())),
            DEVICE,
            rows,
        )
        text = json.dumps({"record": asdict(made), "maxima": measurement.row_maxima})
        request.node.user_properties.append(("measurement", text))

    return record


def pytest_sessionstart(session: pytest.Session) -> None:
    directory = _option(session.config, "record")
    if directory and not hasattr(session.config, "workerinput"):
        from reports.measuring import manifest_of, measurable

        current = session.config.stash[_SESSION]
        present, missing = measurable(current.implementations)
        planned = [cell for cell in current.cells() if not current.missing(cell)]
        try:
            session.config.stash[_WRITER] = RunWriter(
                Path(directory), manifest_of(present, missing, current.selection, len(planned))
            )
        except RunError as error:
            raise pytest.UsageError(str(error)) from None


class _Controller:
    """Gathers reports where they all arrive: in the only process, or in xdist's controller."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.collected: set[str] = set()
        self.reported: set[str] = set()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.collected |= {item.nodeid for item in session.items}

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        self.collected |= set(ids)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.reported.add(report.nodeid)
        writer = self.config.stash.get(_WRITER, None)
        if writer is None or report.when != "call":
            return
        for name, text in report.user_properties:
            if name == "measurement":
                data = json.loads(str(text))
                data["record"]["worst"] = Worst(**data["record"]["worst"])
                record = Record(**data["record"])
                if record.key not in writer.done:
                    writer.add(record, data["maxima"])

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
