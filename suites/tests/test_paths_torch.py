"""PyTorch's paths on the CPU, by observation: the bits that the registry's kernels make, and the operators that run."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.profiler import ProfilerActivity, profile  # noqa: E402  (after the skip: these need torch)

from suites.paths import summation  # noqa: E402
from suites.tests import observed_torch  # noqa: E402
from suites.tests.observed_torch import OBSERVATIONS, random, scalar_exp, threads  # noqa: E402

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(
    platform.machine().lower() not in ("x86_64", "amd64"),
    reason="the registry knows the lanes of x86-64 processors alone",
)


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    """The profile that cells are evaluated in."""
    with threads(1):
        yield


# -- the kernels, bit by bit -------------------------------------------------------------------------------------------


def test_gradients_along_the_last_axis_add_up_in_the_order_of_the_registry() -> None:
    assert observed_torch.gradients_along_the_last_axis() == []


def test_gradients_along_another_axis_add_up_in_sequence() -> None:
    assert observed_torch.gradients_along_another_axis() == []


def test_softmax_along_the_last_axis_is_reproduced_to_the_bit() -> None:
    assert observed_torch.softmax_along_the_last_axis() == []


def test_softmax_of_16_bits_along_the_last_axis_has_two_exponentials() -> None:
    assert observed_torch.softmax_of_16_bits_along_the_last_axis() == []


def test_log_softmax_reveals_its_sum() -> None:
    assert observed_torch.log_softmax_reveals_its_sum() == []


def test_log_softmax_of_16_bits_along_the_last_axis_rounds_its_sum_and_its_logarithm() -> None:
    assert observed_torch.log_softmax_of_16_bits_along_the_last_axis() == []


def test_log_softmax_of_16_bits_along_another_axis_is_rounded_once() -> None:
    assert observed_torch.log_softmax_of_16_bits_along_another_axis() == []


def test_rows_of_softmax_along_another_axis_divide_as_the_registry_says() -> None:
    assert observed_torch.rows_of_softmax_along_another_axis() == []


def test_16_bit_rows_of_softmax_that_fill_no_register_are_rounded_twice() -> None:
    assert observed_torch.softmax_of_16_bit_rows_one_by_one() == []


def test_the_serial_backward_kernel_fuses_the_last_products() -> None:
    assert observed_torch.the_last_products_of_softmax_backward() == []


def test_log_softmax_backward_kernels_fuse_and_take_the_exponential_of_the_registry() -> None:
    assert observed_torch.exponentials_of_log_softmax_backward() == []


def test_the_backward_kernel_of_softmax_along_another_axis_fuses_its_products() -> None:
    assert observed_torch.products_of_softmax_backward_along_another_axis() == []


def test_every_observation_has_its_test() -> None:
    tested = Path(__file__).read_text(encoding="utf-8")
    assert [name for name in OBSERVATIONS if f"observed_torch.{name}()" not in tested] == []


@pytest.mark.parametrize("capability", ["avx2", "default"])
def test_the_same_holds_for_another_instruction_set(capability: str) -> None:
    if torch.backends.cpu.get_cpu_capability() not in ("AVX512", "AVX2"):
        pytest.skip("this processor has no other instruction set to choose")
    done = subprocess.run(
        [sys.executable, "-m", "suites.tests.observed_torch"],
        cwd=ROOT,
        env={**os.environ, "ATEN_CPU_CAPABILITY": capability},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == {"capability": capability.upper(), "contradictions": {}}


def test_memory_changes_no_bit_because_the_input_is_made_contiguous_first() -> None:
    x = random("binary32", 40, 40)
    for axis in (0, 1):
        expected = torch.softmax(x, axis)
        for view in (x.T.contiguous().T, torch.stack([x, x], 2)[..., 0], torch.cat([x, x])[40:]):
            assert torch.equal(torch.softmax(view, axis), expected)


def test_65520_equal_logits_overflow_on_the_paths_that_keep_a_16_bit_sum() -> None:
    for n, last in ((65519, False), (65520, True)):
        zeros = torch.zeros(n, 1, dtype=torch.float16)
        assert torch.isinf(torch.log_softmax(zeros.T, 1)).all() == last
        assert torch.isfinite(torch.log_softmax(zeros, 0)).all()
        assert torch.isinf(torch.logsumexp(zeros, 0)).all() == last


# -- the operators that run --------------------------------------------------------------------------------------------


def _operators(call: Callable[[], Any]) -> list[str]:
    """The names of the operators that a call dispatches, in order."""
    with profile(activities=[ProfilerActivity.CPU]) as seen, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        call()
    events = sorted(seen.events() or [], key=lambda event: event.time_range.start)
    return [event.name.removeprefix("aten::") for event in events if event.name.startswith("aten::")]


def _double_backward(name: str) -> Callable[[], Any]:
    def call() -> Any:
        x = random("binary32", 4, 50).requires_grad_()
        (gradient,) = torch.autograd.grad(getattr(torch, name)(x, 1), x, torch.ones(4, 50), create_graph=True)
        return torch.autograd.grad(gradient, x, torch.ones(4, 50))

    return call


def _gradient(name: str) -> Callable[[], Any]:
    x = random("binary32", 4, 50).requires_grad_()
    return lambda: torch.autograd.grad(getattr(torch, name)(x, 1), x, torch.ones(4, 50))


def _forward_mode(name: str) -> Callable[[], Any]:
    x = random("binary32", 4, 50)
    return lambda: torch.func.jvp(lambda z: getattr(torch, name)(z, 1), (x,), (x,))


def _of_gradient(name: str) -> Callable[[], Any]:
    x = random("binary32", 4, 50)
    return lambda: torch.func.jvp(
        lambda z: torch.func.vjp(lambda w: getattr(torch, name)(w, 1), z)[1](x)[0], (x,), (x,)
    )


def _functional_jvp(name: str) -> Callable[[], Any]:
    x = random("binary32", 4, 50)
    return lambda: torch.autograd.functional.jvp(lambda z: getattr(torch, name)(z, 1), x, x)


_X = random("binary32", 4, 50)
_KERNEL_OF_JVP = ["amax", "sub", "exp", "sum", "mul", "sum", "div_", "sub"]
_CASES: dict[str, tuple[Callable[[], Any], list[str]]] = {
    "softmax": (lambda: torch.softmax(_X, 1), ["softmax", "_softmax"]),
    "log_softmax": (lambda: torch.log_softmax(_X, 1), ["log_softmax", "_log_softmax"]),
    "gradient of softmax": (_gradient("softmax"), ["_softmax", "_softmax_backward_data"]),
    "gradient of log_softmax": (_gradient("log_softmax"), ["_log_softmax", "_log_softmax_backward_data"]),
    "forward mode of softmax": (_forward_mode("softmax"), ["_softmax", *_KERNEL_OF_JVP, "mul"]),
    "forward mode of log_softmax": (_forward_mode("log_softmax"), ["_log_softmax", *_KERNEL_OF_JVP]),
    "double backward of softmax": (
        _double_backward("softmax"),
        ["_softmax", "_softmax_backward_data", "mul", "sum", "mul", "mul", "sum", "mul", "mul", "sub", "sub"]
        + ["_softmax_backward_data"],
    ),
    "double backward of log_softmax": (
        _double_backward("log_softmax"),
        ["_log_softmax", "_log_softmax_backward_data", "exp", "sum", "neg", "mul", "mul", "_log_softmax_backward_data"],
    ),
    "jvp of the vjp of softmax": (_of_gradient("softmax"), ["_softmax", *_KERNEL_OF_JVP, "mul", "mul", "sum", "sub"]),
    "jvp by two vjps of softmax": (
        _functional_jvp("softmax"),
        ["_softmax", "_softmax_backward_data", "_softmax_backward_data"],
    ),
    "jvp by two vjps of log_softmax": (_functional_jvp("log_softmax"), ["_log_softmax", "exp", "mul", "sum", "sub"]),
    "dtype": (lambda: torch.softmax(_X.half(), 1, dtype=torch.float32), ["softmax", "_to_copy", "_softmax"]),
    "out": (lambda: torch.softmax(_X, 1, out=torch.empty(4, 50)), ["softmax", "_softmax"]),
    "torch.masked": (lambda: torch.masked.softmax(_X, 1, mask=_X > 0), ["where", "softmax", "_softmax"]),
    "_safe_softmax": (
        lambda: torch.ops.aten._safe_softmax(_X, 1),
        ["_safe_softmax", "_softmax", "isneginf", "all", "where"],
    ),
    "logsumexp": (
        lambda: torch.logsumexp(_X, 1),
        ["amax", "abs", "eq", "masked_fill_", "sub", "exp_", "sum", "log_", "add_"],
    ),
    "log of softmax": (lambda: torch.log(torch.softmax(_X, 1)), ["_softmax", "log"]),
    "softmin": (lambda: torch.nn.functional.softmin(_X, 1), ["neg", "_softmax"]),
    "cross_entropy": (
        lambda: torch.nn.functional.cross_entropy(_X, torch.zeros(4, dtype=torch.long)),
        ["cross_entropy_loss", "_log_softmax", "nll_loss_forward"],
    ),
    "gumbel_softmax": (lambda: torch.nn.functional.gumbel_softmax(_X, dim=1), ["exponential_", "_softmax"]),
    "Softmax2d": (lambda: torch.nn.Softmax2d()(torch.zeros(2, 3, 4, 5)), ["_softmax"]),
    "nested": (
        lambda: torch.softmax(torch.nested.nested_tensor([torch.zeros(5), torch.zeros(7)]), 1),
        ["_softmax", "unbind", "_softmax", "_softmax"],
    ),
    "vmap": (lambda: torch.func.vmap(lambda z: torch.softmax(z, 0), in_dims=1)(_X), ["softmax", "movedim", "_softmax"]),
}


@pytest.mark.parametrize("case", _CASES)
def test_the_operators_that_run_are_those_of_the_registry(case: str) -> None:
    call, expected = _CASES[case]
    seen = iter(operators := _operators(call))
    missing = [name for name in expected if name not in seen]
    assert missing == [], f"not, or not in this order, among {operators}"


def test_autocast_on_the_processor_casts_nothing() -> None:
    x = random("bfloat16", 4, 50)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert _operators(lambda: torch.softmax(x, 1)) == ["softmax", "_softmax"]
        assert torch.softmax(x, 1).dtype == torch.bfloat16


def test_the_formulas_of_forward_mode_and_double_backward_are_those_of_the_registry() -> None:
    spec = importlib.util.find_spec("torchgen")
    assert spec is not None
    assert spec.origin is not None
    file = Path(spec.origin).parent / "packaged" / "autograd" / "derivatives.yaml"
    if not file.is_file():
        pytest.skip("this torch comes without its derivatives.yaml")
    lines = [" ".join(line.split()) for line in file.read_text(encoding="utf-8").splitlines()]
    for formula in (
        "result: self_t - logsumexp_jvp(self_p, self_t, {dim}, true)",
        "result: result * (self_t - logsumexp_jvp(self_p, self_t, {dim}, true))",
        "grad_output: grad.to(output.dtype()) - (grad.to(output.dtype()) * output.exp()).sum(dim, true)",
        "output: (-grad_output.sum(dim, true) * output.exp() * grad.to(output.dtype())).to(output.dtype())",
        "output: softmax_double_backward(grad.to(output.dtype()), grad_output, dim, output).to(output.dtype())",
    ):
        assert formula in lines


# -- other ways into softmax -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [0, 1])
def test_forward_mode_sums_in_a_cascade(axis: int) -> None:
    # Equal logits: t - sum(t) / n, with n a power of two, tells the sum.
    n = 64
    probe = summation.probe(n, large=2.0**60, unit=1.0)
    read = np.array([next(r for r in range(n) if r not in pair) for pair in probe.pairs])
    t = torch.from_numpy(probe.terms.astype(np.float32))
    t = t.T.contiguous() if axis == 0 else t
    seen = torch.func.jvp(lambda x: torch.log_softmax(x, axis), (torch.zeros_like(t),), (t,))[1]
    seen, t = (seen.T, t.T) if axis == 0 else (seen, t)
    rows = np.arange(len(probe.pairs))
    meetings = probe.meetings((t - seen).double().numpy()[rows, read] * n)
    if axis == 0:
        pieces = probe.meetings(summation.in_windows(probe.terms.astype(np.float32), 16))
        assert np.array_equal(meetings, pieces)
    assert not np.array_equal(meetings, probe.meetings(summation.sequential(probe.terms.astype(np.float32))))


def test_forward_mode_in_16_bits_stores_its_sums() -> None:
    zeros = torch.zeros(1, 70_000, dtype=torch.float16)
    for function in (torch.softmax, torch.log_softmax):
        seen = torch.func.jvp(lambda x, f=function: f(x, 1), (zeros,), (torch.ones_like(zeros),))[1]
        assert torch.isnan(seen).all()


@pytest.mark.parametrize("format", ["binary32", "bfloat16", "binary16"])
def test_the_masked_kernel_is_reproduced_to_the_bit(format: str) -> None:
    x = random(format, 200, 50)
    difference = (x - x.max(1, keepdim=True).values).float().numpy()  # rounded to the format
    e = torch.from_numpy(scalar_exp(difference)).to(x.dtype)
    wide = e.double() if format == "binary32" else e.float()
    total = torch.from_numpy(summation.sequential(wide.numpy()))[:, None]
    expected = (wide * (1 / total)).to(x.dtype) if format == "binary32" else e * (1 / total).to(x.dtype)
    seen = torch._masked_softmax(x, torch.zeros(200, 50, dtype=torch.bool), 1, 2)
    assert torch.equal(seen, expected)
    assert not torch.equal(seen, torch.softmax(x, 1))


def test_other_storage_takes_another_path() -> None:
    x = random("binary32", 64, 1000, scale=1)
    dense = torch.softmax(x, 1)
    others = {"sparse": torch.sparse.softmax(x.to_sparse(), 1).to_dense()}
    if torch.backends.mkldnn.is_available():
        others["mkldnn"] = x.to_mkldnn().softmax(1).to_dense()
    for name, seen in others.items():
        assert torch.allclose(seen, dense, rtol=1e-5, atol=0), name
        assert (seen != dense).sum() > 1000, f"{name} has the kernel's bits"


def test_vmap_takes_the_kernel_of_the_last_axis() -> None:
    x = random("binary32", 50, 40)
    for out in (0, 1):
        seen = torch.func.vmap(lambda z: torch.softmax(z, 0), in_dims=1, out_dims=out)(x)
        rows = seen if out == 0 else seen.T
        assert torch.equal(rows, torch.softmax(x.T, 1))
        assert not torch.equal(rows, torch.softmax(x, 0).T)
