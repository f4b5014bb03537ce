"""P8, P16: what the values of softmax and log_softmax keep among themselves, within the bounds of L2, L3, L7 to L9."""

from __future__ import annotations

from references.laws.values import VALUES
from suites.laws.cases import law_of

# P8 is said of rows by themselves, P16 of functions and parts of rows.
_OF_ROWS = ("L2", "L3", "L7")

LAWS = tuple(law_of(identity, "P8" if identity.code in _OF_ROWS else "P16") for identity in VALUES)
