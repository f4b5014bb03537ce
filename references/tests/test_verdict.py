"""The verdict ladder: a hand-made case for each word, and for each reason to say ``wrong``."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from references.bounds.exact_rows import ExactRows
from references.formats import (
    BFLOAT16,
    BINARY16,
    BINARY32,
    BINARY64,
    FLOAT8_E4M3FN,
    Floats,
    Format,
)
from references.functions import Function
from references.verdict.errors import errors_of
from references.verdict.ladder import Judgement, at_least, judgement_of
from references.verdict.ratios import ratios_of
from references.vocabulary import NOT_APPLICABLE, OPERATIONS, VERDICTS

Answer = Floats | list[float] | list[list[float]]


class Row:
    """Rows of logits, and a cotangent or tangent, to be answered by hand."""

    def __init__(
        self,
        operation: str,
        logits: Answer,
        format: Format = BINARY32,
        *,
        quantity: str = "forward",
        vector: list[float] | None = None,
        tangent: list[float] | None = None,
    ) -> None:
        self.function, self.format = Function(operation, quantity), format
        given: dict[str, list[float] | None] = {"cotangent": None, "tangent": tangent}
        if vector is not None:
            given["tangent" if quantity == "jvp" else "cotangent"] = vector
        vectors = {role: None if v is None else np.array([v]) for role, v in given.items()}
        self.rows = ExactRows(format, np.atleast_2d(np.array(logits, np.float64)), **vectors)
        self.exact = self.rows.reference(self.function)
        rounded = format.round_pairs(self.exact.hi, self.exact.lo, self.exact.exponent)[0]
        self.rounded = format.decode(rounded)

    def judged(self, answer: Answer, *, flushes: bool = False, zero_by_rule: bool = False) -> Judgement:
        computed = np.broadcast_to(np.array(answer, np.float64), self.rows.logits.shape)
        errors = errors_of(
            self.format.encode(computed),
            self.exact,
            self.format,
            function=self.function,
            zero_by_rule=np.full(computed.shape, zero_by_rule),
        )
        return judgement_of(errors, ratios_of(self.function, self.rows, errors, flushes=flushes))

    def verdict(self, answer: Answer, *, flushes: bool = False, zero_by_rule: bool = False) -> str:
        return self.judged(answer, flushes=flushes, zero_by_rule=zero_by_rule).verdict

    def moved(self, ulps: int, column: int = 0) -> Floats:
        """The correctly rounded answer with one element moved by that many representable numbers."""
        bits = self.format.encode(self.rounded)
        bits[0, column] = np.int64(bits[0, column]) + ulps
        return self.format.decode(bits)


# -- each word ---------------------------------------------------------------------------------------------------------

PAIR = Row("softmax", [0.0, -1.0])  # 0.731..., 0.268...: off by 0.04 and 0.08 ulp when rounded
CONFIDENT = Row("log_softmax", [40.0, 0.0])  # -4.2e-18, -40


def test_the_rounded_exact_value_is_correctly_rounded() -> None:
    found = PAIR.judged(PAIR.rounded)
    assert found.verdict == "correctly rounded"
    assert found.bound_ratio is not None
    assert 0 < found.bound_ratio < 0.1
    assert found.storage_ratio is None


def test_the_other_neighbour_of_the_exact_value_is_faithful() -> None:
    errors = [PAIR.moved(step, column) for step in (-1, 1) for column in (0, 1)]
    verdicts = [PAIR.verdict(answer) for answer in errors]
    assert verdicts.count("faithful") == 2
    assert verdicts.count("accurate") == 2  # on the other side the next number is more than an ulp away


def test_more_than_an_ulp_within_the_conditioning_is_accurate() -> None:
    """The limit is 5.1u for the first, 3.3u for the second; ulps there are u and u/2."""
    assert [PAIR.verdict(PAIR.moved(step)) for step in (4, -4)] == ["accurate"] * 2
    assert [PAIR.verdict(PAIR.moved(step, 1)) for step in (5, -5)] == ["accurate"] * 2


def test_a_lost_small_logarithm_is_stable_and_not_accurate() -> None:
    """log(1 + e**-40) needs log1p; the plain formula gives zero, within its bound and beyond the conditioning."""
    found = CONFIDENT.judged([0.0, -40.0])
    assert found.verdict == "stable"
    assert found.bound_ratio is not None
    assert found.conditioning_ratio is not None
    assert found.bound_ratio < 1 < found.conditioning_ratio


def test_a_narrow_result_beyond_the_compute_bound_may_be_storage_stable() -> None:
    row = Row("softmax", [0.0, -1.0], BFLOAT16)
    found = row.judged(row.moved(1))
    assert found.verdict == "storage-stable"
    assert found.bound_ratio is not None
    assert found.storage_ratio is not None
    assert found.storage_ratio < 1 < found.bound_ratio
    assert row.verdict(row.moved(8)) == "unstable"


def test_a_wide_format_has_no_storage_to_excuse_it() -> None:
    assert PAIR.verdict(PAIR.moved(5)) == "stable"
    assert PAIR.verdict(PAIR.moved(6)) == "unstable"


@pytest.mark.parametrize("column", [0, 1])
def test_one_bad_element_decides(column: int) -> None:
    assert PAIR.verdict(PAIR.moved(1000, column)) == "unstable"


def test_a_ratio_counts_in_the_ulp_of_the_exact_value_and_not_of_its_binary64_neighbour() -> None:
    """1 - e**-60 is 1 in binary64, where the ulp is twice as large: the ratio would be 2."""
    row = Row("log_softmax", [0.0, -60.0], quantity="vjp", vector=[0.0, 1.0])
    found = row.judged([row.rounded[0, 0], 1 - 2.0**-24])
    assert found.bound_ratio is not None
    assert 0.999 < found.bound_ratio <= 1
    assert found.verdict == "accurate"


def _double_backward(operation: str, format: Format) -> Row:
    return Row(operation, [0.0, -1.0, -3.0], format, quantity="hvp", vector=[1.0, -2.0, 0.5], tangent=[0.5, 1.0, 2.0])


@pytest.mark.parametrize("format", [BINARY64, BINARY32], ids=lambda f: str(f.name))
@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_double_backward_is_judged_like_the_others(operation: str, format: Format) -> None:
    row = _double_backward(operation, format)
    assert row.verdict(row.rounded) == "correctly rounded"
    assert row.verdict(row.moved(3)) == "accurate"
    assert row.verdict(row.moved(2000)) == "unstable"
    assert row.verdict([0.0, *row.rounded[0, 1:].tolist()]) == "wrong"


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_narrow_double_backward_is_judged_with_its_saved_output_rounded(operation: str) -> None:
    """Half an ulp of each saved softmax, of 2**-9 relative, moves the result by many ulps of it."""
    row = _double_backward(operation, BFLOAT16)
    found = row.judged(row.moved(3))
    assert found.verdict in ("stable", "accurate")
    assert found.storage_ratio is not None
    assert row.verdict(row.moved(2000)) == "unstable"


def test_a_double_backward_needs_both_vectors() -> None:
    row = Row("softmax", [0.0, -1.0], quantity="hvp", vector=[1.0, 2.0], tangent=[1.0, 3.0])
    row.rows = ExactRows(BINARY32, row.rows.logits, np.array([[1.0, 2.0]]))
    with pytest.raises(ValueError, match="hvp needs a tangent"):
        row.judged(row.rounded)


# -- each reason for ``wrong`` -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_nan_or_infinity_for_a_number_is_wrong(operation: str, bad: float) -> None:
    row = Row(operation, [0.0, -1.0])
    assert row.verdict([bad, float(row.rounded[0, 1])]) == "wrong"


@pytest.mark.parametrize(("operation", "answer"), [("softmax", [1.0, -0.0]), ("log_softmax", [0.0, -200.0])])
def test_a_number_for_a_masked_element_is_wrong_unless_it_is_the_one(operation: str, answer: list[float]) -> None:
    row = Row(operation, [0.0, -math.inf])
    assert row.verdict([answer[0], -math.inf if operation == "log_softmax" else 0.0]) == "correctly rounded"
    assert row.verdict(answer) == ("wrong" if operation == "log_softmax" else "correctly rounded")


def test_something_for_an_element_that_is_zero_by_rule_is_wrong() -> None:
    row = Row("softmax", [0.0, -1.0], quantity="vjp", vector=[0.0, 0.0])
    assert row.verdict([0.0, -0.0], zero_by_rule=True) == "correctly rounded"
    assert row.verdict([0.0, BINARY32.smallest_subnormal], zero_by_rule=True) == "wrong"


def test_a_softmax_outside_zero_to_one_is_wrong_within_any_bound() -> None:
    row = Row("softmax", [0.0, -200.0])
    assert row.verdict([1.0, 0.0]) == "correctly rounded"
    assert row.verdict([1 + 2.0**-23, 0.0]) == "wrong"
    assert row.verdict([1.0, -BINARY32.smallest_subnormal]) == "wrong"


def test_a_positive_log_softmax_is_wrong_within_any_bound() -> None:
    assert CONFIDENT.verdict([1e-18 // 2.0**-80 * 2.0**-80, -40.0]) == "wrong"
    assert CONFIDENT.verdict([-0.0, -40.0]) == "stable"


def test_a_zero_is_wrong_outside_the_bound_and_stable_within() -> None:
    assert PAIR.verdict([float(PAIR.rounded[0, 0]), 0.0]) == "wrong"
    assert CONFIDENT.verdict([0.0, -40.0]) == "stable"


def test_a_flipped_sign_is_wrong_outside_the_bound_and_blameless_within() -> None:
    """h = g - s G: a gradient of 2e-9 among cotangents of 1 may come out with either sign."""
    row = Row("log_softmax", [20.0, 0.0], quantity="vjp", vector=[1.0, 0.0])
    tiny = float(row.rounded[0, 1])
    assert row.rounded[0, 0] > 0
    assert row.verdict([-1.5 * 2.0**-29, tiny]) == "accurate"
    assert row.verdict([-(2.0**-10), tiny]) == "wrong"


def test_a_special_value_off_contract_is_wrong() -> None:
    row = Row("softmax", [[0.0, math.nan], [0.0, 0.0]])
    assert row.verdict([[math.nan, math.nan], [0.5, 0.5]]) == "correctly rounded"
    assert row.verdict([[math.nan, 0.0], [0.5, 0.5]]) == "wrong"
    assert row.verdict([[-math.inf, math.nan], [0.5, 0.5]]) == "wrong"


def test_infinity_next_to_the_largest_number_is_wrong_only_outside_the_bound() -> None:
    """Binary16 rounds to infinity from 65520 on; an error of 0.005 before that rounding may carry 65519.996 there."""
    near = Row("log_softmax", [0.0, -2.078125, -2.078125], BINARY16, quantity="vjp", vector=[65504.0, -65504.0, -20.0])
    assert float(near.exact.values()[0, 0]) == pytest.approx(65519.996, abs=1e-3)
    answer = [math.inf, *near.rounded[0, 1:].tolist()]
    assert near.verdict(near.rounded) == "correctly rounded"
    assert near.verdict(answer) == "faithful"
    clear = Row("log_softmax", [0.0, -2.078125, -2.078125], BINARY16, quantity="vjp", vector=[65504.0, -65504.0, -8.0])
    assert clear.verdict([math.inf, *clear.rounded[0, 1:].tolist()]) == "wrong"


def test_infinity_is_wrong_where_there_is_no_bound() -> None:
    row = Row("log_softmax", [0.0, 0.0, 0.0], BINARY64, quantity="vjp", vector=[1e308, 1e308, 1e308])
    assert row.verdict([0.0, 0.0, 0.0]) == NOT_APPLICABLE
    assert row.verdict([math.inf, 0.0, 0.0]) == "wrong"


# -- flushes -----------------------------------------------------------------------------------------------------------


def test_a_flushed_result_is_wrong_unless_the_platform_flushes() -> None:
    """e**-88 is below the smallest normal number of binary32, and a million times the smallest subnormal one."""
    row = Row("softmax", [0.0, -88.0])
    assert row.verdict([1.0, 0.0]) == "wrong"
    assert row.verdict([1.0, 0.0], flushes=True) == "accurate"


def test_a_platform_that_flushes_has_no_excuse_for_normal_numbers() -> None:
    row = Row("softmax", [0.0, -80.0])
    assert row.verdict([1.0, 0.0], flushes=True) == "wrong"


# -- where no class is given -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", [BINARY64, BINARY32, BINARY16, BFLOAT16, FLOAT8_E4M3FN], ids=lambda f: str(f.name))
def test_a_softmax_of_zeros_is_never_better_than_wrong_or_without_a_class(format: Format) -> None:
    r = np.random.default_rng(9)
    lengths = (1, 2, 9, 33, 100, 600, 1000, 2000, 5000)
    seen = set()
    for n, spread in itertools.product(lengths, (0.0, 1.0, 10.0)):
        logits = format.decode(format.round_floats(spread * r.standard_normal((3, n))))
        row = Row("softmax", logits, format)
        for flushes in (False, True):
            seen.add(row.verdict(np.zeros_like(logits), flushes=flushes))
    assert seen <= {"wrong", NOT_APPLICABLE}
    assert "wrong" in seen


def test_a_row_whose_bound_says_nothing_leaves_the_others_a_class_only_where_they_fail() -> None:
    """With 2048 equal logits every softmax is half of half the smallest number of the format."""
    n = 2048
    row = Row("softmax", np.stack([np.zeros(n), np.where(np.arange(n), -20.0, 0.0)]), FLOAT8_E4M3FN)
    assert row.verdict(row.rounded) == NOT_APPLICABLE
    missing = row.rounded.copy()
    missing[1, 0] = 0.0
    assert row.verdict(missing) == "wrong"


def test_a_storage_bound_that_says_nothing_excuses_nothing() -> None:
    """1/600 is beyond half the smallest number, which a rounding may lose, and within all of it, which storing may."""
    row = Row("softmax", np.zeros(600), FLOAT8_E4M3FN)
    found = row.judged(np.zeros(600))
    assert found.verdict == "wrong"
    assert found.bound_ratio is not None
    assert found.bound_ratio > 1


def test_without_a_bound_there_is_no_ratio() -> None:
    found = Row("softmax", np.zeros(2048), FLOAT8_E4M3FN).judged(np.zeros(2048))
    assert found.verdict == NOT_APPLICABLE
    assert found.bound_ratio is found.storage_ratio is None
    assert found.infinite_ratios == 0


def test_rows_without_a_bound_beside_special_ones_have_no_ratio_either() -> None:
    logits = np.zeros((2, 2048))
    logits[1, 5] = math.nan
    found = Row("softmax", logits, FLOAT8_E4M3FN).judged(np.where(np.arange(2), np.nan, 0.0)[:, None])
    assert found.verdict == NOT_APPLICABLE
    assert found.bound_ratio is None


def test_special_rows_alone_are_judged_by_their_outcomes() -> None:
    row = Row("softmax", [math.nan, 0.0])
    found = row.judged([math.nan, math.nan])
    assert found.verdict == "correctly rounded"
    assert found.bound_ratio is found.conditioning_ratio is None


def test_a_row_too_long_for_any_order_is_judged_by_a_pairwise_sum_and_says_so() -> None:
    row = Row("softmax", [0.0, -1.0])
    assert not row.judged(row.rounded).order_assumed
    row.rows.n = 1 << 24
    assert row.judged(row.rounded).order_assumed


# -- the words in order ------------------------------------------------------------------------------------------------


def test_a_required_word_is_met_by_itself_and_every_better_one() -> None:
    for (i, word), (j, required) in itertools.product(enumerate(VERDICTS), repeat=2):
        assert at_least(word, required) == (i >= j)


@pytest.mark.parametrize("required", VERDICTS)
def test_a_cell_without_a_class_is_no_evidence_against(required: str) -> None:
    assert at_least(NOT_APPLICABLE, required)
