"""The plan: which cells a tier has, what they are called, and that nothing measurable is left out."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import cache
from itertools import groupby

import pytest

from references.vocabulary import QUANTITIES
from suites.driver.profiles import DEFAULT, cpu_profiles, profile_named
from suites.implementations.catalogue import CATALOGUE, FRAMEWORKS, Implementation, layouts_of, means_something_to
from suites.inputs import special
from suites.inputs.cotangents import KINDS
from suites.plan.cell import Cell, Selection
from suites.plan.cells import cells, rows_of
from suites.plan.tiers import LENGTHS, LONG, SPECIAL
from suites.vocabulary import FAMILIES, FORMATS, LAYOUTS, TIERS

EVERYTHING = list(CATALOGUE.values())

every_tier = pytest.mark.parametrize("tier", TIERS)


@cache
def plan(tier: str) -> tuple[Cell, ...]:
    """The cells of all implementations."""
    return tuple(cells(EVERYTHING, Selection(tier)))


CELL = Cell("torch/eager", "default", "log_softmax", "vjp", "binary16", "inner", "offset", 9)


def test_a_key_joins_the_identity_fields_in_the_order_of_the_record() -> None:
    assert CELL.key == "torch/eager/default/log_softmax/vjp/binary16/inner/offset/9"


def test_a_digest_is_the_sha256_of_the_key() -> None:
    assert CELL.digest == hashlib.sha256(b"torch/eager/default/log_softmax/vjp/binary16/inner/offset/9").hexdigest()


@every_tier
def test_no_two_cells_share_a_key(tier: str) -> None:
    keys = [cell.key for cell in plan(tier)]
    assert len(keys) == len(set(keys))


def test_each_tier_holds_the_cells_of_the_shorter_one() -> None:
    smoke, standard, deep = (set(plan(tier)) for tier in TIERS)
    assert smoke < standard < deep
    assert len(smoke) * 3 < len(standard)
    assert len(standard) < len(deep)


@every_tier
def test_cells_on_the_same_input_are_neighbours(tier: str) -> None:
    """The input and its exact results are made once and kept for a few batches only."""
    inputs = [key for key, _ in groupby(plan(tier), key=lambda c: (c.row_length, c.format, c.family))]
    assert len(inputs) == len(set(inputs))


@pytest.mark.parametrize(
    ("filters", "field", "values"),
    [
        ({"operations": ("softmax",)}, "operation", {"softmax"}),
        ({"quantities": ("vjp", "jvp")}, "quantity", {"vjp", "jvp"}),
        ({"formats": ("bfloat16",)}, "format", {"bfloat16"}),
        ({"layouts": ("inner",)}, "layout", {"inner"}),
        ({"families": ("offset", "special")}, "family", {"offset", "special"}),
    ],
)
def test_a_filter_keeps_the_cells_with_its_values_and_all_of_them(
    filters: dict[str, tuple[str, ...]], field: str, values: set[str]
) -> None:
    chosen = cells(EVERYTHING, Selection("standard", **filters))
    assert {getattr(cell, field) for cell in chosen} == values
    assert chosen == [cell for cell in plan("standard") if getattr(cell, field) in values]


def test_filters_are_taken_together() -> None:
    selection = Selection("smoke", operations=("softmax",), formats=("binary32",), families=("dominant",))
    chosen = cells(EVERYTHING, selection)
    assert {(c.operation, c.format, c.family, c.row_length) for c in chosen} == {("softmax", "binary32", "dominant", 2)}


def test_a_filter_that_nothing_has_leaves_nothing() -> None:
    assert cells(EVERYTHING, Selection("smoke", families=("long",))) == []


def test_no_implementation_means_no_cell() -> None:
    assert cells([], Selection("standard")) == []


def offered_by(implementation: Implementation) -> set[tuple[str, str, str]]:
    """What an implementation offers of what can be judged."""
    return {
        (operation, quantity, format)
        for operation in implementation.calls
        for quantity in QUANTITIES
        for format in FORMATS
        if implementation.supports(operation, quantity, format)
    }


@pytest.mark.parametrize("implementation", EVERYTHING, ids=list(CATALOGUE))
@every_tier
def test_an_implementation_is_measured_in_all_that_it_offers(tier: str, implementation: Implementation) -> None:
    """The double backward aside, for which the shorter tiers have little time."""
    chosen = {(c.operation, c.quantity, c.format) for c in cells([implementation], Selection(tier))}
    offered = offered_by(implementation)
    assert chosen <= offered
    first = {each for each in chosen if each[1] != "hvp"}
    expected = {each for each in offered if each[1] != "hvp"}
    if tier == "deep":
        assert chosen == offered
    elif tier == "smoke" and (
        implementation.name == "jax/eager-custom-jvp" or (implementation.compiles and not implementation.main)
    ):  # no time to compile
        assert chosen == set()
    elif (tier, implementation.name) == ("standard", "torch/compile-dynamic"):
        assert first == {each for each in expected if each[2] in ("binary32", "bfloat16")}
    elif tier != "smoke" or implementation.main:
        assert first == expected


@pytest.mark.parametrize("tier", ["standard", "deep"])
def test_the_longer_tiers_reach_every_layout_family_format_and_quantity(tier: str) -> None:
    chosen = plan(tier)
    assert {c.layout for c in chosen} == set(LAYOUTS)
    assert {c.family for c in chosen} == {*FAMILIES, special.FAMILY}
    assert {c.format for c in chosen} == set(FORMATS)
    assert {c.quantity for c in chosen} == set(QUANTITIES)
    lengths = {*LENGTHS, *LONG} if tier == "standard" else {*LENGTHS, *LONG, *SPECIAL}
    assert {c.row_length for c in chosen} == lengths


def test_no_framework_is_given_a_layout_that_it_does_not_see() -> None:
    for tier in ("standard", "deep"):
        for cell in plan(tier):
            assert means_something_to(CATALOGUE[cell.implementation].framework, cell.layout), cell.key


def test_nothing_is_given_special_rows_that_it_does_not_take() -> None:
    without = {name for name, i in CATALOGUE.items() if not i.special_rows}
    assert without == {"torch/compile-x-over-3", "jax/jit-x-over-3"}
    assert not [c.key for c in plan("deep") if c.implementation in without and c.family == special.FAMILY]


@pytest.mark.parametrize("name", ["torch/eager", "jax/jit"])
def test_torch_and_jitted_jax_meet_every_input_of_the_standard_tier_that_they_see(name: str) -> None:
    axes = ("last", "inner", "column")
    inputs = {(c.layout, c.family, c.row_length) for c in plan("standard") if c.layout in axes}
    mine = {(c.layout, c.family, c.row_length) for c in cells([CATALOGUE[name]], Selection("standard"))}
    assert {each for each in mine if each[0] in axes} == inputs
    assert {layout for layout, _, _ in mine} == set(layouts_of(CATALOGUE[name]))


@pytest.mark.parametrize("framework", ["torch", "jax", "numpy"])
def test_an_implementation_of_ones_own_is_never_thinned_out(framework: str) -> None:
    own = Implementation(
        "mine/softmax",
        framework,
        "numpy.recipes",
        {"softmax": "mine"},
        False,
        (),
        ("forward",),
        own=("mine.py", "softmax"),
    )
    reached = {(c.layout, c.family, c.row_length) for c in cells([own], Selection("standard"))}
    every = {(c.layout, c.family, c.row_length) for c in plan("standard")}
    assert reached == {each for each in every if means_something_to(framework, each[0])}


@pytest.mark.parametrize(
    ("name", "inputs"),
    [
        # Paths that a shape alone reaches: unrolled, cascaded and outer loops of Inductor; XLA's trees of reductions.
        ("torch/compile", [("last", 8), ("last", 33), ("last", 4097), ("inner", 33)]),
        ("torch/compile-dynamic", [("last", 8), ("last", 9), ("last", 4096), ("last", 4097), ("inner", 33)]),
        ("jax/jit", [("single", 1025), ("single", 4096), ("middle", 33)]),
        ("torch/vmap", [("inner", 33), ("middle", 33)]),
        ("torch/_masked_softmax", [("last", 1000), ("inner", 9)]),
    ],
)
def test_the_standard_tier_has_the_shapes_that_reach_a_path(name: str, inputs: list[tuple[str, int]]) -> None:
    reached = {(c.layout, c.row_length) for c in cells([CATALOGUE[name]], Selection("standard"))}
    assert set(inputs) <= reached


def test_every_cell_has_a_row_for_each_kind_of_cotangent() -> None:
    for cell in plan("deep"):
        if cell.family != special.FAMILY:
            assert rows_of(cell.family, cell.row_length) >= len(KINDS)


@pytest.mark.parametrize(("n", "rows"), [(1, 33), (64, 33), (65, 18), (1025, 18), (4096, 5), (65536, 5)])
def test_long_rows_come_in_smaller_batches(n: int, rows: int) -> None:
    assert rows_of("gauss1", n) == rows


# -- profiles --------------------------------------------------------------------------------------------------------


def of_profiles(tier: str) -> dict[tuple[str, str], set[Cell]]:
    """The cells by framework and profile."""
    found: dict[tuple[str, str], set[Cell]] = {}
    for cell in plan(tier):
        found.setdefault((CATALOGUE[cell.implementation].framework, cell.profile), set()).add(cell)
    return found


EVERY_PROFILE = {(framework, profile.name) for framework in FRAMEWORKS for profile in cpu_profiles(framework)}


def test_the_smoke_tier_has_the_default_profile_and_the_longer_ones_have_all() -> None:
    assert {name for _, name in of_profiles("smoke")} == {DEFAULT, "array-api"}
    assert of_profiles("standard").keys() == of_profiles("deep").keys() == EVERY_PROFILE


def test_other_profiles_have_few_standard_cells_on_inputs_of_the_default_profile() -> None:
    inputs = {(c.family, c.format, c.row_length) for c in plan("standard") if c.profile == DEFAULT}
    for (_, name), chosen in of_profiles("standard").items():
        if name not in (DEFAULT, "array-api"):
            assert {(c.family, c.format, c.row_length) for c in chosen} <= inputs
            assert 24 <= len(chosen) < 300
            assert {c.quantity for c in chosen} <= {"forward", "vjp"}
            assert len({c.implementation for c in chosen}) == 1


def test_instruction_sets_meet_rows_on_both_sides_of_their_registers_in_every_format() -> None:
    chosen = of_profiles("standard")["torch", "aten-avx2"]
    assert {c.format for c in chosen} == set(FORMATS)
    lengths = {c.row_length for c in chosen if (c.layout, c.family) == ("last", "gauss1")}
    for lanes in (8, 16, 32):
        assert {lanes - 1, lanes, lanes + 1} <= lengths


def test_the_deep_tier_has_every_call_quantity_and_length_in_every_profile() -> None:
    deep = of_profiles("deep")
    for (framework, name), chosen in deep.items():
        if name == "array-api":
            assert {c.implementation for c in chosen} == {"scipy/torch-arrays", "scipy/jax-arrays"}
            continue
        if name == DEFAULT:
            continue
        default = deep[framework, DEFAULT]
        assert chosen <= {replace(cell, profile=name) for cell in default}
        formats = profile_named(framework, name).formats or FORMATS
        expected = {kernel(c) for c in default if c.format in formats and c.layout in ("last", "inner", "column")}
        assert {kernel(cell) for cell in chosen} == expected


def kernel(cell: Cell) -> tuple[str, ...]:
    """What decides which code runs, inside of a profile."""
    length = 0 if cell.family == special.FAMILY else cell.row_length  # two lengths of special rows are left out
    return cell.implementation, cell.operation, cell.quantity, cell.format, cell.layout, str(length)


def test_jax_without_wide_numbers_has_no_binary64() -> None:
    assert "binary64" not in {c.format for c in of_profiles("deep")["jax", "no-x64"]}


def test_a_profile_can_be_chosen() -> None:
    chosen = cells(EVERYTHING, Selection("standard", profiles=("threads-2", "one-cpu")))
    assert {(c.implementation, c.profile) for c in chosen} == {("torch/eager", "threads-2"), ("jax/jit", "one-cpu")}


def test_an_implementation_of_ones_own_is_measured_in_every_profile_of_its_framework() -> None:
    own = Implementation("mine/softmax", "torch", "torch.eager", {"softmax": "mine"}, False, own=("mine.py", "softmax"))
    assert {c.profile for c in cells([own], Selection())} == {p.name for p in cpu_profiles("torch")}
