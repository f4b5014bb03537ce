"""Packages swapped one at a time, in environments and with frameworks that are made up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from references.formats import BINARY32, Bits
from reports.causes.bits import evaluated, sha256_of
from reports.causes.causes import Causes, causes_of
from reports.causes.subnormals import elements_subnormal
from reports.causes.swapping import MOST_CELLS, Sides, Swaps, Unresolvable, swapped
from reports.causes.view import ChangedPart, View
from reports.compare.comparison import compare_runs
from reports.run.records import Run
from reports.tests.synthetic import cell, line, write_run
from suites.plan.cell import Cell
from suites.scoring.cell import input_of

OLD = {"numpy": "1.26", "scipy": "1.13"}
NEW = {"numpy": "2.4", "scipy": "1.17"}

# The bits of a cell with some versions, and which versions go together.
Kernel = Callable[[Mapping[str, str]], int]
Together = Callable[[Mapping[str, str]], bool]


def bits(value: int) -> Bits:
    return np.array([[value]], np.uint32)


def scipy_cell(n: int = 2) -> Cell:
    return cell(implementation="scipy", row_length=n)


class World:
    """Cells whose bits follow from the versions by ``kernels``; counts what it is asked for."""

    def __init__(self, tmp_path: Path, kernels: dict[Cell, Kernel], together: Together = lambda versions: True) -> None:
        self.kernels, self.together = kernels, together
        self.built: list[dict[str, str]] = []
        self.evaluations: list[tuple[str, int]] = []
        sides = []
        for name, versions in (("old", OLD), ("new", NEW)):
            lines = [line(c, output_sha256=sha256_of(bits(kernel(versions)))) for c, kernel in kernels.items()]
            sides.append(write_run(tmp_path / name, lines, packages=versions))
        self.comparison = compare_runs(sides[0], sides[1])

    def build(self, versions: Mapping[str, str]) -> str:
        if not self.together(versions):
            raise Unresolvable("they conflict")
        self.built.append(dict(versions))
        return " ".join(f"{name}={version}" for name, version in versions.items())

    def evaluate(self, cells: Iterable[Cell], interpreter: str) -> dict[str, Bits]:
        chosen = list(cells)
        self.evaluations.append((interpreter, len(chosen)))
        versions = {"old": OLD, "new": NEW}.get(interpreter) or dict(
            word.split("=")
            for word in interpreter.split()  # as build names it
        )
        return {c.key: bits(self.kernels[c](versions)) for c in chosen}

    def causes(self) -> Causes:
        def experiment(view: View, parts: list[ChangedPart]) -> Swaps:
            return swapped(view, parts, Sides("old", "new"), self.build, self.evaluate, lambda text: None)

        return causes_of(self.comparison, experiment)


def numpy_alone(versions: Mapping[str, str]) -> int:
    return 1 if versions["numpy"] == "1.26" else 2


def scipy_alone(versions: Mapping[str, str]) -> int:
    return 3 if versions["scipy"] == "1.13" else 4


def both_needed(versions: Mapping[str, str]) -> int:
    return 6 if versions == NEW else 5


def each_moves(versions: Mapping[str, str]) -> int:
    return 10 * numpy_alone(versions) + scipy_alone(versions)


def scipy_needs_new_numpy(versions: Mapping[str, str]) -> bool:
    """As the real scipy 1.13, which has an upper bound on NumPy."""
    return not (versions["numpy"] == "2.4" and versions["scipy"] == "1.13")


@pytest.mark.parametrize(
    ("kernel", "together", "text"),
    [
        (numpy_alone, None, "numpy 1.26 → 2.4: it alone gives the new bits"),
        (scipy_alone, None, "scipy 1.13 → 1.17: it alone gives the new bits"),
        (scipy_alone, scipy_needs_new_numpy, "scipy 1.13 → 1.17: it alone gives the new bits"),
        (numpy_alone, scipy_needs_new_numpy, "numpy 1.26 → 2.4: without it, the new scipy leaves the old bits"),
        (both_needed, None, "scipy 1.13 → 1.17 and numpy 1.26 → 2.4 together: no new bits without each"),
        (
            each_moves,
            None,
            "together: bits that are neither the old nor the new ones "
            "with scipy 1.13 → 1.17 alone and numpy 1.26 → 2.4 alone",
        ),
    ],
)
def test_the_package_that_moved_the_bits_is_found(
    tmp_path: Path, kernel: Kernel, together: Together | None, text: str
) -> None:
    world = World(tmp_path, {scipy_cell(): kernel}, *([together] if together else []))
    (group,) = world.causes().groups
    assert group.because_text == text


def test_versions_that_never_go_apart_are_not_distinguished(tmp_path: Path) -> None:
    world = World(tmp_path, {scipy_cell(): numpy_alone}, lambda versions: versions in (OLD, NEW))
    found = world.causes()
    assert found.groups[0].because_text == (
        "scipy 1.13 → 1.17 and numpy 1.26 → 2.4, which install only together; which of them is not known"
    )
    assert found.notes == tuple(
        f"{pins} can't be had together: they conflict" for pins in ("scipy==1.17 numpy==1.26", "scipy==1.13 numpy==2.4")
    )
    assert world.evaluations == []  # nothing could follow from them


def test_cells_that_hang_on_different_packages_are_not_made_one(tmp_path: Path) -> None:
    world = World(tmp_path, {scipy_cell(2): numpy_alone, scipy_cell(3): scipy_alone})
    (group,) = world.causes().groups
    assert group.because_text == (
        "not the same for all cells: numpy 1.26 → 2.4: it alone gives the new bits; "
        "or scipy 1.13 → 1.17: it alone gives the new bits"
    )


def test_a_cell_that_is_not_the_same_when_asked_again_says_nothing(tmp_path: Path) -> None:
    world = World(tmp_path, {scipy_cell(): numpy_alone})
    world.kernels[scipy_cell()] = lambda versions: 99
    found = world.causes()
    assert found.groups[0].because_text.startswith("unexplained: one or more of ")
    assert found.notes == ("1 cell had not the bits of the runs when evaluated again; nothing follows",)


def test_one_package_needs_no_experiment(tmp_path: Path) -> None:
    of = cell(implementation="numpy/shifted")
    world = World(tmp_path, {of: numpy_alone})
    assert world.causes().groups[0].because_text == "numpy 1.26 → 2.4, and nothing else that it depends on differs"
    assert (world.built, world.evaluations) == ([], [])


def test_a_few_cells_stand_for_thousands(tmp_path: Path) -> None:
    formats = ("binary64", "binary32", "binary16")
    kernels: dict[Cell, Kernel] = {
        cell(n, implementation=name, format=f, layout=layout): numpy_alone
        for name in ("scipy", "scipy/x-minus-logsumexp")
        for f in formats
        for layout in ("last", "inner")
        for n in range(200)
    }
    world = World(tmp_path, kernels)
    assert len(world.causes().groups) == 1
    assert {interpreter: number for interpreter, number in world.evaluations if interpreter in ("old", "new")} == {
        "old": 18,
        "new": 18,
    }
    assert MOST_CELLS > 18


def test_no_environment_is_built_twice_and_each_swaps_one_package(tmp_path: Path) -> None:
    world = World(tmp_path, {scipy_cell(2): numpy_alone, scipy_cell(3): scipy_alone})
    world.causes()
    assert world.built == [{"scipy": "1.17", "numpy": "1.26"}, {"scipy": "1.13", "numpy": "2.4"}]


# -- element by element ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("normal_too", [False, True])
def test_subnormal_elements_alone(tmp_path: Path, normal_too: bool) -> None:
    of = cell(family="geometric", row_length=33)
    batch = input_of(of)
    subnormal = elements_subnormal(of, batch.sha256)
    assert subnormal is not None
    assert 0 < subnormal.sum() < subnormal.size
    before = BINARY32.encode(np.where(subnormal, 0.0, 0.25))
    after = BINARY32.encode(np.where(subnormal, 2.0**-140, 0.25))
    if normal_too:
        after[tuple(np.argwhere(~subnormal)[0])] += 1
    known: dict[str, Any] = {"input_sha256": batch.sha256}
    paths = [
        write_run(tmp_path / name, [line(of, output_sha256=sha256_of(b), outcomes=outcomes, **known)])
        for name, b, outcomes in (("o", before, {"underflow": 9}), ("n", after, {}))
    ]

    def evaluate(cells: Iterable[Cell], interpreter: str) -> dict[str, Bits]:
        return {c.key: {"old": before, "new": after}[interpreter] for c in cells}

    def experiment(view: View, parts: list[ChangedPart]) -> Swaps:
        return swapped(view, parts, Sides("old", "new"), _never, evaluate, lambda text: None)

    (group,) = causes_of(compare_runs(paths[0], paths[1]), experiment).groups
    assert ("subnormal elements" in [f.kind for f in group.where]) is not normal_too


def _never(versions: Mapping[str, str]) -> str:
    raise AssertionError("one package moved at most")


def test_cells_evaluated_here_have_the_bits_of_a_run(finished: Run) -> None:
    import sys

    records = [r for r in finished.records if r.row_length <= 1000][:12]
    found = evaluated([r.cell for r in records], sys.executable)
    assert {r.key: sha256_of(found[r.key]) for r in records} == {r.key: r.output_sha256 for r in records}
