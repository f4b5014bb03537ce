"""The worker's end of the two pipes to the driver, out of the way of anything that prints, reads or forks.

Standard library alone, and fit for Python 3.9.
"""

from __future__ import annotations

import fcntl
import json
import os
import queue
import shutil
import signal
import threading
from json import dumps
from typing import Any

# How a line of the worker's begins.  A token follows that the driver has made for this one worker, so that what a
# function writes to every file that is open is no answer.
MARK = "@softmax-accuracy "

# Where the pipes are put, if there is room: programs close the first descriptors without looking what they are.
_HIGH = 200


class Link:
    """The two pipes: requests come in, one JSON object a line, and answers go out, each naming its request."""

    def __init__(self) -> None:
        requests, self._replies = moved(0), moved(1)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.dup2(2, 1)
        self._process, self._token, self.scratch = os.getpid(), "", ""
        self._waiting: queue.Queue[Any] = queue.Queue()
        threading.Thread(target=self._read, args=(requests,), daemon=True).start()

    def config(self) -> dict[str, Any]:
        """What comes first: how this worker is to be, and the token that its answers bear.

        It comes this way because a process's arguments and environment are there for all to read.
        """
        config: dict[str, Any] = self._waiting.get()
        self._token, self.scratch = config.pop("token"), config["scratch"]
        return config

    def _read(self, requests: int) -> None:
        try:
            with os.fdopen(requests, encoding="utf-8") as lines:
                for line in lines:
                    self._waiting.put(json.loads(line))
        finally:
            self._leave()

    def _leave(self) -> None:
        """Nobody is left to answer to: end this process and what it has started, even in the midst of a kernel."""
        if self.scratch:
            shutil.rmtree(self.scratch, ignore_errors=True)
        if os.getpgrp() == os.getppid():  # that of the process that stands between; see suites/worker/supervisor.py
            os.killpg(0, signal.SIGKILL)
        os._exit(0)

    def next(self) -> Any:
        """The next request."""
        return self._waiting.get()

    def leave_if_copied(self) -> None:
        """End a process that a function has forked and that has come back from it like the worker itself."""
        if os.getpid() != self._process:
            os._exit(0)

    def reply(self, to: int, **message: Any) -> None:
        """Answer a request with one object; the line break before it ends whatever was printed there."""
        self.leave_if_copied()
        data = f"\n{MARK}{self._token} {dumps({'to': to, **message})}\n".encode()
        while data:
            data = data[os.write(self._replies, data) :]


def moved(descriptor: int) -> int:
    """The same open file under a high number."""
    try:
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _HIGH)
    except OSError:  # so many are not allowed here
        return os.dup(descriptor)
