"""Options that say what is measured, made into a selection of cells."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from reports.console.usage import UsageError
from suites.plan.cell import Selection
from suites.vocabulary import devices_of


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
    """The selection that these words ask for."""
    return Selection(
        tier, operations, quantities, formats, layouts, families, profiles, devices=devices_of(device) or ()
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
