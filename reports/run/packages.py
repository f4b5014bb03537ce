"""The packages of each framework: what is installed under its name, what it computes with, and its version in words."""

from __future__ import annotations

from collections.abc import Mapping

from suites.implementations.frameworks import framework_named, frameworks

# What a framework computes with.
COMPUTES_WITH = {name: framework.computes_with for name, framework in frameworks().items()}

# The packages that are under test; the others help to judge them.
SUBJECTS = tuple(package for framework in frameworks().values() for package in framework.distributions)


def version_text(framework: str, packages: Mapping[str, str]) -> str:
    """The version of a framework, with its library's where that is another."""
    names = framework_named(framework).distributions
    return " ".join(dict.fromkeys(packages[name] for name in names if name in packages))
