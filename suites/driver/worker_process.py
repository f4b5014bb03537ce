"""One worker process, seen from the driver: started, asked, watched and ended.

Everything that comes from it is checked: answers bear the token and have the fields that were asked for, a result has
the format and shape of its input, text is cleaned and bounded.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import selectors
import signal
import subprocess
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from references.formats import Bits
from suites.driver.process_output import Printed
from suites.driver.profiles import Profile, variables_of
from suites.driver.replies import Contents, Declared, Evaluated, Nonsense, made, reply_on
from suites.driver.scratch import Scratch, ScratchRemoved, blame_disk, result_in
from suites.driver.scratch import ScratchError as ScratchError
from suites.driver.tasks import Answer, Declaration, Loss, Owner, Request, Task, owner_of
from suites.implementations.user_files import UnknownName
from suites.printable import printable
from suites.worker.self_report import Introduction, Unavailable
from suites.worker.timing import Rows, TimeRatio

_PROGRAM = Path(__file__).parents[1] / "worker" / "main.py"

# What a worker may send, in bytes, that is no answer, while one is waited for.
_MOST_RECEIVED = 1 << 22

# Seconds that a Python may take until it runs the worker's first lines, and to take in a request.
_FIRST_SIGN, _TAKING = 60.0, 60.0

# A worker that nobody waits for any more ends itself this much later than the driver would have ended it.
_GRACE = 30.0

# Characters of a reason.
_REASON = 500

# How often a process is looked at that is waited for: what it has started may keep its pipes open when it is gone.
_LOOK = 0.25


class WorkerDied(Exception):
    """A worker ended, was ended, or has to be: ``loss`` says why, ``late`` that it did not answer in time."""

    def __init__(self, loss: Loss, *, late: bool = False) -> None:
        super().__init__(loss.reason)
        self.loss, self.late = loss, late


def loss_of(failure: WorkerDied | Unavailable) -> Loss:
    """The loss of an evaluation that no worker could be had for."""
    return failure.loss if isinstance(failure, WorkerDied) else Loss(str(failure))


class WorkerProcess:
    """A running worker of one profile; ``introduction`` is there once it has been greeted.

    ``owner`` is whose functions it has run: those of a user's file, or None while they were the frameworks' own.
    ``spoilt`` says that a function has changed the arithmetic of the process, so that nothing more should run in it.
    Raises Unavailable where the interpreter can't be started, ScratchError.
    """

    introduction: Introduction

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.owner: Owner = None
        self.spoilt = False
        self.resident = 0  # bytes in memory after its last answer
        self._known: set[str] = set()  # implementations that have been called
        self._token = secrets.token_hex(16)
        self._asked = 0  # requests
        self._lines: deque[bytes] = deque()  # received, and not looked at yet
        self._rest = b""  # the beginning of another
        self._over = False
        self._scratch = Scratch()
        try:
            self._process = _started(profile)
        except BaseException:
            self._scratch.remove()
            raise
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._requests, self._replies = self._process.stdin, self._process.stdout
        self._printed = Printed(self._process.stderr)
        os.set_blocking(self._requests.fileno(), False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._replies, selectors.EVENT_READ)

    def greet(self) -> None:
        """Wait for its introduction.  Raises WorkerDied, and Unavailable where its framework or device isn't there."""
        self._send({**_config(self.profile, self._scratch.path), "token": self._token})
        start = self.profile.limits.start
        if self._reply(min(start, _FIRST_SIGN), "its start").get("here") is not True:
            raise WorkerDied(self._put_down("the worker sent nonsense: no sign of its start"))
        reply = self._reply(start, "its start")
        with self._sense():
            if "unavailable" in reply:
                raise Unavailable(printable(str(reply["unavailable"]), _REASON))
            self.introduction = made(Introduction, reply.get("introduction"))
            if self.introduction.framework != self.profile.framework:
                raise Nonsense(f"it introduces itself as {self.introduction.framework}")

    # -- asking ------------------------------------------------------------------------------------------------------

    def declaration(self, own: tuple[str, str, str]) -> Declaration:
        """What a user's file says and consists of, by importing it: module, file and function.

        Raises UnknownName where it can't be had, WorkerDied where the process doesn't survive it.
        """
        self._ask({"declare": {"own": own}})
        reply = self._reply(self.profile.limits.first_call, f"importing {own[1]}")
        with self._sense():
            found = made(Declared, reply)
            if found.refused is not None:
                raise UnknownName(printable(found.refused, _REASON))
            if not found.content or Path(own[1]).name not in found.content:
                raise Nonsense("no content of the file")
        self.owner = own[1], tuple(found.content.items())
        return Declaration(found.content, found.state)

    def answers(self, task: Task, requests: Sequence[Request]) -> Iterator[Answer]:
        """An answer to each request of one owner on the input of a task, as they come.

        Raises WorkerDied, ScratchError.
        """
        outputs = [self._scratch.place() for _ in requests]
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
        content = requests[0].content if self.owner is None else None  # it is held to what it has loaded ever after
        self.owner = owner_of(requests[0])
        self._ask(
            {
                "evaluate": {
                    "format": task.format,
                    "logits": self._kept("logits", task.logits),
                    "vectors": {name: self._kept(name, task.vectors[name]) for name in sorted(needed)},
                    "content": None if content is None else dict(content),
                    "calls": calls,
                }
            }
        )
        for number, (request, output) in enumerate(zip(requests, outputs, strict=True)):
            limits = self.profile.limits
            seconds = limits.call if request.implementation in self._known else limits.first_call
            self._known.add(request.implementation)
            with self._sense():
                reply = made(Evaluated, self._reply(seconds, request.implementation))
                if reply.call != number:
                    raise Nonsense(f"call {reply.call} in place of {number}")
                if any(not name or ".." in name.split(os.sep) for name in reply.read):
                    raise Nonsense("files of no name")
                answer = replace(self._answer(reply, output, task.logits), read=reply.read)
            yield answer if request.own is None else answer.of_own()

    def _answer(self, reply: Evaluated, output: Path, like: Bits) -> Answer:
        self.resident, self.spoilt = reply.resident, bool(reply.state)
        if reply.scratch is not None:
            blame_disk(reply.scratch, reply.errno)
            raise WorkerDied(self._put_down(f"its result can't be written: {printable(reply.scratch, _REASON)}"))
        if reply.memory is not None:  # what is left of this process is of no use
            raise WorkerDied(self._put_down(f"out of memory: {printable(reply.memory, _REASON)}"))
        if reply.raised is not None:
            reason = printable(reply.raised, _REASON)
            loss = Loss(reason, unsupported=reply.unsupported, refused=reply.refused)
            return Answer(None, reply.seconds, loss)
        if reply.touched is None:
            raise Nonsense("neither a result nor a reason")
        bits = result_in(output, like)
        if reply.state:
            changed = f"it changed the floating-point state of its process: {printable(reply.state, _REASON)}"
            return Answer(None, reply.seconds, Loss(f"{changed}; set it back before the function returns"))
        return Answer(bits, reply.seconds, touched=reply.touched)

    def timings(self, batches: Sequence[Rows]) -> list[TimeRatio]:
        """Time ratios on batches of binary32 rows.  Raises WorkerDied, ScratchError."""
        self._ask({"time": [self._kept(f"timed-{number}", rows) for number, rows in enumerate(batches)]})
        reply = self._reply(self.profile.limits.first_call, "timing").get("timings")
        with self._sense():
            if not isinstance(reply, list):
                raise Nonsense("no timings")
            return [made(TimeRatio, ratio) for ratio in reply]

    def content(self, packages: Sequence[str], memory: str | None) -> dict[str, str]:
        """The sha256 of the files of packages beside its interpreter, by name.  Raises WorkerDied."""
        self._ask({"content": {"packages": list(packages), "memory": memory}})
        with self._sense():
            return made(Contents, self._reply(self.profile.limits.start, "reading its packages")).content

    def _kept(self, name: str, bits: np.typing.NDArray[Any]) -> str:
        try:
            return self._scratch.keep(name, bits)
        except ScratchRemoved:
            raise WorkerDied(self._put_down("the folder that arrays travel through was removed")) from None

    def _ask(self, message: Mapping[str, Any]) -> None:
        self._asked += 1
        self._send({"id": self._asked, **message})

    def _send(self, message: Mapping[str, Any]) -> None:
        data, deadline = json.dumps(message).encode() + b"\n", time.monotonic() + _TAKING
        while data:
            try:
                data = data[os.write(self._requests.fileno(), data) :]
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise WorkerDied(self._put_down(f"no request was taken within {_TAKING:g} s")) from None
                time.sleep(0.01)
            except OSError:
                raise WorkerDied(self._ended()) from None

    @contextlib.contextmanager
    def _sense(self) -> Iterator[None]:
        """Ends a worker whose answer has none."""
        try:
            yield
        except Nonsense as error:
            raise WorkerDied(self._put_down(f"the worker sent nonsense: {error}")) from None

    # -- listening ---------------------------------------------------------------------------------------------------

    def _reply(self, seconds: float, what: str) -> dict[str, Any]:
        """The answer to the last request; whatever else stands on the pipe is passed over, if it is not too much."""
        deadline, passed = time.monotonic() + seconds, 0
        while True:
            while self._lines:
                line = self._lines.popleft()
                reply = reply_on(line, self._token, self._asked)
                if reply is not None:
                    return reply
                passed += len(line) + 1
            if passed + len(self._rest) > _MOST_RECEIVED:
                raise WorkerDied(self._put_down(f"the worker sent more than {_MOST_RECEIVED >> 20} MiB of no answer"))
            self._receive(deadline, f"no answer from {what} within {seconds:g} s")

    def _receive(self, deadline: float, late: str) -> None:
        """Wait for more.  Raises WorkerDied where nothing more can come, and at the deadline."""
        gone = self._process.poll() is not None
        if not self._selector.select(0.0 if gone else max(0.0, min(_LOOK, deadline - time.monotonic()))):
            if gone:
                raise WorkerDied(self._ended())
            if time.monotonic() >= deadline:
                raise WorkerDied(self._put_down(late), late=True)
            return
        received = os.read(self._replies.fileno(), 1 << 16)
        if not received:
            raise WorkerDied(self._ended())
        *lines, self._rest = (self._rest + received).split(b"\n")
        self._lines.extend(lines)

    def _ended(self) -> Loss:
        """Why the process is gone."""
        try:
            code = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            code = None
        log = self._printed.text()
        self.kill()
        if code is None:
            return Loss("the worker closed its pipe", log=log)
        if code >= 0:
            return Loss(f"the worker exited with {code}", log=log)
        name = _signal_name(-code)
        hint = " (which is how the kernel ends a process when memory runs out)" if -code == signal.SIGKILL else ""
        return Loss(f"the worker was ended by {name}{hint}", signal=name, log=log)

    def _put_down(self, reason: str) -> Loss:
        """End a process that goes on; before it ends it prints where it stands."""
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            os.killpg(self._process.pid, signal.SIGABRT)
            self._process.wait(timeout=2)
        self.stop()
        log = self._printed.text()
        self.kill()
        return Loss(reason, log=log)

    # -- ending ------------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """End the process and all that it has started.  May be called from any thread: who listens learns of it."""
        with contextlib.suppress(OSError):  # it may be gone
            os.killpg(self._process.pid, signal.SIGKILL)
        with contextlib.suppress(OSError):
            self._process.kill()

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
            self._scratch.remove()


def _config(profile: Profile, scratch: Path) -> dict[str, Any]:
    limits = profile.limits
    return {
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


def _started(profile: Profile) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            [profile.interpreter, str(_PROGRAM)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env=variables_of(profile),
            start_new_session=True,  # Ctrl-C reaches the driver alone, and what a worker starts ends with it
        )
    except OSError as error:
        raise Unavailable(f"{profile.interpreter} can't be started: {error.strerror or error}") from None


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _physical_memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
