"""Worker processes behind concurrent.futures: what runs where, and what a worker's death costs.

``evaluate``, ``declaration_of``, ``introduction_of``, ``content_of`` and ``timings_of`` are plain functions of values
that can be pickled, each on one profile; they use the workers of the process that they run in.  Any Executor may run
them, on this machine or on others that have the same checkout; WorkerPool is the one for this machine.
"""

from __future__ import annotations

import atexit
import threading
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from itertools import takewhile
from typing import Any, TypeVar

from suites.driver.profiles import DEFAULT, Profile
from suites.driver.tasks import Answer, Declaration, Loss, Owner, Task, owner_of
from suites.driver.worker_process import WorkerDied, WorkerProcess, loss_of
from suites.implementations.frameworks import framework_named
from suites.implementations.placement import processors
from suites.implementations.user_files import UnknownName
from suites.worker.self_report import Introduction, Unavailable
from suites.worker.timing import Rows, TimeRatio

T = TypeVar("T")

# A worker that has grown beyond this is replaced before its next task: JAX keeps every program it has compiled.
_GROWN = 3 << 29

# An evaluation that costs its worker, and a start that fails, is tried once more, in a fresh one.
_TRIES = 2

# So many lost evaluations in a row are the environment's fault; the rest of its cells would only take their time.
_LOST_IN_A_ROW = 20


_MOST_PARTS = 4


def evaluate(task: Task) -> list[Answer]:
    """The answers to a task's requests, in order; a request that costs its worker twice is lost, never the task.

    Raises Unavailable, ScratchError, and WorkerDied where no worker of the profile can be started.
    """
    return _HERE.of(task).evaluate(task)


def introduction_of(profile: Profile) -> Introduction:
    """What a worker of the profile says of itself.  Raises as ``evaluate`` does."""
    return _HERE.of(profile).introduction()


def content_of(profile: Profile, packages: Sequence[str], memory: str | None) -> dict[str, str]:
    """The sha256 of the files of packages beside the profile's interpreter (suites.worker.installed); raises alike."""
    return _HERE.of(profile).content(packages, memory)


def declaration_of(profile: Profile, own: tuple[str, str, str]) -> Declaration:
    """What a worker of the profile says of a user's function: module, file and name.

    Raises UnknownName where the file can't be imported, has no such function, or costs the worker its life; otherwise
    as ``evaluate`` does.
    """
    return _HERE.of(profile).declaration(own)


def timings_of(profile: Profile, batches: Sequence[Rows]) -> list[TimeRatio]:
    """Time ratios of the profile's framework on batches of binary32 rows.  Raises as ``evaluate`` does."""
    return _HERE.of(profile).timings(batches)


class Stopped(Exception):
    """The workers were ended on purpose in the midst of their work."""


class _Lane:
    """The one worker of a profile, started when it is needed."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._turn = threading.Lock()
        self._worker: WorkerProcess | None = None
        self._failure: WorkerDied | Unavailable | None = None
        self._lost_in_a_row = 0
        self._stopped = False

    def introduction(self) -> Introduction:
        with self._turn:
            return self._running().introduction

    def content(self, packages: Sequence[str], memory: str | None) -> dict[str, str]:
        with self._turn, self._mourning():
            return self._running().content(packages, memory)

    def declaration(self, own: tuple[str, str, str]) -> Declaration:
        with self._turn:
            if self._worker is not None and self._worker.owner is not None:
                self._replace()  # it may have imported the file before an edit
            worker = self._running()
            try:
                with self._mourning():
                    return worker.declaration(own)
            except WorkerDied as death:
                advice = "a file that is measured should define things when it is imported, and do nothing else"
                raise UnknownName(f"{own[1]} can't be imported: {death.loss.reason}; {advice}") from None

    def timings(self, batches: Sequence[Rows]) -> list[TimeRatio]:
        with self._turn, self._mourning():
            return self._running_for(None).timings(batches)

    def evaluate(self, task: Task) -> list[Answer]:
        answers: list[Answer] = []
        tried: int | None = None  # the request that has cost a worker
        with self._turn:
            while len(answers) < len(task.requests):
                try:
                    loss = self._attempt(task, answers)
                except (WorkerDied, Unavailable) as failure:  # no worker is to be had any more
                    if not answers:
                        raise
                    answers += [Answer(None, loss=loss_of(failure))] * (len(task.requests) - len(answers))
                    break
                if loss is None:
                    tried = None
                elif tried == len(answers):
                    answers.append(Answer(None, loss=loss))
                    self._count(loss)
                    tried = None
                else:
                    tried = len(answers)
            self._replace_if_grown()
        return answers

    def _attempt(self, task: Task, answers: list[Answer]) -> Loss | None:
        """Have the next requests answered by one worker; the loss, if one of them cost it its life.

        Those of one owner alone, and none after one that has spoilt it.
        """
        rest = task.requests[len(answers) :]
        owner = owner_of(rest[0])
        worker = self._running_for(owner)
        try:
            with self._mourning():
                for answer in worker.answers(task, list(takewhile(lambda r: owner_of(r) == owner, rest))):
                    answers.append(answer)
                    if worker.spoilt:
                        self._replace()
                        self._count(answer.loss or Loss("its process had to be replaced"))
                        break
                    self._lost_in_a_row = 0
        except WorkerDied as death:
            return death.loss
        return None

    def _count(self, loss: Loss) -> None:
        """Give up a profile in which nothing survives."""
        self._lost_in_a_row += 1
        if self._lost_in_a_row >= _LOST_IN_A_ROW:
            reason = f"given up after {_LOST_IN_A_ROW} lost evaluations in a row, the last one: {loss.reason}"
            self._failure = WorkerDied(Loss(reason, loss.signal, loss.log))

    def _replace_if_grown(self) -> None:
        if self._worker is not None and self._worker.resident > _GROWN:
            self._replace()

    def _replace(self) -> None:
        """Let a worker go; the next that is needed is a fresh one."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.kill()

    def _running_for(self, owner: Owner) -> WorkerProcess:
        """A worker that has run nobody else's functions: they can change anything in their process."""
        if self._worker is not None and self._worker.owner not in (None, owner):
            self._replace()
        return self._running()

    def _running(self) -> WorkerProcess:
        """The worker, started if there is none.  One that can't be started is not tried again."""
        if self._failure:
            raise self._failure
        for tried in range(1, _TRIES + 1):
            if self._stopped:
                raise Stopped
            if self._worker is not None:
                break
            try:
                with self._mourning():
                    self._worker = WorkerProcess(self._profile)
                    self._worker.greet()
                    if self._stopped:  # it was not there yet to be ended
                        raise Stopped
            except (WorkerDied, Unavailable) as failure:
                if tried == _TRIES or isinstance(failure, Unavailable) or failure.late:
                    self._failure = failure
                    raise
        assert self._worker is not None
        return self._worker

    @contextmanager
    def _mourning(self) -> Iterator[None]:
        """Let go of a worker that has died, or that something unforeseen has left in the midst of an answer."""
        try:
            yield
        except BaseException:
            worker, self._worker = self._worker, None
            if worker is not None:
                worker.kill()
            if self._stopped:
                raise Stopped from None
            raise

    def stop(self) -> None:
        """End the worker, whatever it is doing, and start no other."""
        self._stopped = True
        worker = self._worker
        if worker is not None:
            worker.stop()
        with self._turn:
            if self._worker is not None:
                self._worker.kill()
                self._worker = None


# A profile, and which of its workers.
Key = tuple[Profile, int]


class Workers:
    """The workers of this process: one for a profile, or ``breadth`` for one that compiles much.

    What has been compiled for a shape is there in one process only, so a shape has one worker.
    """

    def __init__(self) -> None:
        self.breadth = 1
        self._lanes: dict[Key, _Lane] = {}
        self._guard = threading.Lock()

    def key_of(self, subject: Profile | Task) -> Key:
        """Whose turn a task is; that of a profile alone is its first worker's."""
        if isinstance(subject, Profile):
            return subject, 0
        profile = subject.profile
        # Compiling for each shape is most of a framework's time: its default profile is worth more than one worker.
        if self.breadth == 1 or profile.name != DEFAULT or not framework_named(profile.framework).compiles:
            return profile, 0
        return profile, zlib.crc32(f"{subject.format} {subject.logits.shape}".encode()) % self.breadth

    def of(self, subject: Profile | Task) -> _Lane:
        key = self.key_of(subject)
        with self._guard:
            return self._lanes.setdefault(key, _Lane(key[0]))

    def stop(self) -> None:
        """End all workers; those that are asked for later start anew."""
        with self._guard:
            lanes, self._lanes = list(self._lanes.values()), {}
        for lane in lanes:
            lane.stop()


_HERE = Workers()


@atexit.register
def stop_workers() -> None:
    """End the workers of this process; those that are asked for later start anew."""
    _HERE.stop()


class WorkerPool(Executor):
    """Runs the functions above: what is for one worker in order, and for several side by side.

    At most as many run at once as there are processors.  Of what is waiting the oldest goes first, if its worker is
    free.  Leaving the context ends the workers; where an exception leaves it, at once.
    """

    def __init__(self, most: int | None = None) -> None:
        most = most or processors()
        _HERE.breadth = min(most, _MOST_PARTS)
        self._waiting: deque[tuple[Key, Future[Any], Callable[[], Any]]] = deque()
        self._busy: set[Key] = set()
        self._changed = threading.Condition()
        self._closed = False
        self._failure: BaseException | None = None
        self._threads = [
            threading.Thread(target=self._work, name=f"worker-{number}", daemon=True) for number in range(most)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, function: Callable[..., T], /, *arguments: Any, **named: Any) -> Future[T]:
        """Call ``function(subject, ...)`` later; the subject is a profile, or a task of one."""
        key = _HERE.key_of(arguments[0])
        future: Future[T] = Future()
        with self._changed:
            if self._closed:
                raise RuntimeError("the pool is shut down")
            if self._failure:
                raise self._failure
            self._waiting.append((key, future, lambda: function(*arguments, **named)))
            self._changed.notify()
        return future

    def _work(self) -> None:
        try:
            self._serve()
        except BaseException as error:  # nobody would answer what is waiting: whoever asked has to learn of it
            with self._changed:
                self._failure = error
                while self._waiting:
                    future = self._waiting.popleft()[1]
                    if future.set_running_or_notify_cancel():
                        future.set_exception(error)
                self._changed.notify_all()

    def _serve(self) -> None:
        while True:
            with self._changed:
                found = self._next()
                while found is None:
                    if self._closed and not self._waiting:
                        return
                    self._changed.wait()
                    found = self._next()
                key, future, call = found
                self._busy.add(key)
            try:
                if future.set_running_or_notify_cancel():
                    try:
                        future.set_result(call())
                    except BaseException as error:
                        future.set_exception(error)
            finally:
                with self._changed:
                    self._busy.discard(key)
                    self._changed.notify_all()

    def _next(self) -> tuple[Key, Future[Any], Callable[[], Any]] | None:
        for place, (key, _, _) in enumerate(self._waiting):
            if key not in self._busy:
                found = self._waiting[place]
                del self._waiting[place]
                return found
        return None

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more work; with ``cancel_futures`` drop what is waiting, and end the workers in their midst."""
        with self._changed:
            self._closed = True
            if cancel_futures:
                while self._waiting:
                    self._waiting.popleft()[1].cancel()
            self._changed.notify_all()
        if cancel_futures:
            stop_workers()
        if wait:
            for thread in self._threads:
                thread.join()
            stop_workers()
        _HERE.breadth = 1

    def __exit__(self, kind: object, *rest: object) -> None:
        self.shutdown(wait=True, cancel_futures=kind is not None)
