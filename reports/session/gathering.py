"""What the tests of a pytest session report, gathered where all reports arrive: in the only process, or in xdist's
controller."""

from __future__ import annotations

import sys

import pytest

from reports.compare.ratchet import Ratchet, SessionSummary
from reports.run.records import RunError
from reports.session.recording import WORDS, Recording
from suites.plan.cell import Selection
from suites.printable import printable

# What a test reports of a cell that was compared with the baseline.
HELD = "baseline"

# pytest's own codes, and this guard's: tests, or what they had to record, were lost.
_PASSED, _FAILED, _LOST = 0, 1, 3


class Gathering:
    """A plugin: writes the run directory, sums up the baseline, and counts the tests that were collected and lost."""

    def __init__(self, config: pytest.Config, selection: Selection, ratchet: Ratchet | None) -> None:
        self.config, self.selection, self.ratchet = config, selection, ratchet
        self.recording: Recording | None = None
        self.unwritten: RunError | None = None
        self.collected: set[str] = set()
        self.reported: set[str] = set()
        self.told = SessionSummary()

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
            if name in WORDS:
                self._record(name, str(text))
            elif name == HELD:
                self.told.add(str(text))

    def _record(self, word: str, text: str) -> None:
        if self.recording is None or self.unwritten:
            return
        try:
            self.recording.take(word, text)
        except RunError as error:
            self.unwritten = error

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.ratchet is not None and not self.config.getoption("collectonly"):
            terminalreporter.section("baseline")
            for line in self.told.lines(self.ratchet, self.selection):
                terminalreporter.write_line(printable(line))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if self.config.getoption("collectonly"):
            return
        # pytest 9.2.0 with xdist 3.8.0 can end an internal error in a worker with exit 0 and tests left unreported.
        lost = self.collected - self.reported
        whole = exitstatus in (_PASSED, _FAILED) and not (session.shouldstop or session.shouldfail or lost)
        self._finish(whole=whole)
        if exitstatus == _PASSED and lost:
            print(f"\n{len(lost)} collected tests were not reported, {min(lost)} among them", file=sys.stderr)
            session.exitstatus = _LOST
        elif self.unwritten:
            print(f"\n--record: {self.unwritten}", file=sys.stderr)
            session.exitstatus = exitstatus or _LOST
        elif exitstatus == _PASSED and self.ratchet is not None and not self.told.held:
            session.exitstatus = _FAILED

    def _finish(self, *, whole: bool) -> None:
        if self.recording is None:
            return
        try:
            self.recording.finish(whole=whole and not self.unwritten)
        except RunError as error:
            self.unwritten = self.unwritten or error
