"""P6: a row's result is a function of the row: not of its neighbours, its place, the batch's size, or the last call."""

from __future__ import annotations

import numpy as np

from references.formats import Bits, Floats
from suites.laws.comparing import beyond, unequal
from suites.laws.evaluation import Evaluations
from suites.laws.inputs import ROWS, Input, Order, input_of, lengths_of, limit_of, mixed
from suites.laws.law import BITWISE, BITWISE_ON_ONE_PATH, Breach, Law, worst
from suites.laws.same_path import same_code
from suites.laws.subjects import Subject

# By how many rows a batch is turned: into other lanes of a register, and from registers to the rows left over.
_TURNS = (1, 7)

# What is put beside the rows that are watched: NaN, infinities, and the largest numbers.
_LOUD = (np.nan, np.inf, -np.inf)


def run_to_run(subject: Subject, on: Evaluations) -> Breach | None:
    """The same call again."""
    return worst([_again(subject, on, n) for n in lengths_of(subject, on.tier)])


def _again(subject: Subject, on: Evaluations, n: int) -> Breach | None:
    given = input_of(subject, n)
    return unequal(subject, given, on.fresh(subject, given), on.bits(subject, given), "the last call's")


def neighbours(subject: Subject, on: Evaluations) -> Breach | None:
    """Every second row is replaced: by NaN, by infinities, by the largest numbers."""
    return worst([_among_others(subject, on, n) for n in lengths_of(subject, on.tier)])


def _among_others(subject: Subject, on: Evaluations, n: int) -> Breach | None:
    given, kept = input_of(subject, n), np.arange(0, ROWS, 2)
    before = on.bits(subject, given)[kept]
    after = on.bits(subject, given.with_logits(_loud(subject, given)))[kept]
    return unequal(subject, given.rows(kept), after, before, "those beside other rows")


def _loud(subject: Subject, given: Input) -> Bits:
    format, logits = subject.format, given.logits.copy()
    values = [*_LOUD, format.largest, -format.largest]
    if not subject.implementation.special_rows:
        values = [0.0, 1.0, -1.0]
    patterns = format.round_floats(np.array(values))
    for row in range(1, ROWS, 2):
        logits[row] = patterns[row // 2 % len(patterns)]
    return logits


def position(subject: Subject, on: Evaluations) -> Breach | None:
    """The rows of a batch are turned, so that each is in another place, and in another lane of a register."""
    return worst([_turned(subject, on, n, turn) for n in lengths_of(subject, on.tier) for turn in _TURNS])


def _turned(subject: Subject, on: Evaluations, n: int, turn: int) -> Breach | None:
    given = input_of(subject, n)
    order = np.roll(np.arange(ROWS), turn)
    found, expected = on.bits(subject, given.rows(order)), on.bits(subject, given)[order]
    if same_code(on, (subject, given.shape)):
        return unequal(subject, given.rows(order), found, expected, f"those {turn} rows before")
    return apart(subject, on, n, given.rows(order), found, expected, order)


def batch_size(subject: Subject, on: Evaluations) -> Breach | None:
    """The first row, and the first seven, alone."""
    sizes = (1,) if subject.compiles else (1, 7)
    return worst([_alone(subject, on, n, size) for n in lengths_of(subject, on.tier) for size in sizes])


def _alone(subject: Subject, on: Evaluations, n: int, size: int) -> Breach | None:
    given, order = input_of(subject, n), np.arange(size)
    few = given.rows(order)
    found, expected = on.bits(subject, few), on.bits(subject, given)[order]
    if same_code(on, (subject, given.shape), (subject, few.shape)):
        return unequal(subject, few, found, expected, f"those in a batch of {ROWS}")
    return apart(subject, on, n, few, found, expected, order)


def apart(
    subject: Subject,
    on: Evaluations,
    n: int,
    given: Input,
    found: Bits,
    expected: Bits,
    rows: Order | slice,
    columns: Order | slice = slice(None),
) -> Breach | None:
    """A breach where two evaluations of the same exact rows are farther apart than both may be from the truth.

    ``rows`` and ``columns`` are those of the mixed batch that were evaluated.
    """
    limit: Floats = limit_of(subject, mixed(subject.format_name, n), flushes=on.flushes(subject))[rows][:, columns]
    decode = subject.format.decode
    return beyond(subject, given, decode(found), decode(expected), 2 * limit, "by two evaluations of the same rows")


# How far apart two results for the same exact row may be.
TWICE = "L1, docs/theory.md 11: the bounds of both"

LAWS = (
    Law(
        "run to run", "P6", "the same call gives the same bits again", BITWISE, "a function of its argument", run_to_run
    ),
    Law(
        "neighbours",
        "P6",
        "a row's bits don't depend on the other rows of the batch, be they NaN, infinite or huge",
        BITWISE,
        "the same shape takes the same path, and each row is reduced by itself",
        neighbours,
    ),
    Law(
        "position",
        "P6",
        "a row's bits don't depend on its place in the batch, nor on its lane in a register",
        BITWISE_ON_ONE_PATH,
        "all rows take the same path, as paths.toml knows it",
        position,
        TWICE,
    ),
    Law(
        "batch size",
        "P6",
        "a row alone has the bits that it has in a batch",
        BITWISE_ON_ONE_PATH,
        "both batches take the same path, and no code is made for a shape",
        batch_size,
        TWICE,
        asked_of=lambda subject: subject.affords_shapes,
    ),
)
