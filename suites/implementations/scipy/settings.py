"""What SciPy has chosen: NumPy's instruction sets, and whether it takes arrays of other frameworks."""

from __future__ import annotations

import importlib
import importlib.util

from suites.implementations.numpy import settings as numpy_settings
from suites.implementations.numpy.settings import card as card
from suites.implementations.numpy.settings import flushes as flushes
from suites.implementations.numpy.settings import no_device as no_device
from suites.implementations.numpy.settings import settings as settings
from suites.implementations.read_back import NotTold, ReadBack


def details() -> ReadBack:
    """Whether SciPy takes other frameworks' arrays, and whether NumPy, or then JAX, flushes subnormals."""
    takes = _takes_other_arrays()
    found = {**numpy_settings.details(), "array API": takes}
    if takes is True and importlib.util.find_spec("jax"):
        from suites.implementations.jax.nn import flushes_subnormals

        found["flushes subnormals"] = flushes_subnormals()
    return found


def _takes_other_arrays() -> bool | NotTold:
    """Whether SciPy obeyed SCIPY_ARRAY_API when it was imported, where this version reports it."""
    for name in ("scipy._lib._array_api_override", "scipy._lib._array_api"):
        try:
            flag = importlib.import_module(name).SCIPY_ARRAY_API
        except (ImportError, AttributeError):
            continue
        return str(flag).lower() in ("1", "true")
    return NotTold("this SciPy")
