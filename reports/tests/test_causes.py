"""What two runs show of the causes of changes: each kind of evidence, and what looks like it and isn't."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from references.vocabulary import QUANTITIES
from reports.causes.causes import Causes, causes_of
from reports.causes.finding import Finding
from reports.causes.subnormals import rows_with_subnormals
from reports.compare.comparison import compare_runs
from reports.run.records import MeasuredProfile
from reports.tests.conftest import Command
from reports.tests.synthetic import Line, cell, line, write_run
from suites.plan.cell import Cell
from suites.scoring.cell import input_of
from suites.vocabulary import FORMATS

NEW_BITS: dict[str, Any] = {"output_sha256": "2" * 64}
TORCH = {"torch": "2.9.0", "numpy": "2.4.0", "mpmath": "1.3.0"}
JAX = {"jax": "0.8.0", "jaxlib": "0.8.0"}
BEFORE: dict[str, Any] = {"packages": TORCH | JAX}
AFTER: dict[str, Any] = {"packages": TORCH | JAX | {"torch": "2.10.0"}}


def profile(selected: dict[str, str], name: str = "default", framework: str = "torch") -> MeasuredProfile:
    return MeasuredProfile(name, framework, "cpu", "python", "3.12.1", TORCH | JAX, {}, selected, None)


def pair(of: Cell, *, changed: bool, **both: Any) -> tuple[Line, Line]:
    """A cell before and after."""
    return line(of, **both), line(of, **both | (NEW_BITS if changed else {}))


def causes(
    tmp_path: Path, pairs: Iterable[tuple[Line, Line]], old: dict[str, Any] = BEFORE, new: dict[str, Any] = AFTER
) -> Causes:
    found = list(pairs)
    paths = [
        write_run(tmp_path / name, [p[k] for p in found], **m) for k, (name, m) in enumerate((("o", old), ("n", new)))
    ]
    return causes_of(compare_runs(paths[0], paths[1]))


def findings(found: Causes, kind: str) -> list[Finding]:
    return [f for group in found.groups for f in (*group.because, *group.where) if f.kind == kind]


def statements(found: Causes, kind: str) -> list[str]:
    return [f.statement for f in findings(found, kind)]


# -- what moved ------------------------------------------------------------------------------------------------------


def test_the_only_thing_that_differs_is_the_cause(tmp_path: Path) -> None:
    found = causes(tmp_path, [pair(cell(), changed=True)])
    (group,) = found.groups
    assert group.because_text == "torch 2.9.0 → 2.10.0, and nothing else that it depends on differs"
    assert group.where_text == "unexplained"
    assert found.sentence == ("1 cell with other bits in 1 group: what moved them is known for 1, where it lies for 0.")


@pytest.mark.parametrize(
    ("implementation", "new", "text"),
    [
        (
            "jax/jit",
            {"packages": TORCH | {"jax": "0.9.0", "jaxlib": "0.9.0"}},
            "jax 0.8.0 → 0.9.0 and jaxlib 0.8.0 → 0.9.0",
        ),
        ("torch/eager", AFTER | {"cpu": "Another CPU"}, "torch 2.9.0 → 2.10.0 and processor Some CPU → Another CPU"),
        ("torch/eager", AFTER | {"git_commit": "def"}, "torch 2.9.0 → 2.10.0 and this suite abc → def"),
        ("torch/eager", AFTER | {"settings": {"torch": {"threads": "2"}}}, "torch 2.9.0 → 2.10.0 and threads 1 → 2"),
    ],
)
def test_one_of_several_is_no_cause(tmp_path: Path, implementation: str, new: dict[str, Any], text: str) -> None:
    (group,) = causes(tmp_path, [pair(cell(implementation=implementation), changed=True)], new=new).groups
    assert group.because_text == f"unexplained: one or more of {text}"


def test_a_package_that_is_not_computed_with_moves_nothing(tmp_path: Path) -> None:
    (group,) = causes(tmp_path, [pair(cell(), changed=True)], new={"packages": TORCH | JAX | {"numpy": "2.5.0"}}).groups
    assert group.because_text == "unexplained: nothing that the runs record differs"


def test_a_setting_alone_is_a_cause(tmp_path: Path) -> None:
    new = {"packages": TORCH | JAX, "settings": {"torch": {"threads": "2"}}}
    (group,) = causes(tmp_path, [pair(cell(), changed=True)], new=new).groups
    assert group.because_text == "threads 1 → 2, and nothing else that it depends on differs"


@pytest.mark.parametrize(
    ("new", "text"),
    [
        (AFTER, "torch 2.9.0 → 2.10.0, which picks cpu capability AVX2 → AVX512 by itself, and nothing else that it"),
        (
            AFTER | {"cpu": "Another CPU"},
            "unexplained: one or more of torch 2.9.0 → 2.10.0, cpu capability AVX2 → AVX512",
        ),
        (
            AFTER | {"environment": {"ATEN_CPU_CAPABILITY": "avx512"}},
            "unexplained: one or more of torch 2.9.0 → 2.10.0",
        ),
        ({"packages": TORCH | JAX}, "cpu capability AVX2 → AVX512, and nothing else that it depends on differs"),
    ],
)
def test_what_a_version_picks_by_itself_is_no_other_cause(tmp_path: Path, new: dict[str, Any], text: str) -> None:
    picked = [{"settings": {"torch": {"cpu capability": capability}}} for capability in ("AVX2", "AVX512")]
    (group,) = causes(tmp_path, [pair(cell(), changed=True)], BEFORE | picked[0], new | picked[1]).groups
    assert group.because_text.startswith(text)


def test_what_follows_from_a_version_is_no_setting(tmp_path: Path) -> None:
    """XLA has other options in every release."""
    old, new = ({"profiles": [profile({"XLA options": o}, framework="jax")]} for o in ("1", "2"))
    found = causes(tmp_path, [pair(cell(implementation="jax/jit"), changed=True)], BEFORE | old, BEFORE | new)
    assert found.groups[0].because_text == "unexplained: nothing that the runs record differs"


# -- paths -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("settings", "told"), [({"threads": "2"}, True), ({"threads": "2", "exp": "X"}, False)])
def test_another_path_is_reported_where_both_versions_have_the_same_settings(
    tmp_path: Path, settings: dict[str, str], told: bool
) -> None:
    old, new = ({"profiles": [profile(s)]} for s in ({"threads": "1"}, settings))
    lines = line(cell(), path=["a", "b"]), line(cell(), path=["a", "c"], **NEW_BITS)
    found = causes(tmp_path, [lines], BEFORE | old, BEFORE | new)
    assert statements(found, "another path") == (["another path: b → c"] if told else [])


@pytest.mark.parametrize("exception", [False, True])
def test_one_path_alone_has_changed(tmp_path: Path, exception: bool) -> None:
    on = [pair(cell(n), changed=True, path=["common", "here"]) for n in range(3)]
    off = [pair(cell(n), changed=exception and n == 9, path=["common", "there"]) for n in range(5, 10)]
    found = causes(tmp_path, on + off)
    expected = [] if exception else ["only on here: cells on other paths kept their bits"]
    assert statements(found, "one path") == expected


def test_a_path_that_all_formats_but_one_avoid_is_found_across_them(tmp_path: Path) -> None:
    on = [pair(cell(n), changed=True, path=["svml"]) for n in range(3)]
    off = [pair(cell(n, format="binary64"), changed=False, path=["libm"]) for n in range(3)]
    assert statements(causes(tmp_path, on + off), "one path") == ["only on svml: cells on other paths kept their bits"]


def jax_cell(n: int, **changes: Any) -> Cell:
    return cell(implementation="jax/jit", row_length=n, **changes)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        # 33 rows of 33 are 1,089 elements, 18 of 1,000 are 18,000: YNNPACK has 4,096 and more
        (
            {1000, 1024},
            ["begins where xla-cpu-ynnpack changes, elements = 4096 (YNNPACK; another number in other versions)"],
        ),
        ({17, 33}, ["ends where xla-cpu-ynnpack changes, elements = 4096 (YNNPACK; another number in other versions)"]),
        ({1000}, []),  # a longer row kept its bits
        ({17, 33, 1000, 1024}, []),  # nothing kept them
    ],
)
def test_a_change_begins_or_ends_at_a_boundary_of_a_path(
    tmp_path: Path, changed: set[int], expected: list[str]
) -> None:
    path = ["xla-cpu-ynnpack"]
    cells = [pair(jax_cell(n), changed=n in changed, path=path) for n in (17, 33, 1000, 1024)]
    assert statements(causes(tmp_path, cells), "boundary") == expected


# -- what has kept its bits ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mine", "twin", "text"),
    [
        ("jax/jit", "jax/eager", "compiled alone: jax/eager kept the bits of the same cells"),
        ("torch/eager", "torch/compile", "eager alone: torch/compile kept the bits of the same cells"),
    ],
)
@pytest.mark.parametrize("twin_changed", [False, True])
def test_compiled_or_eager_alone(tmp_path: Path, mine: str, twin: str, text: str, twin_changed: bool) -> None:
    cells = [pair(cell(n, implementation=mine), changed=True) for n in range(4)]
    cells += [pair(cell(n, implementation=twin), changed=twin_changed and n == 2) for n in range(4)]
    assert (text in statements(causes(tmp_path, cells), "mode")) is not twin_changed


def test_one_cell_does_not_speak_for_many(tmp_path: Path) -> None:
    cells = [pair(cell(n, implementation="jax/jit"), changed=True) for n in range(4)]
    assert not statements(causes(tmp_path, [*cells, pair(cell(0, implementation="jax/eager"), changed=False)]), "mode")


@pytest.mark.parametrize("everywhere", [False, True])
def test_an_instruction_set_s_kernels_are_reported_by_another_profile(tmp_path: Path, everywhere: bool) -> None:
    profiles = [profile({"cpu capability": "AVX512"}), profile({"cpu capability": "AVX2"}, "aten-avx2")]
    cells = [pair(cell(n), changed=True) for n in range(3)]
    cells += [pair(cell(n, profile="aten-avx2"), changed=everywhere) for n in range(3)]
    found = causes(tmp_path, cells, BEFORE | {"profiles": profiles}, AFTER | {"profiles": profiles})
    text = (
        "the kernels of this instruction set, default alone: aten-avx2 (cpu capability AVX2, not AVX512) kept the bits "
        "of the same cells"
    )
    assert statements(found, "profile") == ([] if everywhere else [text])


def test_threads_are_reported_by_the_profile_of_one(tmp_path: Path) -> None:
    profiles = [profile({"threads": "1"}), profile({"threads": "2"}, "threads-2")]
    cells = [pair(cell(n, profile="threads-2"), changed=True) for n in range(3)]
    cells += [pair(cell(n), changed=False) for n in range(3)]
    found = causes(tmp_path, cells, BEFORE | {"profiles": profiles}, AFTER | {"profiles": profiles})
    assert statements(found, "profile")[0].startswith("how threads share the work, threads-2 alone: default (threads 1")


@pytest.mark.parametrize("other_changed", [False, True])
def test_one_quantity_alone(tmp_path: Path, other_changed: bool) -> None:
    cells = [pair(cell(n, quantity="vjp"), changed=True) for n in range(3)]
    cells += [pair(cell(n), changed=other_changed) for n in range(3)]
    expected = [] if other_changed else ["vjp alone: forward kept the bits of the same cells"]
    assert statements(causes(tmp_path, cells), "quantity") == expected


@pytest.mark.parametrize("ordinary_changed", [False, True])
def test_special_rows_alone(tmp_path: Path, ordinary_changed: bool) -> None:
    cells = [pair(cell(1, family="special"), changed=True)]
    cells += [pair(cell(n), changed=ordinary_changed and n == 1) for n in range(4)]
    expected = [] if ordinary_changed else ["special rows alone: every row of finite numbers kept its bits"]
    assert statements(causes(tmp_path, cells), "special values") == expected


# -- subnormal numbers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("zeros", [3, 0])
def test_a_flush_explains_what_has_more_zeros(tmp_path: Path, zeros: int) -> None:
    of = cell(implementation="jax/jit")
    lines = line(of), line(of, flushes=True, outcomes={"underflow": zeros} if zeros else {}, **NEW_BITS)
    (flush,) = findings(causes(tmp_path, [lines]), "flush")
    assert flush.statement == "by the probe, subnormal numbers were kept and are flushed to zero"
    assert flush.explains is (zeros > 0)


@pytest.mark.parametrize("all_rows", [False, True])
def test_rows_with_subnormal_results_alone(tmp_path: Path, all_rows: bool) -> None:
    of = cell(family="dominant", row_length=9)
    made = input_of(of).sha256
    rows = rows_with_subnormals(of, made)
    assert rows is not None
    assert 0 < rows.sum() < rows.size
    before = [1.0] * rows.size
    after = [2.0 if has or all_rows else 1.0 for has in rows.tolist()]
    lines = (
        line(of, before, input_sha256=made),
        line(of, after, input_sha256=made, outcomes={"underflow": 5}, **NEW_BITS),
    )
    assert len(statements(causes(tmp_path, [lines]), "subnormal rows")) == (not all_rows)


# -- the format of sums ----------------------------------------------------------------------------------------------


def narrow(error: float, **figures: Any) -> dict[str, Any]:
    verdict = (
        "unstable" if figures["storage_ratio"] > 1 else "storage-stable" if figures["bound_ratio"] > 1 else "stable"
    )
    return {"max_ulp": error, "verdict": verdict, **figures}


@pytest.mark.parametrize(
    ("before", "text", "explains"),
    [
        (
            narrow(10.0, bound_ratio=5.0, storage_ratio=2.0),
            "errors fit sums in bfloat16, and none in binary32, before, binary32 throughout now",
            True,
        ),
        (
            narrow(2.0, bound_ratio=5.0, storage_ratio=0.5),
            "errors fit sums in binary32 and results stored in bfloat16 before, binary32 throughout now",
            True,
        ),
        (
            narrow(1e6, bound_ratio=5e5, storage_ratio=2e5),
            "errors fit no sum in binary32 before, binary32 throughout now",
            False,
        ),
        (narrow(0.5, bound_ratio=0.5, storage_ratio=0.1), None, False),
    ],
)
def test_errors_of_narrow_formats_show_how_sums_are_kept(
    tmp_path: Path, before: dict[str, Any], text: str | None, explains: bool
) -> None:
    of = cell(format="bfloat16", row_length=33)
    made = input_of(of).sha256
    after = narrow(0.5, bound_ratio=0.5, storage_ratio=0.1)
    sides = [(figures, [figures.pop("max_ulp")]) for figures in (dict(before), dict(after) | NEW_BITS)]
    lines = [line(of, rows, input_sha256=made, **figures) for figures, rows in sides]
    for record, _ in lines:
        record["worst"]["index"] = 0
    told = findings(causes(tmp_path, [(lines[0], lines[1])]), "accumulation")
    assert [(f.statement, f.explains) for f in told] == ([(text, explains)] if text else [])


@pytest.mark.parametrize(("exp", "expected"), [(1.0, True), (50.0, False)])
def test_errors_that_only_the_sum_explains(tmp_path: Path, exp: float, expected: bool) -> None:
    """10 ulps are no more than the exponential may make, or they are not."""
    parts = {"exp": exp, "sum": 30.0, "excess": 0.0}
    of = cell(row_length=1000)
    sides = line(of, [10.0]), line(of, [0.5], **NEW_BITS)
    for record, _ in sides:
        record["worst"]["attribution"] = parts
    found = causes(tmp_path, [sides])
    text = "errors that only the sum explains before, none now: a better sum"
    assert statements(found, "accumulation") == ([text] if expected else [])


# -- groups ----------------------------------------------------------------------------------------------------------


def test_cells_with_the_same_evidence_are_one_group_and_say_what_is_common(tmp_path: Path) -> None:
    changed = [
        pair(cell(quantity=q, format=f, row_length=n), changed=n >= 1000)
        for q in ("vjp", "jvp")
        for f in ("binary16", "bfloat16")
        for n in (9, 33, 65, 1000, 1024)
    ]
    same = [pair(cell(n, format="binary64"), changed=False) for n in range(3)]
    (group,) = causes(tmp_path, changed + same).groups
    assert group.description == "torch/eager, jvp and vjp, bfloat16 and binary16; n ≥ 1000: 8 of 20 cells"
    assert group.axes["quantity"] == ("jvp", "vjp")
    assert group.words_text == "8 changed"


def test_a_group_has_every_combination_that_its_axes_name(tmp_path: Path) -> None:
    """binary16 and binary32 of the vjp, binary32 of the jvp: not a rectangle."""
    corners = [("vjp", "binary16"), ("vjp", "binary32"), ("jvp", "binary32")]
    found = causes(tmp_path, [pair(cell(quantity=q, format=f), changed=True) for q, f in corners])
    assert sorted((g.axes["quantity"], g.axes["format"]) for g in found.groups) == [
        (("jvp",), ("binary32",)),
        (("vjp",), ("binary16", "binary32")),
    ]


def test_every_changed_cell_is_in_one_group(tmp_path: Path) -> None:
    pairs = [
        pair(cell(n, format=f, implementation=i), changed=(n * 7 + len(f)) % 3 > 0, path=[f, str(n % 2)])
        for n in range(8)
        for f in ("binary16", "binary32")
        for i in ("torch/eager", "torch/vmap", "jax/jit")
    ]
    found = causes(tmp_path, pairs)
    keys = [change.cell.key for group in found.groups for change in group.changes]
    assert len(keys) == len(set(keys)) == sum(old[0]["output_sha256"] != new[0]["output_sha256"] for old, new in pairs)


def test_other_inputs_are_no_change_of_bits(tmp_path: Path) -> None:
    lines = line(cell()), line(cell(), input_sha256="5" * 64, **NEW_BITS)
    assert causes(tmp_path, [lines]).groups == ()


# -- what is shown ---------------------------------------------------------------------------------------------------


def test_compare_shows_causes_everywhere(command: Command, tmp_path: Path) -> None:
    write_run(tmp_path / "old", [line(cell())])
    write_run(tmp_path / "new", [line(cell(), **NEW_BITS)], packages=TORCH | {"torch": "2.10.0"})
    ran = command("compare", "old", "new", "--markdown", "page.md", "--html", "page.html", "--json", "page.json")
    because = "torch 2.9.0 → 2.10.0, and nothing else that it depends on differs"
    assert f"    because: {because}" in ran.out.splitlines()
    assert "    where: unexplained" in ran.out.splitlines()
    for name in ("page.md", "page.html"):
        assert because in (tmp_path / name).read_text(encoding="utf-8")
    data = json.loads((tmp_path / "page.json").read_text(encoding="utf-8"))["causes"]
    (group,) = data["groups"]
    assert group["because"] == [{"kind": "package", "statement": because, "explains": True}]
    assert group["cells"] == [cell().key]


def test_equal_runs_have_no_causes(command: Command, tmp_path: Path) -> None:
    for name in ("old", "new"):
        write_run(tmp_path / name, [line(cell())])
    ran = command("compare", "old", "new", "--markdown", "page.md")
    assert "Causes" not in ran.out
    assert "Causes" not in (tmp_path / "page.md").read_text(encoding="utf-8")


def test_many_groups_are_counted_where_they_are_not_shown(command: Command, tmp_path: Path) -> None:
    kinds = [(format, quantity) for format in FORMATS for quantity in QUANTITIES]
    cells = [cell(n, implementation=f"torch/k{n}", format=kinds[n][0], quantity=kinds[n][1]) for n in range(12)]
    write_run(tmp_path / "old", [line(c, path=[f"mine{n}"]) for n, c in enumerate(cells)])
    new = [line(c, path=[f"mine{n}"], **NEW_BITS) for n, c in enumerate(cells)]
    write_run(tmp_path / "new", new, packages=TORCH | {"torch": "2.10.0"})
    assert "  and 4 groups more; --markdown, --html and --json have them" in command("compare", "old", "new").out
