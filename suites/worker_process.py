"""One worker process, seen from the driver: started, asked, watched and ended."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from suites.disk import reason_in, reason_of
from suites.introduction import Introduction, Unavailable
from suites.profiles import Profile
from suites.tasks import Answer, Loss, Request, Task
from suites.timing import Rows, TimeRatio
from suites.worker import MARK

_PROGRAM = Path(__file__).with_name("worker.py")

# How much of what a dead worker had printed is kept.
_LOG_BYTES, _FIRST_LINES, _LAST_LINES = 1 << 16, 10, 20

# A worker that nobody waits for any more ends itself this much later than the driver would have ended it.
_GRACE = 30.0


class WorkerDied(Exception):
    """A worker ended, was ended, or has to be: ``loss`` says why."""

    def __init__(self, loss: Loss) -> None:
        super().__init__(loss.reason)
        self.loss = loss


def loss_of(failure: WorkerDied | Unavailable) -> Loss:
    """The loss of an evaluation that no worker could be had for."""
    return failure.loss if isinstance(failure, WorkerDied) else Loss(str(failure))


class ScratchError(Exception):
    """The folder that arrays travel through can't be written; one line with the remedy."""


class WorkerProcess:
    """A running worker of one profile; ``introduction`` is there once it has been greeted.

    Raises Unavailable where the interpreter can't be started, ScratchError.
    """

    introduction: Introduction

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self._known: set[str] = set()  # implementations that have been called
        self._received = b""
        self.resident = 0  # bytes in memory after its last answer
        self._over = False
        with _scratch_errors():
            self._scratch = Path(tempfile.mkdtemp(prefix="softmax-accuracy-"))
        try:
            self._process = _started(profile, self._scratch)
        except BaseException:
            shutil.rmtree(self._scratch, ignore_errors=True)
            raise
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._requests, self._replies = self._process.stdin, self._process.stdout
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._replies, selectors.EVENT_READ)

    def greet(self) -> None:
        """Wait for its introduction.  Raises WorkerDied, and Unavailable where its framework or device isn't there."""
        reply = self._reply(self.profile.limits.start, "its start")
        if "unavailable" in reply:
            raise Unavailable(reply["unavailable"])
        self.introduction = Introduction(**reply["introduction"])

    # -- asking ------------------------------------------------------------------------------------------------------

    def answers(self, task: Task, requests: Sequence[Request]) -> Iterator[Answer]:
        """An answer to each request on the input of a task, as they come.  Raises WorkerDied, ScratchError."""
        outputs = [self._scratch / f"{number}.npy" for number in range(len(requests))]
        calls = [
            {
                "implementation": r.implementation,
                "operation": r.operation,
                "quantity": r.quantity,
                "layout": r.layout,
                "vectors": dict(r.vectors),
                "own": r.own,
                "axis": r.axis,
                "output": str(output),
            }
            for r, output in zip(requests, outputs, strict=True)
        ]
        needed = {name for r in requests for _, name in r.vectors}
        vectors = {name: self._kept(name, task.vectors[name]) for name in sorted(needed)}
        message = {
            "format": task.format,
            "logits": self._kept("logits", task.logits),
            "vectors": vectors,
            "calls": calls,
        }
        self._send({"evaluate": message})
        for request, output in zip(requests, outputs, strict=True):
            limits = self.profile.limits
            seconds = limits.call if request.implementation in self._known else limits.first_call
            self._known.add(request.implementation)
            yield self._answer(self._reply(seconds, request.implementation), output)

    def _answer(self, reply: dict[str, Any], output: Path) -> Answer:
        self.resident = reply.get("resident", 0)
        if "scratch" in reply:
            raise ScratchError(_scratch_text(reason_in(reply["scratch"])))
        if "memory" in reply:  # what is left of this process is of no use
            raise WorkerDied(self._put_down(f"out of memory: {reply['memory']}"))
        if "raised" in reply:
            loss = Loss(reply["raised"], unsupported=reply["unsupported"], refused=reply["refused"])
            return Answer(None, reply["seconds"], loss)
        with _scratch_errors():
            bits = np.load(output, allow_pickle=False)
            output.unlink()
        return Answer(bits, reply["seconds"], touched=reply["touched"])

    def timings(self, batches: Sequence[Rows]) -> list[TimeRatio]:
        """Time ratios on batches of binary32 rows.  Raises WorkerDied, ScratchError."""
        self._send({"time": [self._kept(f"timed-{number}", rows) for number, rows in enumerate(batches)]})
        reply = self._reply(self.profile.limits.first_call, "timing")
        return [TimeRatio(**{**ratio, "shape": tuple(ratio["shape"])}) for ratio in reply["timings"]]

    def _kept(self, name: str, bits: np.typing.NDArray[Any]) -> str:
        file = self._scratch / f"{name}.npy"
        with _scratch_errors():
            file.unlink(missing_ok=True)  # to write over a file costs milliseconds where the disk is ext4
            np.save(file, bits, allow_pickle=False)
        return str(file)

    def _send(self, message: dict[str, Any]) -> None:
        try:
            self._requests.write(json.dumps(message).encode() + b"\n")
            self._requests.flush()
        except OSError:
            raise WorkerDied(self._ended()) from None

    # -- listening ---------------------------------------------------------------------------------------------------

    def _reply(self, seconds: float, what: str) -> dict[str, Any]:
        """The next reply; whatever else stands on the pipe is passed over."""
        deadline = time.monotonic() + seconds
        while True:
            line, found, rest = self._received.partition(b"\n")
            if found:
                self._received = rest
                reply = _reply_in(line)
                if reply is not None:
                    return reply
                continue
            if not self._selector.select(max(0.0, deadline - time.monotonic())):
                raise WorkerDied(self._put_down(f"no answer from {what} within {seconds:g} s"))
            received = os.read(self._replies.fileno(), 1 << 16)
            if not received:
                raise WorkerDied(self._ended())
            self._received += received

    def _ended(self) -> Loss:
        """Why the process is gone."""
        log = self._printed()
        try:
            code = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            code = None
        self.kill()
        if code is None:
            return Loss("the worker closed its pipe", log=log)
        if code >= 0:
            return Loss(f"the worker exited with {code}", log=log)
        name = _signal_name(-code)
        hint = " (which is how the kernel ends a process when memory runs out)" if -code == signal.SIGKILL else ""
        return Loss(f"the worker was ended by {name}{hint}", signal=name, log=log)

    def _put_down(self, reason: str) -> Loss:
        """End a process that goes on; before it ends it tells where it stands."""
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            self._process.send_signal(signal.SIGABRT)
            self._process.wait(timeout=2)
        log = self._printed()
        self.kill()
        return Loss(reason, log=log)

    def _printed(self) -> str:
        """The beginning and the end of what the process has printed: a message, and the traceback that follows it."""
        try:
            text = (self._scratch / "log").read_bytes()[-_LOG_BYTES:].decode(errors="replace")
        except OSError:
            return ""
        lines = text.splitlines()
        if len(lines) > _FIRST_LINES + _LAST_LINES:
            lines = [*lines[:_FIRST_LINES], "...", *lines[-_LAST_LINES:]]
        return "\n".join(lines)

    # -- ending ------------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """End the process and all that it has started.  May be called from any thread: who listens learns of it."""
        with contextlib.suppress(OSError):  # it may be gone
            os.killpg(self._process.pid, signal.SIGKILL)

    def kill(self) -> None:
        """End the process and remove its folder; for the thread that asks it."""
        if not self._over:
            self._over = True
            self.stop()
            self._process.wait()
            self._selector.close()
            for pipe in (self._requests, self._replies):
                with contextlib.suppress(OSError):  # a request may be stuck in it
                    pipe.close()
            shutil.rmtree(self._scratch, ignore_errors=True)


def _started(profile: Profile, scratch: Path) -> subprocess.Popen[bytes]:
    limits = profile.limits
    config = {
        "framework": profile.framework,
        "device": profile.device,
        "threads": profile.threads,
        "x64": profile.x64,
        "cpus": profile.cpus,
        # A card's driver reserves addresses without end.
        "memory": (limits.memory or _physical_memory() // 2) if profile.device == "cpu" else None,
        "guard": max(limits.first_call, limits.call) + _GRACE,
        "scratch": str(scratch),
    }
    with _scratch_errors():
        log = (scratch / "log").open("wb")
    with log:
        try:
            return subprocess.Popen(
                [profile.interpreter, str(_PROGRAM), json.dumps(config)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=profile.variables(),
                start_new_session=True,  # Ctrl-C reaches the driver alone, and what a worker starts ends with it
            )
        except OSError as error:
            raise Unavailable(f"{profile.interpreter} can't be started: {error.strerror or error}") from None


def _reply_in(line: bytes) -> dict[str, Any] | None:
    """The reply on a line; None for anything else, such as the banner of an interpreter."""
    if not line.startswith(MARK.encode()):
        return None
    try:
        reply = json.loads(line[len(MARK) :])
    except ValueError:
        return None
    return reply if isinstance(reply, dict) else None


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _physical_memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@contextlib.contextmanager
def _scratch_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ScratchError(_scratch_text(reason_of(error))) from None


def _scratch_text(reason: str) -> str:
    return f"{tempfile.gettempdir()} can't be written: {reason}; free space there, or set TMPDIR to another folder"
