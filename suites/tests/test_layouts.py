"""Layouts: the strides, offsets and axes that they promise, the rows back again, and guards that notice a touch."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from numpy.lib.stride_tricks import as_strided

import suites
from references.formats import FORMATS, Format
from suites.implementations.catalogue import means_something_to
from suites.inputs.layouts import AnyBits, axis_of, buffer_of, nan_of, output_like, place, unplace
from suites.vocabulary import LAYOUTS, OFFSETS

every_layout = pytest.mark.parametrize("layout", LAYOUTS)

# Six rows of five binary32 numbers, 4 bytes each.
ROWS: AnyBits = np.arange(30, dtype=np.uint32).reshape(6, 5)


@pytest.mark.parametrize(
    ("layout", "shape", "strides"),
    [
        ("last", (6, 5), (20, 4)),
        ("inner", (5, 6), (24, 4)),
        ("column", (6, 5, 1), (20, 4, 4)),
        ("middle", (2, 5, 3), (60, 12, 4)),
        ("single", (6, 5), (20, 4)),
        ("transposed", (6, 5), (4, 24)),
        ("strided", (6, 5), (40, 8)),
        ("broadcast", (6, 3, 5), (20, 0, 4)),
        ("reversed", (6, 5), (20, -4)),
        ("padded", (6, 5), (44, 4)),
        ("offset-1", (6, 5), (20, 4)),
    ],
)
def test_a_layout_has_the_shape_and_strides_that_it_promises(
    layout: str, shape: tuple[int, ...], strides: tuple[int, ...]
) -> None:
    view = place(ROWS, layout)
    assert (view.shape, view.strides) == (shape, strides)


@every_layout
def test_a_layout_gives_back_the_rows_that_it_placed(layout: str) -> None:
    placed = place(ROWS, layout)
    assert placed.shape[axis_of(layout)] == 5
    assert np.array_equal(unplace(placed, layout), ROWS)
    assert np.array_equal(unplace(np.ascontiguousarray(placed), layout), ROWS)


@every_layout
def test_the_reduced_axis_of_a_layout_runs_along_a_row(layout: str) -> None:
    rows = np.array([[1, 2, 3], [10, 20, 30]], np.uint64)
    sums = place(rows, layout).sum(axis=axis_of(layout))
    assert set(sums.ravel().tolist()) == {6, 60}


@pytest.mark.parametrize(("count", "outer"), [(33, 3), (18, 2), (14, 2), (5, 1), (1, 1)])
def test_the_middle_axis_has_rows_on_both_sides_unless_their_number_is_prime(count: int, outer: int) -> None:
    rows = np.arange(count * 2, dtype=np.uint16).reshape(count, 2)
    assert place(rows, "middle").shape == (outer, 2, count // outer)
    assert place(rows, "middle")[0, :, 0].tolist() == rows[0].tolist()
    assert place(rows, "middle")[-1, :, -1].tolist() == rows[-1].tolist()


def test_the_copies_of_a_row_are_looked_at_in_turn() -> None:
    result: AnyBits = np.arange(4 * 3 * 2, dtype=np.uint32).reshape(4, 3, 2)
    assert unplace(result, "broadcast").tolist() == [[0, 1], [8, 9], [16, 17], [18, 19]]


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32, np.uint64])
@pytest.mark.parametrize("offset", OFFSETS)
def test_an_offset_is_counted_from_a_cache_line_and_differs_between_the_arrays_of_a_call(
    offset: int, dtype: npt.DTypeLike
) -> None:
    rows = ROWS.astype(dtype)
    places = [buffer_of(rows, f"offset-{offset}", role).view.ctypes.data % 64 for role in range(3)]
    assert places == [(offset + 5 * role) % 16 * rows.itemsize % 64 for role in range(3)]


@pytest.mark.parametrize("layout", ["last", "inner", "column", "middle", "single"])
def test_the_other_layouts_begin_on_a_cache_line(layout: str) -> None:
    assert all(place(ROWS, layout).ctypes.data % 64 == 0 for _ in range(8))


@every_layout
def test_all_memory_but_the_rows_is_nan_with_a_cache_line_of_it_at_either_end(layout: str) -> None:
    buffer = buffer_of(ROWS, layout)
    assert np.count_nonzero(buffer.memory == nan_of(ROWS.dtype)) == buffer.memory.size - ROWS.size
    assert np.array_equal(np.sort(buffer.memory[buffer.memory != nan_of(ROWS.dtype)]), ROWS.ravel())
    assert (buffer.memory[:64] == nan_of(ROWS.dtype)).all()
    assert (buffer.memory[-64:] == nan_of(ROWS.dtype)).all()


@pytest.mark.parametrize("format", FORMATS.values(), ids=lambda format: format.name)
def test_the_guards_are_nan_in_every_format(format: Format) -> None:
    pattern = np.array([nan_of(format.bits_dtype)], format.bits_dtype)
    assert np.isnan(format.decode(pattern)).all()


# -- touched memory --------------------------------------------------------------------------------------------------


@every_layout
def test_memory_that_is_left_alone_is_not_touched(layout: str) -> None:
    assert buffer_of(ROWS, layout).touched() == 0


@pytest.mark.parametrize("place", [-1, 30])
def test_a_write_next_to_the_rows_is_noticed(place: int) -> None:
    buffer = buffer_of(ROWS, "last")
    start = (buffer.view.ctypes.data - buffer.memory.ctypes.data) // 4
    buffer.memory[start + place] = 0
    assert buffer.touched() == 1


def test_a_write_between_the_elements_of_a_row_is_noticed() -> None:
    buffer = buffer_of(ROWS, "strided")
    as_strided(buffer.view, (6, 10), (40, 4))[2] = 7  # ten neighbours, of which five are logits
    assert buffer.touched() == 10
    buffer = buffer_of(ROWS, "strided")
    as_strided(buffer.view, (6, 10), (40, 4))[:, 1::2] = 7
    assert buffer.touched() == 30


def test_a_changed_logit_is_noticed() -> None:
    buffer = buffer_of(ROWS, "inner")
    buffer.view[4, 5] += 1
    assert buffer.touched() == 1


@pytest.mark.parametrize("layout", ["last", "transposed", "strided", "padded", "offset-3", "middle"])
def test_an_output_has_the_strides_of_the_input_and_may_be_written(layout: str) -> None:
    view = place(ROWS, layout)
    output = output_like(view)
    assert (output.view.shape, output.view.strides) == (view.shape, view.strides)
    output.view[...] = 0
    assert output.touched() == 0


@pytest.mark.parametrize("layout", ["broadcast", "reversed"])
def test_an_output_is_contiguous_where_the_strides_of_the_input_are_no_outputs(layout: str) -> None:
    view = place(ROWS, layout)
    output = output_like(view)
    assert output.view.shape == view.shape
    assert output.view.flags.c_contiguous


def test_a_write_beside_an_output_is_noticed_and_one_into_it_is_not() -> None:
    output = output_like(place(ROWS, "strided"))
    as_strided(output.view, (6, 10), (40, 4))[0, :4] = 0  # elements 0 and 2 are the output's
    assert output.touched() == 2


# -- who sees what ---------------------------------------------------------------------------------------------------


def test_jax_sees_shapes_alone_and_torch_everything_but_negative_strides() -> None:
    assert [layout for layout in LAYOUTS if means_something_to("jax", layout)] == [
        "last",
        "inner",
        "column",
        "middle",
        "single",
    ]
    assert [layout for layout in LAYOUTS if not means_something_to("torch", layout)] == ["reversed"]
    assert all(means_something_to("numpy", layout) for layout in LAYOUTS)


def test_torch_takes_every_layout_that_it_sees_without_a_copy() -> None:
    torch = pytest.importorskip("torch")
    from suites.implementations.torch.eager import to_tensor

    for layout in (name for name in LAYOUTS if means_something_to("torch", name)):
        view = place(ROWS, layout)
        tensor = to_tensor(view, "binary32")
        assert tensor.dtype is torch.float32
        assert tensor.data_ptr() == view.ctypes.data
        assert [stride * 4 for stride in tensor.stride()] == list(view.strides)


# -- any environment -------------------------------------------------------------------------------------------------

_HERE = Path(suites.__file__).parent
_EVALUATING = [
    "inputs/layouts.py",
    *(
        p.relative_to(_HERE).as_posix()
        for room in ("worker", "implementations")
        for p in sorted((_HERE / room).rglob("*.py"))
    ),
]


@pytest.mark.parametrize("name", _EVALUATING)
def test_what_evaluates_is_python_3_9_and_needs_numpy_and_its_framework_alone(name: str) -> None:
    text = (_HERE / name).read_text(encoding="utf-8")
    tree = ast.parse(text, feature_version=(3, 9))
    nodes = list(ast.walk(tree))
    imported = [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    imported += [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    allowed = "references.ieee.float_state"  # which has IEEE arithmetic alone
    assert not {m.partition(".")[0] for m in imported if m != allowed} & {"references", "reports", "mpmath"}
    keywords = [node.arg for node in nodes if isinstance(node, ast.keyword)]
    assert "strict" not in keywords, "zip has no strict before Python 3.10"
    assert "__future__" in imported or not imported, "annotations are evaluated without it"
