"""An explained row as tables for the terminal and as JSON."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from rich import box
from rich.table import Table
from rich.text import Text

from references.bulk.exact_pairs import as_pair
from references.formats import Format
from references.oracle.certified import Certified
from references.vocabulary import OPERATIONS
from reports.console.tables import plain
from reports.facts.pairs import PAIRS
from reports.inspect.explain import ExplainedAnswer, Explanation
from reports.wording import shortened
from suites.implementations.catalogue import CATALOGUE

# Significant digits of a computed value on the terminal: enough to tell neighbours apart.
_SHOWN_DIGITS = {"binary64": 17, "binary32": 9, "binary16": 5, "bfloat16": 4}

# More columns than this don't fit a terminal; the JSON has them all.
_MOST_SHOWN = 6

# An exponent with its sign that is longer than this belongs to no format.
_LONGEST_EXPONENT = 7


def _error_text(answer: ExplainedAnswer, exact: list[Certified]) -> Text:
    error = max(answer.ulps)
    if error == math.inf:
        return Text(_kind(answer, exact), style="bold red")
    style = "green" if error <= 0.5 else "default" if error < 4 else "yellow" if error < 1000 else "bold red"
    return Text(f"{error:.3g} ulp{' *' if answer.own else ''}", style=style)


def _kind(answer: ExplainedAnswer, exact: list[Certified]) -> str:
    """What stands where a number should, or a number where none should: NaN if there is one, else the first."""
    bad = [place for place, error in enumerate(answer.ulps) if error == math.inf]
    values = [float(answer.values[place]) for place in bad]
    if any(map(math.isnan, values)):
        return "NaN"
    if math.isinf(values[0]):
        return "infinite"
    return "no NaN" if math.isnan(as_pair(exact[bad[0]])[0]) else "finite"


def _value_text(value: float, format: Format) -> str:
    value = float(value)
    if not math.isfinite(value) or value == 0:
        return repr(value)
    return f"{value:.{_SHOWN_DIGITS[format.name]}g}"


def _exact_text(exact: Certified, digits: int) -> str:
    """So many digits; of a number like 10^-260576689619480094281644 the size alone, or no other column has room."""
    text = exact.decimal(digits)
    return shortened(text) if len(text.partition("e")[2]) > _LONGEST_EXPONENT else text


def tables(explanation: Explanation) -> list[Table | Text]:
    """The row, a table of values and one of gradients for each operation, and what they come to in a sentence."""
    format, row = explanation.format, explanation.row
    values = format.decode(row)
    shown = list(range(min(row.size, _MOST_SHOWN)))
    head = ", ".join(f"{_value_text(values[i], format)} [{format.hexadecimal(row[i])}]" for i in shown)
    if row.size > _MOST_SHOWN:
        head += f", ... ({row.size} logits; the first {_MOST_SHOWN} are shown, --json has all)"
    parts: list[Table | Text] = [Text(f"x = {head}  in {format.name}\n")]
    for operation in OPERATIONS:
        gradient = f"gradient of {operation}(x)[{explanation.element}] with respect to x"
        for quantity, title in (("forward", f"{operation}(x)"), ("vjp", gradient)):
            parts.append(_table(explanation, operation, quantity, title, shown))
    parts += [Text(sentence) for sentence in (*_comparisons(explanation), *_own_answers(explanation))]
    parts += [plain(f"Not measured: {u.name}: {u.reason}.") for u in explanation.unmeasured]
    if explanation.left_out:
        parts.append(Text(f"--all shows {explanation.left_out} other ways to call the frameworks."))
    return parts


def _table(explanation: Explanation, operation: str, quantity: str, title: str, shown: list[int]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    table.add_column("what is called", no_wrap=True)
    for i in shown:
        table.add_column(f"[{i}]", justify="right", no_wrap=True)
    table.add_column("worst error", justify="right", no_wrap=True)
    exact = explanation.exact[operation, quantity]
    digits = _SHOWN_DIGITS[explanation.format.name] + 3
    table.add_row("exact", *(_exact_text(exact[i], digits) for i in shown), "", style="bold", end_section=True)
    for (answered, name, kind), answer in explanation.answers.items():
        if (answered, kind) != (operation, quantity):
            continue
        call = CATALOGUE[name].calls[operation]
        if isinstance(answer, str):
            table.add_row(call, *[""] * len(shown), answer)
        else:
            texts = (_value_text(answer.values[i], explanation.format) for i in shown)
            table.add_row(call, *texts, _error_text(answer, exact))
    return table


def _comparisons(explanation: Explanation) -> list[str]:
    """log(softmax(x)) against log_softmax(x), at the element where they differ most, for each framework."""
    sentences = []
    for _, composed, fused in PAIRS:
        for quantity, what in (("forward", "value"), ("vjp", "gradient")):
            answers = [explanation.answers.get(("log_softmax", name, quantity)) for name in (composed, fused)]
            if not all(isinstance(a, ExplainedAnswer) for a in answers):
                continue
            one, other = (a for a in answers if isinstance(a, ExplainedAnswer))
            i = int(np.argmax(one.ulps))
            if one.ulps[i] <= max(1.0, other.ulps[i]):
                continue
            calls = [CATALOGUE[name].calls["log_softmax"] for name in (composed, fused)]
            texts = [_value_text(a.values[i], explanation.format) for a in (one, other)]
            exact = _exact_text(explanation.exact["log_softmax", quantity][i], 9)
            sentences.append(f"{calls[0]} has {what} {texts[0]} at [{i}], {calls[1]} has {texts[1]}; exact is {exact}.")
    return sentences


def _own_answers(explanation: Explanation) -> list[str]:
    """Which frameworks have settled on another answer for such a row than the exact one, and were held to that."""
    owns = [a.own for a in explanation.answers.values() if isinstance(a, ExplainedAnswer) and a.own]
    texts = [
        f"* {own.framework} has its own answer for {own.operation} of such a row, and is held to that: {own.reason} "
        "(docs/special-values.md)."
        for own in owns
    ]
    return list(dict.fromkeys(texts))


def as_json(explanation: Explanation) -> dict[str, Any]:
    """The same as plain values: bits in hexadecimal, numbers as text, an ulp error of null where one is no number.

    An answer that is held to its framework's own contract in place of ``exact`` says so in ``own_contract``.
    """
    format = explanation.format

    def of_answer(answer: ExplainedAnswer | str) -> dict[str, Any]:
        if isinstance(answer, str):
            return {"error": answer}
        own = {"own_contract": answer.own.reason} if answer.own else {}
        return own | {
            "bits": [format.hexadecimal(b) for b in answer.bits.tolist()],
            "values": [repr(v) for v in answer.values.tolist()],
            "ulp_errors": [u if math.isfinite(u) else None for u in answer.ulps],
        }

    result: dict[str, Any] = {
        "format": format.name,
        "row": [format.hexadecimal(b) for b in explanation.row.tolist()],
        "row_values": [repr(v) for v in format.decode(explanation.row).tolist()],
        "gradient_of_element": explanation.element,
        "unmeasured": [{"framework": u.name, "reason": u.reason} for u in explanation.unmeasured],
        "operations": {},
    }
    for operation in OPERATIONS:
        found: dict[str, Any] = {
            "exact": {q: [c.decimal(30) for c in explanation.exact[operation, q]] for q in ("forward", "vjp")},
            "implementations": {},
        }
        for (answered, name, quantity), answer in explanation.answers.items():
            if answered == operation:
                entry = found["implementations"].setdefault(name, {"call": CATALOGUE[name].calls[operation]})
                entry[quantity] = of_answer(answer)
        result["operations"][operation] = found
    return result
