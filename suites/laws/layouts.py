"""P3, P11: the same rows in another place of memory, along another axis, or by another call, have the same result."""

from __future__ import annotations

from dataclasses import replace

from suites.implementations.catalogue import CATALOGUE, framework_named
from suites.laws.comparing import unequal
from suites.laws.evaluation import Evaluations
from suites.laws.independence import TWICE, apart
from suites.laws.inputs import ROWS, input_of, lengths_of
from suites.laws.law import BITWISE_ON_ONE_PATH, Breach, Law, worst
from suites.laws.same_path import same_code
from suites.laws.subjects import AXES, Subject, is_usual, memory_layouts

# The row length whose rows meet every storage offset: no alignment is left in them.
_OFFSETS_AT = 33


def memory(subject: Subject, on: Evaluations) -> Breach | None:
    """Strides and offsets that leave the shape alone."""
    places = [name for name in memory_layouts(subject) if name not in AXES]
    offsets = [name for name in places if name.startswith("offset")]
    few = [name for name in places if name not in offsets[1:]]
    every = bool(subject.implementation.main or subject.implementation.own or on.tier == "deep")
    lengths = lengths_of(subject, on.tier)
    return worst(
        [_placed(subject, on, n, name) for n in lengths for name in (places if every and n == _OFFSETS_AT else few)]
    )


def _placed(subject: Subject, on: Evaluations, n: int, layout: str) -> Breach | None:
    return _agrees(replace(subject, layout=layout), subject, on, n, "those of rows that are contiguous")


def axis(subject: Subject, on: Evaluations) -> Breach | None:
    """The reduced axis is another than the last."""
    last = replace(subject, layout="last")
    return worst([_agrees(subject, last, on, n, "those along the last axis") for n in lengths_of(subject, on.tier)])


def call(subject: Subject, on: Evaluations) -> Breach | None:
    """The framework's usual call; one that hands its rows to the last axis takes the usual one's path along it."""
    usual = replace(subject, implementation=CATALOGUE[framework_named(subject.framework).usual])
    return worst([_called(subject, usual, on, n) for n in lengths_of(subject, on.tier)])


def _called(subject: Subject, usual: Subject, on: Evaluations, n: int) -> Breach | None:
    last, shape = replace(usual, layout="last"), (ROWS, n)
    if not same_code(on, (subject, shape), (usual, shape)) and same_code(on, (subject, shape), (last, shape)):
        usual = last
    return _agrees(subject, usual, on, n, f"those of {usual.key}")


def _agrees(subject: Subject, other: Subject, on: Evaluations, n: int, what: str) -> Breach | None:
    given = input_of(subject, n)
    found, expected = on.bits(subject, given), on.bits(other, given)
    if same_code(on, (subject, given.shape), (other, given.shape)):
        return unequal(subject, given, found, expected, what, signed_zeros=False)
    return apart(subject, on, n, given, found, expected, slice(None))


def _has_memory(subject: Subject) -> bool:
    return subject.layout == "last" and len(memory_layouts(subject)) > len(AXES)


def _is_other_axis(subject: Subject) -> bool:
    return subject.layout != "last"


def _is_other_call(subject: Subject) -> bool:
    framework = framework_named(subject.framework)
    if subject.implementation.own or is_usual(subject.implementation) or not framework.calls_agree:
        return False
    return CATALOGUE[framework.usual].supports(subject.operation, subject.quantity, subject.format_name)


LAWS = (
    Law(
        "memory",
        "P3",
        "strides, storage offset, and what lies between the rows don't change the bits",
        BITWISE_ON_ONE_PATH,
        "the kernels see contiguous rows, or walk them in the same order",
        memory,
        TWICE,
        _has_memory,
    ),
    Law(
        "axis",
        "P3",
        "a row has the same result along every axis",
        BITWISE_ON_ONE_PATH,
        "both are within the bound of the same exact row",
        axis,
        TWICE,
        _is_other_axis,
    ),
    Law(
        "call",
        "P3, P11",
        "another call of a framework, compiled or mapped or with `out=`, has the result of its usual one",
        BITWISE_ON_ONE_PATH,
        "it ends in the same kernels; a compiler promises the bound alone",
        call,
        TWICE,
        _is_other_call,
    ),
)
