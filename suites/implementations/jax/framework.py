"""JAX, as the suite knows it before it is imported."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from suites.implementations.calls import DRAWN_TO_TRIPLE, any_numpy, both, by_exponential
from suites.implementations.framework import NO_STRIDES, Compiler, Framework, LogOfSoftmax, Mapped, OwnFunctions
from suites.implementations.implementation import (
    DERIVATIVES,
    FIRST_DERIVATIVES,
    FORMULA,
    FOUR_FORMATS,
    VALUES,
    Implementation,
)
from suites.implementations.inputs import FEW_LONG_ROWS, LONGEST, SPECIAL, TAME_AND_HARD_ROWS, inputs
from suites.implementations.profile import FLAGS, INSTRUCTIONS, PROCESSORS, X64, Profile

_SCRIPT = "return jax.nn.{operation}(x, axis={axis})"
_BY_LOGSUMEXP = (
    "difference = x - jax.scipy.special.logsumexp(x, axis={axis}, keepdims=True)\n"
    'return jnp.exp(difference) if "{operation}" == "softmax" else difference'
)


def _jax(name: str, module: str, calls: Mapping[str, str], **rest: Any) -> Implementation:
    """Every shape is compiled, eager calls operation by operation."""
    return Implementation(f"jax/{name}", "jax", module, calls, True, **{"script": _SCRIPT, "flushes": True, **rest})


_IMPLEMENTATIONS = (
    _jax(
        "eager",
        "jax.nn",
        both("jax.nn.{}(x, axis)"),
        main=True,
        inputs=(),
        lengths={
            "standard": {"last": (2, 3, 9, 1000, 65536), "inner": (9, 1000)},
            "smoke": {"last": (2,)},
        },
    ),
    _jax(
        "jit",
        "jax.nn",
        both("jax.jit(jax.nn.{})(x, axis)"),
        main=True,
        eager="jax/eager",
        watched=True,
        inputs=FEW_LONG_ROWS,
        lengths={"smoke": {"last": (2, 1000)}},
    ),
    _jax(
        "eager-custom-jvp",
        "jax.nn",
        {"softmax": "jax.nn.softmax(x, axis) under JAX_SOFTMAX_CUSTOM_JVP=1"},
        inputs=(),
        lengths={"standard": {"last": (9, 1000)}, "smoke": {}},
        quantities=(*FIRST_DERIVATIVES, "hvp"),
        main=True,
    ),
    _jax(
        "jit-custom-jvp",
        "jax.nn",
        {"softmax": "jax.jit(jax.nn.softmax)(x, axis) under JAX_SOFTMAX_CUSTOM_JVP=1"},
        eager="jax/eager-custom-jvp",
        inputs=(),
        lengths={"standard": {"last": (2, 9, 33, 1000, 4097)}, "smoke": {"last": (2,)}},
        quantities=(*FIRST_DERIVATIVES, "hvp"),
        main=True,
    ),
    _jax(
        "log-of-softmax",
        "jax.nn",
        {"log_softmax": "jax.jit(lambda x: jnp.log(jax.nn.softmax(x, axis)))"},
        main=True,
        kind=FORMULA,
        inputs=(),
        lengths={"standard": {"last": (2, 3, 9, 33, 1000)}, "smoke": {"last": (2,)}},
        script="return jnp.log(jax.nn.softmax(x, axis={axis}))",
    ),
    _jax(
        "x-minus-logsumexp",
        "jax.variants",
        kind=FORMULA,
        inputs=(*inputs("last", "gauss1 dominant offset masked", 9), *LONGEST, SPECIAL),
        script=_BY_LOGSUMEXP,
        calls={
            operation: f"jax.jit(lambda x: {formula})"
            for operation, formula in by_exponential(
                "jnp.{}(x - jax.scipy.special.logsumexp(x, axis, keepdims=True))"
            ).items()
        },
    ),
    _jax(
        "jit-where",
        "jax.variants",
        both("jax.jit(jax.nn.{})(x, axis, where=mask)"),
        values_only=("log_softmax",),
        inputs=(*inputs("last inner", "masked", 9), SPECIAL),
        script="return jax.nn.{operation}(x, axis={axis}, where=x != -jnp.inf)",
    ),
    _jax(
        "jit-vmap",
        "jax.variants",
        both("jax.jit(jax.vmap(jax.nn.{}))(x)"),
        inputs=(*inputs("inner", "gauss1", 33), *inputs("inner", "masked", 9)),
        script="return {mapped}(x)",
    ),
    _jax(
        "jit-x-over-3",
        "jax.variants",
        both("jax.jit(lambda x: jax.nn.{}(x / 3, axis))(x)"),
        scales=True,
        inputs=TAME_AND_HARD_ROWS,
        script="return jax.nn.{operation}(x / 3, axis={axis})",
        quantities=VALUES,
        formats=tuple(DRAWN_TO_TRIPLE),
        drawn=DRAWN_TO_TRIPLE,
        special_rows=False,
    ),
)


def _flags(name: str, value: str, varies: str, *needs: str, formats: tuple[str, ...] = ()) -> Profile:
    return Profile(
        f"xla-{name}",
        "jax",
        environment=(("XLA_FLAGS", value),),
        needs=needs,
        changes=("XLA options",),
        formats=formats,
        varies=varies,
    )


_PROFILES = (
    Profile("one-cpu", "jax", cpus=1, expects=(("CPU count", 1),), varies=PROCESSORS),
    # What limits the instruction set to one that the processor ends at anyway changes nothing.
    _flags("avx2", "--xla_cpu_max_isa=AVX2", INSTRUCTIONS, "avx512f"),
    # Without F16C, XLA 0.10.2 finds no __extendhfsf2 to link and compiles nothing with binary16 in it.
    _flags("sse4_2", "--xla_cpu_max_isa=SSE4_2", INSTRUCTIONS, "avx2", formats=("binary64", "binary32", "bfloat16")),
    _flags("no-excess-precision", "--xla_allow_excess_precision=false", FLAGS),
    _flags("no-ynn", "--xla_cpu_experimental_ynn_fusion_type=", FLAGS),
    Profile(
        "no-x64",
        "jax",
        x64=False,
        expects=(("x64", False),),
        formats=("binary32", "binary16", "bfloat16"),
        varies=X64,
    ),
)

# XLA's flag that turns its YNNPACK kernels off, by an empty list of what to fuse.
_NO_YNN = re.compile(r"--xla_cpu_experimental_ynn_fusion_type=(\s|$)")


def _variables(platform: str, given: Mapping[str, str]) -> dict[str, str]:
    """A card that nothing asked for would take three quarters of its memory."""
    allocate = given.get("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    return {"JAX_PLATFORMS": platform, "XLA_PYTHON_CLIENT_PREALLOCATE": allocate}


def _path_values(format: str, size: int, settings: Mapping[str, str]) -> dict[str, Any]:
    return {"ynn": not _NO_YNN.search(settings.get("XLA_FLAGS", ""))}


FRAMEWORK = Framework(
    name="jax",
    title="JAX",
    place=20,
    distributions=("jax", "jaxlib"),
    computes_with=("jax", "jaxlib", "ml_dtypes", "numpy"),
    beside=r"nvidia[-_.]|jax[-_.](cuda|rocm)",
    strides=NO_STRIDES,
    compiles=True,
    few_shapes=True,
    quick=False,
    compiler=Compiler("jaxlib", dumps_to="JAX_DUMP_IR_TO"),
    written_out=False,
    usual="jax/jit",
    calls_agree=True,
    log_of_softmax=LogOfSoftmax("jax/log-of-softmax", "jax/jit"),
    timed=True,
    watched_formats=("binary32", "bfloat16"),
    profiles=_PROFILES,
    cards=True,
    variables=_variables,
    flags_variable="XLA_FLAGS",
    path_facts=("ynn",),
    path_values=_path_values,
    numpy=any_numpy,
    own=OwnFunctions("jax.nn", (*VALUES, *DERIVATIVES), FOUR_FORMATS),
    mapped=Mapped("jax.vmap", "in_axes", "out_axes", "jax.nn"),
    implementations=_IMPLEMENTATIONS,
)
