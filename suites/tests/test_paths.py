"""The registry of code paths: it is understood or refused, covers the catalogue, and every path is accounted for."""

from __future__ import annotations

import ast
import configparser
import importlib.util
import re
from collections.abc import Callable
from functools import cache
from itertools import chain
from itertools import pairwise as pairwise_of
from pathlib import Path as File
from typing import Any

import numpy as np
import pytest

from references.vocabulary import QUANTITIES
from suites.implementations.catalogue import CATALOGUE, FRAMEWORKS, Implementation, versions_of
from suites.paths import summation
from suites.paths.conditions import ConditionError, evaluate, names_in
from suites.paths.places import (
    Pieces,
    Place,
    SomeElements,
    SomeRows,
    elements_in_words,
    rows_in_words,
    split_by_blocks,
    split_by_threads,
)
from suites.paths.registry import Path, RegistryError, known_facts, registry
from suites.paths.taken import NoPath, path_ids, path_of, place_of, quantities_of
from suites.plan.cell import Cell
from suites.plan.cells import PROFILE
from suites.vocabulary import FORMATS, LAYOUTS

ROOT = File(__file__).parents[2]

# The settings that a path can depend on, as they are read back.
PROFILES: dict[str, list[dict[str, str]]] = {
    "torch": [
        {"cpu capability": capability, "threads": threads}
        for capability, threads in (("AVX512", "1"), ("AVX512", "2"), ("AVX2", "1"), ("AVX2", "4"), ("DEFAULT", "1"))
    ],
    "jax": [
        {"device": "cpu cpu", "XLA_FLAGS": flags} for flags in ("", "--xla_cpu_experimental_ynn_fusion_type= --xla_x=1")
    ],
    "numpy": [
        {f"{name} {kind}": target for name in ("exp", "log") for kind in "dfe"}
        for target in ("X86_V4", "X86_V3", "baseline(X86_V2)", "NEON")
    ],
}
PROFILES["numpy"].append({"dispatch": "not told by this NumPy", "sum buffer": "8192"})
PROFILES["scipy"] = PROFILES["numpy"]
LENGTHS = (1, 9, 33, 65536)


def _profiles(framework: str) -> list[dict[str, str]]:
    """Settings that lead to other paths; those that the registry assumes where a framework has no such setting."""
    return PROFILES.get(framework, [registry().assumed[framework]])


# -- the registry against the catalogue --------------------------------------------------------------------------------


@cache
def _places(format: str) -> list[tuple[str, int]]:
    """Layouts and lengths, one for each place that rows can have."""
    found: dict[Place, tuple[str, int]] = {}
    for layout in LAYOUTS:
        for n in LENGTHS:
            cell = Cell("", PROFILE, "softmax", "forward", format, layout, "gauss1", n)
            found.setdefault(place_of(cell), (layout, n))
    return list(found.values())


def _cells(implementation: Implementation) -> list[Cell]:
    return [
        Cell(implementation.name, PROFILE, operation, quantity, format, layout, "gauss1", n)
        for operation in implementation.calls
        for quantity in implementation.quantities
        for format in implementation.formats
        for layout, n in _places(format)
    ]


@cache
def _ids_of(name: str) -> tuple[frozenset[str], tuple[str, ...]]:
    """The paths that an implementation takes somewhere, and the cells that the registry has none for."""
    implementation, found, without = CATALOGUE[name], set(), []
    for cell in _cells(implementation):
        for settings in _profiles(implementation.framework):
            ids = path_ids(cell, implementation, settings)
            found |= set(ids)
            if not ids:
                without.append(cell.key)
    return frozenset(found), tuple(without)


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_cell_of_the_catalogue_has_a_path(name: str) -> None:
    assert _ids_of(name)[1] == ()


def _callers(path: Path) -> set[tuple[str, str, str]]:
    """Who calls a path's entry points: implementation, operation and quantity, in the catalogue or not."""
    return {
        (name, operation, quantity)
        for route in registry().routes
        for operation in route.operation
        for quantity in QUANTITIES
        if set(path.calls) & set(route.calls_of(operation, quantity))
        for name in route.implementation
    }


def _offered(caller: tuple[str, str, str]) -> bool:
    """Whether the catalogue has an implementation for an operation and quantity."""
    name, operation, quantity = caller
    return name in CATALOGUE and operation in CATALOGUE[name].calls and quantity in CATALOGUE[name].quantities


@pytest.mark.parametrize("path", registry().paths, ids=lambda path: path.id)
def test_every_path_is_reached_or_says_why_not(path: Path) -> None:
    reached = any(path.id in _ids_of(name)[0] for name in CATALOGUE)
    callers = _callers(path)
    assert callers, f"{path.id} is called by no route"
    if path.unreached:
        assert not reached, f"{path.id} is reached: take away its 'unreached'"
    elif not reached:
        if not any(map(_offered, callers)):
            missing = sorted({f"{name} ({quantity})" for name, _, quantity in callers})
            pytest.skip(f"no implementation yet: {', '.join(missing)}")
        backwards = "reversed" in names_in(path.when)
        if backwards and not any(place_of(cell).reversed for cell in _cells(CATALOGUE["scipy"])):
            pytest.skip("no layout yet: a negative stride")
        pytest.fail(f"no cell reaches {path.id}, though {sorted(filter(_offered, callers))} lead to it")


def test_what_is_observed_names_tests_that_there_are() -> None:
    for path in registry().paths:
        for observer in path.observed_by:
            file, _, name = observer.partition("::")
            tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
            assert name in {n.name for n in tree.body if isinstance(n, ast.FunctionDef)}, f"{path.id}: {observer}"


def test_the_registry_was_read_in_the_versions_that_are_pinned() -> None:
    """Those of the current versions; the oldest ones have names of their own."""
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini", encoding="utf-8")
    pins = dict(line.split("==") for name in FRAMEWORKS for line in tox["pins"][name].split())
    assert registry().read == {name: pins[name] for name in FRAMEWORKS}


def _installed(source: str) -> File | None:
    """The file of a source path, where this suite has it, or a package in the version that the registry was read in."""
    package = source.partition("/")[0].replace("aten", "torch")
    if package in FRAMEWORKS and versions_of(package).get(package, "").partition("+")[0] != registry().read[package]:
        return None
    spec = importlib.util.find_spec(package) if package in ("torch", "jax", "scipy", "suites") else None
    if spec is None or spec.origin is None:
        return None
    folder = File(spec.origin).parent
    headers = folder / "include" / source.removeprefix("aten/src/")
    return next((f for f in (folder.parent / source, headers) if f.is_file()), None)


def test_the_source_has_the_function_wherever_it_is_installed() -> None:
    seen = 0
    for path in registry().paths:
        file = _installed(path.source)
        if file is not None:
            seen += 1
            text = file.read_text(encoding="utf-8")
            for name in path.function.split(", "):
                assert name.rpartition(".")[2] in text, f"{path.id}: {name} is not in {file}"
    assert seen >= 5, "the formulas of this suite are always there"


def test_the_document_explains_every_quantity_that_a_condition_may_speak_of() -> None:
    text = (ROOT / "docs" / "paths.md").read_text(encoding="utf-8")
    for name in set(chain.from_iterable(known_facts(name) for name in FRAMEWORKS)):
        assert f"`{name}`" in text


def test_conditions_of_one_entry_point_exclude_each_other_where_they_are_alternatives() -> None:
    # A row is made by one kernel: of the kernels of one entry point, those without a part are never two.
    alternatives = ("xla.reduce", "numpy.sum", "numpy.exp(d)", "numpy.exp(x)", "torch.softmax.backward")
    for name, implementation in CATALOGUE.items():
        for cell in _cells(implementation)[::7]:
            for settings in _profiles(implementation.framework):
                steps = path_of(name, cell.operation, cell.quantity, cell.format, place_of(cell), settings)
                for call in alternatives:
                    assert len([s for s in steps if call in s.path.calls and not s.path.part]) <= 1, (cell.key, call)


# -- what a cell takes -------------------------------------------------------------------------------------------------


def _ids(
    name: str, operation: str, quantity: str, format: str, shape: tuple[int, ...], axis: int, **settings: str
) -> list[str]:
    chosen = {key.replace("_", " "): value for key, value in settings.items()}
    return [s.path.id for s in path_of(name, operation, quantity, format, Place.contiguous(shape, axis), chosen)]


def test_a_gradient_takes_the_kernel_of_the_saved_output_and_then_the_backward_kernel() -> None:
    found = _ids("torch/eager", "log_softmax", "vjp", "bfloat16", (64, 1000), 1, cpu_capability="AVX512")
    assert found == ["torch-log_softmax-last-16bit", "torch-log_softmax-backward-last"]


def test_an_axis_of_length_one_behind_makes_it_another_axis_to_torch_and_not_to_numpy() -> None:
    assert _ids("torch/eager", "softmax", "forward", "binary32", (5, 9, 1), 1) == ["torch-softmax-inner-scalar"]
    assert "numpy-sum-pairwise" in _ids("numpy/shifted", "softmax", "forward", "binary32", (5, 9, 1), 1)


def test_rows_of_one_array_take_two_paths_that_share_them_out() -> None:
    steps = path_of(
        "torch/eager",
        "softmax",
        "forward",
        "binary32",
        Place.contiguous((50, 35), 0),
        {"cpu capability": "AVX512", "threads": "2"},
    )
    assert [(step.path.id, step.where) for step in steps] == [
        ("torch-softmax-inner-vector", "rows 0-15 and 18-33 of 35"),
        ("torch-softmax-inner-scalar", "rows 16-17 and 34 of 35"),
    ]


def test_vmap_takes_the_last_axis_in_every_layout() -> None:
    assert _ids("torch/vmap", "softmax", "forward", "binary32", (50, 35), 0) == ["torch-vmap", "torch-softmax-last"]


def test_threads_choose_the_copy_of_the_backward_kernel() -> None:
    for threads, last in (("1", "torch-softmax-backward-last-fused-tail"), ("2", "torch-softmax-backward-last")):
        found = _ids("torch/eager", "softmax", "vjp", "binary32", (9, 33), 1, cpu_capability="AVX512", threads=threads)
        assert found[-1] == last


def test_an_implementation_that_is_unknown_has_no_path() -> None:
    with pytest.raises(
        NoPath, match="^paths.toml has no path of torch/eagre for softmax, forward, binary32, 2 x 3, axis 1$"
    ):
        _ids("torch/eagre", "softmax", "forward", "binary32", (2, 3), 1)


def test_a_users_own_function_has_no_path_that_we_know() -> None:
    own = Implementation("mine/softmax", "torch", "torch.eager", {"softmax": "mine"}, False, own=("mine.py", "softmax"))
    assert path_ids(Cell("mine/softmax", PROFILE, "softmax", "forward", "binary32", "last", "gauss1", 9), own, {}) == []


# -- orders of summation -----------------------------------------------------------------------------------------------


class _Depth(int):
    """A number of additions: adding two terms is one more than the deeper of them."""

    def __add__(self, other: int) -> _Depth:
        return _Depth(max(int(self), int(other)) + 1)


_SUMS: dict[str, Callable[[Any, int, bool], Any]] = {
    "sequential": lambda v, lanes, tree: summation.sequential(v),
    "lanes": lambda v, lanes, tree: summation.in_lanes(v, lanes, tree=tree),
    "two-registers": lambda v, lanes, tree: summation.in_lanes(v, lanes, tree=tree, registers=2),
    "lanes-then-rest": lambda v, lanes, tree: summation.lanes_then_rest(v, lanes, tree=tree),
    "numpy-pairwise": lambda v, lanes, tree: summation.numpy_pairwise(v),
    "numpy-buffered": lambda v, lanes, tree: summation.numpy_buffered(v),
    "windows": lambda v, lanes, tree: summation.in_windows(v),
    "warp": lambda v, lanes, tree: summation.in_lanes(v, min(32, 1 << (v.shape[-1] - 1).bit_length()), tree=True),
}


@pytest.mark.parametrize("name", _SUMS)
def test_the_depth_of_an_order_is_that_of_its_sum(name: str) -> None:
    for n in (*range(1, 40), 63, 64, 65, 127, 128, 129, 136, 300, 1024, 1025, 8193, 16383, 20000):
        for lanes, tree in ((8, True), (16, True), (4, False), (8, False)):
            terms = np.empty((1, n), object)
            terms[...] = _Depth(0)
            if n > 8000 and "numpy" not in name:
                continue  # long rows are a boundary of NumPy's order alone
            if name == "warp" and n & (n - 1) and n < 32:
                continue  # a warp of a power of two of threads, some of which have nothing
            depth = int(_SUMS[name](terms, lanes, tree)[0])
            assert summation.ORDERS[name].depth(n, lanes, tree) == depth, (n, lanes, tree)


@pytest.mark.parametrize("name", _SUMS)
def test_every_order_adds_each_term_once(name: str) -> None:
    for n in (1, 7, 8, 33, 129, 300):
        terms = 2.0 ** np.arange(n)[None] if n < 50 else np.ones((1, n))
        assert _SUMS[name](terms, 8, True).tolist() == [terms.sum()]
        assert summation.in_fours(terms.copy(), 8).tolist() == [terms.sum()]


def test_a_probe_shows_the_tree_of_a_sum() -> None:
    probe = summation.probe(4, large=2.0**60, unit=1.0)
    assert probe.pairs == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    assert probe.meetings(summation.sequential(probe.terms)).tolist() == [2, 3, 4, 3, 4, 4]
    assert probe.meetings(summation.halved(probe.terms)).tolist() == [4, 2, 4, 4, 2, 4]


# -- places ------------------------------------------------------------------------------------------------------------


def test_sizes_on_both_sides_of_the_axis_make_rows() -> None:
    place = Place.contiguous((2, 3, 5, 7), -2)
    assert (place.axis, place.outer, place.n, place.inner, place.last) == (2, 6, 5, 7, False)
    with pytest.raises(ValueError, match="^axis 2 is not in an array of 2 dimensions$"):
        Place.contiguous((2, 3), 2)


def in_sequence(depths: list[int]) -> int:
    return max(depth + min(len(depths) - place, len(depths) - 1) for place, depth in enumerate(depths))


def pairwise(n: int) -> int:
    if n <= 128:
        return n - 1 if n < 8 else n // 8 + 2 + n % 8
    half = n // 2 - n // 2 % 8
    return 1 + max(pairwise(half), pairwise(n - half))


def windows(n: int) -> int:
    depths = [0] * n
    while len(depths) > 32:
        before = (-len(depths) % 32) // 2
        edges = [0, *range(32 - before, len(depths), 32), len(depths)]
        depths = [in_sequence(depths[a:b]) for a, b in pairwise_of(edges)]
    return in_sequence(depths)


def test_the_depth_of_a_long_row_is_that_of_its_terms_one_by_one() -> None:
    for n in (
        *range(1, 400),
        1023,
        1024,
        1025,
        1055,
        1056,
        1057,
        8191,
        8192,
        8193,
        16384,
        32767,
        32769,
        50257,
        100_003,
    ):
        assert summation.ORDERS["windows"].depth(n, 1, False) == windows(n), n
        assert summation.ORDERS["numpy-pairwise"].depth(n, 1, False) == pairwise(n), n
        pieces = [pairwise(min(8192, n - a)) for a in range(0, n, 8192)]
        assert summation.ORDERS["numpy-buffered"].depth(n, 1, False) == in_sequence(pieces), n


@pytest.mark.parametrize("name", list(summation.ORDERS))
def test_the_depth_of_the_longest_row_there_can_be_is_found_without_counting_to_it(name: str) -> None:
    depth = summation.ORDERS[name].depth(2**60 + 7, 16, True)
    assert depth is None or 60 <= depth <= 2**60 + 6


def test_what_varies_fastest_is_read_off_the_strides() -> None:
    a = np.zeros((4, 6))
    assert Place.of_array(a, 1).fastest
    assert not Place.of_array(a, 0).fastest
    assert Place.of_array(a.T, 0).fastest
    assert Place.of_array(a[:, :, None], 1).fastest
    assert Place.of_array(a[:, ::2], 1).fastest
    assert Place.of_array(a[:, ::-1], 1).reversed
    assert not Place.of_array(a, 1).reversed
    assert Place.of_array(a[:, :1], 1).fastest


@pytest.mark.parametrize("threads", [1, 2, 3, 4])
@pytest.mark.parametrize("shape", [(3, 5, 7), (1, 9, 16), (2, 4, 33), (50, 2, 1), (1, 2, 100)])
def test_every_row_is_taken_once_by_the_vector_or_the_scalar_loop(shape: tuple[int, int, int], threads: int) -> None:
    place = Place.contiguous(shape, 1)
    for lanes in (4, 8, 16):
        for vector, scalar in (split_by_threads(place, lanes, threads), split_by_blocks(place, lanes)):
            taken = sorted(chain.from_iterable([*ranges(vector), *ranges(scalar)]))
            assert taken == list(range(shape[0] * shape[2]))
            assert all(len(piece) % lanes == 0 for piece in ranges(vector))


def ranges(pieces: list[Pieces]) -> list[range]:
    return sorted((r for piece in pieces for r in piece.ranges(piece.times)), key=lambda r: r.start)


def row_by_row(rows: int, inner: int, lanes: int, threads: int) -> tuple[list[range], list[range]]:
    """The kernel's loop as it stands in PyTorch, one step after the other."""
    chunk = max(-(-rows // threads) if threads > 1 else rows, 1)
    vector, scalar = [], []
    for begin in range(0, rows, chunk):
        end, at = min(begin + chunk, rows), begin
        while at < end:
            if registers := min(inner - at % inner, end - at) // lanes:
                vector.append(range(at, at + registers * lanes))
            else:
                scalar.append(range(at, end if at + lanes > end else at + inner - at % inner))
            at = (vector if registers else scalar)[-1].stop
    return vector, scalar


@pytest.mark.parametrize("lanes", [4, 8, 16])
@pytest.mark.parametrize("threads", [1, 2, 3, 7])
def test_ranges_computed_at_once_are_those_of_the_kernels_loop_row_by_row(lanes: int, threads: int) -> None:
    for inner in (1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 33, 40):
        for outer in (1, 2, 3, 5, 8, 21, 50):
            place = Place.contiguous((outer, 5, inner), 1)
            told = tuple(map(ranges, split_by_threads(place, lanes, threads)))
            assert told == row_by_row(outer * inner, inner, lanes, threads), (inner, outer)
            vector, scalar = split_by_blocks(place, lanes)
            body = inner - inner % lanes
            assert ranges(vector) == [range(o * inner, o * inner + body) for o in range(outer) if body]
            assert ranges(scalar) == [range(o * inner + body, (o + 1) * inner) for o in range(outer) if body < inner]


def test_a_huge_array_is_divided_in_a_few_pieces() -> None:
    place = Place.contiguous((2**40, 3, 19), 1)
    for vector, scalar in (split_by_threads(place, 16, 4), split_by_blocks(place, 16)):
        assert len(vector) + len(scalar) < 50
        assert sum(piece.rows for piece in (*vector, *scalar)) == 2**40 * 19
        assert rows_in_words(SomeRows(tuple(vector), place.outer * place.inner)).endswith(
            f" of {2**40 * 19} rows, 0-15 first"
        )


def test_a_threads_chunk_cuts_registers() -> None:
    vector, scalar = split_by_threads(Place.contiguous((9, 35), 0), 16, 2)
    assert (ranges(vector), ranges(scalar)) == ([range(16), range(18, 34)], [range(16, 18), range(34, 35)])
    # Below a register to a thread nothing is vectorised.
    assert split_by_threads(Place.contiguous((9, 16), 0), 16, 2)[0] == []


def test_rows_and_elements_in_words() -> None:
    def rows_of(*pieces: range, of: int) -> str:
        return rows_in_words(SomeRows(tuple(map(Pieces, pieces)), of))

    assert rows_of(range(4), of=4) == "all 4 rows"
    assert rows_of(range(1), of=1) == "the row"
    assert rows_of(range(3, 4), of=9) == "row 3 of 9"
    assert rows_of(range(2), range(4, 5), range(7, 9), of=9) == "rows 0-1, 4 and 7-8 of 9"
    assert rows_of(*(range(i, i + 1) for i in range(0, 10, 2)), of=10) == "5 of 10 rows, 0 first"
    assert rows_in_words(SomeRows((Pieces(range(2), 4, 3),), 12)) == "rows 0-1, 4-5 and 8-9 of 12"
    assert rows_in_words(SomeRows((Pieces(range(2), 4, 5),), 20)) == "10 of 20 rows, 0-1 first"
    assert elements_in_words(SomeElements(range(16, 24), 24)) == "elements 16-23 of each row of 24"
    assert elements_in_words(SomeElements(range(16, 17), 17)) == "element 16 of each row of 17"
    assert elements_in_words(SomeElements(range(32), 32)) == "whole rows"


def test_lanes_follow_the_format_and_the_instruction_set() -> None:
    place = Place.contiguous((2, 3), 1)
    for capability, floats in (("AVX512", 16), ("AVX2", 8), ("DEFAULT", 8), ("a later one", 8)):
        for format, lanes in (("binary64", floats // 2), ("binary32", floats), ("bfloat16", 2 * floats)):
            found = quantities_of("torch", format, place, {"cpu capability": capability})
            assert (found["lanes"], found["float_lanes"]) == (lanes, floats)
            assert found["tree"] == (format != "binary64" and capability != "DEFAULT")


# -- conditions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("n >= 9 and inner % 4 > 0", True),
        ("n < 9 or not last", False),
        ("8 < n <= 10", True),
        ("-(-n // 4)", 3),
        ("format in ('binary16', 'bfloat16')", False),
        ("format != 'binary16'", True),
        ("2 * n + 1 - inner", 14),
        ("last", True),
    ],
)
def test_a_condition_is_arithmetic_and_comparison(text: str, value: object) -> None:
    assert names_in(text) <= {"n", "inner", "last", "format"}
    assert evaluate(text, {"n": 9, "inner": 5, "last": True, "format": "binary32"}) == value


@pytest.mark.parametrize(
    "text", ["n >", "print(n)", "n ** 2", "n is 2", "n[0]", "lambda: 1", "+n", "n if last else 2", "__import__('os')"]
)
def test_anything_else_in_a_condition_is_refused_and_quoted(text: str) -> None:
    with pytest.raises(ConditionError, match=re.escape(repr(text))):
        names_in(text)


def test_a_quantity_that_is_not_given_is_named() -> None:
    with pytest.raises(ConditionError, match="^'rows > 2' speaks of 'rows'; known are inner, n$"):
        evaluate("rows > 2", {"n": 1, "inner": 2})


# -- a registry that is damaged ----------------------------------------------------------------------------------------

_SOUND = """
[framework.torch]
read = "1.0"

[[path]]
id = "one"
framework = "torch"
calls = ["torch.softmax"]
runs = "a kernel"
source = "file.cpp"
function = "f"
condition = "always"
algorithm = "e / s"
evidence = "read"

[[route]]
implementation = ["torch/eager"]
every = ["torch.softmax"]
"""


@pytest.fixture
def written(tmp_path: File) -> Callable[[str], File]:
    def write(text: str) -> File:
        file = tmp_path / "paths.toml"
        file.write_text(text, encoding="utf-8")
        registry.cache_clear()
        return file

    return write


@pytest.fixture(autouse=True)
def forgotten() -> Any:
    """The registry is remembered for a process; damaged ones must not be."""
    yield
    registry.cache_clear()


def test_a_small_registry_is_read_as_it_is_written(written: Callable[[str], File]) -> None:
    found = registry(written(_SOUND))
    assert [p.id for p in found.paths] == ["one"]
    assert found.routes[0].calls_of("softmax", "vjp") == ("torch.softmax",)
    assert found.read == {"torch": "1.0"}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'evidence = "read"',
            'evidence = "guessed"',
            "path 'one': unknown evidence 'guessed'; known are observed, read",
        ),
        ('evidence = "read"', 'evidence = "observed"', "path 'one': what is observed names the tests in observed_by"),
        (
            'evidence = "read"',
            'evidence = "read"\nwhen = "m > 2"',
            "path 'one': unknown quantity 'm'; known are n, outer",
        ),
        ('evidence = "read"', 'evidence = "read"\nwhen = "f(n)"', "path 'one': 'f(n)' has 'f(n)': only names"),
        (
            'evidence = "read"',
            'evidence = "read"\norder = "odd"',
            "path 'one': unknown order 'odd'; known are sequential",
        ),
        (
            'evidence = "read"',
            'evidence = "read"\npart = "half"',
            "path 'one': unknown part 'half'; known are threads-",
        ),
        (
            'evidence = "read"',
            'evidence = "read"\nformat = ["f8"]',
            "path 'one': unknown format 'f8'; known are binary64",
        ),
        ('evidence = "read"', 'evidence = "read"\nwho = "me"', "path 'one' has a field 'who'; there are algorithm"),
        ('function = "f"\n', "", "path 'one' is not complete: "),
        ('framework = "torch"', 'framework = "tinygrad"', "path 'one': unknown framework 'tinygrad'; known are torch"),
        ('every = ["torch.softmax"]', 'every = ["torch.sotfmax"]', "a route calls 'torch.sotfmax', which no path has"),
        (
            'calls = ["torch.softmax"]',
            'calls = ["torch.softmax", "x"]',
            "a path has the call 'x', which no route makes",
        ),
        ('every = ["torch.softmax"]', 'every = ["torch.softmax"]\nwhen = "n"', "route number 1 has a field 'when'"),
        ("[[route]]", "[[routes]]", "tables are [framework.NAME], [[path]] and [[route]], not [routes]"),
        ("[framework.torch]", "[framework.jax]", "[framework.torch] is missing"),
        ('id = "one"', 'id = "one', "can't be read: "),
    ],
)
def test_a_damaged_entry_is_named_with_what_is_at_fault(
    written: Callable[[str], File], old: str, new: str, message: str
) -> None:
    assert old in _SOUND
    with pytest.raises(RegistryError) as error:
        registry(written(_SOUND.replace(old, new)))
    assert message in str(error.value)
    assert "\n" not in str(error.value).partition("can't be read")[0]


def test_two_paths_of_one_name_are_refused(written: Callable[[str], File]) -> None:
    path = _SOUND[_SOUND.index("[[path]]") : _SOUND.index("[[route]]")]
    with pytest.raises(RegistryError, match="two paths are called 'one'"):
        registry(written(_SOUND.replace("[[route]]", path + "[[route]]")))


def test_a_path_is_found_by_its_id() -> None:
    assert registry().named("torch-softmax-last").function == "_vec_softmax_lastdim"
    with pytest.raises(RegistryError, match="^unknown path 'torch-softmax'; paths.toml has torch-softmax-last, "):
        registry().named("torch-softmax")


def test_every_format_of_the_plan_is_one_of_the_registry() -> None:
    assert {format for path in registry().paths for format in path.format} == set(FORMATS)
