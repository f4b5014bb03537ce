"""Evaluations for the laws: equal requests are answered once, by a worker of the profile."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from cachetools import LRUCache

from references.formats import Bits
from suites.driver.availability import admitted
from suites.driver.own_functions import request_for
from suites.driver.pool import evaluate
from suites.driver.profiles import Profile
from suites.driver.tasks import Answer, Loss, Task
from suites.implementations.call import AnyBits
from suites.laws.inputs import Input
from suites.laws.subjects import Subject
from suites.paths.taken import Step
from suites.scoring.cell import proven_flush
from suites.session import LostEvaluation, answer_of
from suites.worker.self_report import Introduction

# Elements of results that are kept: a law's neighbours ask for the same rows.
_MOST_KEPT = 1 << 22


class Evaluations:
    """What laws evaluate with; ``tier`` says how many rows they try.

    Workers answer the tasks, or the ``engine`` that is given.  ``introduced`` says what a profile selected.
    """

    def __init__(
        self,
        tier: str = "standard",
        introduced: Callable[[Profile], Introduction] = admitted,
        engine: Callable[[Task], list[Answer]] = evaluate,
    ) -> None:
        self.tier = tier
        self._introduced, self._engine = introduced, engine
        self._settings: dict[Profile, dict[str, str]] = {}
        self._kept: LRUCache[Any, Bits] = LRUCache(_MOST_KEPT, getsizeof=lambda bits: int(bits.size))

    def bits(self, subject: Subject, given: Input) -> Bits:
        """The result [rows, n] of a subject; it is kept, and read-only.  Raises as ``fresh`` does."""
        key = subject.key, _digest(given)
        found = self._kept.get(key)
        if found is None:
            found = self.fresh(subject, given)
            found.flags.writeable = False
            if found.size <= _MOST_KEPT:
                self._kept[key] = found
        return found

    def fresh(self, subject: Subject, given: Input) -> Bits:
        """The same, evaluated anew.

        Raises LostEvaluation where the worker doesn't survive it, the implementation raises, or memory was changed that
        is not the result's.
        """
        answer = answer_of(subject.key, _task(subject, given), self._engine)
        if answer.touched:
            raise LostEvaluation(subject.key, Loss(f"{answer.touched} elements of memory were changed"))
        assert answer.bits is not None
        return answer.bits

    def of_array(self, subject: Subject, array: AnyBits, axis: int) -> Answer:
        """A worker's answer for an array of any shape, which may end it.

        Raises Unavailable, WorkerDied where no worker can be had.
        """
        (answer,) = self._engine(_task(subject, Input(array, {}), axis))
        return answer

    def steps(self, subject: Subject, shape: tuple[int, int]) -> tuple[Step, ...]:
        """The code paths of ``shape`` (rows, n) in the subject's profile; none where they aren't known."""
        return subject.steps(*shape, self.settings(subject))

    def settings(self, subject: Subject) -> dict[str, str]:
        """What the framework has chosen in the subject's profile."""
        profile = subject.profile
        if profile not in self._settings:
            self._settings[profile] = self._introduced(profile).selected
        return self._settings[profile]

    def flushes(self, subject: Subject) -> bool:
        """Whether subnormal numbers are flushed to zero: declared, and proved by a probe."""
        return proven_flush(subject.implementation, self._introduced(subject.profile).flushes)


def _task(subject: Subject, given: Input, axis: int | None = None) -> Task:
    vectors = tuple((role, role) for role in given.vectors)
    what = subject.operation, subject.quantity, subject.layout
    request = request_for(subject.implementation, *what, vectors, axis)
    return Task(subject.profile, subject.format_name, given.logits, given.vectors, (request,))


def _digest(given: Input) -> str:
    digest = hashlib.sha256(f"{given.logits.dtype} {given.logits.shape}".encode())
    for role, bits in (("logits", given.logits), *sorted(given.vectors.items())):
        digest.update(role.encode() + bits.tobytes())
    return digest.hexdigest()
