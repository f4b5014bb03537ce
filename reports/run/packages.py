"""The packages of each framework: what is installed under its name, what it computes with, and its version in words."""

from __future__ import annotations

from collections.abc import Mapping

# What is installed as a framework; each of them is under test.
DISTRIBUTIONS: dict[str, tuple[str, ...]] = {
    "torch": ("torch",),
    "jax": ("jax", "jaxlib"),
    "scipy": ("scipy",),
    "numpy": ("numpy",),
}

# What a framework computes with.  PyTorch's worker uses NumPy to carry bits, and nothing of it to compute.
COMPUTES_WITH: dict[str, tuple[str, ...]] = {
    "torch": ("torch",),
    "jax": ("jax", "jaxlib", "ml_dtypes", "numpy"),
    "scipy": ("scipy", "numpy"),
    "numpy": ("numpy",),
}

# The packages that are under test; the others help to judge them.
SUBJECTS = tuple(package for packages in DISTRIBUTIONS.values() for package in packages)


def version_text(framework: str, packages: Mapping[str, str]) -> str:
    """The version of a framework, with its library's where that is another."""
    return " ".join(dict.fromkeys(packages[name] for name in DISTRIBUTIONS[framework] if name in packages))
