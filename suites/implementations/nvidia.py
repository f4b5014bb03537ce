"""The NVIDIA driver of this machine, which no framework tells."""

from __future__ import annotations

import subprocess
from pathlib import Path

_MODULE = Path("/sys/module/nvidia/version")


def driver_version() -> str:
    """``550.54.15``, from the kernel's module or from nvidia-smi; ``unknown`` where neither tells."""
    try:
        return _MODULE.read_text(encoding="ascii").strip()
    except (OSError, UnicodeError):
        pass
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        told = subprocess.run(query, capture_output=True, text=True, check=True, timeout=30).stdout.split()
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return told[0] if told else "unknown"
