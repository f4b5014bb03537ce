"""SciPy, as the suite knows it before it is imported."""

from __future__ import annotations

from suites.implementations.calls import any_numpy, both, by_exponential, no_variables
from suites.implementations.framework import ANY_STRIDES, Framework
from suites.implementations.implementation import FORMULA, THREE_FORMATS, VALUES, Implementation
from suites.implementations.inputs import HARD, LONGEST, MIDDLE, SINGLE, SPECIAL, STRIDES, TAME, inputs
from suites.implementations.numpy.instructions import PATH_FACTS, path_values, profiles
from suites.implementations.profile import Profile

# In such a process SciPy takes arrays of other frameworks, which is decided when it is imported.
_ARRAY_API = {"SCIPY_ARRAY_API": "1"}

_SOME = (*TAME, *HARD, *LONGEST, SPECIAL, *inputs("inner", "gauss1", 33))

_IMPLEMENTATIONS = (
    Implementation(
        "scipy",
        "scipy",
        "scipy.special",
        both("scipy.special.{}(x, axis)"),
        False,
        inputs=(*STRIDES, *MIDDLE, *SINGLE),
        quantities=VALUES,
        formats=THREE_FORMATS,
        main=True,
    ),
    Implementation(
        "scipy/x-minus-logsumexp",
        "scipy",
        "scipy.special",
        by_exponential("np.{}(x - scipy.special.logsumexp(x, axis, keepdims=True))"),
        False,
        kind=FORMULA,
        inputs=_SOME,
        quantities=VALUES,
        formats=THREE_FORMATS,
    ),
    Implementation(
        "scipy/torch-arrays",
        "scipy",
        "scipy.arrays",
        both("scipy.special.{}(torch.asarray(x), axis) under SCIPY_ARRAY_API=1"),
        False,
        inputs=_SOME,
        quantities=VALUES,
        needs=("torch",),
        environment=_ARRAY_API,
    ),
    Implementation(
        "scipy/jax-arrays",
        "scipy",
        "scipy.arrays",
        both("scipy.special.{}(jnp.asarray(x), axis) under SCIPY_ARRAY_API=1"),
        True,
        inputs=(*inputs("last", "gauss1 dominant offset masked", 9, 1000), *LONGEST, SPECIAL),
        quantities=VALUES,
        needs=("jax",),
        environment=_ARRAY_API,
        flushes=True,
    ),
)

FRAMEWORK = Framework(
    name="scipy",
    title="SciPy",
    place=30,
    distributions=("scipy",),
    computes_with=("scipy", "numpy"),
    beside="",
    strides=ANY_STRIDES,
    compiles=False,
    few_shapes=False,
    quick=True,
    compiler=None,
    written_out=False,
    usual="scipy",
    calls_agree=False,
    log_of_softmax=None,
    timed=False,
    watched_formats=("binary64", "binary32"),
    profiles=(
        *profiles("scipy"),
        Profile("array-api", "scipy", environment=tuple(_ARRAY_API.items()), expects=(("array API", True),)),
    ),
    cards=False,
    variables=no_variables,
    flags_variable=None,
    path_facts=PATH_FACTS,
    path_values=path_values,
    numpy=any_numpy,
    own=None,
    mapped=None,
    implementations=_IMPLEMENTATIONS,
)
