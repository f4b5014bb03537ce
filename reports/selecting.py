"""Options that say what is measured, made into a selection of cells."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from references.problem import OPERATIONS
from reports.options import UsageError, one_of
from suites.inputs import special
from suites.inputs.families import FAMILIES, WIDE
from suites.inputs.layouts import LAYOUTS
from suites.plan import FORMATS, QUANTITIES, TIERS, Selection
from suites.profiles import devices_of, every_name, is_card


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
    one_of("tier", [tier], TIERS)
    devices = devices_of(device)
    if devices is None:
        raise UsageError(f"unknown device {device!r}; known are cpu, cuda, cuda:N, all")
    return Selection(
        tier,
        one_of("operation", operations, OPERATIONS),
        one_of("quantity", quantities, QUANTITIES),
        one_of("format", formats, FORMATS),
        one_of("layout", layouts, LAYOUTS),
        one_of("family", families, (*FAMILIES, *WIDE, special.FAMILY)),
        one_of("profile", profiles, (*every_name(), *(p for p in profiles if is_card(p)))),
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
