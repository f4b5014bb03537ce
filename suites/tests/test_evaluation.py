"""Evaluations: rows come back from every layout, and memory that is not the result's can't be touched unnoticed."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided

from suites.implementations.call import AnyBits, Call, Evaluator
from suites.implementations.catalogue import Implementation
from suites.implementations.numpy.recipes import evaluate, shifted, shifted_product
from suites.inputs.batch import batch_of
from suites.inputs.layouts import TouchedMemory
from suites.plan.cell import Cell
from suites.scoring.cell import measure, output_of
from suites.scoring.output import TOUCHED
from suites.vocabulary import LAYOUTS
from suites.worker.evaluation import evaluate_rows

PLANTED = Implementation("planted", "numpy", "numpy.recipes", {"softmax": "planted"}, False)
CELL = Cell("planted", "default", "softmax", "forward", "binary32", "padded", "gauss1", 9)
ROWS = batch_of("gauss1", "binary32", 33, 9).logits


def sound(call: Call) -> AnyBits:
    return evaluate((shifted, shifted_product, shifted_product), call)


def after(touch: Callable[[AnyBits], None]) -> Evaluator:
    """A sound implementation that then touches memory by way of its logits."""

    def evaluator(call: Call) -> AnyBits:
        result = sound(call)
        touch(call.logits)
        return result

    return evaluator


def elements_from(view: AnyBits, start: int, count: int) -> AnyBits:
    """Memory beginning ``start`` elements from a view's first one."""
    wide = as_strided(view, (abs(start) + count,), (np.sign(start) * view.itemsize or view.itemsize,))
    return wide[abs(start) :]


def write_before(logits: AnyBits) -> None:
    elements_from(logits, -1, 1)[...] = 0


def write_past_a_row(logits: AnyBits) -> None:
    elements_from(logits, 9, 2)[...] = 0  # two of the six elements between the rows of `padded`


def write_a_logit(logits: AnyBits) -> None:
    logits[0, 0] ^= 1


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_rows_of_the_contiguous_one(layout: str) -> None:
    rows = evaluate_rows(sound, "softmax", "forward", "binary32", layout, ROWS)
    expected = evaluate((shifted, shifted_product, shifted_product), Call("softmax", "forward", "binary32", 1, ROWS))
    # NumPy sums in another order along another axis; its rounding errors are a few ulps at most.
    difference = np.abs(rows.astype(np.int64) - expected.astype(np.int64))
    assert difference.max() <= 8


def test_a_layout_of_single_rows_makes_a_call_for_each() -> None:
    shapes = []

    def spy(call: Call) -> AnyBits:
        assert call.cotangent is not None
        shapes.append((call.logits.shape, call.cotangent.shape))
        return sound(call)

    rows = evaluate_rows(spy, "softmax", "vjp", "binary32", "single", ROWS, {"cotangent": ROWS})
    assert rows.shape == (33, 9)
    assert shapes == [((1, 9), (1, 9))] * 33


@pytest.mark.parametrize(
    ("touch", "count"),
    [(write_before, 1), (write_past_a_row, 2), (write_a_logit, 1)],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_a_write_that_is_not_the_results_makes_the_cell_wrong(touch: Callable[[AnyBits], None], count: int) -> None:
    assert measure(CELL, PLANTED, sound).judgement.verdict == "accurate"
    found = measure(CELL, PLANTED, after(touch))
    assert found.judgement.verdict == "wrong"
    assert found.statistics.outcomes == {TOUCHED: count}
    assert found.worst.outcome == TOUCHED
    assert found.statistics.max_ulp is not None
    assert found.statistics.max_ulp < 8


def test_what_was_computed_is_kept_beside_the_count() -> None:
    batch = batch_of("gauss1", "binary32", 33, 9)
    expected, nothing = output_of(CELL, batch, sound)
    computed, touched = output_of(CELL, batch, after(write_before))
    assert (nothing, touched) == (0, 1)
    assert np.array_equal(computed, expected)


def test_the_touches_of_single_rows_are_added() -> None:
    with pytest.raises(TouchedMemory, match="^33 elements of memory were changed that are not the result's$") as caught:
        evaluate_rows(after(write_a_logit), "softmax", "forward", "binary32", "single", ROWS)
    assert caught.value.count == 33
    assert caught.value.computed.shape == (33, 9)


def test_a_touched_cotangent_counts() -> None:
    def evaluator(call: Call) -> AnyBits:
        assert call.cotangent is not None
        result = sound(call)
        call.cotangent[...] = 0
        return result

    with pytest.raises(TouchedMemory) as caught:
        evaluate_rows(evaluator, "softmax", "vjp", "binary32", "last", ROWS, {"cotangent": ROWS})
    assert caught.value.count == ROWS.size


def test_a_read_past_a_row_meets_nan() -> None:
    def reader(call: Call) -> AnyBits:
        wide = as_strided(call.logits, (33, 10), call.logits.strides).view(np.float32)
        e = np.exp(wide - np.nanmax(wide, axis=1, keepdims=True))
        result: AnyBits = (e / e.sum(axis=1, keepdims=True))[:, :9].copy().view(np.uint32)
        return result

    found = measure(CELL, PLANTED, reader)
    assert found.judgement.verdict == "wrong"
    assert found.statistics.outcomes == {"nan_for_number": ROWS.size}


def test_the_exception_crosses_a_process_border() -> None:
    copied = pickle.loads(pickle.dumps(TouchedMemory(ROWS, 3)))
    assert copied.count == 3
    assert np.array_equal(copied.computed, ROWS)


def test_an_output_of_another_shape_is_refused() -> None:
    with pytest.raises(TypeError, match=r"^the result has shape \(33,\), not \(33, 9\)$"):
        evaluate_rows(lambda call: call.logits[:, 0], "softmax", "forward", "binary32", "last", ROWS)


# -- torch's out= ----------------------------------------------------------------------------------------------------


def test_torch_writes_into_out_in_every_layout_that_it_sees() -> None:
    pytest.importorskip("torch")
    from suites.implementations.torch.eager import evaluator as eager
    from suites.implementations.torch.storage import into_out

    for layout in ("last", "inner", "column", "middle", "transposed", "strided", "padded", "broadcast", "offset-7"):
        for operation in ("softmax", "log_softmax"):
            expected = evaluate_rows(eager("eager"), operation, "forward", "binary32", layout, ROWS)
            assert np.array_equal(evaluate_rows(into_out, operation, "forward", "binary32", layout, ROWS), expected)


def test_a_write_beside_out_makes_the_cell_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    from suites.implementations.torch.storage import into_out

    softmax = torch.softmax

    def careless(x: object, dim: int, *, out: object) -> object:
        result = softmax(x, dim, out=out)
        out.as_strided((1,), (1,), out.storage_offset() + 9)[0] = 1.0  # type: ignore[attr-defined]
        return result

    assert measure(CELL, PLANTED, into_out).judgement.verdict in ("accurate", "faithful")
    monkeypatch.setattr(torch, "softmax", careless)
    found = measure(CELL, PLANTED, into_out)
    assert found.judgement.verdict == "wrong"
    assert found.statistics.outcomes == {TOUCHED: 1}


def test_a_result_that_is_not_in_out_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    from suites.implementations.torch.storage import into_out

    softmax = torch.softmax
    monkeypatch.setattr(torch, "softmax", lambda x, dim, *, out: softmax(x, dim))
    with pytest.raises(TypeError, match="the result is not in the array that was given for it"):
        evaluate_rows(into_out, "softmax", "forward", "binary32", "last", ROWS)
