"""Measurements: planted faults are caught, sound answers are not blamed, and what is recorded is what was computed."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from references.formats import BINARY16, BINARY32, Floats, format_named
from references.functions import Problem
from references.oracle.certified import correctly_rounded
from references.verdict.ladder import at_least
from references.vocabulary import OPERATIONS
from suites.implementations.call import AnyBits, Call, Evaluator
from suites.implementations.catalogue import Implementation
from suites.implementations.numpy import recipes
from suites.implementations.numpy.recipes import (
    naive,
    shifted,
    shifted_log,
    shifted_log_jvp,
    shifted_log_vjp,
    shifted_product,
    x_minus_logsumexp,
)
from suites.inputs.batch import Batch, batch_of
from suites.known_defects import REQUIRED
from suites.plan.cell import Cell
from suites.plan.cells import rows_of
from suites.scoring.cell import Measurement, measure, run_cell, score
from suites.vocabulary import FORMATS, LAYOUTS

Formula = Callable[..., Any]

SOUND: dict[tuple[str, str], Formula] = {
    ("softmax", "forward"): shifted,
    ("softmax", "vjp"): shifted_product,
    ("softmax", "jvp"): shifted_product,
    ("log_softmax", "forward"): shifted_log,
    ("log_softmax", "vjp"): shifted_log_vjp,
    ("log_softmax", "jvp"): shifted_log_jvp,
}

every_format = pytest.mark.parametrize("format", FORMATS)
NATIVE = ("binary64", "binary32", "binary16")


def planted(framework: str = "numpy", *, flushes: bool = False) -> Implementation:
    """An implementation that its evaluator stands in for."""
    return Implementation(
        "planted", framework, "numpy.recipes", dict.fromkeys(OPERATIONS, "planted"), False, flushes=flushes
    )


def cell_of(
    operation: str = "softmax",
    quantity: str = "forward",
    format: str = "binary32",
    family: str = "gauss1",
    n: int = 9,
    layout: str = "last",
) -> Cell:
    return Cell("planted", "default", operation, quantity, format, layout, family, n)


def in_binary64(formula: Formula) -> Evaluator:
    """A formula evaluated on binary64 numbers and rounded once to the format of the call."""

    def evaluate(call: Call) -> AnyBits:
        format = format_named(call.format)
        arguments = [format.decode(b) for b in (call.logits, call.cotangent, call.tangent) if b is not None]
        with np.errstate(all="ignore"):
            return format.round_floats(np.broadcast_to(formula(*arguments, call.axis), call.logits.shape))

    return evaluate


def in_its_format(formula: Formula) -> Evaluator:
    """A formula evaluated in the format of the call throughout; NumPy has no bfloat16."""
    return lambda call: recipes.evaluate((formula, formula, formula), call)


def judged(cell: Cell, evaluator: Evaluator, implementation: Implementation | None = None) -> Measurement:
    return measure(cell, implementation or planted(), evaluator)


def judged_on(batch: Batch, cell: Cell, evaluator: Evaluator, place: tuple[int, int] | None = None) -> Measurement:
    """The same on a batch that is not the cell's own."""
    return score(cell, planted(), batch, run_cell(cell, batch, evaluator), place)


def verdict_of(cell: Cell, evaluator: Evaluator) -> str:
    return judged(cell, evaluator).judgement.verdict


# -- formulas with one fault each ------------------------------------------------------------------------------------


def zeros(x: Floats, *rest: Any) -> Floats:
    return np.zeros_like(x)


def uniform(x: Floats, axis: int) -> Floats:
    return np.full_like(x, 1 / x.shape[axis])


def shifted_by_the_largest_of_all_rows(x: Floats, axis: int) -> Floats:
    return np.asarray(naive(x - x.max(), axis), np.float64)


def along_the_other_axis(formula: Formula) -> Formula:
    return lambda *arguments: formula(*arguments[:-1], 1 - arguments[-1])


def in_reversed_rows(formula: Formula) -> Formula:
    return lambda *arguments: formula(*arguments)[::-1]


def last_one_twice(x: Floats, axis: int) -> Floats:
    """A vector kernel whose tail counts an element again."""
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return np.asarray(e / (e.sum(axis=axis, keepdims=True) + e[..., -1:]))


def last_one_lost(x: Floats, axis: int) -> Floats:
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return np.asarray(e / e[..., :-1].sum(axis=axis, keepdims=True))


def in_two_tiles(x: Floats, axis: int) -> Floats:
    """Online softmax: a tile of -inf alone has the maximum -inf, and exp(-inf - -inf) is NaN."""
    tiles = np.array_split(x, 2, axis=axis)
    maxima = [tile.max(axis=axis, keepdims=True) for tile in tiles]
    sums = [np.exp(tile - m).sum(axis=axis, keepdims=True) for tile, m in zip(tiles, maxima, strict=True)]
    top = np.maximum(*maxima)
    return np.asarray(np.exp(x - top) / sum(s * np.exp(m - top) for s, m in zip(sums, maxima, strict=True)))


def log_of_shifted(x: Floats, axis: int) -> Floats:
    return np.asarray(np.log(shifted(x, axis)))


def clamped_at_64(x: Floats, axis: int) -> Floats:
    return np.asarray(shifted_log(np.maximum(x, x.max(axis=axis, keepdims=True) - 64), axis))


def exp_to_5_bits(x: Floats, axis: int) -> Floats:
    e = np.exp(x - x.max(axis=axis, keepdims=True)) * (1 + 2.0**-5 * np.cos(np.arange(x.shape[axis])))
    return np.asarray(e / e.sum(axis=axis, keepdims=True))


def without_the_mean(x: Floats, g: Floats, axis: int) -> Floats:
    return np.asarray(shifted(x, axis) * g)


def mean_of_neighbours(x: Floats, g: Floats, axis: int) -> Floats:
    s = shifted(x, axis)
    return np.asarray(s * (g - (s * np.roll(g, 1, axis)).sum(axis=axis, keepdims=True)))


def negated(formula: Formula) -> Formula:
    return lambda *arguments: -formula(*arguments)


def without_the_softmax(x: Floats, g: Floats, axis: int) -> Floats:
    return np.asarray(g - g.sum(axis=axis, keepdims=True))


def passed_through(x: Floats, g: Floats, axis: int) -> Floats:
    return g


def weighted_by_the_logarithm(x: Floats, g: Floats, axis: int) -> Floats:
    return np.asarray(g - (g * shifted_log(x, axis)).sum(axis=axis, keepdims=True))


def through_the_gradient_of_softmax(x: Floats, g: Floats, axis: int) -> Floats:
    return np.asarray(shifted_product(x, g / shifted(x, axis), axis))


@dataclass(frozen=True)
class Fault:
    """A faulty formula, the cell that shows it, and the verdicts that catch it.

    ``hides`` is a family on which it passes: the reason for having the other.
    """

    formula: Formula
    operation: str
    quantity: str
    family: str
    n: int = 9
    verdicts: tuple[str, ...] = ("wrong",)
    hides: str | None = None
    evaluator: Callable[[Formula], Evaluator] = in_binary64
    formats: tuple[str, ...] = FORMATS


EITHER = ("wrong", "unstable")
BAD = ("unstable",)

# The reports are where the same fault was once released.
FAULTS = {
    "all zeros": Fault(zeros, "softmax", "forward", "gauss1", 1000),
    "all zeros, equal logits": Fault(zeros, "softmax", "forward", "equal", 1000),
    "all zeros, log": Fault(zeros, "log_softmax", "forward", "gauss1"),
    "all zeros, gradient": Fault(zeros, "softmax", "vjp", "gauss1"),
    "all zeros, gradient of log": Fault(zeros, "log_softmax", "vjp", "gauss1"),
    "all zeros, jvp": Fault(zeros, "log_softmax", "jvp", "gauss1"),
    "uniform": Fault(uniform, "softmax", "forward", "gauss0.1", 1000, BAD, hides="equal"),
    "x - (max + log sum), pytorch#11752": Fault(
        x_minus_logsumexp,
        "log_softmax",
        "forward",
        "offset",
        verdicts=EITHER,
        hides="gauss1",
        evaluator=in_its_format,
        formats=NATIVE,
    ),
    "log(softmax(x))": Fault(
        log_of_shifted,
        "log_softmax",
        "forward",
        "dominant",
        hides="equal",
        evaluator=in_its_format,
        formats=NATIVE,
    ),
    "no shift": Fault(naive, "softmax", "forward", "offset", hides="gauss1"),
    "shift by the largest of all rows": Fault(
        shifted_by_the_largest_of_all_rows, "softmax", "forward", "offset", hides="gauss1"
    ),
    "wrong axis": Fault(along_the_other_axis(shifted), "softmax", "forward", "gauss1", verdicts=BAD),
    "wrong axis, gradient": Fault(along_the_other_axis(shifted_log_vjp), "log_softmax", "vjp", "gauss1"),
    "rows swapped": Fault(in_reversed_rows(shifted), "softmax", "forward", "gauss1", verdicts=BAD, hides="equal"),
    "rows swapped, gradient": Fault(in_reversed_rows(shifted_product), "softmax", "vjp", "gauss1"),
    "one counted twice, pytorch#144009": Fault(last_one_twice, "softmax", "forward", "gauss0.1", 33, BAD),
    "one left out": Fault(last_one_lost, "softmax", "forward", "gauss0.1", 33, BAD),
    "tile of -inf, quack#64": Fault(in_two_tiles, "softmax", "forward", "masked", hides="gauss1"),
    "clamped at -64, Paddle#69859": Fault(
        clamped_at_64,
        "log_softmax",
        "forward",
        "geometric",
        verdicts=BAD,
        hides="gauss10",
        formats=("binary64", "binary32", "bfloat16"),
    ),
    "exp to 5 bits": Fault(exp_to_5_bits, "softmax", "forward", "gauss1", verdicts=BAD),
    "logarithm for the softmax": Fault(shifted_log, "softmax", "forward", "gauss1"),
    "softmax for the logarithm": Fault(shifted, "log_softmax", "forward", "gauss1"),
    "gradient with the wrong sign": Fault(negated(shifted_product), "softmax", "vjp", "gauss1"),
    "gradient of log with the wrong sign": Fault(negated(shifted_log_vjp), "log_softmax", "vjp", "gauss1"),
    "gradient without the mean": Fault(without_the_mean, "softmax", "vjp", "gauss1"),
    "tangent without the mean": Fault(without_the_mean, "softmax", "jvp", "gauss1"),
    "mean of the neighbours' cotangent": Fault(mean_of_neighbours, "softmax", "vjp", "gauss1"),
    "gradient of log without the softmax": Fault(without_the_softmax, "log_softmax", "vjp", "gauss1"),
    "cotangent passed through": Fault(passed_through, "log_softmax", "vjp", "gauss1"),
    "gradient weighted by the logarithm, oneDNN#616": Fault(weighted_by_the_logarithm, "log_softmax", "vjp", "gauss1"),
    "gradient of log(softmax(x)), NNlib#68": Fault(
        through_the_gradient_of_softmax, "log_softmax", "vjp", "dominant", formats=("binary64",)
    ),
    "vjp for the jvp": Fault(shifted_log_vjp, "log_softmax", "jvp", "gauss1"),
    "jvp for the vjp": Fault(shifted_log_jvp, "log_softmax", "vjp", "gauss1"),
}

CASES = [
    pytest.param(fault, format, id=f"{name} {format}") for name, fault in FAULTS.items() for format in fault.formats
]


HIDDEN = [
    pytest.param(fault, format, id=f"{name} {format}")
    for name, fault in FAULTS.items()
    for format in fault.formats
    if fault.hides
]


def passes(verdict: str, evaluator: Callable[[Formula], Evaluator]) -> bool:
    """Whether a verdict is what a sound formula earns: less where binary16 is used for every step."""
    return at_least(verdict, "stable" if evaluator is in_binary64 else REQUIRED)


@pytest.mark.parametrize(("fault", "format"), CASES)
def test_a_planted_fault_is_caught_where_the_sound_formula_passes(fault: Fault, format: str) -> None:
    cell = cell_of(fault.operation, fault.quantity, format, fault.family, fault.n)
    assert verdict_of(cell, fault.evaluator(fault.formula)) in fault.verdicts
    assert passes(verdict_of(cell, fault.evaluator(SOUND[fault.operation, fault.quantity])), fault.evaluator)


@pytest.mark.parametrize(("fault", "format"), HIDDEN)
def test_a_fault_hides_on_tame_rows_which_is_why_there_are_others(fault: Fault, format: str) -> None:
    assert fault.hides is not None
    cell = cell_of(fault.operation, fault.quantity, format, fault.hides, fault.n)
    assert passes(verdict_of(cell, fault.evaluator(fault.formula)), fault.evaluator)


def sums_in_the_format(call: Call) -> AnyBits:
    """Softmax whose running sum is rounded to the format after every addition, the rest in binary64."""
    format = format_named(call.format)
    x = format.decode(call.logits)
    e = np.exp(x - x.max(axis=1, keepdims=True))
    total = np.zeros(len(x))
    for column in e.T:
        total = format.decode(format.round_floats(total + column))
    return format.round_floats(e / total[:, None])


@pytest.mark.parametrize(
    ("format", "family", "n"),
    [
        # Ones add up to 2048 and 256, and no further.
        ("binary16", "equal", 4097),
        ("bfloat16", "equal", 1000),
        ("binary16", "gauss1", 1000),
        ("bfloat16", "gauss1", 1000),
    ],
)
def test_a_sequential_sum_in_a_narrow_format_is_caught(format: str, family: str, n: int) -> None:
    assert verdict_of(cell_of(format=format, family=family, n=n), sums_in_the_format) == "unstable"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_kernel_that_reduces_the_last_axis_whatever_is_asked_is_caught(layout: str) -> None:
    def last_axis(x: Floats, axis: int) -> Floats:
        return np.asarray(shifted(x, -1))

    sound = verdict_of(cell_of(layout=layout), in_binary64(shifted))
    assert at_least(sound, "stable")
    same = verdict_of(cell_of(layout=layout), in_binary64(last_axis)) == sound
    assert same == (layout not in ("inner", "column", "middle"))


# -- faults of single elements, as bits ------------------------------------------------------------------------------


def exactly(call: Call) -> AnyBits:
    """The correctly rounded answer, from the oracle; rows on the last axis."""
    format = format_named(call.format)
    arrays = [format.decode(call.logits)]
    arrays += [format.decode(v) for v in (call.cotangent, call.tangent) if v is not None]
    bits = np.empty_like(call.logits)
    for i, row in enumerate(zip(*arrays, strict=True)):
        vectors = {"vjp": ("cotangent",), "jvp": ("tangent",)}.get(call.quantity, ())
        numbers = dict(zip(vectors, (v.tolist() for v in row[1:]), strict=True))
        bits[i] = correctly_rounded(Problem(call.operation, call.quantity, row[0].tolist(), **numbers), format)
    return bits


def exactly_but(row: int, column: int, bits: int | Callable[[int], int]) -> Evaluator:
    """The correctly rounded answer with one element replaced."""

    def evaluate(call: Call) -> AnyBits:
        result = exactly(call)
        result[row, column] = bits if isinstance(bits, int) else bits(int(result[row, column]))
        return result

    return evaluate


@every_format
@pytest.mark.parametrize("family", ["gauss1", "near-tie", "dominant", "offset", "geometric", "masked", "special"])
def test_a_correctly_rounded_implementation_gets_the_best_verdict(family: str, format: str) -> None:
    n = 3 if family == "special" else 9
    for operation, quantity in SOUND:
        found = judged(cell_of(operation, quantity, format, family, n), exactly)
        assert found.judgement.verdict == "correctly rounded"
        assert found.statistics.correctly_rounded_share == 1
        assert found.statistics.outcomes.keys() <= {"infinite_for_finite"}


@every_format
@pytest.mark.parametrize("step", [-1, 1])
def test_one_element_one_ulp_off_is_no_longer_correctly_rounded_but_stable(format: str, step: int) -> None:
    found = judged(cell_of(format=format), exactly_but(4, 7, lambda bits: bits + step))
    # Of the narrow formats, whose every output is one rounding away from a binary32 number, more is asked.
    wide = format in ("binary64", "binary32")
    assert found.judgement.verdict in (("stable", "accurate", "faithful") if wide else ("storage-stable",))
    assert found.statistics.correctly_rounded_share == 1 - 1 / (33 * 9)
    assert (found.worst.row, found.worst.column) == (4, 7)
    assert found.worst.ulp_error is not None
    assert 0.5 < found.worst.ulp_error < 1.5


def test_one_ulp_off_to_the_other_side_of_the_exact_value_is_faithful() -> None:
    verdicts = {
        verdict_of(cell_of(), exactly_but(4, 7, lambda bits, step=step: bits + step))  # type: ignore[misc]
        for step in (-1, 1)
    }
    assert "faithful" in verdicts
    assert len(verdicts) == 2


@every_format
@pytest.mark.parametrize(("operation", "quantity"), list(SOUND))
def test_a_single_nan_is_wrong_and_is_what_the_cell_is_remembered_by(
    format: str, operation: str, quantity: str
) -> None:
    nan = format_named(format).nan_bits
    found = judged(cell_of(operation, quantity, format), exactly_but(31, 2, nan))
    assert found.judgement.verdict == "wrong"
    assert found.statistics.outcomes == {"nan_for_number": 1}
    assert (found.worst.row, found.worst.column, found.worst.outcome) == (31, 2, "nan_for_number")
    assert found.worst.computed == nan
    assert found.worst.ulp_error is None
    assert found.worst.bound_ratio is None
    assert found.row_maxima[31] is not None


@every_format
def test_a_masked_element_that_is_not_zero_is_wrong_however_small(format: str) -> None:
    # The row of kind 0 keeps one logit; every other one is masked.
    batch = batch_of("masked", format, 33, 9)
    column = int(np.flatnonzero(batch.values[0] == -np.inf)[0])
    for operation, quantity in (("softmax", "forward"), ("softmax", "vjp"), ("softmax", "jvp")):
        found = judged(cell_of(operation, quantity, format, "masked"), exactly_but(0, column, 1))
        assert found.judgement.verdict == "wrong"
        assert found.statistics.outcomes == {"nonzero_for_zero": 1}


@every_format
def test_a_masked_element_whose_logarithm_is_finite_is_wrong(format: str) -> None:
    batch = batch_of("masked", format, 33, 9)
    column = int(np.flatnonzero(batch.values[0] == -np.inf)[0])
    lowest = format_named(format).largest_bits | format_named(format).sign_bit
    found = judged(cell_of("log_softmax", "forward", format, "masked"), exactly_but(0, column, lowest))
    assert found.judgement.verdict == "wrong"
    assert found.statistics.outcomes == {"finite_for_infinite": 1}


@every_format
def test_a_softmax_above_one_or_below_zero_is_wrong_even_by_an_ulp(format: str) -> None:
    one = int(format_named(format).round_floats(np.array([1.0]))[0])
    values = batch_of("dominant", format, 33, 9).values
    ranked = np.sort(values, axis=1)
    row = int(np.argmax(ranked[:, -1] - ranked[:, -2]))
    lead = int(values[row].argmax())
    other = int(values[row].argmin())
    cell = cell_of(format=format, family="dominant")
    assert verdict_of(cell, exactly_but(row, lead, one)) == "correctly rounded"
    above = judged(cell, exactly_but(row, lead, one + 1))
    below = judged(cell, exactly_but(row, other, format_named(format).sign_bit | 1))
    for found in (above, below):
        assert found.judgement.verdict == "wrong"
        assert found.statistics.outcomes["out_of_range"] == 1
        assert found.worst.outcome == "out_of_range"


@every_format
def test_a_positive_log_softmax_is_wrong_however_small(format: str) -> None:
    found = judged(cell_of("log_softmax", format=format, family="dominant"), exactly_but(5, 5, 1))
    assert found.judgement.verdict == "wrong"
    assert found.statistics.outcomes == {"out_of_range": 1}


@every_format
@pytest.mark.parametrize("answer", ["zero", "infinity"])
def test_a_special_row_answered_by_a_number_is_wrong(answer: str, format: str) -> None:
    bits = 0 if answer == "zero" else format_named(format).infinity_bits
    found = judged(cell_of(format=format, family="special", n=3), exactly_but(0, 0, bits))
    assert found.judgement.verdict == "wrong"
    assert found.statistics.outcomes["finite_for_nan"] == 1


def test_an_answer_of_scipys_own_is_right_for_scipy_alone() -> None:
    def scipys(call: Call) -> AnyBits:
        result = exactly(call)
        nan, below = BINARY32.nan_bits, BINARY32.infinity_bits | BINARY32.sign_bit
        result[1:4] = [[nan, below, below], [nan, below, nan], [nan, below, below]]
        return result

    cell = cell_of("log_softmax", family="special", n=3)
    assert judged(cell, scipys, planted("scipy")).judgement.verdict == "correctly rounded"
    assert judged(cell, scipys, planted("numpy")).judgement.verdict == "wrong"
    assert judged(cell, exactly, planted("scipy")).judgement.verdict == "wrong"


# -- flushing subnormal numbers --------------------------------------------------------------------------------------


def flushed(call: Call) -> AnyBits:
    """Correctly rounded but for subnormal results, which are zero."""
    result = exactly(call)
    smallest = int(BINARY32.round_floats(np.array([BINARY32.smallest_normal]))[0])
    return np.where(result < smallest, result.dtype.type(0), result)


@pytest.mark.parametrize(
    ("declared", "proved", "verdict"),
    [(False, True, "wrong"), (True, False, "wrong"), (True, True, "accurate"), (False, False, "wrong")],
)
def test_a_flush_is_wrong_unless_it_is_declared_and_proved(
    monkeypatch: pytest.MonkeyPatch, declared: bool, proved: bool, verdict: str
) -> None:
    monkeypatch.setattr("suites.scoring.cell._flush_probe", lambda framework: proved)
    found = judged(cell_of(family="geometric", n=33), flushed, planted("jax", flushes=declared))
    assert found.judgement.verdict == verdict
    assert found.flushes == (declared and proved)
    assert found.statistics.outcomes["underflow"] > 0


# -- roundings that the pairs can't decide ---------------------------------------------------------------------------


def batch_like(cell: Cell, logits: list[list[float]]) -> Batch:
    """A batch of chosen logits."""
    format = format_named(cell.format)
    bits = format.encode(np.array(logits))
    return Batch(format, cell.family, bits, np.zeros_like(bits), np.zeros_like(bits))


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        # d = -(2**24 + 1) lies half-way between two numbers; log S = exp(d) > 0 decides for the one below.
        (-(2.0**24) - 2, "correctly rounded"),
        # Ties to even would take this one, half an ulp and a breath away.
        (-(2.0**24), "faithful"),
    ],
)
def test_a_midpoint_missed_by_a_breath_is_rounded_by_the_oracle(answer: float, verdict: str) -> None:
    cell = cell_of("log_softmax", n=2)
    output = BINARY32.encode(np.array([[0.0, answer]]))
    found = judged_on(batch_like(cell, [[2.0**24, -1.0]]), cell, lambda call: output)
    assert found.judgement.verdict == verdict
    assert found.worst.ulp_error == 0.5


# -- what is recorded ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["gauss1", "masked", "special"])
def test_measuring_is_deterministic(family: str) -> None:
    cell = cell_of("log_softmax", "vjp", "binary16", family)
    fresh = dataclasses.replace(batch_of(family, "binary16", rows_of(family, 9), 9))
    first = judged(cell, in_binary64(shifted_log_vjp))
    again = judged_on(fresh, cell, in_binary64(shifted_log_vjp))
    np.testing.assert_equal(dataclasses.asdict(again), dataclasses.asdict(first))


def test_a_measurement_shows_its_worst_element_in_bits_and_thirty_digits() -> None:
    cell = cell_of(n=2)
    # softmax([1, 0])[1] = 1 / (1 + e) = 9024176.635 * 2**-25 = 0x89b2b0.a * 2**-25; the answer is an ulp above the
    # nearest number.
    output = np.array([[0x3F3B26A8, 0x3E89B2B2]], np.uint32)
    worst = judged_on(batch_like(cell, [[1.0, 0.0]]), cell, lambda call: output).worst
    assert (worst.row, worst.column) == (0, 1)
    assert worst.logits.tolist() == [0x3F800000, 0x00000000]
    assert worst.computed == 0x3E89B2B2
    assert worst.computed_value == 0x89B2B2 * 2.0**-25
    assert worst.exact == "0.268941421369995120748840758178"
    assert worst.ulp_error == pytest.approx(9024178 - 9024176.635342848, abs=1e-8)
    assert worst.vectors == {}
    assert worst.vector_kind is None


def test_a_place_can_be_asked_for_instead_of_the_worst() -> None:
    batch = batch_of("gauss1", "binary32", 33, 9)
    cell = cell_of("softmax", "vjp")
    worst = judged_on(batch, cell, exactly, (6, 4)).worst
    assert (worst.row, worst.column, worst.vector_kind) == (6, 4, "gauss")
    assert worst.vectors["cotangent"].tolist() == batch.cotangent[6].tolist()
    assert worst.logits.tolist() == batch.logits[6].tolist()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_fingerprints_are_of_the_rows_whatever_the_layout(layout: str) -> None:
    cell = cell_of(format="binary16", layout=layout)
    found = judged(cell, in_binary64(shifted))
    batch = batch_of("gauss1", "binary16", 33, 9)
    rows = BINARY16.round_floats(np.asarray(shifted(batch.values, 1), np.float64))
    assert found.input_sha256 == batch.sha256
    assert found.output_sha256 == hashlib.sha256(rows.astype("<u2").tobytes()).hexdigest()


def test_an_output_of_another_shape_is_refused() -> None:
    with pytest.raises(TypeError, match=r"the result has shape \(33,\), not \(33, 9\)"):
        judged(cell_of(), lambda call: call.logits[:, 0])


def test_rows_that_the_oracle_judged_are_reported() -> None:
    assert judged(cell_of(), exactly).elements_by_tier == {"binary64": 297}
    assert judged(cell_of(format="binary64"), exactly).elements_by_tier == {"double-double": 297}
    # g - G / 9 vanishes in the seven rows with a constant cotangent, which no bound relative to it can meet.
    partly = judged(cell_of("log_softmax", "vjp", "binary64", "equal"), in_binary64(shifted_log_vjp))
    assert partly.elements_by_tier == {"double-double": 234, "mpmath": 63}
    assert partly.reference_error_ulps <= 2.0**-20
