"""The one value that travels to an implementation: which function of which bits, and along which axis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    AnyBits = npt.NDArray[np.unsignedinteger[Any]]
else:
    AnyBits = Any  # the catalogue is listed without NumPy


@dataclass(frozen=True)
class Call:
    """Bit patterns of ``format``; the cotangent and the tangent have the shape of the logits.

    The arrays may be views with any strides, and the memory around them may not be written.
    """

    operation: str
    quantity: str
    format: str
    axis: int
    logits: AnyBits
    cotangent: AnyBits | None = None
    tangent: AnyBits | None = None


# An evaluator returns the bits of the result, in the shape of the logits.
Evaluator = Callable[[Call], AnyBits]
