"""What NumPy has chosen on this machine: the instruction sets of exp and log, and how much it sums at a time."""

from __future__ import annotations

import numpy as np

from references.ieee.float_state import flushes_subnormals
from suites.implementations.placement import HERE
from suites.implementations.read_back import NotTold, ReadBack


def settings() -> ReadBack:
    """The target of exp and log per format, where this NumPy reports it; the buffer of a sum, empty for whole rows."""
    return {**_targets(), "sum buffer": _sum_buffer()}


def _targets() -> ReadBack:
    try:
        from numpy.lib.introspect import opt_func_info
    except ImportError:  # before NumPy 2.0
        return {"dispatch": _features()}
    found = {}
    for function in ("exp", "log"):
        targets = opt_func_info(func_name=f"^{function}$").get(function, {})
        for signature, target in sorted(targets.items()):
            if signature in ("dd", "ff", "ee"):
                found[f"{function} {signature[0]}"] = str(target["current"])
    return found


def _sum_buffer() -> str:
    """The terms that a sum takes at a time (before NumPy 2.3), or nothing where it takes whole rows.

    Observed, since NumPy doesn't report it: a large number at the start of the buffer and its negative at the end
    absorb the ones in between, and leave those behind the buffer only if these are added later.
    """
    size = np.getbufsize()
    row = np.ones(size + 8, np.float32)
    row[0], row[size - 1] = 2.0**60, -(2.0**60)
    return str(size) if row.sum() == 8 else ""


def _features() -> str | NotTold:
    """Those of the processor's features that a NumPy before 2.0 has kernels for, and uses."""
    from numpy.core import _multiarray_umath

    enabled: dict[str, bool] = getattr(_multiarray_umath, "__cpu_features__", {})
    shown = ("SSE42", "AVX2", "FMA3", "AVX512F", "AVX512_SKX", "NEON", "ASIMD", "VSX", "VX")
    return " ".join(name for name in shown if enabled.get(name)) or NotTold("this NumPy")


def flushes() -> bool:
    """Whether subnormal numbers are flushed to zero, as a probe of NumPy's own arithmetic shows."""
    return flushes_subnormals()


def details() -> ReadBack:
    """Whether subnormal numbers are flushed."""
    return {"flushes subnormals": flushes()}


def no_device() -> str | None:
    """Why there is no such device, or None."""
    return None if HERE.platform == "cpu" else "NumPy computes on the CPU"


def card() -> str | None:
    """NumPy has none."""
    return None
