"""What NumPy and SciPy share: profiles without some instruction sets, and the facts that their code paths depend on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from suites.implementations.profile import INSTRUCTIONS, Profile

PATH_FACTS = ("exp_target", "log_target", "sum_buffer")


def profiles(framework: str) -> tuple[Profile, ...]:
    """A framework without NumPy's kernels for AVX-512, and without those for AVX2 as well."""

    def without(name: str, *features: str) -> Profile:
        variables = (("NPY_DISABLE_CPU_FEATURES", " ".join(features)),)
        return Profile(name, framework, environment=variables, avoids=features, varies=INSTRUCTIONS, kernels=True)

    return without("without-x86-v4", "X86_V4"), without("without-x86-v3", "X86_V4", "X86_V3")


def path_values(format: str, size: int, settings: Mapping[str, str]) -> dict[str, Any]:
    """The targets of exp and log in a format, and how many terms a sum takes at a time."""
    letter = {"binary64": "d", "binary32": "f", "binary16": "e"}.get(format, "f")
    found: dict[str, Any] = {f"{name}_target": settings.get(f"{name} {letter}", "") for name in ("exp", "log")}
    return {**found, "sum_buffer": int(settings.get("sum buffer") or 0)}
