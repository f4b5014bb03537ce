"""P2, P8, P10: shifts, permutations, signs and ranges, and rows of equal logits."""

from __future__ import annotations

from functools import lru_cache
from itertools import product

import numpy as np

from references.formats import Bits, Floats, Mask, format_named
from suites.inputs.batch import Batch
from suites.inputs.cotangents import vectors_of
from suites.inputs.integers import below, gauss, seed_of
from suites.laws.comparing import beyond, refused, unequal
from suites.laws.evaluation import Evaluations
from suites.laws.independence import TWICE, apart
from suites.laws.inputs import ROWS, Order, exact_values, given_of, input_of, lengths_of, limit_of, mixed
from suites.laws.law import BITWISE, BITWISE_ON_ONE_PATH, WITHIN, Breach, Law, worst
from suites.laws.same_path import one_code_along_a_row, takes_differences
from suites.laws.subjects import Subject

# Integers below this are drawn as logits; they and their shifts are exact in every format of eight bits and more.
_SIZE = 16
_EQUAL_LENGTHS = (257, 1000, 2049, 4097)
_EQUAL_ROWS = 5


@lru_cache(maxsize=32)
def whole_numbers(format_name: str, n: int) -> Batch:
    """Rows [ROWS, n] of integers from -16 to 15."""
    format = format_named(format_name)
    logits = below(seed_of("whole numbers", n), (ROWS, n), 2 * _SIZE) - _SIZE
    vectors = (vectors_of(role, format, ROWS, n) for role in ("cotangent", "tangent"))
    return Batch(format, "whole", format.encode(logits.astype(np.float64)), *vectors)


def shift(subject: Subject, on: Evaluations) -> Breach | None:
    """By 1, and up and down to where the integers of the format end."""
    far = 2.0 ** (subject.format.precision - 1)
    shifts, lengths = (-far, far, 1.0), lengths_of(subject, on.tier)
    cases = zip(lengths, shifts, strict=True) if len(lengths) == len(shifts) else product(lengths, shifts)
    return worst([_shifted(subject, on, n, by) for n, by in cases])


def _shifted(subject: Subject, on: Evaluations, n: int, by: float) -> Breach | None:
    batch = whole_numbers(subject.format_name, n)
    given = given_of(batch, subject)
    moved = given.with_logits(batch.format.encode(batch.values + by))
    found, expected = on.bits(subject, moved), on.bits(subject, given)
    if takes_differences(on, subject, given.shape):
        return unequal(subject, moved, found, expected, f"those of the logits minus {by:g}")
    decode, limit = subject.format.decode, limit_of(subject, batch, flushes=on.flushes(subject))
    return beyond(subject, moved, decode(found), decode(expected), 2 * limit, f"shifted by {by:g}")


def permutation(subject: Subject, on: Evaluations) -> Breach | None:
    """Backwards, and at random."""
    return worst([_permuted(subject, on, n, order) for n in lengths_of(subject, on.tier) for order in _orders(n)])


def _orders(n: int) -> list[Order]:
    random = np.argsort(gauss(seed_of("permutation", n), (n,)), kind="stable")
    return [random] if n > 100 else [np.arange(n)[::-1].copy(), random]


def _permuted(subject: Subject, on: Evaluations, n: int, order: Order) -> Breach | None:
    given = input_of(subject, n)
    permuted = given.columns(order)
    found, expected = on.bits(subject, permuted), on.bits(subject, given)[:, order]
    return apart(subject, on, n, permuted, found, expected, slice(None), order)


def sign_and_range(subject: Subject, on: Evaluations) -> Breach | None:
    """Of values and gradients of finite and of masked logits."""
    return worst([_ranged(subject, on, n) for n in lengths_of(subject, on.tier)])


def _ranged(subject: Subject, on: Evaluations, n: int) -> Breach | None:
    given = input_of(subject, n)
    found, masked = subject.format.decode(on.bits(subject, given)), mixed(subject.format_name, n).values == -np.inf
    return worst([refused(subject, given, wrong, found, what) for wrong, what in _wrong(subject, found, masked)])


def _wrong(subject: Subject, found: Floats, masked: Mask) -> list[tuple[Mask, str]]:
    if subject.quantity != "forward":
        wrong = [(~np.isfinite(found), "are not finite")]
        if subject.operation == "softmax":
            wrong.append((masked & (found != 0), "of masked logits are not 0"))
        return wrong
    if subject.operation == "softmax":
        return [
            (~((found >= 0) & (found <= 1)), "are not in [0, 1]"),
            (masked & (found != 0), "of masked logits are not 0"),
        ]
    return [
        (~(found <= 0), "are not <= 0"),
        (masked & (found != -np.inf), "of masked logits are not -inf"),
        (~masked & np.isinf(found), "of finite logits are infinite"),
    ]


@lru_cache(maxsize=32)
def equal_rows(format_name: str, n: int) -> Batch:
    """Rows of n equal logits, with vectors of every kind."""
    format = format_named(format_name)
    values = np.broadcast_to(gauss(seed_of("equal logits"), (_EQUAL_ROWS, 1)) * 4.0, (_EQUAL_ROWS, n))
    vectors = (vectors_of(role, format, _EQUAL_ROWS, n) for role in ("cotangent", "tangent"))
    return Batch(format, "equal", format.round_floats(values.copy()), *vectors)


def equal_logits(subject: Subject, on: Evaluations) -> Breach | None:
    """Past the numbers at which a sum of ones stops in each narrow format: 256 and 2,048."""
    lengths = _EQUAL_LENGTHS[:1] if subject.compiles or on.tier == "smoke" else _EQUAL_LENGTHS
    return worst([_equal(subject, on, n) for n in lengths])


def _equal(subject: Subject, on: Evaluations, n: int) -> Breach | None:
    batch = equal_rows(subject.format_name, n)
    given = given_of(batch, subject)
    found = on.bits(subject, given)
    limit = limit_of(subject, batch, flushes=on.flushes(subject))
    wanted = "1/n" if subject.operation == "softmax" else "-log n"
    breach = beyond(subject, given, subject.format.decode(found), exact_values(subject, batch), limit, f"from {wanted}")
    if breach is None and one_code_along_a_row(on, subject, given.shape):
        first: Bits = np.broadcast_to(found[:, :1], found.shape)
        breach = unequal(subject, given, found, first, "the first one of their row")
    return breach


def _of_values(subject: Subject) -> bool:
    return subject.quantity == "forward" and subject.affords_shapes


LAWS = (
    Law(
        "shift",
        "P2",
        "a number added to all logits, exactly, changes nothing",
        BITWISE_ON_ONE_PATH,
        "where differences with the maximum are taken, they are the same numbers",
        shift,
        TWICE,
    ),
    Law(
        "permutation",
        "P8",
        "the elements of a row in another order have their results in that order",
        WITHIN,
        "a sum in another order",
        permutation,
        TWICE,
    ),
    Law(
        "sign and range",
        "P8",
        "finite in, finite out; softmax in [0, 1], log_softmax <= 0; a masked logit gives exactly 0 or -inf",
        BITWISE,
        "the sum is at least 1 and no less than a term, and rounding is monotone",
        sign_and_range,
    ),
    Law(
        "equal logits",
        "P10",
        "n equal logits have one result, and that is 1/n or -log n",
        BITWISE_ON_ONE_PATH,
        "the same operations on the same numbers",
        equal_logits,
        "that of the verdict (docs/theory.md 5)",
        _of_values,
    ),
)
