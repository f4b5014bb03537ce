"""What a framework declares: complete, free of contradictions, and in the suite's words."""

from __future__ import annotations

import dataclasses
from dataclasses import replace

import pytest

from suites.implementations.catalogue import CATALOGUE, FRAMEWORKS, layouts_of
from suites.implementations.framework import Framework
from suites.implementations.frameworks import folder_of, framework_named, frameworks
from suites.implementations.implementation import Implementation
from suites.implementations.inputs import SPECIAL
from suites.inputs import special
from suites.plan.sampling import sampled
from suites.vocabulary import FAMILIES, LAYOUTS

TORCH, JAX = framework_named("torch"), framework_named("jax")


def test_no_field_of_a_framework_has_a_default() -> None:
    """A default would answer a question for whoever adds one, and nobody would notice."""
    for field in dataclasses.fields(Framework):
        assert field.default is dataclasses.MISSING, field.name
        assert field.default_factory is dataclasses.MISSING, field.name


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_a_folder_has_the_files_that_every_framework_has(name: str) -> None:
    found = {file.name for file in folder_of(name).iterdir()}
    assert {"framework.py", "settings.py", "paths.toml", "replay.py.j2"} <= found
    assert ("timing.py" in found) == framework_named(name).timed


@pytest.mark.parametrize("name", CATALOGUE)
def test_inputs_of_an_implementation_are_in_the_words_of_the_suite(name: str) -> None:
    implementation = CATALOGUE[name]
    for layout, family, length in implementation.inputs or ():
        assert layout in LAYOUTS
        assert family in (*FAMILIES, special.FAMILY)
        assert length > 0
    assert set(implementation.drawn) <= set(implementation.formats)


def test_the_input_of_special_rows_is_theirs() -> None:
    assert SPECIAL[1] == special.FAMILY


@pytest.mark.parametrize("name", CATALOGUE)
def test_no_layout_is_offered_to_a_framework_that_does_not_see_it(name: str) -> None:
    implementation = CATALOGUE[name]
    for tier in ("smoke", "standard"):
        assert {layout for layout, _, _ in sampled(implementation, tier)} <= set(layouts_of(implementation))


def changed(of: Framework, **fields: object) -> Implementation:
    """The first implementation of a framework with other fields."""
    return replace(of.implementations[0], **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("framework", "fields", "reason"),
    [
        (TORCH, {"inputs": None}, "torch/eager doesn't say which inputs it has beside its tier's"),
        (TORCH, {"needs": ("a C++ compiler",)}, "and doesn't say that it compiles for each shape"),
        (TORCH, {"kind": "shortcut"}, "torch/eager is a 'shortcut'; it can be call, wrapper or formula"),
        (TORCH, {"eager": "torch/lazy"}, "torch names an implementation 'torch/lazy' that it doesn't have"),
        (TORCH, {"framework": "jax"}, "torch/eager is declared by torch, not by jax"),
        (JAX, {"compiles": False}, "jax/eager has to say that it compiles"),
    ],
)
def test_a_declaration_that_contradicts_itself_is_refused(
    framework: Framework, fields: dict[str, object], reason: str
) -> None:
    others = framework.implementations[1:]
    with pytest.raises(ValueError, match=reason.replace("+", r"\+")):
        replace(framework, implementations=(changed(framework, **fields), *others))


def test_a_usual_call_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="torch names an implementation 'torch/fast' that it doesn't have"):
        replace(TORCH, usual="torch/fast")


def test_lists_are_in_the_order_of_their_places() -> None:
    places = [framework.place for framework in frameworks().values()]
    assert places == sorted(places)
    assert len(set(places)) == len(places)
