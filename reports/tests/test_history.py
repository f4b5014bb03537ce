"""Errors over versions: the order of columns, what counts as moved, the charts' geometry, and the pages."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from reports.compare.pairing import stored
from reports.console.exits import INCOMPLETE, OK, USAGE
from reports.history.chart import HEIGHT, WIDTH, panel, sparkline
from reports.history.page import MOST_CELLS, MOST_GROUPS, page_of
from reports.history.timeline import Timeline, timelines_of
from reports.run.records import Run
from reports.tests.conftest import Command
from reports.tests.synthetic import Line, cell, line, write_run


def bits(number: int) -> dict[str, Any]:
    return {"output_sha256": f"{number:064d}"}


def timelines(tmp_path: Path, *runs: list[Line]) -> tuple[Timeline, ...]:
    return timelines_of([stored(write_run(tmp_path / f"run{n}", lines)) for n, lines in enumerate(runs)])


# -- the timeline ----------------------------------------------------------------------------------------------------


def test_columns_are_in_the_order_of_versions_not_of_words_or_arguments(tmp_path: Path) -> None:
    runs = [[line(cell(), version=version)] for version in ("2.10.0", "2.9.1", "2.9.0+cpu")]
    (timeline,) = timelines(tmp_path, *runs)
    assert timeline.labels == ("2.9.0+cpu", "2.9.1", "2.10.0")


def test_runs_of_one_version_keep_their_order_and_are_named(tmp_path: Path) -> None:
    (timeline,) = timelines(tmp_path, [line(cell())], [line(cell())], [line(cell(), version="2.8.0")])
    assert timeline.labels == ("2.8.0", "2.9.0 (run0)", "2.9.0 (run1)")


def test_each_framework_has_its_own_columns(tmp_path: Path) -> None:
    numpy = cell(implementation="numpy/naive")
    found = timelines(tmp_path, [line(cell()), line(numpy, version="2.4.0")], [line(numpy, version="1.26.4")])
    assert [(t.framework, t.labels) for t in found] == [("torch", ("2.9.0",)), ("numpy", ("1.26.4", "2.4.0"))]


def test_a_missing_cell_and_another_input_are_gaps(tmp_path: Path) -> None:
    (timeline,) = timelines(
        tmp_path,
        [line(cell(0), version="1"), line(cell(1), version="1", input_sha256="9" * 64)],
        [line(cell(1), version="2")],
        [line(cell(0), version="3"), line(cell(1), version="3")],
    )
    assert [[p is not None for p in s.points] for s in timeline.cells] == [[True, False, True], [False, True, True]]


def test_the_worst_of_a_group_is_over_the_cells_that_all_columns_have(tmp_path: Path) -> None:
    (timeline,) = timelines(
        tmp_path,
        [line(cell(0), [4.0], version="1", verdict="stable"), line(cell(1), [3.0], version="1")],
        [line(cell(0), [2.0], version="2"), line(cell(1), [5.0], version="2"), line(cell(2), [9.0], version="2")],
    )
    (group,) = timeline.groups
    assert group.shared == 2
    assert [(p.verdict, p.max_ulp, p.bound_ratio) for p in group.worst if p] == [
        ("stable", 4.0, 0.004),
        ("accurate", 5.0, 0.005),
    ]


def test_movement_is_counted_in_binary_digits_and_only_where_bits_changed(tmp_path: Path) -> None:
    def moved(*points: tuple[float, int]) -> float:
        runs = [[line(cell(), [r], version=str(v), **bits(b))] for v, (r, b) in enumerate(points)]
        (timeline,) = timelines(tmp_path / str(points), *runs)
        return timeline.cells[0].movement

    assert moved((1.0, 1), (8.0, 2), (4.0, 3)) == 3.0
    assert moved((1.0, 1), (8.0, 1)) == 0.0
    assert moved((0.0, 1), (8.0, 2)) == 64.0


def test_cells_that_left_their_bound_come_before_those_that_moved_far(tmp_path: Path) -> None:
    old = [line(cell(n, format=f), version="1") for n, f in enumerate(("binary64", "binary32", "binary16"))]
    new = [
        line(cell(0, format="binary64"), [2.6], version="2", **bits(2)),
        line(cell(1, format="binary32"), [50.0], version="2", **bits(2)),
        line(cell(2, format="binary16"), [3.0], version="2", verdict="storage-stable", **bits(2)),
    ]
    (timeline,) = timelines(tmp_path, old, new)
    assert [group.format for group in timeline.groups] == ["binary16", "binary32", "binary64"]
    assert (timeline.other_bits(0), timeline.other_bits(1)) == (0, 3)
    (page,) = page_of([timeline]).frameworks
    assert [block.title for block in page.blocks] == [
        "torch/eager softmax forward, binary16",
        "torch/eager softmax forward, binary32",
    ]
    assert page.rest == ("Other bits and errors of the same size: 1 group.",)
    assert page.sentence == "torch 1 and 2: 3 cells, 3 with other bits in some version, 1 with another verdict."


def test_thousands_of_cells_become_some_groups_and_numbers(tmp_path: Path) -> None:
    cells = [
        cell(n, implementation=f"torch/kernel{k}", quantity=q)
        for n in range(30)
        for k in range(20)
        for q in ("vjp", "jvp")
    ]
    old = [line(of, version="1") for of in cells]
    new = [line(of, [2.5 * (2 + n % 7)], version="2", **bits(2)) for n, of in enumerate(cells)]
    (page,) = page_of(timelines(tmp_path, old, new)).frameworks
    assert len(page.blocks) == MOST_GROUPS
    assert {len(block.rows) for block in page.blocks} == {1 + MOST_CELLS}
    assert (
        page.blocks[0].about == "30 cells of 30 changed their bits; the 5 that moved furthest have lines of their own"
    )
    assert page.rest[0].startswith("Moved less: torch/kernel")
    assert page.rest[0].endswith(", and 4 more groups.")


# -- charts ----------------------------------------------------------------------------------------------------------


def test_a_panel_puts_versions_apart_and_decades_at_equal_heights() -> None:
    drawn = panel("error", ["1.0", "2.0"], [("worst", [1.0, 100.0])])
    # Two columns share the 392 units between the margins of 52 and 16; the scale runs from 180 up to 26.
    assert (WIDTH, HEIGHT) == (460.0, 220.0)
    assert drawn.columns == ((150.0, "1.0"), (346.0, "2.0"))
    assert drawn.ticks == ((180.0, "1"), (103.0, "10"), (26.0, "100"))
    assert drawn.one == 180.0
    (drawn_line,) = drawn.lines
    assert [(mark.x, mark.y, mark.kind) for mark in drawn_line.marks] == [
        (150.0, 180.0, "value"),
        (346.0, 26.0, "value"),
    ]
    assert drawn_line.pieces == ("150,180 346,26",)
    assert drawn_line.marks[1].text == "2.0: 100"


def test_zero_and_infinity_lie_off_the_scale() -> None:
    drawn = panel("error", ["1", "2", "3"], [("worst", [0.0, math.inf, 10.0])])
    assert [(mark.y, mark.kind) for mark in drawn.lines[0].marks] == [(180, "zero"), (26, "infinite"), (162.0, "value")]
    assert drawn.ticks == ((162.0, "10"), (44.0, "100"), (180.0, "0"), (26.0, "∞"))
    assert drawn.one is None


def test_a_line_breaks_at_a_gap() -> None:
    drawn = panel("error", ["1", "2", "3", "4"], [("cell", [1.0, None, 1.0, 1.0])])
    assert [piece.count(",") for piece in drawn.lines[0].pieces] == [1, 2]
    assert len(drawn.lines[0].marks) == 3


def test_a_panel_of_nothing_has_a_scale() -> None:
    assert panel("error", ["1"], [("cell", [None])]).ticks == ((180.0, "1"), (26.0, "10"))


def test_huge_ranges_have_few_ticks() -> None:
    drawn = panel("error", ["1", "2"], [("cell", [1e-320, 1e308])])
    assert len(drawn.ticks) <= 7
    assert drawn.ticks[0] == (180.0, "1e-321")


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([1.0, 1e7], "▁█"),
        ([1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7], "▁▂▃▄▅▆▇█"),
        ([1.0, 1.0], "▅▅"),
        ([1.0, 1.1], "▄▅"),  # a tenth is no tower
        ([0.0, 1.0, None, math.inf], "▁▅ ∞"),
        ([], ""),
    ],
)
def test_a_sparkline_is_logarithmic_and_spans_a_decade_at_least(values: list[float | None], text: str) -> None:
    assert sparkline(values) == text


# -- the verb --------------------------------------------------------------------------------------------------------


def test_the_pages_are_made_from_runs_alone(command: Command, tmp_path: Path) -> None:
    for number, error in enumerate((2.0, 9.0, 40.0)):
        write_run(
            tmp_path / f"v{number}",
            [line(cell(), [error], version=f"2.{number}.0", bound_ratio=error / 10, **bits(number))],
        )
    ran = command("report", "--history", "v0", "v1", "v2", "--html", "page.html", "--markdown", "page.md")
    assert (ran.code, ran.out) == (OK, "")
    html, markdown = ((tmp_path / f"page.{kind}").read_text(encoding="utf-8") for kind in ("html", "md"))
    sentence = "torch 2.0.0, 2.1.0 and 2.2.0: 1 cell, 1 with other bits in some version, 1 with another verdict."
    assert sentence in html
    assert sentence in markdown
    row = (
        "| worst of 1 cell | accurate, 2 ulp, 0.2 b | accurate, 9 ulp, 0.9 b | unstable, 40 ulp, 4 b | `▁▅█` | `▁▅█` |"
    )
    assert row in markdown
    assert html.startswith("<!DOCTYPE html>")
    assert html.count("<svg") == html.count("</svg>") == 2
    assert html.count('class="one"') == 1
    assert not any(mark in html for mark in ("<script", "http:", "https:", "{{", "{%"))


def test_without_a_file_the_markdown_goes_to_the_terminal(command: Command, finished: Run) -> None:
    ran = command("report", "--history", finished.path, finished.path)
    assert ran.code == OK
    assert ran.out.startswith("# Accuracy of softmax and log\\_softmax over versions\n")
    assert "The same bits in every version: 12 groups." in ran.out


def test_an_incomplete_run_is_shown_and_said(command: Command, tmp_path: Path) -> None:
    write_run(tmp_path / "old", [line(cell())])
    write_run(tmp_path / "new", [line(cell())], finished=False, planned=2)
    ran = command("report", "--history", "old", "new")
    assert ran.code == INCOMPLETE
    assert "- new is an incomplete run." in ran.out
    assert ran.err == "new is incomplete; 'measure' with the same options completes it\n"


def test_different_processors_are_said(tmp_path: Path) -> None:
    runs = [stored(write_run(tmp_path / cpu, [line(cell())], cpu=cpu)) for cpu in ("A", "B")]
    notes = page_of(timelines_of(runs)).notes
    assert notes == ("The runs come from different processors, which alone can move errors: A and B.",)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ("--history one", "--history needs two runs or more: report --history RUN RUN ..."),
        ("one two", "report takes one RUN, not 2; --history takes several."),
        ("--history one nowhere", "nowhere is no run directory: "),
        ("", "Missing argument 'RUN...'"),
    ],
)
def test_a_mistake_is_one_line(command: Command, tmp_path: Path, arguments: str, complaint: str) -> None:
    write_run(tmp_path / "one", [line(cell())])
    ran = command("report", *arguments.split())
    assert ran.code == USAGE
    assert complaint in ran.complaint()
