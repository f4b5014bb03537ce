"""Evaluations for the laws: equal requests are answered once, in this process or by a worker of another profile."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from cachetools import LRUCache

from references.formats import Bits
from suites.evaluation import evaluate_rows
from suites.implementations.call import AnyBits, Call, Evaluator
from suites.implementations.catalogue import Implementation, settings_of
from suites.introduction import Introduction
from suites.laws.inputs import Input
from suites.laws.requirements import LostEvaluation
from suites.laws.subjects import Subject
from suites.measure import evaluator_of, proven_flush
from suites.own import request_for
from suites.paths.taken import Step
from suites.pool import evaluate
from suites.profiles import DEFAULT, Profile
from suites.roster import admitted
from suites.tasks import Answer, Loss, Task

# Elements of results that are kept: a law's neighbours ask for the same rows.
_MOST_KEPT = 1 << 22


class Evaluations:
    """What laws evaluate with; ``tier`` says how many rows they try.

    The default profile is evaluated in this process, others by their workers; where an ``engine`` is given, it answers
    all tasks.  ``introduced`` tells what a profile selected.
    """

    def __init__(
        self,
        tier: str = "standard",
        introduced: Callable[[Profile], Introduction] = admitted,
        engine: Callable[[Task], list[Answer]] | None = None,
    ) -> None:
        self.tier = tier
        self._introduced, self._engine = introduced, engine
        self._evaluators: dict[str, Evaluator] = {}
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

        Raises TouchedMemory where memory was changed that is not the result's, LostEvaluation from a worker, and
        whatever the framework raises.
        """
        if not self._is_here(subject.profile):
            return self._by_worker(subject, given)
        evaluator = self._evaluator(subject.implementation)
        what = subject.operation, subject.quantity, subject.format_name, subject.layout
        return evaluate_rows(evaluator, *what, given.logits, given.vectors)

    def call(self, subject: Subject, call: Call) -> AnyBits:
        """The result of an array of any shape, in this process.  Raises whatever the framework raises."""
        found = self._evaluator(subject.implementation)(call)
        # np.ascontiguousarray, which evaluators end with, makes one axis where there is none.
        return found.reshape(()) if not call.logits.ndim and found.shape == (1,) else found

    def _by_worker(self, subject: Subject, given: Input) -> Bits:
        answer = self.isolated(subject, given)
        if answer.bits is None:
            loss = answer.loss or Loss("no answer")
            raise LostEvaluation(f"{subject.key}: {loss.reason}\n{loss.log}".rstrip())
        if answer.touched:
            raise LostEvaluation(f"{subject.key}: {answer.touched} elements of memory were changed")
        return answer.bits

    def isolated(self, subject: Subject, given: Input) -> Answer:
        """A worker's answer, for what may end the process that it is tried in.

        Raises Unavailable, WorkerDied where no worker can be had.
        """
        vectors = tuple((role, role) for role in given.vectors)
        request = request_for(subject.implementation, subject.operation, subject.quantity, subject.layout, vectors)
        task = Task(subject.profile, subject.format_name, given.logits, given.vectors, (request,))
        (answer,) = (self._engine or evaluate)(task)
        return answer

    def _is_here(self, profile: Profile) -> bool:
        return profile.name == DEFAULT and self._engine is None

    def _evaluator(self, implementation: Implementation) -> Evaluator:
        if implementation.name not in self._evaluators:
            self._evaluators[implementation.name] = evaluator_of(implementation)
        return self._evaluators[implementation.name]

    def steps(self, subject: Subject, shape: tuple[int, int]) -> tuple[Step, ...]:
        """The code paths of ``shape`` (rows, n) in the subject's profile; none where they aren't known."""
        return subject.steps(*shape, self.settings(subject))

    def settings(self, subject: Subject) -> dict[str, str]:
        """What the framework has chosen in the subject's profile."""
        profile = subject.profile
        if profile not in self._settings:
            here = self._is_here(profile)
            self._settings[profile] = settings_of(profile.framework) if here else self._introduced(profile).selected
        return self._settings[profile]

    def flushes(self, subject: Subject) -> bool:
        """Whether subnormal numbers are flushed to zero: declared, and proved by a probe."""
        here = self._is_here(subject.profile)
        return proven_flush(subject.implementation, None if here else self._introduced(subject.profile).flushes)


def _digest(given: Input) -> str:
    digest = hashlib.sha256(f"{given.logits.dtype} {given.logits.shape}".encode())
    for role, bits in (("logits", given.logits), *sorted(given.vectors.items())):
        digest.update(role.encode() + bits.tobytes())
    return digest.hexdigest()
