"""NumPy, as the suite knows it before it is imported: formulas that people write with it."""

from __future__ import annotations

from collections.abc import Mapping

from suites.implementations.calls import any_numpy, no_variables
from suites.implementations.framework import ANY_STRIDES, Framework, LogOfSoftmax, OwnFunctions
from suites.implementations.implementation import (
    CALL,
    FIRST_DERIVATIVES,
    FORMULA,
    THREE_FORMATS,
    VALUES,
    Implementation,
)
from suites.implementations.inputs import MIDDLE, STRIDES, Input
from suites.implementations.numpy.instructions import PATH_FACTS, path_values, profiles

# Five formulas with derivatives take their time in every length.
_LENGTHS = dict.fromkeys(("last", "inner", "column"), (1, 2, 3, 9, 33, 1000, 65536))


def _recipe(name: str, calls: Mapping[str, str], kind: str = FORMULA, inputs: tuple[Input, ...] = ()) -> Implementation:
    return Implementation(
        f"numpy/{name}",
        "numpy",
        "numpy.recipes",
        calls,
        False,
        inputs=inputs,
        quantities=(*VALUES, *FIRST_DERIVATIVES),
        formats=THREE_FORMATS,
        main=True,
        kind=kind,
        lengths={"standard": _LENGTHS, "smoke": _LENGTHS},
    )


_IMPLEMENTATIONS = (
    _recipe("naive", {"softmax": "exp(x) / sum(exp(x))"}),
    _recipe("log-of-softmax", {"log_softmax": "log(exp(x) / sum(exp(x)))"}),
    _recipe("x-minus-log-sum-exp", {"log_softmax": "x - log(sum(exp(x)))"}),
    _recipe(
        "shifted",
        {"softmax": "d = x - max(x); exp(d) / sum(exp(d))", "log_softmax": "d = x - max(x); d - log(sum(exp(d)))"},
        CALL,
        (*STRIDES, *MIDDLE),
    ),
    _recipe("x-minus-logsumexp", {"log_softmax": "x - logsumexp(x)"}),
)

FRAMEWORK = Framework(
    name="numpy",
    title="NumPy",
    place=40,
    distributions=("numpy",),
    computes_with=("numpy",),
    beside="",
    strides=ANY_STRIDES,
    compiles=False,
    few_shapes=False,
    quick=True,
    compiler=None,
    written_out=True,
    usual="numpy/shifted",
    calls_agree=False,
    log_of_softmax=LogOfSoftmax("numpy/log-of-softmax", "numpy/shifted"),
    timed=False,
    watched_formats=("binary64", "binary32"),
    profiles=profiles("numpy"),
    cards=False,
    variables=no_variables,
    flags_variable=None,
    path_facts=PATH_FACTS,
    path_values=path_values,
    numpy=any_numpy,
    own=OwnFunctions("numpy.recipes", VALUES, THREE_FORMATS),
    mapped=None,
    implementations=_IMPLEMENTATIONS,
)
