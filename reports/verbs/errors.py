"""What a user can bring about, and the exit code it has."""

from __future__ import annotations

from references.formats import FormatError
from references.ieee.float_state import UnsoundArithmetic
from references.oracle.certified import OracleError
from reports.console.exits import INCOMPLETE, USAGE
from reports.console.usage import UsageError
from reports.inspect.explain import ExplainError
from reports.inspect.golden import GoldenError
from reports.run.records import RunError
from suites.driver.profiles import UnknownProfile
from suites.driver.worker_process import ScratchError
from suites.implementations.catalogue import (
    UnknownName,
)
from suites.scoring.certified_batch import CertificationError

# What a user can bring about, and the exit code it has.
KNOWN_ERRORS: dict[type[Exception], int] = {
    UsageError: USAGE,
    UnknownName: USAGE,
    UnknownProfile: USAGE,
    ScratchError: USAGE,
    FormatError: USAGE,
    RunError: USAGE,
    ExplainError: USAGE,
    GoldenError: USAGE,
    OracleError: INCOMPLETE,
    CertificationError: INCOMPLETE,
    UnsoundArithmetic: USAGE,
}
