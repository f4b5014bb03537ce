"""Options that say what is measured, made into a selection of cells."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from reports.console.usage import UsageError
from reports.vocabulary import DEVICES, known
from suites.driver.profiles import devices_of
from suites.plan.cell import Selection


def selection_of(
    tier: str,
    device: str,
    *,
    operations: tuple[str, ...],
    quantities: tuple[str, ...],
    formats: tuple[str, ...],
    layouts: tuple[str, ...],
    families: tuple[str, ...],
    profiles: tuple[str, ...],
) -> Selection:
    """The selection that these words ask for.  Raises UsageError for one that means nothing."""
    known("tier", (tier,))
    devices = devices_of(device)
    if devices is None:
        raise UsageError(f"unknown device {device!r}; known are {', '.join(DEVICES)}")
    return Selection(
        tier,
        known("operation", operations),
        known("quantity", quantities),
        known("format", formats),
        known("layout", layouts),
        known("family", families),
        known("profile", profiles),
        devices,
    )


def no_cell() -> UsageError:
    """What to say where a selection is empty."""
    return UsageError("these filters select no cell; loosen --operation, --format, --family, --profile, --framework")


def interpreter_named(python: str | None, option: str = "--python") -> str:
    """The Python whose frameworks are measured: this one, or that of a path or of a command.  Raises UsageError."""
    if python is None:
        return sys.executable
    found = shutil.which(python)
    if found is None:
        raise UsageError(f"{option} {python!r} is no program; give the path of a Python")
    return str(Path(found).absolute())
