"""Where a run was made: packages, processor, flags; what can change a bit is written down."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import subprocess
from pathlib import Path

from suites.implementations.catalogue import frameworks, settings_of

# Those that the reference is made with.
JUDGES = ("mpmath", "gmpy2")

_PACKAGES = tuple(dict.fromkeys([*(p for f in frameworks().values() for p in f.computes_with), *JUDGES]))

# Environment variables of these families can change what a framework computes.
_FLAGS = re.compile(
    r"^(XLA_|JAX_|TORCH_|PYTORCH_|ATEN_|TORCHINDUCTOR_|NPY_|MKL_|OMP_|KMP_|OPENBLAS_|CUDA_|CUBLAS_|CUDNN_|NVIDIA_TF32|"
    r"DNNL_|SCIPY_ARRAY_API|CXX$|LD_PRELOAD$|LD_LIBRARY_PATH$|DYLD_|GLIBC_TUNABLES$)"
)

_FEATURES = {"sse4_2", "avx2", "fma", "avx512f"}


def packages() -> dict[str, str]:
    """Installed versions of the packages that matter."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def flags() -> dict[str, str]:
    """Environment variables that can change a bit."""
    return {name: value for name, value in sorted(os.environ.items()) if _FLAGS.match(name)}


def cpu() -> str:
    """The processor's own name for itself."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor() or platform.machine()
    match = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return match.group(1) if match else platform.machine()


def features() -> list[str]:
    """Which of the instruction sets that profiles speak of this processor has, by their Linux names."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    match = re.search(r"^flags\s*:\s*(.+)$", text, re.MULTILINE)
    return sorted(_FEATURES & set(match.group(1).split())) if match else []


def git_commit() -> str | None:
    """The commit of the checkout that this suite is, with a mark for uncommitted changes.

    None where it is no checkout of its own: installed into an environment, it may lie below anybody's repository.
    """
    return commit_of(Path(__file__).resolve().parents[2])


def commit_of(folder: Path) -> str | None:
    """The commit of a checkout whose top is this folder; None for any other folder, and without git."""
    if _git(folder, "rev-parse", "--show-prefix") != "":
        return None
    commit = _git(folder, "describe", "--always", "--abbrev=12")
    # describe --dirty rewrites the index, whatever it is asked about locks.
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return f"{commit}-dirty" if commit and changes != "" else commit or None


def _git(folder: Path, *words: str) -> str | None:
    """What git says; None where it can't.  It takes no lock there, and a hook's own variables don't lead it away."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        answer = subprocess.run(
            ["git", "-C", str(folder), *words],
            env={**variables, "GIT_OPTIONAL_LOCKS": "0"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()


def profile_text(settings: dict[str, str], isa: str, processor: str) -> str:
    """What an entry's figures were measured on: processor, instruction set and the framework's settings."""
    return "; ".join([processor, isa, *(f"{name} {value}" for name, value in settings.items() if value)])


def profile_of(framework: str, settings: dict[str, str] | None = None) -> str:
    """What the figures of a framework depend on here, in one line; without ``settings`` the framework is imported."""
    isa = settings_of("numpy").get("exp f", platform.machine())
    return profile_text(settings_of(framework) if settings is None else settings, isa, cpu())
