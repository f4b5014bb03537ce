"""What a process prints, read as it comes: its beginning and end are kept, and fill neither memory nor disk."""

from __future__ import annotations

import os
import threading
from typing import IO

from suites.printable import printable

_FIRST_BYTES, _LAST_BYTES = 1 << 14, 1 << 15
_FIRST_LINES, _LAST_LINES = 10, 20
_MOST = 1 << 16


class Printed:
    """Reads a pipe in a thread until its last writer has closed it, and then closes it."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
        self._first, self._last, self._dropped = b"", b"", False
        self._thread = threading.Thread(target=self._read, name="what a worker prints", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with self._pipe:
            while True:
                try:
                    part = os.read(self._pipe.fileno(), 1 << 16)
                except OSError:
                    return
                if not part:
                    return
                room = _FIRST_BYTES - len(self._first)
                self._first += part[:room]
                last = self._last + part[room:]
                self._dropped |= len(last) > _LAST_BYTES
                self._last = last[-_LAST_BYTES:]

    def text(self, wait: float = 1.0) -> str:
        """The first and the last lines, fit to be shown; ``wait`` is how many seconds the end of it is worth.

        A message stands at the beginning, the traceback that follows it at the end.
        """
        self._thread.join(wait)  # what a function has started may hold the pipe for ever
        text = (self._first + (b"\n...\n" if self._dropped else b"") + self._last).decode(errors="replace")
        lines = text.splitlines()
        if len(lines) > _FIRST_LINES + _LAST_LINES:
            lines = [*lines[:_FIRST_LINES], "...", *lines[-_LAST_LINES:]]
        return "\n".join(printable(line) for line in lines)[:_MOST]
