"""What PyTorch has chosen in this process: instruction set, threads, and the card if it computes on one."""

from __future__ import annotations

from typing import Any

import torch

from suites.implementations.nvidia import driver_version
from suites.implementations.placement import HERE
from suites.implementations.read_back import ReadBack
from suites.implementations.torch.eager import configure


def settings() -> ReadBack:
    """What can change the bits on this machine."""
    configure()
    return {"cpu capability": torch.backends.cpu.get_cpu_capability(), "threads": torch.get_num_threads()}


def _smallest() -> Any:
    return torch.tensor([2.0**-126]).to(HERE.device)


def flushes() -> bool:
    """Whether subnormal numbers are flushed to zero, as a probe of PyTorch's own arithmetic shows."""
    return not (_smallest() * 0.5).view(torch.int32).any().item()


def details() -> ReadBack:
    """More of the same, read from tensors on the device: where they lie, whether subnormals are flushed, the driver."""
    found: dict[str, bool | str] = {"device": str(_smallest().device), "flushes subnormals": flushes()}
    if HERE.platform == "cuda":
        found["CUDA"] = str(torch.version.cuda)
    return found


def no_device() -> str | None:
    """Why there is no such device, or None."""
    if HERE.platform == "cpu":
        return None
    if torch.version.cuda is None:
        return f"torch {torch.__version__} is a build without CUDA"
    cards = torch.cuda.device_count()
    if HERE.index >= cards:
        return f"torch {torch.__version__} sees {cards or 'no'} CUDA card{'' if cards == 1 else 's'}"
    return None


def card() -> str | None:
    """The card, its driver and its compute capability; None on the CPU."""
    if HERE.platform == "cpu":
        return None
    major, minor = torch.cuda.get_device_capability(HERE.index)
    name = torch.cuda.get_device_name(HERE.index)
    return f"{name}, driver {driver_version()}, compute capability {major}.{minor}"
