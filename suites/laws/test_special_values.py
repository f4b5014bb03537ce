"""P7: special values by the written contract, in every format, layout and width, and the contract by the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from suites.inputs import special
from suites.inputs.special_table import contract_table
from suites.plan.cell import Cell
from suites.plan.cells import PROFILE
from suites.session import Session, failure_text

_DOCUMENT = Path(__file__).parents[2] / "docs" / "special-values.md"
_LIBRARIES = ("torch/eager", "jax/eager", "jax/jit", "scipy")


def test_the_document_shows_the_contract_that_judges() -> None:
    written = re.search(r"<!-- contract: begin -->\n(.*)\n<!-- contract: end -->", _DOCUMENT.read_text(), re.DOTALL)
    assert written is not None
    assert written[1] == contract_table()


def test_every_framework_with_an_answer_of_its_own_is_named_in_the_document() -> None:
    text = _DOCUMENT.read_text()
    for own in special.OWN_ANSWERS:
        assert f"**{own.framework}**" in text
        assert set(own.rows) <= {row.name for row in special.ROWS}


@pytest.mark.parametrize("layout", ["last", "inner", "column"])
@pytest.mark.parametrize("name", _LIBRARIES)
def test_no_special_row_is_off_contract(session: Session, name: str, layout: str) -> None:
    implementation = session.by_name.get(name)
    if implementation is None:
        pytest.skip(f"{name} is not selected")
    found = []
    for operation in implementation.calls:
        for format in ("binary32", "binary16"):
            cell = Cell(name, PROFILE, operation, "forward", format, layout, special.FAMILY, 3)
            reason = session.missing(cell)
            if reason:
                pytest.skip(reason)
            measurement = session.measure(cell)
            defect = session.defect(cell)
            known = defect is not None and defect.law == "P7"  # whose cells are held against what was recorded
            if measurement.judgement.verdict == "wrong" and not known:
                found.append(failure_text(measurement, "the contract"))
    assert found == []
