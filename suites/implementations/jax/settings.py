"""What JAX has chosen in this process: device, number widths, processors, and the options that XLA compiles with."""

from __future__ import annotations

import hashlib
import os
from typing import Any

import jax

from suites.implementations.jax.nn import configure, device, flushes_subnormals
from suites.implementations.nvidia import driver_version
from suites.implementations.placement import HERE, processors
from suites.implementations.read_back import NotTold, ReadBack


def settings() -> ReadBack:
    """What can change the bits on this machine."""
    configure()
    found = device()
    return {
        "device": f"{found.platform} {found.device_kind}",
        "x64": bool(jax.config.jax_enable_x64),
        "XLA_FLAGS": os.environ.get("XLA_FLAGS", ""),
        "CPU count": processors(),
    }


def flushes() -> bool:
    """Whether subnormal numbers are flushed to zero, as a probe of JAX's own arithmetic shows."""
    return flushes_subnormals()


def details() -> ReadBack:
    """A fingerprint of every option that XLA compiles with, defaults included, and whether subnormals are flushed."""
    return {"XLA options": _xla_options(), "flushes subnormals": flushes()}


def _xla_options() -> str | NotTold:
    """Twelve digits of the sha256 of XLA's own record of its options; it takes no part in what JAX promises."""
    try:
        from jax._src.lib import xla_client

        # The chain of owners has to stay alive: these are views into one another.
        options: Any = xla_client.CompileOptions()
        build = options.executable_build_options
        debug = build.debug_options  # filled from XLA_FLAGS when it is first asked for
        text = options.SerializeAsString()
        del debug, build
    except (ImportError, AttributeError) as error:
        return NotTold(f"this jaxlib ({type(error).__name__})")
    # Sorted, because the serialisation may put the entries of a map in any order.
    return hashlib.sha256(bytes(sorted(text))).hexdigest()[:12]


def no_device() -> str | None:
    """Why there is no such device, or None."""
    if HERE.platform == "cpu":
        return None
    try:
        cards = len(jax.devices(HERE.platform))
    except (RuntimeError, AssertionError) as error:  # the latter where JAX_PLATFORMS leaves it nothing
        why = str(error).partition("\n")[0]
        return f"jax {jax.__version__} has no CUDA device" + (f" ({why})" if why else "")
    if HERE.index >= cards:
        return f"jax {jax.__version__} sees {cards} CUDA card{'' if cards == 1 else 's'}"
    return None


def card() -> str | None:
    """The card, its driver and its compute capability; None on the CPU."""
    if HERE.platform == "cpu":
        return None
    found = device()
    capability = getattr(found, "compute_capability", "unknown")
    return f"{found.device_kind}, driver {driver_version()}, compute capability {capability}"
