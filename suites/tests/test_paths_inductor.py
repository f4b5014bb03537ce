"""torch.compile's paths on the CPU, by observation: the C++ that Inductor writes, generated and not compiled."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import _dynamo  # noqa: E402  (after the skip: these need torch)
from torch._functorch import config as functorch_config  # noqa: E402
from torch._inductor import config as inductor_config  # noqa: E402
from torch._inductor import cpp_builder  # noqa: E402
from torch._inductor.utils import get_code  # noqa: E402

from suites.paths.places import Place  # noqa: E402
from suites.paths.taken import path_of  # noqa: E402
from suites.tests.observed_torch import settings_now, threads  # noqa: E402

_KINDS = {
    "binary64": torch.float64,
    "binary32": torch.float32,
    "binary16": torch.float16,
    "bfloat16": torch.bfloat16,
}

# What betrays each path in the code of a forward function.
_SIGNS: dict[str, Callable[[str], bool]] = {
    "inductor-unrolled": lambda code: "tmp_acc0" not in code,
    "inductor-last": lambda code: "vec_reduce_all" in code and "_arr[tid]" not in code,
    "inductor-parallel": lambda code: "_arr[tid]" in code,
    "inductor-inner": lambda code: "tmp_acc0" in code and "vec_reduce_all" not in code and "_arr[tid]" not in code,
    "inductor-cascade": lambda code: "CascadeSumHelper" in code,
}


@pytest.fixture(autouse=True)
def generating() -> Any:
    """A C++ compiler, without which Inductor knows no instruction set, and none of the programs of other runs."""
    try:
        cpp_builder.get_cpp_compiler()
    except Exception as error:  # Inductor's own error for a machine without one
        pytest.skip(f"no C++ compiler: {type(error).__name__}")
    programs = inductor_config.patch(fx_graph_cache=False)
    graphs = functorch_config.patch(enable_autograd_cache=False)
    with programs, graphs, threads(1):  # what the compiler was found to do stays cached, which costs seconds
        yield
    _dynamo.reset()


def _code(function: Callable[..., Any], *arguments: Any) -> str:
    _dynamo.reset()
    code: str = get_code(torch.compile(function), *arguments)[0]
    return code


@pytest.mark.parametrize(
    ("operation", "format", "shape", "axis", "count"),
    [
        ("softmax", "binary32", (64, 7), 1, 1),
        ("softmax", "binary32", (64, 8), 1, 1),
        ("softmax", "binary32", (1, 7), 1, 1),
        ("log_softmax", "binary32", (7, 64), 0, 1),
        ("log_softmax", "bfloat16", (8, 64), 0, 1),
        ("softmax", "binary32", (100, 40), 0, 1),
        ("softmax", "binary32", (100, 1), 0, 1),
        ("softmax", "binary32", (64, 4096), 1, 1),
        ("softmax", "binary32", (64, 4097), 1, 1),
        ("log_softmax", "binary16", (64, 4097), 1, 1),
        ("softmax", "binary64", (64, 4097), 1, 1),
        ("softmax", "binary32", (4097, 40), 0, 1),
        ("softmax", "binary32", (1, 1024), 1, 1),
        ("softmax", "binary32", (1, 1023), 1, 2),
        ("softmax", "binary32", (1, 1024), 1, 2),
        ("log_softmax", "binary64", (1, 1024), 1, 2),
        ("softmax", "binary32", (3, 1024), 1, 2),
    ],
)
def test_the_generated_code_is_that_of_the_registry(
    operation: str, format: str, shape: tuple[int, int], axis: int, count: int
) -> None:
    with threads(count):
        code = _code(lambda x: getattr(torch, operation)(x, axis), torch.zeros(shape, dtype=_KINDS[format]))
        place = Place.contiguous(shape, axis)
        steps = path_of("torch/compile", operation, "forward", format, place, settings_now())
    expected = {step.path.id for step in steps} & set(_SIGNS)
    assert {name for name, sign in _SIGNS.items() if sign(code)} == expected


def test_few_long_rows_are_divided_among_threads_by_the_registrys_rule() -> None:
    lanes = {"AVX512": 16}.get(settings_now()["cpu capability"], 8)
    for n, id in ((600 * lanes, "inductor-last"), (601 * lanes, "inductor-parallel")):
        with threads(2):
            code = _code(lambda x: torch.softmax(x, 1), torch.zeros(2, n))
            steps = path_of(
                "torch/compile", "softmax", "forward", "binary32", Place.contiguous((2, n), 1), settings_now()
            )
        assert id in {step.path.id for step in steps}
        assert _SIGNS[id](code)


def test_a_gradient_is_fused_for_softmax_alone() -> None:
    zeros = torch.zeros(64, 100)
    for operator, fuses in (
        (torch.ops.aten._softmax_backward_data, True),
        (torch.ops.aten._log_softmax_backward_data, False),
    ):
        code = _code(lambda g, y, f=operator: f(g, y, 1, torch.float32), zeros, zeros)
        assert ("fmadd" in code) == fuses


@pytest.mark.parametrize("format", ["binary16", "bfloat16"])
def test_16_bits_are_binary32_inside(format: str) -> None:
    kind = {"binary16": "torch.float16", "bfloat16": "torch.bfloat16"}[format]
    code = _code(lambda x: torch.log_softmax(x, 1), torch.zeros(64, 100, dtype=_KINDS[format]))
    assert len(re.findall(rf"empty_strided_cpu\([^\n]*{kind}\)", code)) == 1, "the result, and no buffer"
    assert "tmp_acc0 = 0" in code
    assert not re.search(r"(Half|BFloat16) tmp_acc", code)


def test_scaled_logits_are_shifted_before_they_are_scaled() -> None:
    x = torch.zeros(64, 100)
    names = [
        re.findall(r"cpp_fused_\w+", _code(function, x))[0]
        for function in (
            lambda x: torch.softmax(x, 1),
            lambda x: torch.softmax(x / 3, 1),
            lambda x: torch.softmax(x * 3, 1),
        )
    ]
    # The guard that all scaled logits are finite, and a maximum of its own, are the rewrite's.
    assert ["all" in name and "amax" in name for name in names] == [False, True, True]
