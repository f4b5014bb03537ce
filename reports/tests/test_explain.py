"""Explanations: one row through everything, against values worked out by hand."""

from __future__ import annotations

import io
import math
from dataclasses import replace
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest
from rich.console import Console

from references.formats import BFLOAT16, BINARY16, BINARY32, BINARY64, Format, FormatError
from references.functions import Function
from references.oracle.certified import Certified, Enclosure
from reports.inspect.explain import (
    ExplainedAnswer,
    ExplainError,
    Explanation,
    explained,
    parse_row,
    ulp_error,
)
from reports.inspect.explain_shown import as_json, tables
from suites.implementations.call import Call, Evaluator
from suites.implementations.catalogue import CATALOGUE, Implementation
from suites.inputs import special
from suites.inputs.batch import batch_of
from suites.scoring.output import judge_output

INF, NAN = math.inf, math.nan


@pytest.fixture
def numpy_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """No framework: compiling costs seconds, and the formulas show the same."""
    recipes = {name: i for name, i in CATALOGUE.items() if i.framework == "numpy"}
    monkeypatch.setattr("reports.inspect.explain.CATALOGUE", recipes)


def explain(*logits: object, format: str = "binary32", element: int | None = None) -> Explanation:
    return explained(tuple(map(str, logits)), format, element)


def values(explanation: Explanation, operation: str, name: str, quantity: str = "forward") -> list[float]:
    answer = explanation.answers[operation, name, quantity]
    assert isinstance(answer, ExplainedAnswer)
    return [float(v) for v in answer.values]


def ulps(explanation: Explanation, operation: str, name: str, quantity: str = "forward") -> list[float]:
    answer = explanation.answers[operation, name, quantity]
    assert isinstance(answer, ExplainedAnswer)
    return answer.ulps


def shown(explanation: Explanation) -> str:
    """What the terminal gets."""
    console = Console(file=io.StringIO(), width=140)
    for part in tables(explanation):
        console.print(part)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


# -- the row ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "format", "bits"),
    [
        ("0.1", BINARY64, 0x3FB999999999999A),
        ("0.1", BINARY32, 0x3DCCCCCD),
        ("0.1", BINARY16, 0x2E66),
        ("0.1", BFLOAT16, 0x3DCD),
        # Numbers of bfloat16 near 1.01 are 129/128 and 130/128.
        ("1.01", BFLOAT16, 0x3F81),
        ("0x1.8p3", BINARY32, 0x41400000),
        ("-0X1P-149", BINARY32, 0x80000001),
        ("1e39", BINARY32, 0x7F800000),
        ("65519.9", BINARY16, 0x7BFF),
        ("65520", BINARY16, 0x7C00),
        ("-0", BINARY32, 0x80000000),
        ("-inf", BFLOAT16, 0xFF80),
        ("nan", BINARY32, 0x7FC00000),
    ],
)
def test_a_logit_is_rounded_to_the_format(text: str, format: Format, bits: int) -> None:
    assert parse_row((text,), format).tolist() == [bits]


@pytest.mark.parametrize("text", ["", "two", "1,5", "0x", "0xg", "1e", "--1", "0x1p99999"])
def test_what_is_no_number_is_refused_with_the_remedy(text: str) -> None:
    with pytest.raises(ExplainError) as error:
        parse_row(("1", text), BINARY32)
    assert str(error.value) == f"{text!r} is no number; write decimals, hexadecimal floats, inf, -inf or nan"


def test_an_empty_row_is_refused() -> None:
    with pytest.raises(ExplainError, match="^an empty row; give at least one logit$"):
        parse_row((), BINARY32)


@pytest.mark.parametrize("name", ["float32", "float8_e5m2", "float8_e4m3fn"])
def test_a_format_that_nothing_is_measured_in_is_refused(name: str) -> None:
    with pytest.raises(FormatError, match=f"unknown format '{name}'; known are binary64, binary32, binary16, bfloat16"):
        explain(1, 2, format=name)


@pytest.mark.usefixtures("numpy_only")
@pytest.mark.parametrize(
    ("logits", "element"),
    [((3, 1, 2), 1), ((1, 1), 0), ((5, "-inf", 2), 2), (("nan", "inf", -7), 2), (("-inf", "-inf"), 0)],
)
def test_the_gradient_shown_is_that_of_the_smallest_finite_logit(logits: tuple[object, ...], element: int) -> None:
    assert explain(*logits).element == element


@pytest.mark.usefixtures("numpy_only")
def test_another_element_can_be_asked_for() -> None:
    # The gradient of log_softmax([0, 0])[1] is [0, 1] - 1/2.
    assert values(explain(0, 0, element=1), "log_softmax", "numpy/shifted", "vjp") == [-0.5, 0.5]
    for element in (2, -1):
        with pytest.raises(ExplainError, match=f"--element {element} is not in a row of 2; count from 0"):
            explain(0, 0, element=element)


# -- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "exact", "format", "error"),
    [
        (1.0, Fraction(1), BINARY32, 0.0),
        (1 + 2.0**-23, Fraction(1), BINARY32, 1.0),
        (1 - 2.0**-24, Fraction(1), BINARY32, 0.5),
        (1 - 2.0**-11, Fraction(1), BINARY16, 0.5),
        # Just below 1 the ulp is 2**-24.
        (1.0, 1 - Fraction(1, 2**30), BINARY32, 2.0**-6),
        # 11184811 / 2**25 is (2**25 + 1) / 3 / 2**25, a third of an ulp above 1/3.
        (11184811 * 2.0**-25, Fraction(1, 3), BINARY32, 1 / 3),
        (2.0**-149, Fraction(0), BINARY32, 1.0),
        (2.0**-24, Fraction(0), BINARY16, 1.0),
        (0.0, Fraction(3, 2**150), BINARY32, 1.5),
        (-0.0, Fraction(0), BINARY32, 0.0),
        (-1.0, Fraction(1), BINARY64, 2.0**53),
        (INF, Fraction(1), BINARY32, INF),
        (NAN, Fraction(1), BINARY32, INF),
        (-INF, -INF, BINARY32, 0.0),
        (-1000.0, -INF, BINARY32, INF),
        (INF, -INF, BINARY32, INF),
        (NAN, NAN, BINARY32, 0.0),
        (0.0, NAN, BINARY32, INF),
    ],
)
def test_an_error_is_counted_in_ulps_of_the_exact_value(
    value: float, exact: Fraction | float, format: Format, error: float
) -> None:
    assert ulp_error(value, Certified(exact, 0), format) == error


def test_an_error_against_an_enclosure_is_taken_from_its_middle() -> None:
    with mpmath.workprec(200):
        middle, radius = mpmath.mpf(3) / 2, mpmath.ldexp(1, -150)
        enclosure = Enclosure(middle - radius, middle + radius)
    assert ulp_error(1.5 + 2.0**-22, Certified(enclosure, 200), BINARY32) == pytest.approx(2.0, abs=1e-12)


@pytest.mark.parametrize(
    ("exact", "text"), [(Fraction(1, 3), "0.3333333333"), (Fraction(-1000), "-1000.0"), (-INF, "-inf"), (NAN, "nan")]
)
def test_an_exact_value_is_shown_to_the_digits_asked_for(exact: Fraction | float, text: str) -> None:
    assert Certified(exact, 0).decimal(10) == text


# -- log(softmax(x)) beside log_softmax(x) ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("framework", "composed", "fused"),
    [
        ("torch", "torch/log-of-softmax", "torch/eager"),
        ("jax", "jax/log-of-softmax", "jax/jit"),
        ("numpy", "numpy/log-of-softmax", "numpy/shifted"),
    ],
)
def test_0_1000_shows_minus_infinity_beside_minus_1000_and_a_gradient_of_nan_beside_one(
    framework: str, composed: str, fused: str
) -> None:
    pytest.importorskip(framework)
    explanation = explain(0, 1000)
    assert values(explanation, "log_softmax", fused) == [-1000.0, 0.0]
    assert values(explanation, "log_softmax", composed)[0] == -INF
    assert values(explanation, "log_softmax", fused, "vjp") == [1.0, -1.0]
    assert all(math.isnan(v) for v in values(explanation, "log_softmax", composed, "vjp"))
    assert max(ulps(explanation, "log_softmax", fused)) < 1e-6
    assert ulps(explanation, "log_softmax", composed)[0] == INF
    assert [c.decimal(9) for c in explanation.exact["log_softmax", "forward"]] == ["-1000.0", "-5.0759589e-435"]
    assert [c.decimal(9) for c in explanation.exact["log_softmax", "vjp"]] == ["1.0", "-1.0"]
    calls = [CATALOGUE[name].calls["log_softmax"] for name in (composed, fused)]
    text = shown(explanation)
    assert f"{calls[0]} has value -inf at [0], {calls[1]} has -1000; exact is -1000.0." in text
    assert f"{calls[0]} has gradient nan at [0], {calls[1]} has 1; exact is 1.0." in text


@pytest.mark.usefixtures("numpy_only")
def test_a_tame_row_gives_no_sentence_about_the_difference() -> None:
    text = shown(explain(0, 1))
    assert "exact is" not in text
    assert text.count("x - logsumexp(x)") == 2


# -- special rows ----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("numpy_only")
@pytest.mark.parametrize("row", [("nan", 0), ("inf", 0), ("inf", "-inf"), ("-inf", "-inf")])
def test_a_row_that_is_nan_by_contract_has_no_error_where_the_answer_is_nan(row: tuple[object, ...]) -> None:
    explanation = explain(*row)
    for operation in ("softmax", "log_softmax"):
        assert all(math.isnan(v) for v in values(explanation, operation, "numpy/shifted"))
        assert ulps(explanation, operation, "numpy/shifted") == [0.0, 0.0]
        for quantity in ("forward", "vjp"):
            assert [c.decimal(9) for c in explanation.exact[operation, quantity]] == ["nan", "nan"]


@pytest.mark.usefixtures("numpy_only")
def test_a_masked_logit_has_zero_softmax_and_minus_infinite_logarithm() -> None:
    explanation = explain("-inf", 0, 0)
    assert values(explanation, "softmax", "numpy/shifted") == [0.0, 0.5, 0.5]
    assert values(explanation, "log_softmax", "numpy/shifted")[0] == -INF
    assert ulps(explanation, "log_softmax", "numpy/shifted")[0] == 0.0
    assert values(explanation, "softmax", "numpy/shifted", "vjp") == [0.0, 0.25, -0.25]


# -- what can't be measured ------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("numpy_only")
def test_a_missing_framework_is_reported_and_the_others_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "reports.inspect.explain.CATALOGUE", {n: CATALOGUE[n] for n in ("torch/eager", "numpy/shifted")}
    )
    monkeypatch.setattr(
        "reports.inspect.explain.why_not_measured",
        lambda name: "torch is not installed" if name == "torch" else None,
    )
    explanation = explain(0, 1)
    assert {name for _, name, _ in explanation.answers} == {"numpy/shifted"}
    assert "Not measured: torch: torch is not installed." in shown(explanation)
    assert as_json(explanation)["unmeasured"] == [{"framework": "torch", "reason": "torch is not installed"}]


@pytest.mark.usefixtures("numpy_only")
def test_a_refusal_of_one_implementation_is_shown_in_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(implementation: Implementation) -> Evaluator:
        def evaluate(call: Call) -> Any:
            raise NotImplementedError("no such kernel\nsee the manual")

        return evaluate if implementation.name == "numpy/naive" else implementation.evaluator()

    monkeypatch.setattr("reports.inspect.explain.evaluator_of", refusing)
    explanation = explain(0, 1)
    assert explanation.answers["softmax", "numpy/naive", "forward"] == "NotImplementedError: no such kernel"
    assert "NotImplementedError: no such kernel" in shown(explanation)
    found = as_json(explanation)["operations"]["softmax"]["implementations"]
    assert found["numpy/naive"]["forward"] == {"error": "NotImplementedError: no such kernel"}
    assert found["numpy/shifted"]["forward"]["values"][0].startswith("0.268941")


# -- showing ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("numpy_only")
def test_the_rounded_row_is_shown_in_decimals_and_bits() -> None:
    assert shown(explain("0.1", "-1000", format="binary16")).startswith("x = 0.099976 [0x2e66], -1000 [0xe3d0]  in ")


@pytest.mark.usefixtures("numpy_only")
def test_a_long_row_is_shown_in_part_and_complete_in_the_json() -> None:
    explanation = explain(*range(8))
    text = shown(explanation)
    assert "... (8 logits; the first 6 are shown, --json has all)" in " ".join(text.split())
    header = next(line for line in text.splitlines() if "what is called" in line)
    assert [word for word in header.split() if word.startswith("[")] == ["[0]", "[1]", "[2]", "[3]", "[4]", "[5]"]
    assert len(as_json(explanation)["operations"]["softmax"]["exact"]["forward"]) == 8


@pytest.mark.usefixtures("numpy_only")
def test_the_json_has_bits_values_and_thirty_digits() -> None:
    found = as_json(explain(1, 0, element=0))
    assert found["format"] == "binary32"
    assert found["row"] == ["0x3f800000", "0x00000000"]
    assert found["row_values"] == ["1.0", "0.0"]
    assert found["gradient_of_element"] == 0
    softmax = found["operations"]["softmax"]
    assert softmax["exact"]["forward"] == ["0.731058578630004879251159241822", "0.268941421369995120748840758178"]
    shifted = softmax["implementations"]["numpy/shifted"]
    assert shifted["call"] == CATALOGUE["numpy/shifted"].calls["softmax"]
    for quantity in ("forward", "vjp"):
        answer = shifted[quantity]
        assert [len(bits) for bits in answer["bits"]] == [10, 10]
        assert max(answer["ulp_errors"]) < 4
    # s (1 - s) and its negative, 0.19661193...
    assert [float(v) for v in shifted["vjp"]["values"]] == pytest.approx([0.19661193, -0.19661193], rel=1e-6)


@pytest.mark.usefixtures("numpy_only")
@pytest.mark.parametrize(
    ("logits", "operation", "name", "texts"),
    [
        ((0, 1000), "log_softmax", "numpy/shifted", ("-1000", "0 ulp")),
        ((0, 1000), "log_softmax", "numpy/log-of-softmax", ("-inf", "NaN")),
        ((0, 104), "log_softmax", "numpy/log-of-softmax", ("-inf", "NaN")),
        ((-104, 0), "log_softmax", "numpy/log-of-softmax", ("-inf", "infinite")),
    ],
)
def test_an_error_that_is_no_number_is_shown_by_its_kind(
    logits: tuple[object, ...], operation: str, name: str, texts: tuple[str, str]
) -> None:
    lines = shown(explain(*logits)).splitlines()
    start = lines.index(next(line for line in lines if line.startswith(f"{operation}(x)")))
    line = next(line for line in lines[start:] if CATALOGUE[name].calls[operation] in line)
    assert texts[0] in line
    assert line.rstrip().endswith(texts[1])


# -- the other ways to call a framework ------------------------------------------------------------------------------


def test_the_main_implementations_are_shown_and_the_others_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    chosen = ("torch/eager", "torch/_masked_softmax", "torch/bfloat16-to-binary32", "torch/out")
    monkeypatch.setattr("reports.inspect.explain.CATALOGUE", {name: CATALOGUE[name] for name in chosen})
    main = explain(0, 1)
    assert {name for _, name, _ in main.answers} == {"torch/eager"}
    # What takes bfloat16 numbers alone takes no arbitrary binary32 row.
    assert main.left_out == 2
    assert "--all shows 2 other ways to call the frameworks." in shown(main)
    every = explained(("0", "1"), "binary32", None, every=True)
    assert {name for _, name, _ in every.answers} == {"torch/eager", "torch/_masked_softmax", "torch/out"}
    assert every.left_out == 0
    assert "--all" not in shown(every)


def test_what_can_not_be_measured_here_is_named_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("scipy")
    pytest.importorskip("torch")
    monkeypatch.delenv("SCIPY_ARRAY_API", raising=False)
    chosen = ("scipy", "scipy/torch-arrays")
    monkeypatch.setattr("reports.inspect.explain.CATALOGUE", {name: CATALOGUE[name] for name in chosen})
    explanation = explained(("0", "1"), "binary32", None, every=True)
    reason = "needs SCIPY_ARRAY_API=1 in the environment before Python starts"
    assert [(u.name, u.reason) for u in explanation.unmeasured] == [("scipy/torch-arrays", reason)]
    assert f"Not measured: scipy/torch-arrays: {reason}." in shown(explanation)
    assert as_json(explanation)["unmeasured"] == [{"framework": "scipy/torch-arrays", "reason": reason}]


# -- special rows ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "exact", "error"),
    [
        (-INF, Fraction(-6 * 10**38), 0.0),  # beyond the next binade no number is nearer
        (-INF, -Fraction(2**128), 0.0),
        (-INF, -(Fraction(2**128) - Fraction(2**103)), 0.5),  # on the edge of rounding to infinity
        (-INF, -Fraction(2**127), INF),
        (INF, Fraction(-6 * 10**38), INF),
        (NAN, Fraction(-6 * 10**38), INF),
    ],
)
def test_an_infinity_is_an_error_only_where_the_exact_value_does_not_round_to_it(
    value: float, exact: Fraction, error: float
) -> None:
    assert ulp_error(value, Certified(exact, 0), BINARY32) == error


@pytest.mark.parametrize("format", ["binary64", "binary32", "binary16"])
@pytest.mark.parametrize("n", [1, 2, 3, 17])
def test_a_special_row_is_wrong_here_where_measuring_finds_it_wrong(
    monkeypatch: pytest.MonkeyPatch, format: str, n: int
) -> None:
    chosen = {name: i for name, i in CATALOGUE.items() if i.framework in ("numpy", "scipy")}
    monkeypatch.setattr("reports.inspect.explain.CATALOGUE", chosen)
    batch, checked = batch_of(special.FAMILY, format, len(special.rows_of_length(n)), n), 0
    for number, logits in enumerate(batch.values.tolist()):
        found = explained(tuple(map(repr, logits)), format, None, every=True)
        for (operation, name, quantity), answer in found.answers.items():
            if quantity == "forward" and isinstance(answer, ExplainedAnswer):
                tiled = np.tile(answer.bits, (len(batch.values), 1))
                one = replace(batch, logits=np.tile(batch.logits[number], (len(batch.values), 1)))
                judged = judge_output(
                    one, Function(operation, quantity), tiled, framework=chosen[name].framework, flushes=False
                )
                off = {"finite_for_infinite", "finite_for_nan", "infinite_for_finite", "nan_for_number"}
                assert (INF in answer.ulps) == bool(off & set(judged.statistics.outcomes)), (name, operation, logits)
                checked += 1
    assert checked > 100 or n == 1


@pytest.mark.parametrize("row", [("inf", "0"), ("0", "inf", "7"), ("1", "inf", "-inf", "inf", "2.5")])
def test_scipys_own_answer_to_a_row_with_an_infinity_is_shown_and_not_called_wrong(
    monkeypatch: pytest.MonkeyPatch, row: tuple[str, ...]
) -> None:
    pytest.importorskip("scipy")
    monkeypatch.setattr("reports.inspect.explain.CATALOGUE", {"scipy": CATALOGUE["scipy"]})
    explanation = explain(*row)
    assert set(ulps(explanation, "log_softmax", "scipy")) == {0.0}
    text = " ".join(shown(explanation).split())
    assert "0 ulp *" in text
    assert "* scipy has its own answer for log_softmax of such a row, and is held to that: an infinite maximum" in text
    found = as_json(explanation)["operations"]["log_softmax"]["implementations"]["scipy"]["forward"]
    assert found["own_contract"].startswith("an infinite maximum is not subtracted")
    assert found["ulp_errors"] == [0.0] * len(row)
    # Beside a NaN it has no answer of its own.
    assert "own_contract" not in str(as_json(explain(*row, "nan")))


@pytest.mark.usefixtures("numpy_only")
def test_what_should_be_nan_and_is_a_number_is_called_that() -> None:
    assert "no NaN" in shown(explain("inf", 0))


@pytest.mark.usefixtures("numpy_only")
def test_a_size_that_no_format_has_leaves_the_other_columns_their_room() -> None:
    text = shown(explain("3e38", "-3e38"))
    assert "-10^-2.606e38" in text
    assert "…" not in text


ROWS = (
    "inf 0",
    "-inf -inf",
    "nan 0",
    "1e308 -1e308",
    "5e-324 0",
    "1e-310 1e-320 0",
    "65504 -65504",
    "0 -745",
    "-inf 0",
)


@pytest.mark.filterwarnings("error")
@pytest.mark.usefixtures("numpy_only")
@pytest.mark.parametrize("format", ["binary64", "binary32", "binary16", "bfloat16"])
@pytest.mark.parametrize("row", ROWS)
def test_no_row_brings_a_warning(row: str, format: str) -> None:
    explanation = explain(*row.split(), format=format)
    tables(explanation)
    assert not [answer for answer in explanation.answers.values() if isinstance(answer, str)]
