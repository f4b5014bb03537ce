"""What paths.toml says of MLX, observed in the installed one."""

from __future__ import annotations

import numpy as np
import pytest

mx = pytest.importorskip("mlx.core")
nn = pytest.importorskip("mlx.nn")


@pytest.mark.parametrize(("dtype", "stops_at"), [("bfloat16", 256), ("float16", 2048)])
def test_a_16_bit_sum_stops_growing_unless_precise_is_set(dtype: str, stops_at: int) -> None:
    """Of 4 N equal logits each has 1 / 4 N; a sum that takes one after the other ends at the first odd integer that
    the format lacks, and leaves 1 / N."""
    x = mx.zeros((1, 4 * stops_at), getattr(mx, dtype))
    plain, precise = mx.softmax(x, -1), mx.softmax(x, -1, precise=True)
    assert float(plain[0, 0].astype(mx.float32)) == 1 / stops_at
    assert float(precise[0, 0].astype(mx.float32)) == 1 / (4 * stops_at)


def test_another_axis_than_the_last_takes_other_code() -> None:
    """Rows of random logits have other bits along another axis, with precise and without."""
    rows = np.random.default_rng(3).normal(size=(64, 33)).astype(np.float32)
    for precise in (False, True):
        last = np.array(mx.softmax(mx.array(rows), -1, precise=precise))
        other = np.array(mx.softmax(mx.array(rows.T), 0, precise=precise)).T
        assert (last != other).any()
        assert np.allclose(last, other, rtol=1e-5, atol=0)


def test_log_softmax_shifts_before_it_sums() -> None:
    """The largest of two logits near 1e4 keeps its -log(1 + exp(-d)), which a sum with the maximum would absorb."""
    x = mx.array(np.array([[1e4, 1e4 - 8]], np.float32))
    assert float(nn.log_softmax(x, -1)[0, 0]) == pytest.approx(-np.log1p(np.exp(-8)), rel=1e-3)
