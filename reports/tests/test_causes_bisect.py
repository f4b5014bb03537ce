"""Halving over versions: every place of a change, gaps, several changes, and which package it is done over."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from reports.audit.released import ordered
from reports.causes.bisect import Bisection, BisectionStep, Unmeasurable, between, bisected
from reports.causes.first_version import Bisecting, changed_cell, first_version
from reports.causes.swapping import Unresolvable
from reports.compare.comparison import Comparison, compare_runs
from reports.console.usage import UsageError
from reports.tests.synthetic import cell, line, write_run
from suites.plan.cell import Cell

# The fingerprints of two outputs.
A, B = "a" * 64, "b" * 64
VERSIONS = tuple(f"1.{n}" for n in range(10))


class Measured:
    """Versions whose bits are given by a function of their number; keeps what it was asked for."""

    def __init__(self, bits: Mapping[str, str | None]) -> None:
        self.bits, self.asked = bits, list[str]()

    def __call__(self, version: str) -> BisectionStep:
        self.asked.append(version)
        found = self.bits[version]
        if found is None:
            raise Unmeasurable("no wheel")
        return BisectionStep(version, found, "max 1 ulp")


def halved(bits: Mapping[str, str | None], said: list[str] | None = None) -> tuple[Bisection | None, Measured]:
    measured = Measured(bits)
    return bisected("numpy", "a/cell", list(bits), measured, (said if said is not None else []).append), measured


def from_number(first: int) -> dict[str, str | None]:
    return {version: A if n < first else B for n, version in enumerate(VERSIONS)}


@pytest.mark.parametrize("first", range(1, len(VERSIONS)))
def test_the_first_version_is_found_wherever_it_is(first: int) -> None:
    found, measured = halved(from_number(first))
    assert found is not None
    assert (found.last, found.first) == (VERSIONS[first - 1], VERSIONS[first])
    assert (found.skipped, found.several) == ((), False)
    assert len(measured.asked) == len(set(measured.asked)) <= 2 + math.ceil(math.log2(len(VERSIONS)))


def test_each_step_is_reported() -> None:
    said: list[str] = []
    halved(from_number(3), said)
    assert said == [
        "numpy 1.0: the old bits (max 1 ulp)",
        "numpy 1.9: other bits (max 1 ulp)",
        "numpy 1.4: other bits (max 1 ulp); 3 versions left",
        "numpy 1.2: the old bits (max 1 ulp); 1 version left",
        "numpy 1.3: other bits (max 1 ulp); 0 versions left",
    ]


def test_two_versions_with_the_same_bits_have_nothing_between_them() -> None:
    found, measured = halved(from_number(99))
    assert found is None
    assert measured.asked == ["1.0", "1.9"]


@pytest.mark.parametrize("first", range(1, len(VERSIONS)))
@pytest.mark.parametrize("gap", [{4}, {3, 4, 5}, {1, 2, 3, 4, 5, 6, 7, 8}])
def test_versions_that_can_t_be_measured_are_gone_around(first: int, gap: set[int]) -> None:
    bits = from_number(first) | {VERSIONS[n]: None for n in gap}
    found, _ = halved(bits)
    assert found is not None
    assert bits[found.last] == A
    assert bits[found.first] == B
    between_them = range(VERSIONS.index(found.last) + 1, VERSIONS.index(found.first))
    assert found.skipped == tuple(VERSIONS[n] for n in between_them)
    assert set(between_them) <= gap
    if found.skipped:
        assert f"; not measurable between the two: {', '.join(found.skipped)}" in found.sentence


@pytest.mark.parametrize("end", ["1.0", "1.9"])
def test_an_end_that_can_t_be_measured_is_no_answer(end: str) -> None:
    with pytest.raises(Unmeasurable, match="no wheel"):
        halved(from_number(4) | {end: None})


def test_bits_that_change_several_times_are_reported() -> None:
    found, _ = halved({v: "aabbbccccc"[n] for n, v in enumerate(VERSIONS)})
    assert found is not None
    assert (found.last, found.first, found.several) == ("1.1", "1.2", True)
    assert (
        found.sentence
        == "a/cell: other bits first in numpy 1.2; 1.1 still has the old ones; they change again after it."
    )


# -- versions --------------------------------------------------------------------------------------------------------


def test_versions_are_ordered_as_versions_and_pre_releases_are_left_out() -> None:
    assert ordered(["2.10.0", "2.9.1", "3.0.0rc1", "2.9.0.post1", "legacy", "2.9.0"]) == (
        *("2.9.0", "2.9.0.post1", "2.9.1", "2.10.0"),
    )


def test_versions_between_two_go_from_the_old_to_the_new() -> None:
    known = ("1.9", "2.0", "2.1", "2.2", "2.10", "3.0")
    assert between(known, "2.0", "2.10") == ("2.0", "2.1", "2.2", "2.10")
    assert between(known, "2.10", "2.0") == ("2.10", "2.2", "2.1", "2.0")
    assert between(known, "2.0.1", "2.5") == ("2.0.1", "2.1", "2.2", "2.5")  # neither is on the index


# -- in an audit -----------------------------------------------------------------------------------------------------


def comparison(
    tmp_path: Path, lines: dict[Cell, tuple[str, str, float]], old: dict[str, str], new: dict[str, str]
) -> Comparison:
    """Cells with their bits before and after and the largest error after."""
    paths = [
        write_run(
            tmp_path / name,
            [line(c, [v[2] if k and v[0] != v[1] else 2.5], output_sha256=v[k]) for c, v in lines.items()],
            packages=packages,
        )
        for k, (name, packages) in enumerate((("old", old), ("new", new)))
    ]
    return compare_runs(paths[0], paths[1])


NUMPY = cell(implementation="numpy/shifted")


def audit(
    found: Comparison, tmp_path: Path, bits: Any, named: tuple[str, ...] = ("numpy", "scipy"), **changes: Any
) -> Any:
    """What a bisection is lent: an interpreter is named after its versions, and ``bits`` are a function of them."""

    def build(versions: Mapping[str, str]) -> str:
        return " ".join(f"{n}={v}" for n, v in sorted(versions.items()))

    def measure(of: Cell, interpreter: str, place: Path) -> Any:
        versions = dict(word.split("=") for word in interpreter.split())
        record = SimpleNamespace(output_sha256=bits(versions), max_ulp=1.0, bound_ratio=0.1, verdict="stable")
        return record, versions

    released = {"numpy": ("1.0", "1.1", "1.2", "1.3", "2.0"), "scipy": ("5.0", "5.1", "5.2", "5.3")}
    lent = {
        "build": build,
        "measure": measure,
        "released": released.__getitem__,
        "say": lambda text: None,
        "programs": lambda of, interpreter: (),
    }
    return Bisecting(found, named, tmp_path / "bisect", **lent | changes)


def test_a_cell_is_named_by_worst_by_its_key_and_by_its_digest(tmp_path: Path) -> None:
    other, same = cell(1, implementation="numpy/shifted"), cell(2, implementation="numpy/shifted")
    found = comparison(
        tmp_path,
        {NUMPY: (A, B, 3.0), other: (A, B, 400.0), same: (A, A, 1.0)},
        {"numpy": "1.0"},
        {"numpy": "2.0"},
    )
    assert changed_cell("worst", found).cell == other
    assert changed_cell(NUMPY.key, found).cell == NUMPY
    assert changed_cell(NUMPY.digest[:12], found).cell == NUMPY
    for word in (same.key, "abc", "nothing"):
        with pytest.raises(UsageError, match=f"--bisect '{word}' names no cell with other bits; give worst, a key"):
            changed_cell(word, found)


def test_what_got_worse_is_worse_than_what_got_better_by_more(tmp_path: Path) -> None:
    better, worse = NUMPY, cell(1, implementation="numpy/shifted")
    old = [line(better, [4e6], verdict="unstable"), line(worse, [2.0])]
    new = [line(better, [1.0], output_sha256=B), line(worse, [30.0], output_sha256=B, verdict="unstable")]
    found = compare_runs(write_run(tmp_path / "old", old), write_run(tmp_path / "new", new))
    assert changed_cell("worst", found).cell == worse


def test_nothing_is_worst_where_nothing_changed(tmp_path: Path) -> None:
    found = comparison(tmp_path, {NUMPY: (A, A, 1.0)}, {"numpy": "1.0"}, {"numpy": "2.0"})
    with pytest.raises(UsageError, match="--bisect worst: no cell has other bits"):
        changed_cell("worst", found)


def test_one_package_is_halved_from_what_the_audit_has_measured(tmp_path: Path) -> None:
    found = comparison(tmp_path, {NUMPY: (A, B, 3.0)}, {"numpy": "1.0"}, {"numpy": "2.0"})
    asked = []

    def bits(versions: Mapping[str, str]) -> str:
        asked.append(dict(versions))
        return A if versions["numpy"] < "1.3" else B

    result = first_version("worst", audit(found, tmp_path, bits))
    assert (result.package, result.last, result.first) == ("numpy", "1.2", "1.3")
    assert asked == [{"numpy": "1.2"}, {"numpy": "1.3"}]  # not 1.0 and 2.0


SCIPY = cell(implementation="scipy")


@pytest.mark.parametrize(
    ("moves", "conflict", "expected"),
    [
        (lambda v: v["numpy"] >= "1.2", None, ("numpy", "1.1", "1.2")),
        (lambda v: v["scipy"] >= "5.2", None, ("scipy", "5.1", "5.2")),
        # the old scipy takes no new numpy, so numpy is halved with the new scipy
        (lambda v: v["numpy"] >= "1.2", lambda v: v["numpy"] == "2.0" and v["scipy"] == "5.0", ("numpy", "1.1", "1.2")),
    ],
)
def test_of_two_packages_the_one_that_moves_the_bits_is_halved(
    tmp_path: Path, moves: Any, conflict: Any, expected: tuple[str, str, str]
) -> None:
    versions = {"numpy": "1.0", "scipy": "5.0"}, {"numpy": "2.0", "scipy": "5.3"}
    found = comparison(tmp_path, {SCIPY: (A, B, 3.0)}, *versions)

    def build(chosen: Mapping[str, str]) -> str:
        if conflict and conflict(chosen):
            raise Unresolvable("they conflict")
        return " ".join(f"{n}={v}" for n, v in sorted(chosen.items()))

    result = first_version("worst", audit(found, tmp_path, lambda v: B if moves(v) else A, build=build))
    assert (result.package, result.last, result.first) == expected


def test_bits_that_hang_on_no_single_package_are_reported(tmp_path: Path) -> None:
    versions = {"numpy": "1.0", "scipy": "5.0"}, {"numpy": "2.0", "scipy": "5.3"}
    found = comparison(tmp_path, {SCIPY: (A, B, 3.0)}, *versions)

    def build(chosen: Mapping[str, str]) -> str:
        raise Unresolvable("they conflict")

    with pytest.raises(UsageError, match="can't be bisected over one package: .*they conflict"):
        first_version("worst", audit(found, tmp_path, lambda v: A, build=build))


def test_a_named_package_that_stays_is_kept_beside_every_version(tmp_path: Path) -> None:
    found = comparison(
        tmp_path, {NUMPY: (A, B, 3.0)}, {"numpy": "1.0", "scipy": "5.0"}, {"numpy": "2.0", "scipy": "5.0"}
    )
    seen = []

    def bits(versions: Mapping[str, str]) -> str:
        seen.append(versions["scipy"])
        return A

    first_version("worst", audit(found, tmp_path, bits))
    assert set(seen) == {"5.0"}


# jaxlib comes with jax, in the same version; neighbours go together, others don't.
JAX_VERSIONS = ("0.1", "0.2", "0.3", "0.4", "0.5")


@pytest.mark.parametrize(
    ("moves", "conflict", "because"),
    [
        (lambda v: v["jaxlib"] >= "0.4", None, "jaxlib 0.4 alone gives the new bits, jax 0.4 alone doesn't"),
        (lambda v: v["jax"] >= "0.4", None, "jax 0.4 alone gives the new bits, jaxlib 0.4 alone doesn't"),
        (lambda v: v["jaxlib"] >= "0.4", lambda v: v["jax"] > v["jaxlib"], "jaxlib 0.4 alone gives the new bits"),
        (
            lambda v: min(v["jax"], v["jaxlib"]) >= "0.4",
            None,
            "jax 0.3 → 0.4 and jaxlib 0.3 → 0.4 together",
        ),
        (
            lambda v: v["jax"] >= "0.4",
            lambda v: v["jax"] != v["jaxlib"],
            "jax 0.3 → 0.4 and jaxlib 0.3 → 0.4 install only together",
        ),
    ],
)
def test_what_comes_with_a_package_is_distinguished_between_neighbours(
    tmp_path: Path, moves: Any, conflict: Any, because: str
) -> None:
    of = cell(implementation="jax/jit")
    sides = {"jax": "0.1", "jaxlib": "0.1"}, {"jax": "0.5", "jaxlib": "0.5"}
    found = comparison(tmp_path, {of: (A, B, 3.0)}, *sides)

    def build(chosen: Mapping[str, str]) -> str:
        both = {"jaxlib": chosen["jax"], **chosen}
        if conflict and conflict(both):
            raise Unresolvable("they conflict")
        return " ".join(f"{n}={v}" for n, v in both.items())

    lent = audit(
        found, tmp_path, lambda v: B if moves(v) else A, ("jax",), build=build, released=lambda _: JAX_VERSIONS
    )
    result = first_version("worst", lent)
    assert (result.last, result.first, result.because) == ("0.3", "0.4", because)
    assert result.sentence.endswith(f"; {because}.")


@pytest.mark.parametrize(("new", "because"), [("add", True), ("multiply", False)])
def test_jaxlib_that_gets_the_same_programs_is_what_moved(tmp_path: Path, new: str, because: bool) -> None:
    of = cell(implementation="jax/jit")
    found = comparison(tmp_path, {of: (A, B, 3.0)}, {"jax": "0.1", "jaxlib": "0.1"}, {"jax": "0.5", "jaxlib": "0.5"})

    def build(chosen: Mapping[str, str]) -> str:
        if "jaxlib" in chosen and chosen["jaxlib"] != chosen["jax"]:
            raise Unresolvable("they conflict")
        return f"jax={chosen['jax']} jaxlib={chosen['jax']}"

    def programs(of: Cell, interpreter: str) -> tuple[str, ...]:
        return (new if "jax=0.4" in interpreter else "add",)

    lent = audit(
        found,
        tmp_path,
        lambda v: B if v["jax"] >= "0.4" else A,
        ("jax",),
        build=build,
        released=lambda _: JAX_VERSIONS,
        programs=programs,
    )
    said = first_version("worst", lent).because
    assert said.startswith("it is jaxlib, to which JAX hands the same programs") is because
    assert said.endswith("jax 0.3 → 0.4 and jaxlib 0.3 → 0.4 install only together" + ")" * because)
