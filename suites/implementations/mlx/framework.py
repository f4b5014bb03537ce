"""MLX, as the suite knows it before it is imported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from suites.implementations.calls import any_numpy, no_variables
from suites.implementations.framework import NO_STRIDES, Framework, OwnFunctions
from suites.implementations.implementation import DERIVATIVES, VALUES, Implementation
from suites.implementations.inputs import HARD, LONGEST, SPECIAL, TAME, inputs

_FORMATS = ("binary32", "binary16", "bfloat16")

_IMPLEMENTATIONS = (
    Implementation(
        "mlx/eager",
        "mlx",
        "mlx.core",
        {"softmax": "mx.softmax(x, axis)", "log_softmax": "nn.log_softmax(x, axis)"},
        compiles=False,
        inputs=(),
        formats=_FORMATS,
        main=True,
        script="return {call}",
    ),
    Implementation(
        "mlx/precise",
        "mlx",
        "mlx.core",
        {"softmax": "mx.softmax(x, axis, precise=True)"},
        compiles=False,
        inputs=(*TAME, *HARD, *LONGEST, SPECIAL, *inputs("inner", "gauss1", 33)),
        formats=_FORMATS,
        script="return {call}",
    ),
)


def _path_values(format: str, size: int, settings: Mapping[str, str]) -> dict[str, Any]:
    return {}


FRAMEWORK = Framework(
    name="mlx",
    title="MLX",
    place=25,
    distributions=("mlx",),
    computes_with=("mlx", "mlx-cpu"),
    beside=r"mlx[-_.](cpu|cuda|metal)|nvidia[-_.]",
    strides=NO_STRIDES,
    compiles=False,
    few_shapes=False,
    quick=False,
    compiler=None,
    written_out=False,
    usual="mlx/eager",
    calls_agree=True,
    log_of_softmax=None,
    timed=False,
    watched_formats=("binary32", "bfloat16"),
    profiles=(),
    cards=False,
    variables=no_variables,
    flags_variable=None,
    path_facts=(),
    path_values=_path_values,
    numpy=any_numpy,
    own=OwnFunctions("mlx.core", (*VALUES, *DERIVATIVES), _FORMATS),
    mapped=None,
    implementations=_IMPLEMENTATIONS,
)
