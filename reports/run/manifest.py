"""The manifest of a run that is about to begin: what is measured, with what, and what can't be."""

from __future__ import annotations

import datetime
import platform
from collections.abc import Mapping
from dataclasses import asdict
from types import MappingProxyType

from reports.run.content import Content
from reports.run.from_measurement import measured_profile
from reports.run.records import SCHEMA, Manifest, Unmeasured
from suites.driver.availability import Availability
from suites.driver.profiles import DEFAULT
from suites.implementations.catalogue import Implementation
from suites.plan.cell import Selection
from suites.worker import environment
from suites.worker.self_report import Introduction


def manifest_of(
    implementations: list[Implementation],
    selection: Selection,
    planned: int,
    availability: Availability,
    skipped: Mapping[str, str] = MappingProxyType({}),
    *,
    content: Content,
) -> Manifest:
    """The manifest of a run that is about to begin; ``skipped`` has a reason for each implementation left out,
    ``content`` is what content_of_run gives."""
    chosen = {name: list(value) for name, value in asdict(selection).items() if name != "tier"}
    introductions = list(availability.present.values())
    measured = [measured_profile(p, i) for p, i in availability.present.items()]
    return Manifest(
        schema=SCHEMA,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        tier=selection.tier,
        selection=chosen,
        implementations=[
            i.name for i in implementations if i.framework not in availability.absent and i.name not in skipped
        ],
        planned=planned,
        finished=False,
        packages=_packages(introductions),
        python=introductions[0].python if introductions else platform.python_version(),
        platform=platform.platform(),
        cpu=environment.cpu(),
        gpu="; ".join(dict.fromkeys(i.card for i in introductions if i.card)) or None,
        settings={p.framework: i.settings for p, i in availability.present.items() if p.name == DEFAULT},
        environment=environment.flags(),
        seed="streams named by family, format, rows and length",
        git_commit=environment.git_commit(),
        inputs_sha256=None,
        unmeasured=_unmeasured(availability)
        + [
            Unmeasured(i.framework, skipped[i.name], implementation=i.name)
            for i in implementations
            if i.name in skipped and i.framework not in availability.absent
        ],
        profiles=sorted(measured, key=lambda p: (p.framework, p.name)),
        content=content,
    )


def _packages(introductions: list[Introduction]) -> dict[str, str]:
    """The packages that were measured, and those that judged."""
    found = environment.packages()
    if introductions:
        found = {name: version for name, version in found.items() if name in environment.JUDGES}
        for introduction in introductions:
            found = {**introduction.packages, **found}
    return found


def _unmeasured(availability: Availability) -> list[Unmeasured]:
    """One for a framework that isn't here; else one for each profile."""
    found = [Unmeasured(framework, reason) for framework, reason in availability.absent.items()]
    others = [(p, reason) for p, reason in availability.refused.items() if p.framework not in availability.absent]
    return found + [Unmeasured(p.framework, reason, p.name) for p, reason in others]
