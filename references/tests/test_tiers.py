"""Which tier judges what, that each keeps its stated error in every format, and that long rows take no more memory."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

from references.bulk.batches import reference, references_of, tiles
from references.bulk.blocks import BLOCK, CHUNK
from references.bulk.exact_pairs import TIERS, TOLERANCE, Reference
from references.formats import BFLOAT16, BINARY32, BINARY64, FORMATS, Floats, Format
from references.functions import FUNCTIONS, Function, problem_of, roles_of
from references.oracle.certified import accurate
from references.tests.samples import LOGITS, VECTORS, Sample, assert_within_stated_errors, is_within, stored
from references.vocabulary import OPERATIONS

NARROW = [format for format in FORMATS.values() if format.precision <= BINARY32.precision]
every_function = pytest.mark.parametrize(("operation", "quantity"), FUNCTIONS)
every_narrow_format = pytest.mark.parametrize("format", NARROW, ids=lambda format: format.name)


# -- the stated errors of narrow outputs -------------------------------------------------------------------------------


@every_narrow_format
@every_function
def test_narrow_results_are_off_by_no_more_than_is_stated(operation: str, quantity: str, format: Format) -> None:
    r = np.random.default_rng(format.width + format.precision)
    kinds = list(VECTORS)
    for number, family in enumerate(LOGITS):
        n = int(r.integers(2, 12))
        logits = stored(LOGITS[family](r, 2, n), format)
        vectors = [stored(VECTORS[kinds[(number + k) % len(kinds)]](r, 2, n), format) for k in (0, 5)]
        assert_within_stated_errors(Sample(operation, quantity, logits, vectors, format))


@every_narrow_format
@pytest.mark.parametrize("operation", OPERATIONS)
def test_narrow_values_are_far_within_the_tolerance(operation: str, format: Format) -> None:
    """The a-priori bound that saves looking at every element holds at every element."""
    r = np.random.default_rng(3)
    for family in LOGITS:
        found = reference(Function(operation, "forward"), stored(LOGITS[family](r, 3, 40), format), format)
        _, magnitude = np.frexp(found.hi)
        small = ~(np.isfinite(found.hi) & (magnitude + found.exponent > format.emax + 1))
        assert found.error_ulps(format)[small].max() <= TOLERANCE / 4


def test_a_midpoint_is_distinguished_from_its_neighbours_by_what_is_subtracted() -> None:
    """log_softmax of [40, 2^-19]: 40 - 2^-19 is halfway between two binary32 numbers, and exp(-40) beyond it."""
    found = reference(Function("log_softmax", "forward"), np.array([[40.0, 2.0**-19]]), BINARY32)
    assert found.hi[0, 1] == -(40 - 2.0**-19)
    assert found.lo[0, 1] < 0


@pytest.mark.parametrize("format", list(FORMATS.values()), ids=lambda format: format.name)
def test_a_single_logit_has_the_whole_probability_and_no_derivative(format: Format) -> None:
    logits, g = np.array([[3.0], [-6.0]]), np.array([[2.0], [0.5]])
    assert reference(Function("softmax", "forward"), logits, format).values().tolist() == [[1.0], [1.0]]
    assert reference(Function("log_softmax", "forward"), logits, format).values().tolist() == [[0.0], [0.0]]
    for operation in OPERATIONS:
        assert not reference(Function(operation, "vjp"), logits, format, cotangent=g).values().any()
        assert not reference(Function(operation, "jvp"), logits, format, tangent=g).values().any()


# -- which tier --------------------------------------------------------------------------------------------------------


def test_values_of_narrow_formats_come_from_plain_arithmetic_and_binary64_from_pairs() -> None:
    logits = np.random.default_rng(0).integers(-8, 8, (4, 30)).astype(np.float64)
    for format in NARROW:
        for operation in OPERATIONS:
            assert reference(Function(operation, "forward"), logits, format).tier_counts() == {"binary64": 120}
    assert reference(Function("softmax", "forward"), logits, BINARY64).tier_counts() == {"double-double": 120}


def test_derivatives_come_from_plain_arithmetic_where_the_format_leaves_room_to_cancel() -> None:
    r = np.random.default_rng(1)
    logits, g = (stored(r.standard_normal((4, 30)), BFLOAT16) for _ in range(2))
    for operation in OPERATIONS:
        assert reference(Function(operation, "vjp"), logits, BFLOAT16, cotangent=g).tier_counts() == {"binary64": 120}
        assert reference(Function(operation, "jvp"), logits, BINARY32, tangent=g).tier_counts() == {
            "double-double": 120
        }


def test_what_cancels_in_plain_arithmetic_goes_to_pairs_and_what_cancels_there_to_mpmath() -> None:
    """The mean of the cotangents is the second of them, but for what a hair of difference in the logits adds."""
    g = np.array([[1.0, 1.0 + 2.0**-7, 1.0 + 2.0**-6]])
    for hair, tier in ((2.0**-4, "binary64"), (2.0**-30, "double-double"), (2.0**-90, "mpmath")):
        found = reference(Function("softmax", "vjp"), np.array([[0.0, hair, hair / 2]]), BFLOAT16, cotangent=g)
        assert TIERS[int(found.tier[0, 1])] == tier
        assert TIERS[int(found.tier[0, 0])] == "binary64"
        assert found.hi[0, 1] * 2.0 ** found.exponent[0, 1] == pytest.approx(-(2.0**-7) * hair / 18, rel=0.1)


# -- rows in chunks ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", [BINARY64, BFLOAT16], ids=lambda format: format.name)
@every_function
def test_a_row_of_several_chunks_is_within_its_stated_error(operation: str, quantity: str, format: Format) -> None:
    """The maximum lies in the last of three chunks, and a masked element in the first."""
    n = 2 * CHUNK + 100
    r = np.random.default_rng(5)
    logits, *vectors = (stored(2 * r.standard_normal((1, n)), format) for _ in range(3))
    logits[0, 7], logits[0, n - 3] = -np.inf, 9.0
    sample = Sample(operation, quantity, logits, vectors, format)
    elements = [0, 7, CHUNK - 1, CHUNK, n - 3, n - 1]
    problem = problem_of(Function(operation, quantity), logits[0], [v[0] for v in sample.vectors])
    for i, judged in zip(elements, accurate(problem, 120, elements), strict=True):
        if isinstance(judged.value, float):
            assert sample.found.hi[0, i] == judged.value
        else:
            assert is_within(sample.found, (0, i), judged.value)


@every_function
def test_functions_that_share_their_exponentials_give_the_bits_that_each_gives_alone(
    operation: str, quantity: str
) -> None:
    r = np.random.default_rng(6)
    logits, g, t = (stored(r.standard_normal((40, 300)), BINARY32) for _ in range(3))
    together = references_of(FUNCTIONS, logits, BINARY32, cotangent=g, tangent=t)[Function(operation, quantity)]
    given = {role: {"cotangent": g, "tangent": t}[role] for role in roles_of(quantity)}
    alone = reference(Function(operation, quantity), logits, BINARY32, **given)
    for name in ("hi", "lo", "exponent", "error", "tier"):
        assert np.array_equal(getattr(together, name), getattr(alone, name))


def test_narrow_arrays_give_the_bits_of_the_same_numbers_in_binary64() -> None:
    logits = stored(np.random.default_rng(7).standard_normal((5, 70)), BINARY32)
    narrow: Any = logits.astype(np.float32)
    for operation in OPERATIONS:
        found, expected = (reference(Function(operation, "forward"), x, BINARY32) for x in (narrow, logits))
        assert _same(found, expected)


def _same(a: Reference, b: Reference) -> bool:
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in ("hi", "lo", "exponent", "error"))


@pytest.mark.parametrize("format", [BINARY64, BINARY32], ids=lambda format: format.name)
def test_memory_grows_neither_with_the_rows_nor_with_their_length(format: Format) -> None:
    def peak(logits: Floats, g: Floats) -> int:
        functions = [Function(operation, quantity) for quantity in ("forward", "vjp") for operation in OPERATIONS]
        tracemalloc.start()
        for tile in tiles(functions, logits, format, cotangent=g):
            assert tile.results[Function("softmax", "forward")].hi.size <= CHUNK
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    r = np.random.default_rng(8)
    logits, g = r.standard_normal(8 * BLOCK), r.standard_normal(8 * BLOCK)
    peaks = [peak(logits.reshape(shape), g.reshape(shape)) for shape in ((512, -1), (8, -1), (1, -1))]
    assert max(peaks) < 400 * BLOCK, peaks
