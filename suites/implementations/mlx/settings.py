"""What MLX has chosen in this process: its device."""

from __future__ import annotations

import mlx.core as mx
import numpy as np

from suites.implementations.placement import HERE
from suites.implementations.read_back import ReadBack


def settings() -> ReadBack:
    """What can change the bits on this machine."""
    return {"device": mx.default_device().type.name}


def flushes() -> bool:
    """Whether subnormal numbers are flushed to zero, as a probe of MLX's own arithmetic shows."""
    return not np.array(mx.array(np.array([2.0**-126], np.float32)) * 0.5).any()


def details() -> ReadBack:
    """More of the same: whether subnormals are flushed."""
    return {"flushes subnormals": flushes()}


def no_device() -> str | None:
    """Why there is no such device, or None."""
    return None if HERE.platform == "cpu" else "MLX is measured on the CPU alone"


def card() -> str | None:
    """None: MLX is measured on the CPU alone."""
    return None
