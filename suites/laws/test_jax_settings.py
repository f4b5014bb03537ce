"""P3, P14, P16: what JAX's settings, spellings and masks change, and that they change nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from references.vocabulary import QUANTITIES
from suites.inputs.batch import batch_of
from suites.worker.evaluation import evaluate_rows

jax = pytest.importorskip("jax")

import jax.numpy as jnp  # noqa: E402  (after the skip)

from suites.implementations.jax.nn import JaxEvaluator, evaluator  # noqa: E402
from suites.implementations.jax.variants import evaluator as variant  # noqa: E402

each_operation = pytest.mark.parametrize("operation", ["softmax", "log_softmax"])


@contextmanager
def without_x64() -> Iterator[None]:
    """JAX's default: what is made of binary64 numbers is binary32."""
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", False)
    try:
        yield
    finally:
        jax.config.update("jax_enable_x64", before)


_JITTED = [
    *((operation, "jit", quantity) for operation in ("softmax", "log_softmax") for quantity in QUANTITIES),
    *(("softmax", "jit-custom-jvp", quantity) for quantity in QUANTITIES[1:]),
]


@pytest.mark.parametrize("format", ["binary32", "binary16", "bfloat16"])
@pytest.mark.parametrize(("operation", "name", "quantity"), _JITTED)
def test_x64_changes_no_bit_of_what_is_no_wider_than_binary32(
    operation: str, name: str, format: str, quantity: str
) -> None:
    batch = batch_of("gauss10", format, 18, 33)
    given = operation, quantity, format, "last", batch.logits
    expected = evaluate_rows(evaluator(name), *given, batch.vectors(quantity))
    evaluate = evaluator(name)  # switches x64 on, once
    with without_x64():
        assert jnp.zeros(1).dtype == jnp.float32
        found = evaluate_rows(evaluate, *given, batch.vectors(quantity))
    assert jax.config.jax_enable_x64
    assert np.array_equal(found, expected)


@each_operation
def test_without_x64_a_binary64_array_is_refused_not_rounded(operation: str) -> None:
    batch = batch_of("gauss10", "binary64", 5, 3)
    evaluate = evaluator("jit")
    with without_x64(), pytest.raises(TypeError, match="the result is float32, not float64"):
        evaluate_rows(evaluate, operation, "forward", "binary64", "last", batch.logits)


@pytest.mark.parametrize("format", ["binary64", "binary32", "binary16", "bfloat16"])
@each_operation
def test_jax_scipy_special_is_jax_nn(operation: str, format: str) -> None:
    function = getattr(jax.scipy.special, operation, None)
    if function is None:
        pytest.skip(f"this JAX has no jax.scipy.special.{operation}")
    batch = batch_of("gauss10", format, 18, 33)
    spelled = JaxEvaluator({operation: lambda x, axis: function(x, axis=axis)}, jit=True)
    given = operation, "forward", format, "last", batch.logits
    assert np.array_equal(evaluate_rows(spelled, *given), evaluate_rows(evaluator("jit"), *given))


@pytest.mark.parametrize("layout", ["last", "inner"])
@each_operation
def test_a_vmap_has_the_bits_of_the_function_of_the_whole_array(operation: str, layout: str) -> None:
    if layout == "inner" and jax.__version_info__ < (0, 10):
        pytest.skip("XLA summed the columns of a vmap in another order: 0.4.30 and 0.4.38 give other bits, as accurate")
    batch = batch_of("gauss10", "binary32", 18, 33)
    given = operation, "forward", "binary32", layout, batch.logits
    assert np.array_equal(evaluate_rows(variant("jit-vmap"), *given), evaluate_rows(evaluator("jit"), *given))


# -- masks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("jit", [False, True])
def test_what_is_masked_out_is_zero_or_minus_infinity_even_where_nothing_is_left(jit: bool) -> None:
    wrap: Any = jax.jit if jit else lambda function: function
    x = jnp.asarray([[1.0, 2.0, 3e38], [jnp.nan, 1.0, 2.0], [jnp.inf, 0.0, 1.0]], jnp.float32)
    nothing = jnp.zeros(x.shape, bool)
    assert (wrap(lambda z: jax.nn.softmax(z, where=nothing))(x) == 0).all()
    assert (wrap(lambda z: jax.nn.log_softmax(z, where=nothing))(x) == -jnp.inf).all()
    odd = jnp.asarray([[True, True, False], [False, True, True], [False, True, True]])
    values = np.asarray(wrap(lambda z: jax.nn.softmax(z, where=odd))(x))
    assert values[0, 2] == values[1, 0] == values[2, 0] == 0
    assert np.allclose(values.sum(axis=1), 1)


@pytest.mark.parametrize("hidden", [100.0, 3e38, -3e38])
@each_operation
def test_the_gradient_at_a_masked_logit_is_zero_however_large_that_is(operation: str, hidden: float) -> None:
    """jax-ml/jax#17117: the maximum leaves the masked logit out, so that exp overflowed at it, and 0 inf is NaN."""
    function = getattr(jax.nn, operation)
    mask = jnp.asarray([True, True, False])
    x = jnp.asarray([1.0, 2.0, hidden], jnp.float32)

    def total(z: Any) -> Any:
        return jnp.where(mask, function(z, where=mask), 0.0) @ jnp.asarray([1.0, 2.0, 4.0], jnp.float32)

    for gradient in (jax.grad(total)(x), jax.jit(jax.grad(total))(x), jax.jacfwd(total)(x)):
        assert gradient[2] == 0
        assert np.isfinite(gradient).all()
        short = jax.grad(lambda z: function(z) @ jnp.asarray([1.0, 2.0], jnp.float32))(x[:2])
        assert np.allclose(gradient[:2], short, rtol=1e-6)
