"""Whether JAX hands jaxlib the same programs: with programs that are made up, and with the real ones."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from reports.causes.causes import causes_of
from reports.causes.programs import MOST_COMPARISONS, bare, computes, programs_of, same_programs
from reports.causes.swapping import Sides, Swaps, Unresolvable, swapped
from reports.causes.view import ChangedPart, View
from reports.compare.comparison import compare_runs
from reports.tests.synthetic import cell, line, write_run
from suites.driver.pool import stop_workers
from suites.plan.cell import Cell

JIT = cell(implementation="jax/jit", row_length=3)

OLD = """#loc1 = loc("x")
module @jit__lambda_ attributes {mhlo.num_partitions = 1 : i32} {
  func.func public @main(%arg0: tensor<2xf16> loc("x")) -> (tensor<2xf16> {jax.result_info = ""}) {
    %0 = stablehlo.exponential %arg0 : tensor<2xf16> loc(#loc11)
    return %0 : tensor<2xf16> loc(callsite("f"("a.py":5:12) at unknown))
  } loc(#loc)
} loc(#loc)
#loc = loc(unknown)
"""
NEW = """#loc1 = loc("y")
module @jit__lambda attributes {mhlo.num_partitions = 1 : i32} {
  func.func public @main(%arg0: tensor<2xf16> loc("y")) -> (tensor<2xf16> {jax.result_info = "result"}) {
    %0 = stablehlo.exponential %arg0 : tensor<2xf16> loc(#loc7)
    return %0 : tensor<2xf16> loc(#loc7)
  } loc(#loc)
} loc(#loc)
#loc = loc("a.py":5:12 to :38)
"""


@pytest.fixture(autouse=True)
def no_worker_left() -> Iterator[None]:
    yield
    stop_workers()


def test_names_and_places_are_no_part_of_a_program() -> None:
    assert bare(OLD) == bare(NEW)
    assert "loc" not in bare(OLD)
    assert bare(OLD).count("\n") == 5


def test_a_program_that_returns_what_it_is_given_computes_nothing() -> None:
    assert computes(bare(OLD))
    identity = "\n".join(line for line in OLD.splitlines() if "exponential" not in line).replace(
        "return %0", "return %arg0"
    )
    assert not computes(bare(identity))


@pytest.mark.parametrize(
    ("before", "after"),
    [("exponential", "exponential_minus_one"), ("2xf16", "2xf32"), ("num_partitions = 1", "num_partitions = 2")],
)
def test_operations_and_types_are(before: str, after: str) -> None:
    assert bare(OLD) != bare(NEW.replace(before, after))


class Compiled:
    """Programs of cells: those of ``moved`` are others in the new version; counts how often it was asked."""

    def __init__(self, moved: set[Cell]) -> None:
        self.moved, self.asked = moved, 0

    def __call__(self, cells: Sequence[Cell], interpreter: str) -> tuple[str, ...]:
        self.asked += 1
        return tuple(f"{c.row_length}{interpreter if c in self.moved else ''}" for c in cells)


@pytest.mark.parametrize("numbers", [set(), {0}, {7}, {3, 12}, {0, 1, 2, 3}])
def test_cells_with_other_programs_are_distinguished_by_halves(numbers: set[int]) -> None:
    cells = [cell(n, implementation="jax/jit") for n in range(16)]
    compiled = Compiled({cells[n] for n in numbers})
    assert same_programs(cells, "old", "new", compiled) == {c.key for n, c in enumerate(cells) if n not in numbers}
    assert compiled.asked <= 2 * MOST_COMPARISONS
    if not numbers:
        assert compiled.asked == 2


def test_so_many_other_programs_are_left_open() -> None:
    cells = [cell(n, implementation="jax/jit") for n in range(200)]
    compiled = Compiled({c for n, c in enumerate(cells) if n % 3 == 0})
    found = same_programs(cells, "old", "new", compiled)
    assert found <= {c.key for n, c in enumerate(cells) if n % 3}
    assert compiled.asked == 2 * MOST_COMPARISONS


@pytest.mark.parametrize("same", [True, False])
def test_the_same_programs_leave_jaxlib(tmp_path: Path, same: bool) -> None:
    paths = [
        write_run(tmp_path / v, [line(JIT, output_sha256=v[-1] * 64)], packages={"jax": v, "jaxlib": v})
        for v in ("0.1", "0.5")
    ]

    def build(versions: Mapping[str, str]) -> str:
        raise Unresolvable("they conflict")

    def experiment(view: View, parts: list[ChangedPart]) -> Swaps:
        return swapped(
            view,
            parts,
            Sides("old", "new"),
            build,
            lambda cells, interpreter: {},
            lambda text: None,
            lambda of, interpreter: ("a program",) if same else (interpreter,),
        )

    (group,) = causes_of(compare_runs(paths[0], paths[1]), experiment).groups
    assert group.because_text == (
        "jaxlib 0.1 → 0.5: JAX hands it the same programs as before"
        if same
        else "jax 0.1 → 0.5 and jaxlib 0.1 → 0.5, which install only together; which of them is not known"
    )


def test_jax_shows_its_programs_the_same_each_time_and_others_for_another_cell() -> None:
    pytest.importorskip("jax")
    found = programs_of([JIT], sys.executable)
    assert any("stablehlo.exponential" in program for program in found)
    assert programs_of([JIT], sys.executable) == found
    assert programs_of([cell(implementation="jax/jit", row_length=4)], sys.executable) != found


def test_what_is_not_jax_has_no_programs() -> None:
    assert programs_of([JIT, cell(implementation="numpy/shifted")], sys.executable) == ()
