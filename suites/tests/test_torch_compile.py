"""torch.compile: what runs is compiled for the shape that is asked, never eager in its place."""

from __future__ import annotations

import numpy as np
import pytest

from suites.implementations.call import Evaluator
from suites.implementations.catalogue import CATALOGUE, why_skipped
from suites.inputs.batch import batch_of
from suites.scoring.cell import evaluator_of
from suites.worker.evaluation import evaluate_rows

torch = pytest.importorskip("torch")


@pytest.fixture(autouse=True)
def compiler() -> None:
    reason = why_skipped(CATALOGUE["torch/compile"])
    if reason:
        pytest.skip(reason)


def graphs() -> int:
    """How many graphs Dynamo has compiled in this process."""
    counted: int = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    return counted


def compiled_for(evaluator: Evaluator, rows: int, n: int, quantity: str = "forward") -> int:
    """How many graphs an evaluation adds."""
    before, batch = graphs(), batch_of("gauss1", "binary32", rows, n)
    given = "softmax", quantity, "binary32", "last", batch.logits
    evaluate_rows(evaluator, *given, batch.vectors(quantity))
    return graphs() - before


def test_a_fixed_shape_is_compiled_once_and_another_shape_anew() -> None:
    evaluator = CATALOGUE["torch/compile"].evaluator()
    assert [compiled_for(evaluator, *shape) for shape in ((5, 11), (5, 11), (6, 11), (5, 12))] == [1, 0, 1, 1]


def test_shapes_known_at_run_time_share_a_kernel() -> None:
    evaluator = CATALOGUE["torch/compile-dynamic"].evaluator()
    assert [compiled_for(evaluator, *shape) for shape in ((5, 11), (6, 11), (5, 12), (9, 300))] == [1, 0, 0, 0]


def test_a_vjp_and_a_jvp_are_compiled_too() -> None:
    evaluator = CATALOGUE["torch/compile"].evaluator()
    assert compiled_for(evaluator, 5, 13, "vjp") >= 1
    assert compiled_for(evaluator, 5, 13, "vjp") == 0
    assert compiled_for(evaluator, 5, 13, "jvp") >= 1
    assert compiled_for(evaluator, 5, 13, "jvp") == 0


def test_the_number_of_shapes_has_no_small_limit() -> None:
    evaluator_of(CATALOGUE["torch/compile"])
    config = torch._dynamo.config
    limits = [getattr(config, name) for name in ("cache_size_limit", "recompile_limit") if hasattr(config, name)]
    assert limits
    assert min(limits) >= 1 << 20


def test_compiled_bfloat16_is_computed_in_binary32_unlike_eager_log_softmax() -> None:
    batch = batch_of("gauss1", "bfloat16", 33, 33)
    given = "log_softmax", "forward", "bfloat16", "last", batch.logits
    compiled, eager = (evaluate_rows(evaluator_of(CATALOGUE[f"torch/{n}"]), *given) for n in ("compile", "eager"))
    assert np.count_nonzero(compiled != eager) > 20
