"""A process between a worker and the driver: what a function does to its parent, it does to this one.

Standard library alone, and fit for Python 3.9.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from typing import NoReturn

_PR_SET_PDEATHSIG = 1


def stand_between() -> None:
    """Go on in a child.  This process waits for it, and ends as it ends; where this one is ended, so is the child."""
    parent = os.getpid()
    child = os.fork()
    if child:
        _wait_for(child)
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def _wait_for(child: int) -> NoReturn:
    # Ctrl-C is the driver's.  It asks by SIGABRT where a function stands, and all of the group hear it.
    for ignored in (signal.SIGINT, signal.SIGABRT):
        signal.signal(ignored, signal.SIG_IGN)
    for pipe in (0, 1, 2):
        os.close(pipe)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status):
        os._exit(os.WEXITSTATUS(status))
    _end_by(os.WTERMSIG(status))


def _end_by(number: int) -> NoReturn:
    """End by the signal that has ended the child, without a second core file."""
    import resource

    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError, ValueError):  # SIGKILL can't be set
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    os._exit(128 + number)
