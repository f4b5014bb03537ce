"""Lost cells are grouped by what they ask, from their fields, never from what an exception says."""

from __future__ import annotations

import itertools
from dataclasses import replace

from reports.measure.loop import Lost
from reports.measure.losses import inabilities
from reports.run.records import Record
from reports.tests.synthetic import record
from suites.plan.cell import Cell

QUANTITIES, FORMATS, LAYOUTS = ("forward", "vjp", "jvp"), ("binary32", "bfloat16"), ("last", "inner", "column")
CELLS = [
    replace(record().cell, quantity=quantity, format=format, layout=layout)
    for quantity, format, layout in itertools.product(QUANTITIES, FORMATS, LAYOUTS)
]


def kept(cells: list[Cell]) -> list[Record]:
    return [record(quantity=c.quantity, format=c.format, layout=c.layout) for c in cells]


def refused(cell: Cell) -> Lost:
    return Lost(cell, f"ValueError: {cell.quantity} {cell.layout}", refused=True)


def test_a_quantity_an_axis_and_a_format_are_reported_in_a_line_each() -> None:
    can = [c for c in CELLS if c.quantity != "jvp" and c.layout == "last" and c.format == "binary32"]
    lost = [refused(c) for c in CELLS if c not in can]
    found = {i.field: (i.words, i.left) for i in inabilities(lost, kept(can))}
    assert found == {
        "quantity": (("jvp",), ("forward", "vjp")),
        "format": (("bfloat16",), ("binary32",)),
        "layout": (("inner", "column"), ("last",)),
    }
    explained = [one for i in inabilities(lost, kept(can)) for one in i.lost]
    assert sorted(one.cell for one in explained) == sorted(one.cell for one in lost)


def test_one_reason_is_enough_for_cells_that_share_it() -> None:
    lost = [refused(c) for c in CELLS if c.quantity == "jvp"]
    (found,) = inabilities(lost, kept([c for c in CELLS if c.quantity != "jvp"]))
    name = lost[0].cell.implementation
    assert found.text == (
        f"6 cells need jvp, which {name} does not support (ValueError: jvp last, and 2 other reasons); "
        "leave them out with --quantity forward --quantity vjp"
    )


def test_what_works_somewhere_is_no_inability() -> None:
    lost = [refused(c) for c in CELLS if c.quantity == "jvp" and c.format == "bfloat16"]
    assert inabilities(lost, kept([c for c in CELLS if c not in [one.cell for one in lost]])) == []


def test_a_crash_or_a_version_without_it_or_a_kernel_that_never_works_is_none() -> None:
    jvp, others = [c for c in CELLS if c.quantity == "jvp"], kept([c for c in CELLS if c.quantity != "jvp"])
    assert inabilities([Lost(c, "the worker was ended by SIGSEGV") for c in jvp], others) == []
    assert inabilities([Lost(c, "no such function", unsupported=True, refused=True) for c in jvp], others) == []
    assert inabilities([Lost(c, "OSError: no such file") for c in jvp], others) == []
    assert inabilities([refused(c) for c in CELLS], []) == []
