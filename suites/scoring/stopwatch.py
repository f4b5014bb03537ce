"""Where the driver's time goes: seconds by name, each second counted once."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

# Time that nothing else claims.
REST = "rest"


class Stopwatch:
    """Counts the main thread's seconds for the innermost name that is being spent on."""

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self._now = now
        self.restart()

    def restart(self) -> None:
        """Forget what was counted."""
        self.seconds: dict[str, float] = {}
        self._names = [REST]
        self._since = self._now()

    @contextmanager
    def spent_on(self, name: str) -> Iterator[None]:
        """Count the time inside for ``name``, and not for what encloses it; nothing where another thread asks."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        self._settle()
        self._names.append(name)
        try:
            yield
        finally:
            self._settle()
            self._names.pop()

    def _settle(self) -> None:
        now = self._now()
        self.seconds[self._names[-1]] = self.seconds.get(self._names[-1], 0.0) + now - self._since
        self._since = now

    def so_far(self) -> dict[str, float]:
        """Seconds by name until now."""
        self._settle()
        return dict(self.seconds)


WATCH = Stopwatch()


def timed(name: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Count a function's time for ``name``."""

    def around(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def counted(*arguments: P.args, **named: P.kwargs) -> R:
            with WATCH.spent_on(name):
                return function(*arguments, **named)

        return counted

    return around
