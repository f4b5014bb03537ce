"""P9, P16: what gradients keep: sums of rows, derivatives of identities, duality, and what is linear in the vector."""

from __future__ import annotations

import numpy as np

from references.formats import Bits
from references.laws.gradients import GRADIENTS
from suites.laws.cases import law_of
from suites.laws.comparing import refused, unequal
from suites.laws.evaluation import Evaluations
from suites.laws.inputs import Input, input_of, lengths_of
from suites.laws.law import BITWISE, Breach, Law, worst
from suites.laws.subjects import Subject


def zero_vector(subject: Subject, on: Evaluations) -> Breach | None:
    """All cotangents and tangents are zero, and then each of the two alone."""
    return worst([_zeroed(subject, on, n) for n in lengths_of(subject, on.tier)])


def _zeroed(subject: Subject, on: Evaluations, n: int) -> Breach | None:
    given = input_of(subject, n)
    breaches = []
    for role in given.vectors:
        silent = Input(given.logits, {**given.vectors, role: np.zeros_like(given.vectors[role])})
        found = subject.format.decode(on.bits(subject, silent))
        breaches.append(refused(subject, silent, found != 0, found, f"are not 0 for a {role} of 0"))
    return worst(breaches)


def negated_vector(subject: Subject, on: Evaluations) -> Breach | None:
    """The first vector with all its signs flipped."""
    return worst([_negated(subject, on, n) for n in lengths_of(subject, on.tier)])


def _negated(subject: Subject, on: Evaluations, n: int) -> Breach | None:
    given = input_of(subject, n)
    role = next(iter(given.vectors))
    flipped = Input(given.logits, {**given.vectors, role: _flipped(subject, given.vectors[role])})
    found = _flipped(subject, on.bits(subject, flipped))
    return unequal(
        subject, given, found, on.bits(subject, given), "minus those of minus the vector", signed_zeros=False
    )


def _flipped(subject: Subject, bits: Bits) -> Bits:
    return bits ^ np.array(subject.format.sign_bit, bits.dtype)


def has_vectors(subject: Subject) -> bool:
    return subject.quantity != "forward"


LAWS = (
    *(law_of(identity, "P16" if identity.code == "L10" else "P9") for identity in GRADIENTS),
    Law(
        "zero vector",
        "P9",
        "a derivative along a vector of zeros is exactly 0, of either sign",
        BITWISE,
        "0 times a finite number is 0, and so is a sum of zeros",
        zero_vector,
        asked_of=has_vectors,
    ),
    Law(
        "negated vector",
        "P9",
        "minus the vector gives minus the derivative, to the bit; a zero may have either sign",
        BITWISE,
        "rounding to nearest is symmetric, so every operation of a linear map is odd",
        negated_vector,
        asked_of=has_vectors,
    ),
)
