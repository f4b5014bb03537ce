"""P3, P14: the other spellings of a torch function, and of its derivatives, give the same bits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from suites.implementations.call import AnyBits, Call
from suites.inputs.batch import Batch, batch_of
from suites.inputs.layouts import axis_of, place
from suites.worker.evaluation import evaluate_rows

torch = pytest.importorskip("torch")

from suites.implementations.torch.eager import (  # noqa: E402  (after the skip: it imports torch)
    FUNCTIONS,
    evaluate,
    evaluator,
    evaluator_of,
    to_bits,
    to_tensor,
)

Spelling = Callable[[Any, int], Any]

_SPELLINGS: dict[str, dict[str, Spelling]] = {
    "softmax": {
        "torch.nn.Softmax": lambda x, dim: torch.nn.Softmax(dim)(x),
        "torch.nn.functional.softmax": lambda x, dim: torch.nn.functional.softmax(x, dim),
        "torch.nn.functional.softmin": lambda x, dim: torch.nn.functional.softmin(-x, dim),
        "Tensor.softmax": lambda x, dim: x.softmax(dim),
        "torch.special.softmax": lambda x, dim: torch.special.softmax(x, dim),
        "torch._safe_softmax": lambda x, dim: torch._safe_softmax(x, dim),
        "torch.masked.softmax": lambda x, dim: torch.masked.softmax(x, dim),
    },
    "log_softmax": {
        "torch.nn.LogSoftmax": lambda x, dim: torch.nn.LogSoftmax(dim)(x),
        "torch.nn.functional.log_softmax": lambda x, dim: torch.nn.functional.log_softmax(x, dim),
        "Tensor.log_softmax": lambda x, dim: x.log_softmax(dim),
        "torch.special.log_softmax": lambda x, dim: torch.special.log_softmax(x, dim),
        "torch.masked.log_softmax": lambda x, dim: torch.masked.log_softmax(x, dim),
    },
}
_FORMATS = ("binary64", "binary32", "binary16", "bfloat16")

each_format = pytest.mark.parametrize("format_name", _FORMATS)
each_operation = pytest.mark.parametrize("operation", ["softmax", "log_softmax"])


def evaluated(function: Spelling, operation: str, quantity: str, layout: str, batch: Batch) -> AnyBits:
    """The rows of bits that a function of a tensor and a dimension makes of a batch."""
    functions = evaluator_of({operation: function})
    name = batch.format.name
    return evaluate_rows(functions, operation, quantity, name, layout, batch.logits, batch.vectors(quantity))


@pytest.mark.parametrize("quantity", ["forward", "vjp", "jvp"])
@pytest.mark.parametrize("layout", ["last", "inner", "column"])
@each_format
@pytest.mark.parametrize(
    ("operation", "spelling"), [(operation, name) for operation, names in _SPELLINGS.items() for name in names]
)
def test_spelling_has_the_bits_of_the_functional_form(
    operation: str, spelling: str, format_name: str, layout: str, quantity: str
) -> None:
    if spelling == "torch._safe_softmax" and not hasattr(torch, "_safe_softmax"):
        pytest.skip("this torch has no _safe_softmax")
    for family, n in (("gauss10", 33), ("masked", 1000)):
        batch = batch_of(family, format_name, 18, n)
        expected = evaluated(FUNCTIONS["eager"][operation], operation, quantity, layout, batch)
        found = evaluated(_SPELLINGS[operation][spelling], operation, quantity, layout, batch)
        assert np.array_equal(found, expected)


@each_operation
def test_forward_mode_sums_a_transposed_row_in_another_order(operation: str) -> None:
    batch = batch_of("gauss10", "binary32", 10, 33)
    function = FUNCTIONS["eager"][operation]
    last, transposed = (evaluated(function, operation, "jvp", layout, batch) for layout in ("last", "transposed"))
    assert not np.array_equal(last, transposed)


def test_a_vmap_over_columns_differs_from_the_kernel_of_the_first_axis() -> None:
    batch = batch_of("gauss10", "binary32", 33, 1000)
    mapped = evaluated(FUNCTIONS["vmap"]["softmax"], "softmax", "forward", "inner", batch)
    first = evaluated(FUNCTIONS["eager"]["softmax"], "softmax", "forward", "inner", batch)
    assert not np.array_equal(mapped, first)


@each_format
@pytest.mark.parametrize("layout", ["last", "inner", "middle"])
def test_a_mask_has_the_bits_of_minus_infinity(layout: str, format_name: str) -> None:
    from suites.implementations.torch.masks import evaluator as masked

    batch = batch_of("masked", format_name, 18, 33)
    for operation, quantities in (("softmax", ("forward", "vjp", "jvp", "hvp")), ("log_softmax", ("forward",))):
        for quantity in quantities:
            given = operation, quantity, format_name, layout, batch.logits
            vectors = batch.vectors(quantity)
            expected = evaluate_rows(evaluator("eager"), *given, vectors)
            found = evaluate_rows(masked("masked"), *given, vectors)
            zero = np.array(0, found.dtype)
            both_zero = (found << 1 == zero) & (expected << 1 == zero)  # a masked gradient may be -0
            assert (both_zero | (found == expected)).all(), (operation, quantity)


# -- derivatives by another name -------------------------------------------------------------------------------------


@each_format
@each_operation
def test_dual_numbers_and_torch_func_jvp_agree(operation: str, format_name: str) -> None:
    import torch.autograd.forward_ad as forward_ad

    batch = batch_of("gauss10", format_name, 18, 33)
    function = FUNCTIONS["eager"][operation]
    x, t = to_tensor(batch.logits, format_name), to_tensor(batch.tangent, format_name)
    with forward_ad.dual_level():
        tangent = forward_ad.unpack_dual(function(forward_ad.make_dual(x, t), 1)).tangent
        found = to_bits(tangent, format_name, batch.logits)
    assert np.array_equal(found, evaluated(function, operation, "jvp", "last", batch))


@each_format
@each_operation
def test_torch_func_vjp_and_autograd_agree_once_and_twice(operation: str, format_name: str) -> None:
    batch = batch_of("gauss10", format_name, 18, 33)
    function = FUNCTIONS["eager"][operation]
    x, (g, t) = to_tensor(batch.logits, format_name), _tensors(batch, "hvp")

    def vjp(z: Any) -> Any:
        return torch.func.vjp(lambda q: function(q, 1), z)[1](g)[0]

    once = to_bits(vjp(x), format_name, batch.logits)
    assert np.array_equal(once, evaluated(function, operation, "vjp", "last", batch))
    twice = to_bits(torch.func.vjp(vjp, x)[1](t)[0], format_name, batch.logits)
    assert np.array_equal(twice, evaluated(function, operation, "hvp", "last", batch))


def _tensors(batch: Batch, quantity: str) -> list[Any]:
    return [to_tensor(bits, batch.format.name) for bits in batch.vectors(quantity).values()]


# -- losses and layers -----------------------------------------------------------------------------------------------


@each_format
def test_softmax2d_is_softmax_over_the_channels(format_name: str) -> None:
    x = to_tensor(batch_of("gauss10", format_name, 12, 33).logits, format_name).reshape(2, 33, 2, 3)
    assert torch.equal(torch.nn.Softmax2d()(x), torch.softmax(x, -3))


@each_format
def test_cross_entropy_is_minus_log_softmax_at_the_target(format_name: str) -> None:
    """Rows of classes take the kernel of the last axis, pictures that of another."""
    x = to_tensor(batch_of("gauss10", format_name, 10, 9).logits, format_name)
    picture = x.reshape(2, 9, 5)
    for target in range(9):
        classes = torch.full((10,), target)
        loss = torch.nn.functional.cross_entropy(x, classes, reduction="none")
        assert torch.equal(loss, -torch.log_softmax(x, 1)[:, target])
        classes = torch.full((2, 5), target)
        loss = torch.nn.functional.cross_entropy(picture, classes, reduction="none")
        assert torch.equal(loss, -torch.log_softmax(picture, 1)[:, target])


def test_gumbel_softmax_is_the_softmax_of_the_noisy_logits() -> None:
    x = to_tensor(batch_of("gauss1", "binary32", 10, 9).logits, "binary32")
    torch.manual_seed(7)
    noise = -torch.empty_like(x).exponential_().log()
    torch.manual_seed(7)
    assert torch.equal(torch.nn.functional.gumbel_softmax(x, tau=0.5), torch.softmax((x + noise) / 0.5, -1))


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")
@each_format
def test_a_nested_tensor_is_evaluated_row_by_row(format_name: str) -> None:
    x = to_tensor(batch_of("gauss10", format_name, 6, 33).logits, format_name)
    rows = [row[: 33 - 5 * i] for i, row in enumerate(x)]
    nested = torch.softmax(torch.nested.nested_tensor(rows), -1)
    assert all(torch.equal(found, torch.softmax(row, -1)) for found, row in zip(nested.unbind(), rows, strict=True))


@each_operation
def test_autocast_on_the_cpu_leaves_the_format_alone(operation: str) -> None:
    for format_name in ("binary32", "bfloat16"):
        x = to_tensor(batch_of("gauss10", format_name, 6, 33).logits, format_name)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = getattr(torch, operation)(x, 1)
        assert torch.equal(found, getattr(torch, operation)(x, 1))


def test_rows_that_are_masked_out_altogether_are_zero_in_safe_softmax_and_nan_elsewhere() -> None:
    if not hasattr(torch, "_safe_softmax"):
        pytest.skip("this torch has no _safe_softmax")
    x = torch.full((2, 5), -torch.inf)
    assert torch.equal(torch._safe_softmax(x, 1), torch.zeros(2, 5))
    mask = torch.zeros(2, 5, dtype=torch.bool)
    for found in (
        torch.softmax(x, 1),
        torch.masked.softmax(torch.zeros(2, 5), 1, mask=mask),
        torch._masked_softmax(torch.zeros(2, 5), ~mask, 1, 2),
    ):
        assert torch.isnan(found).all()


# -- dtype= ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["last", "inner"])
@pytest.mark.parametrize("returned", _FORMATS)
@pytest.mark.parametrize("given", _FORMATS)
@each_operation
def test_a_dtype_argument_is_a_cast_of_the_logits(operation: str, given: str, returned: str, layout: str) -> None:
    """Also to a narrower format, where the cast rounds; the gradient is cast back."""
    x, g = (place(bits, layout) for bits in _given(given, returned))
    call = Call(operation, "vjp", given, axis_of(layout), x)
    tensor, cotangent = to_tensor(call.logits, given), to_tensor(g, returned)
    function = getattr(torch, operation)
    by_argument, by_cast = tensor.clone().requires_grad_(True), tensor.clone().requires_grad_(True)
    one = function(by_argument, call.axis, dtype=cotangent.dtype)
    other = function(by_cast.to(cotangent.dtype), call.axis)
    assert one.dtype == cotangent.dtype
    assert torch.equal(one, other)
    gradients = [torch.autograd.grad(y, leaf, cotangent)[0] for y, leaf in ((one, by_argument), (other, by_cast))]
    assert gradients[0].dtype == tensor.dtype
    assert torch.equal(*gradients)


def _given(given: str, returned: str) -> tuple[AnyBits, AnyBits]:
    """Logits of one format, and cotangents of another."""
    return batch_of("gauss10", given, 18, 33).logits, batch_of("gauss10", returned, 18, 33).cotangent


def test_a_dtype_argument_is_measured_as_it_is_called() -> None:
    from suites.implementations.torch.dtypes import evaluator as with_dtype

    wide = batch_of("gauss10", "binary32", 18, 33, "binary16")
    narrow = batch_of("gauss10", "binary16", 18, 33)
    x = to_tensor(narrow.logits, "binary16")
    expected = to_bits(torch.softmax(x, 1, dtype=torch.float32), "binary32", wide.logits)
    call = Call("softmax", "forward", "binary32", 1, wide.logits)
    assert np.array_equal(with_dtype("binary16-to-binary32")(call), expected)
    leaf = x.clone().requires_grad_(True)
    g = to_tensor(narrow.cotangent, "binary16")
    (gradient,) = torch.autograd.grad(torch.softmax(leaf, 1, dtype=torch.float32), leaf, g.float())
    call = Call("softmax", "vjp", "binary16", 1, narrow.logits, narrow.cotangent)
    expected = to_bits(gradient, "binary16", narrow.logits)
    assert np.array_equal(with_dtype("binary16-to-binary32")(call), expected)


def test_evaluate_takes_the_function_that_it_is_given() -> None:
    batch = batch_of("gauss1", "binary32", 5, 3)
    call = Call("softmax", "forward", "binary32", 1, batch.logits)
    assert np.array_equal(evaluate(lambda x, dim: x, call), batch.logits)
