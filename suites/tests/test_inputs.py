"""The inputs: the same bits for ever, each family with the properties that it promises, and nothing from a libm."""

from __future__ import annotations

import ast
import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import suites.inputs
from references.bulk.batches import reference
from references.formats import BFLOAT16, BINARY16, BINARY32, BINARY64, Floats, Format
from references.functions import Function, Problem
from references.oracle.certified import correctly_rounded
from references.vocabulary import OPERATIONS
from suites.inputs import special
from suites.inputs.batch import batch_of
from suites.inputs.cotangents import KINDS, kind_of_row, vectors_of
from suites.inputs.families import logits_of, underflow_depth
from suites.inputs.integers import below, draws, gauss, seed_of, uniform
from suites.plan.cells import rows_of
from suites.vocabulary import FAMILIES

INF, NAN = math.inf, math.nan
FORMATS = [BINARY64, BINARY32, BINARY16, BFLOAT16]
LN2 = math.log(2)

every_format = pytest.mark.parametrize("format", FORMATS, ids=lambda format: format.name)
every_family = pytest.mark.parametrize("family", FAMILIES)


def values_of(family: str, format: Format, n: int) -> Floats:
    """The rows of a cell, as numbers."""
    return format.decode(logits_of(family, format, rows_of(family, n), n))


# -- the same bits for ever ------------------------------------------------------------------------------------------

PINNED = {
    ("gauss0.1", "binary64", 9): "7300b273c9b406f74df4441d965f466d26e3c5092a66f6c7e7285a16a0b8cd27",
    ("gauss1", "binary32", 9): "1d330c4662608821cc5144fd4d4ac22b822b229d0742559fc3d3745bc3e218fd",
    ("gauss1", "binary32", 1000): "813bdb0832cad49d7ceef4586ec938c6885c4e1bab0785bf54851a17328be304",
    ("gauss10", "binary16", 9): "850305b2b68eace402e6eb9eb4c3d30bf023e0870c5190177060e7328ac85fb4",
    ("gauss300", "bfloat16", 9): "133243757d20c1ac390e7a176f3f60d9ff89fbcaa109e1df0c82e98ea9cfabb4",
    ("dominant", "binary64", 9): "24d898af5ac14eb3fadc952b801c79a0438fbabac188f9f321e65f3f6c22c864",
    ("equal", "binary32", 9): "64195ae96830ead621c37928c59753fc59eddfa28b491051d50dfad0c613364b",
    ("offset", "binary16", 2): "781ce6b2d148667c21c8d4c0ef6fd094c67f2e1f02a31c7bc7303833856a8b79",
    ("geometric", "binary64", 33): "cdc5f31d655e0a178d6c88ae6669102cb73f2b50e318ed9b4160209a603e3923",
    ("masked", "bfloat16", 9): "2fb07a44f41253224a02b572529e6d0af02ca5a713d0e134f1a971ce6c84c98c",
    ("long", "binary64", 16384): "865e6062e766b70b9b801268729cfd37fc688bb2cbcec51f82796c7edbbe407f",
    ("near-tie", "bfloat16", 1000): "1d1718aec2755f02ad78b6ad0ec7143120a89e52e361a96d1d06d0e7e12e5f2b",
    ("special", "binary32", 9): "abe56f63bc11eb2c8ebfc6eacda2958aa43c02edf8733cdfd17cde58b401b5e2",
    ("special", "binary16", 9): "3d1ce21d15e4af1d9c2b848668eb275a55355b3f4b282b7690f7f69f1c1478b1",
}


@pytest.mark.parametrize(("family", "format", "n"), list(PINNED))
def test_an_input_has_the_same_bits_for_ever(family: str, format: str, n: int) -> None:
    assert batch_of(family, format, rows_of(family, n), n).sha256 == PINNED[family, format, n]


def test_splitmix64_gives_the_published_sequence() -> None:
    # The first outputs of the authors' C code for the seed 1234567.
    assert draws(1234567, (3,)).tolist() == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_integers_below_a_limit_and_uniform_numbers_keep_to_their_range() -> None:
    assert set(below(seed_of("dice"), (600,), 6).tolist()) == set(range(6))
    numbers = uniform(seed_of("uniform"), (1000,))
    assert 0 <= numbers.min() < 0.01
    assert 0.99 < numbers.max() < 1


def test_a_row_of_another_batch_size_is_another_stream() -> None:
    assert seed_of("logits", 1, 23) != seed_of("logits", 12, 3)
    assert not np.array_equal(logits_of("gauss1", BINARY32, 5, 9)[0], logits_of("gauss1", BINARY32, 6, 9)[0])


def test_the_fingerprint_covers_every_array_and_the_format() -> None:
    batch = batch_of("equal", "binary16", 5, 3)
    changed = []
    for role in ("logits", "cotangent", "tangent"):
        arrays = {name: getattr(batch, name).copy() for name in ("logits", "cotangent", "tangent")}
        arrays[role][4, 2] ^= 1
        changed.append(type(batch)(batch.format, batch.family, **arrays).sha256)
    changed.append(type(batch)(BFLOAT16, batch.family, batch.logits, batch.cotangent, batch.tangent).sha256)
    assert len({batch.sha256, *changed}) == 5


# -- nothing from a libm ---------------------------------------------------------------------------------------------

# IEEE operations, integers, comparisons and moves.  A new name here needs the reason that its bits can't differ.
EXACT_NUMPY = {
    *("arange", "array", "asarray", "ascontiguousarray", "broadcast_to", "clip", "full", "isinf", "minimum"),
    *("put_along_axis", "stack", "where", "zeros", "inf", "float64", "int64", "uint64", "unsignedinteger"),
    *("count_nonzero", "empty", "iinfo", "swapaxes", "dtype"),
}
EXACT_MATH = {"inf", "nan", "isfinite", "isinf", "isnan", "prod"}
IMPORTS = {
    *("__future__", "collections.abc", "dataclasses", "functools", "hashlib", "math", "numpy", "numpy.typing"),
    *("references.bulk.batches", "references.formats", "references.bulk.exact_pairs", "suites.inputs"),
    "suites.vocabulary",
    *("numpy.lib.stride_tricks", "references.functions", "typing"),
}


def sources() -> list[tuple[str, ast.Module]]:
    """The modules that make the inputs of cells; Hypothesis draws its own, which nobody compares across machines."""
    files = sorted(Path(suites.inputs.__file__ or "").parent.rglob("*.py"))
    files = [file for file in files if file.name != "strategies.py"]
    return [(file.name, ast.parse(file.read_text(encoding="utf-8"))) for file in files]


def test_the_generators_call_only_functions_with_exact_results() -> None:
    for name, tree in sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                if node.value.id == "np":
                    assert node.attr in EXACT_NUMPY, f"np.{node.attr} in {name}, line {node.lineno}"
                if node.value.id == "math":
                    assert node.attr in EXACT_MATH, f"math.{node.attr} in {name}, line {node.lineno}"
            if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
                assert isinstance(node.left, ast.Constant), f"a power in {name}, line {node.lineno}"
                assert node.left.value == 2.0, f"a power in {name}, line {node.lineno}"


def test_the_generators_import_nothing_that_could_bring_another_arithmetic() -> None:
    for name, tree in sources():
        for node in ast.walk(tree):
            modules = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                modules.append(node.module or "")
            for module in modules:
                assert module in IMPORTS or module.startswith("suites.inputs."), f"{module} in {name}"


# -- what the families promise ---------------------------------------------------------------------------------------


@every_format
@every_family
def test_every_row_is_finite_or_masked_and_keeps_a_finite_logit(family: str, format: Format) -> None:
    for n in (1, 2, 9, 33):
        values = values_of(family, format, n)
        assert values.shape == (33, n)
        masked = values == -INF
        assert (np.isfinite(values) | masked).all()
        assert family == "masked" or not masked.any()
        assert (~masked).any(axis=1).all()


@pytest.mark.parametrize(
    ("family", "scale"), [("gauss0.1", 0.1), ("gauss1", 1.0), ("gauss10", 10.0), ("gauss300", 300)]
)
def test_gauss_rows_have_mean_zero_and_the_spread_of_their_name(family: str, scale: float) -> None:
    values = values_of(family, BINARY32, 1000) / scale
    # 18000 draws: the mean strays by 0.0075, the standard deviation by 0.005.
    assert abs(values.mean()) < 0.03
    assert abs(values.std() - 1) < 0.02
    assert 3 < np.abs(values).max() <= 6


def test_gauss_is_the_centred_sum_of_twelve_halves_of_words() -> None:
    words = [int(w) for w in draws(7, (6,))]
    total = sum((w >> 32) + (w & 0xFFFFFFFF) for w in words)
    assert gauss(7, (1,)).tolist() == [float(Fraction(total - 6 * 2**32, 2**32))]


@every_format
def test_offset_rows_have_exact_differences_under_a_shift_that_swallows_the_log_sum(format: Format) -> None:
    scales = set()
    for row in values_of("offset", format, 9):
        unit = float(format.ulp(Fraction(float(row[0]))))
        scales.add(unit)
        assert len({bool(v > 0) for v in row.tolist()}) == 1
        assert (np.abs(row) >= 2.0 ** (format.precision - 1) * unit).all()
        # Whole ulps of the logits, few of them: x - max is exact, while max + log(sum) keeps no fraction of an ulp.
        differences = (row - row.max()) / unit
        assert np.array_equal(differences, np.round(differences))
        assert np.abs(differences).max() <= 15
        assert len(set(differences.tolist())) > 1
    assert scales == {0.125, 0.5, 1.0, 2.0, 8.0}


@every_format
@pytest.mark.parametrize("n", [2, 9, 33, 1000])
def test_dominant_gaps_run_from_one_to_past_underflow(format: Format, n: int) -> None:
    ranked = np.sort(values_of("dominant", format, n), axis=1)
    gaps = ranked[:, -1] - ranked[:, -2]
    depth = -(format.emin - format.precision + 1) * LN2
    assert 0.9 < gaps.min() < 2.5
    assert gaps.max() > 1.9 * depth
    assert ((gaps > 0.85 * depth) & (gaps < depth)).any()
    assert ((gaps > depth) & (gaps < 1.4 * depth)).any()


@every_format
@pytest.mark.parametrize("n", [33, 1000])
def test_geometric_rows_run_through_the_subnormal_range(format: Format, n: int) -> None:
    logarithms = reference(Function("log_softmax", "forward"), values_of("geometric", format, n), format).values()
    normal, smallest = format.emin * LN2, (format.emin - format.precision + 1) * LN2
    assert (logarithms > normal).any(axis=1).all()
    assert ((logarithms < normal) & (logarithms > smallest)).any(axis=1).all()
    assert (logarithms < smallest - LN2).any(axis=1).all()


@every_format
def test_underflow_depth_is_where_exp_meets_the_smallest_number(format: Format) -> None:
    assert math.isclose(underflow_depth(format), -math.log(format.smallest_subnormal), rel_tol=1e-15)


@every_format
def test_equal_rows_are_equal_and_differ_from_one_another(format: Format) -> None:
    bits = logits_of("equal", format, 33, 9)
    assert (bits == bits[:, :1]).all()
    assert len(set(bits[:, 0].tolist())) > 25


@every_format
def test_near_ties_lie_within_three_units_of_a_common_value(format: Format) -> None:
    bits = logits_of("near-tie", format, 33, 9).astype(np.int64)
    spread = bits.max(axis=1) - bits.min(axis=1)
    assert (spread <= 6).all()
    assert (spread >= 2).all()
    assert ((format.decode(bits.astype(format.bits_dtype)) > 0.9) & (bits > 0)).all()


@every_format
@pytest.mark.parametrize("n", [2, 9, 1000])
def test_masked_rows_are_masked_but_for_one_in_their_first_half_and_at_random(format: Format, n: int) -> None:
    finite = np.isfinite(values_of("masked", format, n))
    assert finite[0].sum() == 1
    assert finite.any(axis=1).all()
    for row in finite[1::3]:
        assert row[: n // 2].sum() <= 1
        assert row[n // 2 :].all()
    if n > 2:
        shares = np.concatenate([finite[2::3], finite[3::3]]).mean()
        assert 0.65 < shares < 0.85


def test_long_rows_are_equal_dominated_tame_and_wide_in_turn() -> None:
    values = values_of("long", BINARY64, 16384)
    assert (values[0] == values[0, 0]).all()
    assert (values[4] == values[4, 0]).all()
    assert values[1, 0] == 0
    assert (values[1, 1:] == values[1, 1]).all()
    assert -8 < values[1, 1] < 0
    assert abs(values[2].std() - 1) < 0.05
    assert abs(values[3].std() - 10) < 0.5


def test_an_unknown_family_is_refused() -> None:
    with pytest.raises(KeyError, match="gauss7"):
        logits_of("gauss7", BINARY32, 1, 1)


# -- cotangents ------------------------------------------------------------------------------------------------------


def test_five_neighbouring_rows_meet_every_kind_of_cotangent() -> None:
    assert [kind_of_row(row) for row in range(5, 10)] == list(KINDS)


@every_format
@pytest.mark.parametrize("role", ["cotangent", "tangent"])
def test_each_row_has_the_cotangent_of_its_kind(role: str, format: Format) -> None:
    vectors = format.decode(vectors_of(role, format, 33, 9))
    for row, vector in enumerate(vectors):
        size, kind = np.abs(vector), kind_of_row(row)
        if kind == "one-hot":
            assert sorted(vector.tolist()) == [0.0] * 8 + [1.0]
        elif kind == "gauss":
            assert size.max() <= 6
            assert len(set(vector.tolist())) == 9
        elif kind == "constant":
            assert len(set(vector.tolist())) == 1
            assert 0.5 <= vector[0] <= 1.5
        elif kind == "alternating":
            assert len(set(size.tolist())) == 1
            assert np.array_equal(vector / size, [1, -1, 1, -1, 1, -1, 1, -1, 1])
        else:
            centre = 6.0 if format.precision < 16 else 96.0
            assert np.abs(vector - centre).max() < 0.8
            assert len(set(vector.tolist())) > 3


def test_cotangents_and_tangents_are_streams_of_their_own() -> None:
    batch = batch_of("gauss1", "binary32", 33, 9)
    assert not np.array_equal(batch.cotangent[1], batch.tangent[1])
    assert {q: sorted(batch.vectors(q)) for q in ("forward", "vjp", "jvp", "hvp")} == {
        "forward": [],
        "vjp": ["cotangent"],
        "jvp": ["tangent"],
        "hvp": ["cotangent", "tangent"],
    }


# -- special values --------------------------------------------------------------------------------------------------

TOP, TINY = BINARY32.largest, BINARY32.smallest_subnormal
THIRD, MINUS_LN_3 = float(np.float32(1 / 3)), float(np.float32(-math.log(3)))
HALF, MINUS_LN_2 = 0.5, float(np.float32(-math.log(2)))
ALL_NAN = [NAN] * 3

# name -> logits, softmax and log_softmax of three binary32 logits, by hand.
BY_HAND = {
    "one NaN": ([0.0, 0.0, NAN], ALL_NAN, ALL_NAN),
    "one +inf": ([INF, 0.0, 0.0], ALL_NAN, ALL_NAN),
    "two +inf": ([INF, 0.0, INF], ALL_NAN, ALL_NAN),
    "+inf and -inf": ([INF, 0.0, -INF], ALL_NAN, ALL_NAN),
    "NaN, +inf, -inf": ([NAN, -INF, INF], ALL_NAN, ALL_NAN),
    "all -inf": ([-INF, -INF, -INF], ALL_NAN, ALL_NAN),
    "all -inf but one": ([-INF, -INF, 0.0], [0.0, 0.0, 1.0], [-INF, -INF, 0.0]),
    "one -inf": ([-INF, 0.0, 0.0], [0.0, HALF, HALF], [-INF, MINUS_LN_2, MINUS_LN_2]),
    "all largest": ([TOP, TOP, TOP], [THIRD] * 3, [MINUS_LN_3] * 3),
    "all lowest": ([-TOP, -TOP, -TOP], [THIRD] * 3, [MINUS_LN_3] * 3),
    "lowest and zero": ([-TOP, -TOP, 0.0], [0.0, 0.0, 1.0], [-TOP, -TOP, 0.0]),
    "largest and lowest": ([TOP, -TOP, -TOP], [1.0, 0.0, 0.0], [0.0, -INF, -INF]),
    "all smallest": ([TINY, TINY, TINY], [THIRD] * 3, [MINUS_LN_3] * 3),
    "0 and -0": ([0.0, 0.0, -0.0], [THIRD] * 3, [MINUS_LN_3] * 3),
}


def test_the_table_by_hand_has_every_special_row() -> None:
    assert [row.name for row in special.rows_of_length(3)] == list(BY_HAND)


@pytest.mark.parametrize(("index", "name"), list(enumerate(BY_HAND)), ids=list(BY_HAND))
def test_a_special_row_has_the_logits_and_the_results_of_the_contract(index: int, name: str) -> None:
    logits, softmax, log_softmax = BY_HAND[name]
    values = BINARY32.decode(special.logits_of(BINARY32, 3))[index]
    assert np.array_equal(values, logits, equal_nan=True)
    assert np.array_equal(np.signbit(values), np.signbit(logits))
    for operation, expected in zip(OPERATIONS, (softmax, log_softmax), strict=True):
        bits = np.array(correctly_rounded(Problem(operation, "forward", values.tolist()), BINARY32), np.uint32)
        assert np.array_equal(BINARY32.decode(bits), expected, equal_nan=True)


def test_short_rows_leave_out_what_needs_more_places() -> None:
    alone = ["one NaN", "one +inf", "all -inf", "all largest", "all lowest", "all smallest", "0 and -0"]
    assert [row.name for row in special.rows_of_length(1)] == alone
    assert rows_of(special.FAMILY, 1) == 7
    assert rows_of(special.FAMILY, 2) == 13
    assert rows_of(special.FAMILY, 17) == 14


def test_scipy_answers_an_infinite_maximum_of_log_softmax_in_its_own_way() -> None:
    values = BINARY32.decode(special.logits_of(BINARY32, 3))
    plain = reference(Function("log_softmax", "forward"), values, BINARY32)
    own = special.apply_contract(plain, "scipy", "log_softmax", "forward", values).hi
    assert np.array_equal(own[1:4], [[NAN, -INF, -INF], [NAN, -INF, NAN], [NAN, -INF, -INF]], equal_nan=True)
    assert np.array_equal(own[4:], plain.hi[4:], equal_nan=True)
    for framework, operation, quantity in (
        ("torch", "log_softmax", "forward"),
        ("scipy", "softmax", "forward"),
        ("scipy", "log_softmax", "vjp"),
    ):
        same = special.apply_contract(plain, framework, operation, quantity, values)
        assert np.array_equal(same.hi, plain.hi, equal_nan=True)


def test_an_own_answer_names_rows_that_exist() -> None:
    names = {row.name for row in special.ROWS}
    for own in special.OWN_ANSWERS:
        assert set(own.rows) <= names
