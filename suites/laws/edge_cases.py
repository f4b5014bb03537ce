"""P7, P13, P14, P15: special values, subnormal results, arrays of hardly any shape, and ``dtype=``."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from references.formats import Bits, format_named
from suites.driver.profiles import DEFAULT
from suites.driver.tasks import Loss
from suites.implementations.catalogue import CATALOGUE, framework_named
from suites.inputs import special
from suites.inputs.batch import batch_of
from suites.laws.comparing import beyond, refused, unequal
from suites.laws.evaluation import Evaluations
from suites.laws.inputs import ROWS, Input, exact_values, given_of, input_of, lengths_of, limit_of, mixed
from suites.laws.law import BITWISE, WITHIN, Breach, Law, worst
from suites.laws.subjects import Subject
from suites.scoring.certified_batch import exact_of

_SPECIAL_LENGTHS = (3, 17)

# Shapes of hardly any array, with the reduced axis: one element a row, in arrays of zero to three axes; no row; rows of
# no element.
_DEGENERATE = (((), 0), ((1,), 0), ((1, 1), 1), ((2, 1, 3), 1), ((0, 3), 1), ((3, 0), 1))


def special_values(subject: Subject, on: Evaluations) -> Breach | None:
    """Every special row of the contract: NaN, both infinities, and numbers where there are numbers."""
    lengths = _SPECIAL_LENGTHS[:1] if subject.compiles else _SPECIAL_LENGTHS
    return worst([_special(subject, on, n) for n in lengths])


def _special(subject: Subject, on: Evaluations, n: int) -> Breach | None:
    batch = batch_of(special.FAMILY, subject.format_name, len(special.rows_of_length(n)), n)
    given = given_of(batch, subject)
    what = subject.framework, *subject.function
    contract = special.apply_contract(exact_of(batch).reference(subject.function), *what, batch.values)
    wanted, found = contract.hi, subject.format.decode(on.bits(subject, given))
    numbers = np.isfinite(wanted)
    with np.errstate(invalid="ignore"):
        overflows = numbers & np.isinf(found) & (np.abs(exact_values(subject, batch)) >= subject.format.largest)
    agrees = np.where(numbers, np.isfinite(found), (found == wanted) | (np.isnan(found) & np.isnan(wanted)))
    return refused(subject, given, ~(agrees | overflows), found, "are off the contract for special values")


def subnormal(subject: Subject, on: Evaluations) -> Breach | None:
    """Results below the smallest normal number."""
    return worst([_below_normal(subject, on, n) for n in lengths_of(subject, on.tier)])


def _below_normal(subject: Subject, on: Evaluations, n: int) -> Breach | None:
    batch, given = mixed(subject.format_name, n), input_of(subject, n)
    exact = exact_values(subject, batch)
    limit = limit_of(subject, batch, flushes=on.flushes(subject))
    tiny = np.abs(exact) < subject.format.smallest_normal
    # The exact value is rounded to binary64 here, whose own subnormal numbers are as far apart as this.
    allowed = np.where(tiny, limit + math.ulp(0.0), np.inf)
    return beyond(subject, given, subject.format.decode(on.bits(subject, given)), exact, allowed, "from the exact ones")


def one_element(subject: Subject, on: Evaluations) -> Breach | None:
    """Rows of one element, of any size: the softmax is 1, its logarithm 0, every derivative 0."""
    format = subject.format
    values = [0.0, 1.0, -1.0, 88.0, -120.0, format.largest, -format.largest, format.smallest_subnormal]
    column = format.round_floats(np.resize(np.array(values), (ROWS, 1)))
    ones = format.round_floats(np.resize(np.array([1.0, -3.0, 0.5]), (ROWS, 1)))
    given = Input(column, dict.fromkeys(input_of(subject, lengths_of(subject, on.tier)[0]).vectors, ones))
    found = format.decode(on.bits(subject, given))
    return refused(subject, given, found != _of_one(subject), found, f"are not {_of_one(subject):g}")


def _of_one(subject: Subject) -> float:
    return 1.0 if subject.function == ("softmax", "forward") else 0.0


def degenerate(subject: Subject, on: Evaluations) -> Breach | None:
    """Arrays without rows, rows without elements, and arrays without axes."""
    breaches = (_of_shape(subject, on, shape, axis) for shape, axis in _DEGENERATE)
    return next((breach for breach in breaches if breach), None)


def _of_shape(subject: Subject, on: Evaluations, shape: tuple[int, ...], axis: int) -> Breach | None:
    """An array that is refused has no result, which is well; an ended worker or a result of another shape is not."""
    answer = on.of_array(subject, np.zeros(shape, subject.format.bits_dtype), axis)
    if answer.bits is None:
        loss = answer.loss or Loss("no answer")
        return None if loss.refused else _odd(subject, shape, f"has no result: {loss.reason}")
    values = subject.format.decode(answer.bits)
    return None if (values == _of_one(subject)).all() else _odd(subject, shape, f"gave {values.ravel().tolist()}")


def _odd(subject: Subject, shape: tuple[int, ...], what: str) -> Breach:
    return Breach(subject.key, math.inf, "ulp", f"{subject.key} of an array of shape {shape} {what}")


def dtype_argument(subject: Subject, on: Evaluations) -> Breach | None:
    """The logits are cast, then the usual call is made; a gradient that has their format is cast back."""
    given_in, (returned,) = subject.implementation.casts or "", subject.implementation.formats
    usual = replace(subject, implementation=CATALOGUE[framework_named(subject.framework).usual], format_name=returned)
    narrow = min(given_in, returned, key=lambda name: format_named(name).precision)
    given = given_of(batch_of("gauss10", subject.format_name, 18, 33, narrow), subject)
    wide = Input(
        _cast(subject, usual, given.logits), {r: _cast(subject, usual, bits) for r, bits in given.vectors.items()}
    )
    expected = _cast(usual, subject, on.bits(usual, wide))
    return unequal(subject, given, on.bits(subject, given), expected, "those of the cast logits")


def _cast(one: Subject, other: Subject, bits: Bits) -> Bits:
    """Bits of the format of one subject in that of another."""
    return bits if one.format is other.format else other.format.round_floats(one.format.decode(bits))


def _has_special_rows(subject: Subject) -> bool:
    return subject.implementation.special_rows and subject.quantity == "forward" and subject.affords_shapes


def _affords_a_column(subject: Subject) -> bool:
    return subject.affords_shapes and not (subject.compiles and subject.format_name != "binary32")


def _is_alone(subject: Subject) -> bool:
    """One layout and format will do."""
    usual = subject.layout == "last" and subject.affords_shapes and subject.profile.name == DEFAULT
    return usual and (subject.quantity, subject.format_name) == ("forward", "binary32")


LAWS = (
    Law(
        "special values",
        "P7",
        "NaN, infinities and numbers are where the contract for special values has them",
        BITWISE,
        "docs/special-values.md",
        special_values,
        asked_of=_has_special_rows,
    ),
    Law(
        "subnormal results",
        "P15",
        "results below the smallest normal number are as accurate as others, or flushed as the platform does",
        WITHIN,
        "gradual underflow, or the probe that shows a flush",
        subnormal,
        "that of the verdict (docs/theory.md 5)",
    ),
    Law(
        "one element",
        "P13",
        "a row of one element has softmax 1, log_softmax 0 and every derivative 0",
        BITWISE,
        "x - x is 0, exp 0 is 1, log 1 is 0",
        one_element,
        asked_of=_affords_a_column,
    ),
    Law(
        "degenerate shapes",
        "P13",
        "an array without elements gives one of its shape or is refused; so does one without axes, and gives 1 or 0",
        BITWISE,
        "what NumPy does with such arrays",
        degenerate,
        asked_of=_is_alone,
    ),
    Law(
        "dtype argument",
        "P14",
        "`dtype=` is a cast of the logits, and the gradient is cast back",
        BITWISE,
        "PyTorch's documentation",
        dtype_argument,
        of_casts=True,
    ),
)
