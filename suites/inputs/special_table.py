"""The special-value contract as a Markdown table, from the code that judges by it."""

from __future__ import annotations

import math

from references.bulk.batches import reference
from references.bulk.exact_pairs import Reference
from references.formats import BINARY32
from references.functions import Function
from suites.inputs import special

_N = 3
_OPERATIONS = ("softmax", "log_softmax")


def _text(value: float) -> str:
    if not math.isfinite(value):
        return {"nan": "NaN"}.get(str(value), str(value))
    return "0" if value == 0 else f"{value:.4g}"


def _vector(values: list[float]) -> str:
    return f"[{', '.join(_text(v) for v in values)}]"


def _row(values: Reference, index: int) -> str:
    bits, _ = BINARY32.round_pairs(values.hi, values.lo, values.exponent)
    return _vector(BINARY32.decode(bits)[index].tolist())


def contract_table() -> str:
    """A row for each special row of three binary32 logits: what each operation gives, and who answers otherwise."""
    logits = BINARY32.decode(special.logits_of(BINARY32, _N))
    general = {o: reference(Function(o, "forward"), logits, BINARY32) for o in _OPERATIONS}
    frameworks = sorted({own.framework for own in special.OWN_ANSWERS})
    head = ["row", "logits", *_OPERATIONS, *frameworks]
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    for index, row in enumerate(special.rows_of_length(_N)):
        cells = [row.name, _vector(logits[index].tolist())]
        cells += [_row(general[o], index) for o in _OPERATIONS]
        for framework in frameworks:
            differing = []
            for operation in _OPERATIONS:
                if special.own_answer(framework, operation, "forward", logits[index].tolist()):
                    own = special.apply_contract(general[operation], framework, operation, "forward", logits)
                    differing.append(f"{operation} {_row(own, index)}")
            cells.append("; ".join(differing) or "the same")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
