"""The certification on adversarial rows: a small one that passes, faults that it finds, and what the rows are."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import click.testing
import mpmath
import numpy as np
import pytest

from references.bulk.batches import reference
from references.bulk.exact_pairs import Reference
from references.formats import BINARY32, BINARY64, FORMATS, Floats, Format, format_named
from references.functions import Function, Problem
from references.oracle.certified import Enclosure, accurate
from references.vocabulary import OPERATIONS, QUANTITIES
from suites.benchmarks import certification
from suites.benchmarks.adversarial import LENGTHS, LOGIT_KINDS, block, shape_of
from suites.benchmarks.certification import CertifiedFunction, certify, numbers_for, run

QUESTIONS = [
    CertifiedFunction(format, operation, quantity)
    for format in FORMATS
    for operation in OPERATIONS
    for quantity in QUANTITIES
]

every_format = pytest.mark.parametrize("format", list(FORMATS.values()), ids=list(FORMATS))


# -- a small one -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(len(QUESTIONS)), ids=map(str, QUESTIONS))
def test_the_bulk_reference_agrees_with_the_oracle_on_a_few_hundred_adversarial_elements(number: int) -> None:
    """Nine kinds and lengths for each question, others for the next."""
    tally = certify(QUESTIONS[number], range(9 * number, 9 * number + 9), 64)
    assert tally.elements > 200
    assert tally.shown == []
    assert tally.disagreements == 0


# -- faults ----------------------------------------------------------------------------------------------------------

Change = Callable[[Reference], Reference]


def planted(monkeypatch: pytest.MonkeyPatch, change: Change) -> None:
    def changed(*arguments: Any, **vectors: Any) -> Reference:
        return change(reference(*arguments, **vectors))

    monkeypatch.setattr(certification, "reference", changed)


def at_one_element(field: str, value: Callable[[float, Reference], float]) -> Change:
    """A change of one field of the second element of the first row."""

    def change(found: Reference) -> Reference:
        array = getattr(found, field).copy()
        array[0, 1] = value(array[0, 1], found)
        return dataclasses.replace(found, **{field: array})

    return change


# "gauss1", two logits.
PLAIN = next(
    k
    for k in range(len(LOGIT_KINDS) * len(LENGTHS))
    if block(BINARY32, k, 8).kind == "gauss1" and shape_of(k, 8) == (2, 2)
)


@pytest.mark.parametrize(
    "change",
    [
        at_one_element("hi", lambda hi, found: hi * (1 + 2.0**-40)),
        at_one_element("hi", lambda hi, found: -hi),
        at_one_element("hi", lambda hi, found: np.nan),
        at_one_element("hi", lambda hi, found: -np.inf),
        at_one_element("hi", lambda hi, found: 0.0),
        at_one_element("lo", lambda lo, found: lo + 3 * float(found.error[0, 1])),
        at_one_element("error", lambda error, found: error * 2.0**-40),
        at_one_element("exponent", lambda exponent, found: exponent + 1),
    ],
    ids=["hi", "sign", "nan", "infinite", "zero", "beyond its error", "too small an error", "exponent"],
)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_fault_in_one_element_is_counted_and_named(
    monkeypatch: pytest.MonkeyPatch, operation: str, change: Change
) -> None:
    planted(monkeypatch, change)
    tally = certify(CertifiedFunction("binary32", operation, "forward"), [PLAIN], 8)
    assert tally.disagreements == 1
    assert tally.shown[0].startswith(f"binary32 {operation} forward, gauss1, block {PLAIN} of 8: row 0, element 1: ")
    logits = BINARY32.decode(block(BINARY32, PLAIN, 8).logits)[0].tolist()
    assert tally.shown[0].endswith(f" of {logits[0].hex()} {logits[1].hex()}")


def test_a_wrong_rounding_of_a_right_value_is_a_disagreement(monkeypatch: pytest.MonkeyPatch) -> None:
    rounded = Format.round_pairs

    def one_up(self: Format, *pairs: Any) -> Any:
        bits, undecided = rounded(self, *pairs)
        return bits + 1, undecided

    monkeypatch.setattr(Format, "round_pairs", one_up)
    tally = certify(CertifiedFunction("binary32", "softmax", "forward"), [PLAIN], 8)
    assert tally.disagreements == tally.elements == 4
    assert "element 0: rounded to 0x" in tally.shown[0]


def test_masked_and_exact_elements_are_judged_by_their_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    masks = LOGIT_KINDS.index("masks")
    numbers = [k for k in range(masks, 11 * len(LOGIT_KINDS), len(LOGIT_KINDS)) if shape_of(k, 16)[1] > 2][:2]
    for operation, value in (("softmax", 2.0**-500), ("log_softmax", -1e300)):
        question = CertifiedFunction("binary64", operation, "forward")
        masked = sum(int(np.isneginf(BINARY64.decode(block(BINARY64, k, 16).logits)).sum()) for k in numbers)
        assert masked > 0
        assert certify(question, numbers, 16).disagreements == 0
        ruled = -np.inf if operation == "log_softmax" else 0.0

        def change(found: Reference, ruled: float = ruled, value: float = value) -> Reference:
            exact = (found.hi == ruled) & (found.error == 0)
            return dataclasses.replace(found, hi=np.where(exact, value, found.hi))

        with monkeypatch.context() as patch:
            planted(patch, change)
            assert certify(question, numbers, 16).disagreements >= masked


# -- the command -----------------------------------------------------------------------------------------------------


def test_the_command_prints_a_line_for_each_question_and_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["--elements", "100", "--format", "binary32", "--quantity", "forward"]
    ran = click.testing.CliRunner().invoke(certification.main, arguments)
    assert ran.exit_code == 0
    lines = ran.output.splitlines()
    assert lines[0].startswith("binary32 softmax forward ")
    assert lines[1].startswith("binary32 log_softmax forward ")
    assert lines[4].split() == ["softmax", "forward", "log_softmax", "forward"]
    assert lines[5].split() == ["binary32", "0", "/", "128", "0", "/", "128"]
    assert lines[-1].startswith("0 disagreements in 256 elements of ")


def test_the_command_ends_with_3_where_there_is_a_disagreement(monkeypatch: pytest.MonkeyPatch) -> None:
    planted(monkeypatch, lambda found: dataclasses.replace(found, hi=found.hi * (1 + 2.0**-30)))
    arguments = ["--elements", "200", "--format", "binary32", "--quantity", "forward", "--operation", "log_softmax"]
    ran = click.testing.CliRunner().invoke(certification.main, arguments)
    assert ran.exit_code == 3
    assert "is not within its error of" in ran.output


def test_finished_questions_are_not_asked_again_unless_the_reference_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[CertifiedFunction] = []

    def counted(question: CertifiedFunction, *rest: Any) -> certification.CertificationTally:
        asked.append(question)
        return certify(question, *rest)

    monkeypatch.setattr(certification, "certify", counted)
    first, second = QUESTIONS[8], QUESTIONS[12]
    keep, said = tmp_path / "kept.jsonl", list[str]()
    run([first], 100, 1, keep, said.append)
    with keep.open("a", encoding="utf-8") as stream:
        stream.write('{"question": {"format": "bina')
    keep.write_text(keep.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    both = run([first, second], 100, 1, keep, said.append)
    assert asked == [first, second]
    assert [tally.elements for tally in both.values()] == [128, 128]
    assert len(said) == 2
    run([first], 200, 1, keep, said.append)
    monkeypatch.setattr(certification, "fingerprint", lambda folder: "of changed sources")
    run([first], 100, 1, keep, said.append)
    assert asked == [first, second, first, first]
    assert {json.loads(line)["asked"] for line in keep.read_text(encoding="utf-8").splitlines() if "tally" in line} == {
        100,
        200,
    }


def test_several_processes_count_what_one_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certification, "_BLOCKS", 2)
    question = CertifiedFunction("bfloat16", "softmax", "vjp")
    one = run([question], 1500, 1, None, lambda line: None)[question]
    two = run([question], 1500, 2, None, lambda line: None)[question]
    counts = ("elements", "rows", "by_oracle", "disagreements", "shown")
    assert [getattr(one, name) for name in counts] == [getattr(two, name) for name in counts]


# -- the rows --------------------------------------------------------------------------------------------------------


def blocks(format: Format, kind: str, size: int = 64) -> list[Floats]:
    """The logits of one kind in its blocks of every length from 2."""
    first = LOGIT_KINDS.index(kind)
    numbers = range(first, first + len(LOGIT_KINDS) * len(LENGTHS), len(LOGIT_KINDS))
    return [format.decode(block(format, k, size).logits) for k in numbers if shape_of(k, size)[1] > 1]


@every_format
def test_every_kind_meets_every_length_in_rows_that_have_a_result(format: Format) -> None:
    met = set()
    for number in range(len(LOGIT_KINDS) * len(LENGTHS)):
        made = block(format, number, 4)
        logits, cotangent, tangent = (format.decode(v) for v in (made.logits, made.cotangent, made.tangent))
        assert logits.shape == cotangent.shape == tangent.shape == shape_of(number, 4)
        met.add((made.kind, logits.shape[1]))
        assert not (np.isnan(logits) | np.isposinf(logits)).any(), made.kind
        assert np.isfinite(logits).any(axis=1).all(), made.kind
        assert np.isfinite(cotangent).all(), made.kind
        assert np.isfinite(tangent).all(), made.kind
    assert met == {(kind, n) for kind in LOGIT_KINDS for n in LENGTHS}


def test_a_number_gives_the_same_bits_again_and_another_others() -> None:
    first, again, later = (block(BINARY64, number, 100) for number in (20, 20, 20 + len(LOGIT_KINDS) * len(LENGTHS)))
    assert first.kind == later.kind
    for name in ("logits", "cotangent", "tangent"):
        assert np.array_equal(getattr(first, name), getattr(again, name))
        assert not np.array_equal(getattr(first, name), getattr(later, name)[: len(first.logits)])


def test_as_many_blocks_are_taken_as_hold_the_elements() -> None:
    numbers = numbers_for(10_000)
    held = [rows * n for rows, n in (shape_of(k, 512) for k in numbers)]
    assert sum(held) >= 10_000 > sum(held[:-1])


@pytest.mark.parametrize("name", ["binary64", "binary32", "binary16"])
def test_a_softmax_near_a_midpoint_is_within_a_hundredth_of_an_ulp_of_it(name: str) -> None:
    """In rows of two; the logits far below in longer ones move it by what they are."""
    format = format_named(name)
    pairs = next(rows for rows in blocks(format, "softmax near a midpoint") if rows.shape[1] == 2)
    for row in pairs.tolist():
        (found,) = accurate(Problem("softmax", "forward", row), 100, [0])
        assert isinstance(found.value, Enclosure)
        with mpmath.workprec(400):
            half_places = found.value.lower * 2 ** (format.precision + (1 if row[0] > 0 else 2))
            nearest = mpmath.nint(half_places)
            assert abs(half_places - nearest) < 0.01
        assert int(nearest) % 2 == 1


@every_format
def test_differences_on_midpoints_are_half_way_between_two_numbers(format: Format) -> None:
    found = 0
    for rows in blocks(format, "differences on midpoints"):
        for row in rows.tolist():
            for low in row[1:]:
                difference = Fraction(low) - Fraction(row[0])
                steps = difference / format.ulp(difference)
                found += steps.denominator == 2
                assert steps.denominator <= 2
    assert found > 100


def vectors_of(format: Format, row_kind: int) -> list[tuple[Floats, Floats]]:
    """Logits and cotangents of the rows whose cotangent is of that kind among those that aim."""
    found = []
    for number in range(40):
        made = block(format, number, 64)
        chosen = (np.arange(len(made.logits)) + number) % 10 == row_kind
        found += list(zip(format.decode(made.logits)[chosen], format.decode(made.cotangent)[chosen], strict=True))
    return found


@pytest.mark.parametrize("row_kind", [0, 1], ids=["orthogonal", "levelled"])
def test_vectors_that_aim_at_a_row_cancel_in_its_gradient(row_kind: int) -> None:
    cancelled = rows = 0
    for logits, cotangent in vectors_of(BINARY64, row_kind):
        if len(logits) < 3 or not cotangent.any():
            continue
        rows += 1
        vjp = reference(Function("softmax", "vjp"), logits[None], BINARY64, cotangent=cotangent[None]).values()[0]
        s = reference(Function("softmax", "forward"), logits[None], BINARY64).values()[0]
        mean = abs(float((s * cotangent).sum()))
        scale = float((s * np.abs(cotangent)).sum())
        least = np.abs(vjp / np.where(s > 1e-300, s, np.inf))[s > 1e-300].min()
        cancelled += mean <= 2.0**-40 * scale or least <= 2.0**-40 * scale
    assert rows > 20
    assert cancelled >= 0.9 * rows
