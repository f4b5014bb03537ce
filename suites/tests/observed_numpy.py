"""Which exp NumPy runs, held against the registry.

Another instruction set needs another process, since NumPy reads NPY_DISABLE_CPU_FEATURES when it is imported:
``python -m suites.tests.observed_numpy`` prints what contradicts the registry in its own.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import json
from typing import Any

import numpy as np
import numpy.typing as npt

from suites.implementations.catalogue import settings_of
from suites.paths.places import Place
from suites.paths.taken import path_of

Array = npt.NDArray[Any]

_KINDS = {"binary64": np.float64, "binary32": np.float32}


def libm_exp(values: Array) -> Array:
    """exp of the C library, element by element."""
    library = ctypes.CDLL(ctypes.util.find_library("m"))
    function = library.expf if values.dtype == np.float32 else library.exp
    kind = ctypes.c_float if values.dtype == np.float32 else ctypes.c_double
    function.restype, function.argtypes = kind, [kind]
    return np.array([function(v) for v in values.ravel().tolist()], values.dtype).reshape(values.shape)


def arguments(format: str) -> Array:
    """Differences as a softmax has them, in an array that is not written to twice."""
    return -np.linspace(0.001, 60, 4096).astype(_KINDS[format])


def exponential_taken(format: str, array: Place, implementation: str = "numpy/naive") -> str:
    """The id of the path that exp takes, under the settings of this process."""
    steps = path_of(implementation, "softmax", "forward", format, array, settings_of("numpy"))
    return next(step.path.id for step in steps if "numpy-exp-log" in step.path.id)


def contradictions() -> list[str]:
    """Formats in which exp is libm's though the registry says otherwise, or the reverse."""
    found = []
    for format in _KINDS:
        path = exponential_taken(format, Place.contiguous((4096,), 0))
        if "untold" in path:  # which may be the C library's, too
            continue
        values = arguments(format)
        share = float((np.exp(values) == libm_exp(values)).mean())
        if (share == 1.0) != ("libm" in path):
            found.append(f"{format}: {share:.1%} of the bits are libm's, the registry says {path}")
    return found


def main() -> None:
    print(json.dumps({"settings": settings_of("numpy"), "contradictions": contradictions()}))


if __name__ == "__main__":
    main()
