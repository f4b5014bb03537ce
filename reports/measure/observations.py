"""Whether bits change with what no framework promises, observed by the workers of a measurement."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Executor

from reports.run.writer import RunWriter
from suites.driver.availability import Availability
from suites.driver.pool import evaluate
from suites.driver.tasks import Answer, Task
from suites.driver.worker_process import WorkerDied
from suites.implementations.catalogue import Implementation
from suites.laws.evaluation import Evaluations
from suites.laws.observations import comparisons_of
from suites.plan.cell import Selection
from suites.session import LostEvaluation
from suites.worker.self_report import Unavailable


def observe(
    implementations: Iterable[Implementation],
    selection: Selection,
    availability: Availability,
    workers: Executor,
    writer: RunWriter,
    interpreter: str,
) -> None:
    """Write down what is not there yet, in the profiles that are present; where a worker is lost, its cells say so."""

    def answers(task: Task) -> list[Answer]:
        return workers.submit(evaluate, task).result()

    on = Evaluations(selection.tier, lambda profile: availability.present[profile], answers)
    for implementation in implementations:
        for comparison in comparisons_of(implementation, selection, interpreter):
            known = comparison.key in writer.observed
            profiles = {comparison.usual.profile, comparison.other.profile}
            if known or not profiles <= set(availability.present):
                continue
            try:
                writer.observe(comparison.observe(on))
            except (LostEvaluation, WorkerDied, Unavailable):
                continue
