"""CUDA's paths: they divide every shape among them, and where there is a card the profiler sees their kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from suites.paths.places import Place
from suites.paths.registry import registry
from suites.paths.taken import path_of
from suites.vocabulary import FORMATS

_CARD = {"device": "cuda:0"}
_LENGTHS = (
    *(1, 2, 3, 5, 8, 9, 16, 17, 32, 33, 64, 65, 128, 129, 256, 257, 512, 513, 1024, 1025, 1028, 2048, 2049),
    *(3072, 3073, 9216, 9217, 9220, 12252, 12256, 24504, 24512, 70_000),
)
_INNER = (1, 2, 64, 65, 1024, 1025)


def _kernels_of_the_registry(
    operation: str, quantity: str, format: str, shape: tuple[int, ...], axis: int
) -> list[str]:
    """The ids of the kernels that a shape is said to take on a card."""
    steps = path_of("torch/eager", operation, quantity, format, Place.contiguous(shape, axis), _CARD)
    assert all(step.path.device == "cuda" for step in steps)
    return [step.path.id for step in steps]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("operation", ["softmax", "log_softmax"])
def test_every_shape_has_one_forward_and_one_backward_kernel_on_a_card(operation: str, format: str) -> None:
    for n in _LENGTHS:
        for inner in _INNER:
            forward = _kernels_of_the_registry(operation, "forward", format, (3, n, inner), 1)
            both = _kernels_of_the_registry(operation, "vjp", format, (3, n, inner), 1)
            assert len(forward) == 1
            assert len(both) == 2
            assert "backward" in both[1]


def test_the_boundaries_of_the_registry_are_where_the_kernels_change() -> None:
    def forward(n: int, format: str = "binary32") -> str:
        return _kernels_of_the_registry("softmax", "forward", format, (2, n), 1)[0].removeprefix("torch-cuda-")

    def backward(n: int, format: str = "binary32") -> str:
        return _kernels_of_the_registry("softmax", "vjp", format, (2, n), 1)[1].removeprefix("torch-cuda-backward-")

    assert [forward(n) for n in (2048, 2049, 9216, 9217, 9220, 12252, 12256)] == [
        *("warp", "registers", "registers", "block", "shared", "shared", "block")
    ]
    assert [forward(n, "binary64") for n in (1024, 1025, 9217)] == ["warp", "registers", "block"]
    assert [forward(n, "binary16") for n in (9217, 9224, 24504, 24512)] == ["block", "shared", "shared", "block"]
    assert [backward(n) for n in (1024, 1025, 1028, 12284, 12288)] == ["warp", "block", "shared", "shared", "block"]
    assert [backward(n, "binary64") for n in (512, 513, 514)] == ["warp", "block", "shared"]


def test_every_kernel_of_a_card_is_reached_by_a_shape() -> None:
    reached = {
        id
        for format in FORMATS
        for operation in ("softmax", "log_softmax")
        for inner in _INNER
        for n in _LENGTHS
        for id in _kernels_of_the_registry(operation, "vjp", format, (3, n, inner), 1)
    }
    kernels = {
        p.id
        for p in registry().paths
        if p.device == "cuda" and {"torch.softmax", "torch.softmax.backward"} & set(p.calls)
    }
    assert reached == kernels


@pytest.mark.parametrize("axis", [0, 1])
def test_jax_has_one_reduction_for_every_shape_on_a_card(axis: int) -> None:
    for n in (2, 1000):
        steps = path_of("jax/jit", "softmax", "vjp", "binary32", Place.contiguous((n, n), axis), {"device": "gpu A100"})
        assert [s.path.id for s in steps if s.path.device == "gpu"] == [
            "xla-gpu-triton" if axis else "xla-gpu-reduction"
        ]


# -- by the profiler ---------------------------------------------------------------------------------------------------


def _seen(call: Callable[[], Any]) -> tuple[set[str], set[str]]:
    """The operators that a call dispatches, and the kernels that run on a card."""
    torch = pytest.importorskip("torch")
    from torch.profiler import ProfilerActivity, profile

    activities = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if torch.cuda.is_available() else [])
    with profile(activities=activities) as seen:
        call()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
    events = seen.events() or []
    on_card = {e.name for e in events if str(e.device_type).endswith("CUDA")}
    return {e.name for e in events} - on_card, on_card


def _gradient(operation: str, format: str, shape: tuple[int, ...], axis: int, device: str) -> Callable[[], Any]:
    torch = pytest.importorskip("torch")
    kinds = {"binary64": torch.float64, "binary32": torch.float32, "binary16": torch.float16}
    kind = kinds.get(format, torch.bfloat16)

    def call() -> Any:
        x = torch.zeros(shape, dtype=kind, device=device, requires_grad=True)
        y = getattr(torch, operation)(x, axis)
        return torch.autograd.grad(y, x, torch.ones_like(y))

    return call


@pytest.mark.parametrize("operation", ["softmax", "log_softmax"])
def test_what_is_profiled_on_a_card_runs_on_the_processor_too(operation: str) -> None:
    operators, on_card = _seen(_gradient(operation, "binary32", (4, 50), 1, "cpu"))
    assert {f"aten::_{operation}", f"aten::_{operation}_backward_data"} <= operators
    assert on_card == set()


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("operation", ["softmax", "log_softmax"])
def test_the_kernels_that_run_on_a_card_are_those_of_the_registry(operation: str, format: str) -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip(f"torch {torch.__version__} has no CUDA device")
    functions = {p.id: p.function for p in registry().paths}
    wrong = []
    for shape in [(3, n, inner) for inner in _INNER for n in (_LENGTHS if inner == 1 else (63, 64, 1000))]:
        _, on_card = _seen(_gradient(operation, format, shape, 1, "cuda"))
        for id in _kernels_of_the_registry(operation, "vjp", format, shape, 1):
            if not any(functions[id] in name for name in on_card):
                wrong.append(f"{shape}: {functions[id]} is not among {sorted(on_card)}")
    assert wrong == []
