"""The NVIDIA driver of this machine, which no framework reports."""

from __future__ import annotations

import subprocess
from pathlib import Path

_MODULE = Path("/sys/module/nvidia/version")


def driver_version() -> str:
    """``550.54.15``, from the kernel's module or from nvidia-smi; ``unknown`` where neither says."""
    try:
        return _MODULE.read_text(encoding="ascii").strip()
    except (OSError, UnicodeError):
        pass
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, check=True, timeout=30).stdout.split()
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return answer[0] if answer else "unknown"
