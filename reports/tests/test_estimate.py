"""The estimate of a deep run: what it samples, what it makes of costs that are known, and when it is printed."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from reports.measure.estimate import Cost, Estimate, duration, estimate_of, pilot_of
from reports.measure.run import run_measurements
from reports.tests.conftest import Command
from suites.implementations.catalogue import CATALOGUE
from suites.plan.cell import Cell, Selection
from suites.plan.cells import cells

NUMPY = [i for i in CATALOGUE.values() if i.framework == "numpy"]
TWO = [CATALOGUE["numpy/naive"], CATALOGUE["numpy/shifted"]]
ONE = Selection("deep", formats=("binary32",), layouts=("last",), profiles=("default",), families=("gauss1", "equal"))


def costs_of(chosen: list[Cell], compiling: float, running: float, judging: float, shared: float) -> list[Cost]:
    """Every first cell of a shape compiles, an exact result is made once for an input."""
    shapes: set[Cell] = set()
    inputs: set[Cell] = set()
    costs = []
    for cell in chosen:
        shape, input = replace(cell, family=""), replace(cell, implementation="", layout="", profile="")
        costs.append(
            Cost(cell, running + compiling * (shape not in shapes), judging, 0.0 if input in inputs else shared)
        )
        shapes.add(shape)
        inputs.add(input)
    return costs


def test_costs_that_depend_on_the_kind_alone_are_estimated_exactly() -> None:
    waiting = cells(TWO, ONE)
    pilot = pilot_of(waiting)
    assert len(pilot) * 2 < len(waiting)
    estimate = estimate_of(waiting, costs_of(pilot, 1.0, 0.25, 0.125, 0.0), 2)
    truth = costs_of(waiting, 1.0, 0.25, 0.125, 0.0)
    assert estimate.evaluation == pytest.approx(math.fsum(c.evaluation for c in truth))
    assert estimate.driver == pytest.approx(math.fsum(c.judging for c in truth))
    assert (estimate.cells, estimate.measured) == (len(waiting), len(pilot))


def test_what_cells_on_the_same_input_share_is_counted_once_for_each_input() -> None:
    waiting = cells(TWO, ONE)
    truth = costs_of(waiting, 0.0, 0.0, 0.0, 1.0)
    estimate = estimate_of(waiting, costs_of(pilot_of(waiting), 0.0, 0.0, 0.0, 1.0), 2)
    assert estimate.driver == pytest.approx(math.fsum(c.shared for c in truth))
    assert estimate.driver < len(waiting)


def test_the_first_call_of_an_implementation_is_left_out_where_there_are_others() -> None:
    waiting = cells(TWO, ONE)
    costs = costs_of(pilot_of(waiting), 1.0, 0.25, 0.0, 0.0)
    loading = [replace(costs[0], evaluation=1000.0), *costs[1:]]
    assert estimate_of(waiting, loading, 2) == estimate_of(waiting, costs, 2)


def test_the_pilot_has_every_kind_of_cell_and_is_in_the_order_of_the_plan() -> None:
    waiting = cells(NUMPY, Selection("deep", formats=("binary32",), layouts=("last", "inner")))
    pilot = pilot_of(waiting)
    kinds = {(c.implementation, c.quantity, c.row_length > 64) for c in waiting}
    assert {(c.implementation, c.quantity, c.row_length > 64) for c in pilot} == kinds
    assert pilot == [cell for cell in waiting if cell in set(pilot)]


def test_a_stratum_without_costs_adds_nothing() -> None:
    """Its cells were lost, so nothing is known of them."""
    waiting = cells(TWO, ONE)
    costs = costs_of(pilot_of(waiting), 0.0, 1.0, 0.0, 0.0)
    half = [cost for cost in costs if cost.cell.implementation == "numpy/naive"]
    naive = [cell for cell in waiting if cell.implementation == "numpy/naive"]
    assert estimate_of(waiting, half, 1).seconds == estimate_of(naive, half, 1).seconds


@pytest.mark.parametrize(("evaluation", "driver", "seconds"), [(10.0, 2.0, 6.0), (1.0, 9.0, 9.0), (0.0, 0.0, 0.0)])
def test_workers_evaluate_beside_the_driver_who_can_t_be_split(
    evaluation: float, driver: float, seconds: float
) -> None:
    assert Estimate(1, 1, evaluation, driver, 2).seconds == seconds


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.4, "0 s"), (89.0, "89 s"), (90.0, "2 min"), (5399.0, "90 min"), (30600.0, "8.5 h")]
)
def test_durations_are_said_as_people_say_them(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_the_cells_of_the_pilot_are_cells_of_the_run_and_are_measured_once(tmp_path: Path) -> None:
    selection = replace(ONE, quantities=("forward",), operations=("softmax",))
    told: list[Estimate] = []
    seen: list[Cell] = []
    outcome = run_measurements(
        tmp_path / "run", TWO, selection, lambda _, __, cell: seen.append(cell), timing=False, on_estimate=told.append
    )
    planned = cells(TWO, selection)
    assert sorted(seen) == sorted(planned)
    assert seen[: told[0].measured] != planned[: told[0].measured]
    assert [r.key for r in outcome.run.records] == sorted(c.key for c in planned)
    assert (told[0].cells, outcome.lost) == (len(planned), [])
    assert told[0].seconds > 0


def test_the_time_of_a_deep_run_is_estimated_and_of_a_shorter_one_not(command: Command) -> None:
    kind = ("--framework", "numpy", "--format", "binary64", "--operation", "softmax", "--quantity", "forward")
    few = (*kind, "--layout", "inner", "--family", "equal", "--profile", "default")
    deep = command("measure", "--tier", "deep", *few, "--out", "deep")
    assert deep.code == 0
    assert " cells, about " in deep.err
    assert "measured first" in deep.err
    again = command("measure", "--tier", "deep", *few, "--out", "deep")
    assert (again.code, again.err) == (0, "")
    assert command("measure", *few, "--out", "standard").err == ""
