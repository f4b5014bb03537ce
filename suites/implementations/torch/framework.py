"""PyTorch, as the suite knows it before it is imported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from suites.implementations.calls import DRAWN_TO_TRIPLE, both, by_exponential, no_variables
from suites.implementations.framework import FORWARD_STRIDES, Framework, LogOfSoftmax, Mapped, OwnFunctions
from suites.implementations.implementation import (
    COMPILER,
    DERIVATIVES,
    FIRST_DERIVATIVES,
    FORMULA,
    FOUR_FORMATS,
    VALUES,
    WRAPPER,
    Budget,
    Implementation,
)
from suites.implementations.inputs import (
    HARD,
    LONGEST,
    MIDDLE,
    SHIFTED,
    SINGLE,
    SPECIAL,
    STRIDES,
    TAME,
    TAME_AND_HARD_ROWS,
    inputs,
)
from suites.implementations.profile import INSTRUCTIONS, THREADS, Profile

_TWO_FORMATS = ("binary32", "bfloat16")

_SCRIPT = "dim = {axis}\nreturn {call}"
_PLAIN = "return torch.{operation}(x, {axis})"
_WITH_MASK = "dim, mask = {axis}, x != -torch.inf\nreturn {call}"


def _torch(name: str, module: str, calls: Mapping[str, str], compiles: bool = False, **rest: Any) -> Implementation:
    return Implementation(f"torch/{name}", "torch", module, calls, compiles, **{"script": _SCRIPT, **rest})


# Casts to a narrower format meet few rows: their kernels are those of the format.
_DTYPE_INPUTS = (
    *TAME,
    *inputs("last", "dominant offset masked", 9),
    *inputs("last", "equal", 4097),
    *inputs("inner", "gauss1", 33, 1000),
    SPECIAL,
)


def _dtype_argument(given: str, returned: str, call: str) -> Implementation:
    """``dtype=``: the array has one format, the result another.

    Where the result is the wider one, the gradients have the array's format.  Where it is the narrower one, the logits
    are numbers of it (PyTorch documents that they are cast first), and a gradient in the wider format would promise
    digits that were never computed.
    """
    widens = returned == "binary64" or given in ("binary16", "bfloat16")
    return _torch(
        f"{given}-to-{returned}",
        "torch.dtypes",
        both(call),
        inputs=_DTYPE_INPUTS,
        casts=given,
        formats=(returned,),
        quantities=(*VALUES, *(FIRST_DERIVATIVES if widens else ("jvp",))),
        result_of_x=(given,) if widens else None,
        drawn={returned: given} if widens else {},
    )


_IMPLEMENTATIONS = (
    _torch(
        "eager",
        "torch.eager",
        both("torch.{}(x, dim)"),
        main=True,
        inputs=(*STRIDES, *MIDDLE, *SHIFTED, *SINGLE),
    ),
    _torch(
        "log-of-softmax",
        "torch.eager",
        {"log_softmax": "torch.log(torch.softmax(x, dim))"},
        main=True,
        kind=FORMULA,
        inputs=(),
    ),
    _torch(
        "x-minus-logsumexp",
        "torch.eager",
        by_exponential("torch.{}(x - torch.logsumexp(x, dim, keepdim=True))"),
        kind=FORMULA,
        inputs=(*TAME, *HARD, *LONGEST, SPECIAL, *inputs("inner", "gauss1", 33)),
    ),
    _torch(
        "compile",
        "torch.compiled",
        both("torch.compile(torch.{}, dynamic=False)(x, dim)"),
        compiles=True,
        eager="torch/eager",
        watched=True,
        on_cards=True,
        # Rows up to 8 are unrolled; beyond 4,096 binary32 numbers are summed in cascades.
        inputs=(
            *inputs("last", "gauss1 dominant equal geometric", 33),
            *inputs("last", "gauss1", 8, 4097),
            *inputs("inner", "gauss1 geometric", 33),
            SPECIAL,
        ),
        budget=Budget(_TWO_FORMATS, VALUES, whole=("last", 33), families=("special",)),
        script=_PLAIN,
        quantities=(*VALUES, *FIRST_DERIVATIVES),
        needs=(COMPILER,),
    ),
    _torch(
        "compile-dynamic",
        "torch.compiled",
        both("torch.compile(torch.{}, dynamic=True)(x, dim)"),
        compiles=True,
        eager="torch/eager",
        on_cards=True,
        inputs=(
            *inputs("last", "gauss1", 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 1000, 1024, 1025, 4096, 4097),
            *HARD,
            *LONGEST,
            *inputs("inner", "gauss1", 9, 33, 1000),
        ),
        budget=Budget(_TWO_FORMATS, (*VALUES, *DERIVATIVES), whole=None, families=()),
        script=_PLAIN,
        quantities=(*VALUES, "vjp"),
        needs=(COMPILER,),
    ),
    _torch(
        "compile-x-over-3",
        "torch.compiled",
        both("torch.compile(lambda x: torch.{}(x / 3, dim))(x)"),
        compiles=True,
        scales=True,
        inputs=TAME_AND_HARD_ROWS,
        script="return torch.{operation}(x / 3, {axis})",
        quantities=VALUES,  # a gradient has a division of its own, which the bounds know nothing of
        formats=tuple(DRAWN_TO_TRIPLE),
        drawn=DRAWN_TO_TRIPLE,
        special_rows=False,
        needs=(COMPILER,),
    ),
    _torch(
        "vmap",
        "torch.eager",
        both("torch.vmap(lambda row: torch.{}(row, 0))(x)"),
        kind=WRAPPER,
        inputs=(
            *inputs("inner", "gauss1", 9, 33, 1000),
            *inputs("inner", "masked", 9),
            *inputs("last middle", "gauss1", 33),
        ),
        script="return {mapped}(x)",
    ),
    _torch(
        "func.jvp-of-vjp",
        "torch.derivatives",
        both("torch.func.jvp(lambda x: torch.func.vjp(torch.{}, x)[1](g), (x,), (t,))"),
        inputs=(*TAME, *HARD, *LONGEST),
        script=_PLAIN,
        quantities=("hvp",),
    ),
    _torch(
        "autograd.functional.jvp",
        "torch.derivatives",
        both("torch.autograd.functional.jvp(lambda x: torch.{}(x, dim), x, t)"),
        inputs=(*TAME, *HARD, *LONGEST, *inputs("inner", "gauss1", 33)),
        script=_PLAIN,
        quantities=("jvp",),
    ),
    _torch(
        "out",
        "torch.storage",
        both("torch.{}(x, dim, out=out)"),
        kind=WRAPPER,
        quantities=VALUES,
        inputs=(
            *inputs("last inner column middle transposed strided padded broadcast offset-1 offset-3", "gauss1", 33),
            *inputs("last inner", "masked", 9),
            *inputs("last", "gauss1", 1000),
            SPECIAL,
        ),
        script="dim = {axis}\nout = torch.empty_like(x)\nreturn {call}",
    ),
    _dtype_argument("binary16", "binary32", "torch.{}(x.half(), dim, dtype=torch.float32)"),
    _dtype_argument("bfloat16", "binary32", "torch.{}(x.bfloat16(), dim, dtype=torch.float32)"),
    _dtype_argument("binary32", "binary64", "torch.{}(x.float(), dim, dtype=torch.float64)"),
    _dtype_argument("binary32", "binary16", "torch.{}(x.float(), dim, dtype=torch.float16)"),
    _dtype_argument("binary32", "bfloat16", "torch.{}(x.float(), dim, dtype=torch.bfloat16)"),
    _torch(
        "masked",
        "torch.masks",
        both("torch.masked.{}(x, dim, mask=mask)"),
        kind=WRAPPER,
        values_only=("log_softmax",),
        inputs=(*inputs("last", "masked", 2, 9, 1000), *inputs("inner", "masked gauss1", 9), SPECIAL),
        script=_WITH_MASK,
    ),
    _torch(
        "_masked_softmax",
        "torch.masks",
        {"softmax": "torch._masked_softmax(x, ~mask, dim, 2)"},
        inputs=(
            *inputs("last", "masked", 2, 9, 1000),
            *TAME,
            *HARD,
            *LONGEST,
            *inputs("last", "geometric", 33),
            *inputs("inner", "masked gauss1", 9),
            SPECIAL,
        ),
        script=_WITH_MASK,
        quantities=(*VALUES, "vjp"),
    ),
    _torch(
        "sparse",
        "torch.storage",
        both("torch.sparse.{}(x.to_sparse(), dim)"),
        inputs=(*TAME, *HARD, *inputs("inner", "gauss1", 33), SPECIAL),
        script=(
            "left_out = x == -torch.inf\n"
            "places = torch.nonzero(~left_out).T\n"
            "given = torch.sparse_coo_tensor(places, x[tuple(places)], x.shape, check_invariants=True)\n"
            "dense = torch.sparse.{operation}(given, {axis}).to_dense()\n"
            'return torch.where(left_out, 0.0 if "{operation}" == "softmax" else -torch.inf, dense)'
        ),
        quantities=(*VALUES, "vjp"),
        formats=("binary64", "binary32"),
        values_only=("log_softmax",),
    ),
    _torch(
        "mkldnn",
        "torch.storage",
        {"softmax": "torch.softmax(x.to_mkldnn(), dim)"},
        inputs=(*TAME, *HARD, *inputs("last", "geometric", 33), *inputs("inner", "gauss1", 33), SPECIAL),
        script="dim = {axis}\nreturn {call}.to_dense()",
        quantities=VALUES,
        formats=("binary32",),  # what oneDNN takes of the others depends on the processor
    ),
)


def _threads(count: int) -> Profile:
    expects = (("threads", count),)
    return Profile(f"threads-{count}", "torch", threads=count, expects=expects, varies=THREADS)


def _capability(name: str, *needs: str) -> Profile:
    return Profile(
        f"aten-{name}",
        "torch",
        environment=(("ATEN_CPU_CAPABILITY", name),),
        needs=needs,
        expects=(("cpu capability", name.upper()),),
        varies=INSTRUCTIONS,
        kernels=True,
    )


# SIMD lanes of binary32 by what torch.backends.cpu.get_cpu_capability() says; twice as many of 16 bits, half of 64.
_FLOAT_LANES = {"AVX512": 16, "AVX2": 8, "DEFAULT": 8, "SVE256": 8, "NO AVX": 8}


def _path_values(format: str, size: int, settings: Mapping[str, str]) -> dict[str, Any]:
    capability = settings.get("cpu capability", "DEFAULT")
    lanes = _FLOAT_LANES.get(capability, 8)
    return {
        "lanes": lanes * 4 // size,
        "float_lanes": lanes,
        "capability": capability,
        # A sum over lanes is a tree where registers are shuffled, which PyTorch does for binary32 accumulators alone.
        "tree": size <= 4 and capability != "DEFAULT",
        "threads": int(settings.get("threads", "1")),
    }


def _numpy(version: str | None) -> str:
    """Wheels before 2.3 were built for NumPy 1 and don't say so."""
    if version is None:
        return ""
    return "<2" if tuple(map(int, version.split(".")[:2])) < (2, 3) else ""


FRAMEWORK = Framework(
    name="torch",
    title="PyTorch",
    place=10,
    distributions=("torch",),
    computes_with=("torch",),
    beside=r"nvidia[-_.]|triton$|pytorch[-_.]triton|mkl|intel[-_.]|tbb$|onemkl",
    strides=FORWARD_STRIDES,
    compiles=True,
    few_shapes=False,
    quick=False,
    compiler=None,
    written_out=False,
    usual="torch/eager",
    calls_agree=True,
    log_of_softmax=LogOfSoftmax("torch/log-of-softmax", "torch/eager"),
    timed=True,
    watched_formats=_TWO_FORMATS,
    profiles=(
        _threads(2),
        _threads(4),
        _capability("default"),
        _capability("avx2", "avx2"),
        _capability("avx512", "avx512f"),
    ),
    cards=True,
    variables=no_variables,
    flags_variable=None,
    path_facts=("lanes", "float_lanes", "tree", "capability", "threads"),
    path_values=_path_values,
    numpy=_numpy,
    own=OwnFunctions("torch.eager", (*VALUES, *DERIVATIVES), FOUR_FORMATS),
    mapped=Mapped("torch.vmap", "in_dims", "out_dims", "torch"),
    implementations=_IMPLEMENTATIONS,
)
