"""What NumPy has chosen on this machine: the instruction sets of the ufuncs that a softmax is made of."""

from __future__ import annotations

from suites.implementations.placement import HERE


def settings() -> dict[str, str]:
    """The target of exp and log per format, where this NumPy tells."""
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


def _features() -> str:
    """Those of the processor's features that a NumPy before 2.0 has kernels for, and uses."""
    from numpy.core import _multiarray_umath

    enabled: dict[str, bool] = getattr(_multiarray_umath, "__cpu_features__", {})
    told = ("SSE42", "AVX2", "FMA3", "AVX512F", "AVX512_SKX", "NEON", "ASIMD", "VSX", "VX")
    return " ".join(name for name in told if enabled.get(name)) or "not told by this NumPy"


def details() -> dict[str, str]:
    """There is nothing more to tell."""
    return {}


def no_device() -> str | None:
    """Why there is no such device, or None."""
    return None if HERE.platform == "cpu" else "NumPy computes on the CPU"


def card() -> str | None:
    """NumPy has none."""
    return None
