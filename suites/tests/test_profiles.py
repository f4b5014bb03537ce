"""Profiles: what they ask for, when this machine can't offer them, and that what they selected is read back."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from suites.driver.availability import admitted, availability_of
from suites.driver.pool import WorkerPool, stop_workers
from suites.driver.profiles import (
    DEFAULT,
    UnknownProfile,
    contradiction,
    cpu_profiles,
    every_name,
    profile_named,
    profiles_on,
    refused_flag,
    variables_of,
    why_not_here,
)
from suites.driver.worker_process import WorkerDied
from suites.implementations.catalogue import FRAMEWORKS, why_not_measured
from suites.implementations.placement import Placement, processors
from suites.implementations.read_back import NotTold, ReadBack, facts_of, in_words
from suites.tests.planted import NUMPY
from suites.vocabulary import devices_of, is_card
from suites.worker.self_report import Introduction, Unavailable


def introduction(framework: str, selected: ReadBack, *features: str) -> Introduction:
    settings, facts = in_words(selected), facts_of(selected)
    what = framework, "cpu", sys.executable, "3.11.7", "Linux"
    return Introduction(*what, {}, {}, settings, facts=facts, features=list(features))


TORCH = introduction("torch", {"cpu capability": "AVX512", "threads": 1}, "avx2", "avx512f")
OLD_TORCH = introduction("torch", {"cpu capability": "AVX2", "threads": 1}, "avx2")
V4 = introduction("numpy", {"exp d": "X86_V4", "exp f": "X86_V4"})
V3 = introduction("numpy", {"exp d": "baseline(X86_V2)", "exp f": "X86_V3"})
V2 = introduction("numpy", {"exp d": "baseline(X86_V2)", "exp f": "baseline(X86_V2)"})
NOT_TOLD = introduction("numpy", {"dispatch": NotTold("this NumPy")})
OLD_SCIPY = introduction("scipy", {"exp d": "X86_V4", "array API": NotTold("this SciPy")})
JAX = introduction("jax", {"CPU count": 2, "x64": True, "XLA options": "aaa"}, "avx2", "avx512f")


# -- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_default_profile_comes_first_and_asks_for_nothing(framework: str) -> None:
    first, *others = cpu_profiles(framework)
    assert (first.name, first.asked(), first.threads, first.device) == (DEFAULT, {}, 1, "cpu")
    assert all(profile.asked() for profile in others)
    assert all(profile.expects or profile.avoids or profile.changes for profile in others), "nothing is read back"


def test_names_are_parts_of_keys_and_stand_for_one_profile_each() -> None:
    for framework in FRAMEWORKS:
        names = [profile.name for profile in cpu_profiles(framework)]
        assert len(names) == len(set(names))
        assert all(profile_named(framework, name).name == name for name in names)
    assert not any("/" in name or "." in name for name in every_name())


def test_a_profile_of_another_framework_is_unknown() -> None:
    with pytest.raises(UnknownProfile, match="numpy has no profile 'threads-2'; it has default, without-x86-v4, "):
        profile_named("numpy", "threads-2")
    with pytest.raises(UnknownProfile, match="scipy has no profile 'cuda'"):
        profile_named("scipy", "cuda")


def test_every_profile_can_be_had_for_another_interpreter() -> None:
    for framework in FRAMEWORKS:
        for profile in cpu_profiles(framework):
            other = profile_named(framework, profile.name, "/other/python")
            assert other == replace(profile, interpreter="/other/python")


@pytest.mark.parametrize(
    ("word", "devices"),
    [
        ("cpu", ("cpu",)),
        ("cuda", ("cuda",)),
        ("cuda:1", ("cuda:1",)),
        ("all", ("cpu", "cuda")),
        ("gpu", None),
        ("cuda:", None),
        ("cuda:x", None),
        ("cuda1", None),
        ("", None),
    ],
)
def test_a_device_is_spelt_as_torch_does(word: str, devices: tuple[str, ...] | None) -> None:
    assert devices_of(word) == devices
    assert is_card(word) == (devices is not None and word.startswith("cuda"))


def test_a_card_is_a_profile_of_the_frameworks_that_can_use_it() -> None:
    assert [p.name for p in profiles_on("torch", ("cuda:1",))] == ["cuda:1"]
    assert [p.device for p in profiles_on("jax", ("cpu", "cuda"))][-1] == "cuda"
    assert profiles_on("numpy", ("cuda",)) == profiles_on("scipy", ("cuda",)) == ()


@pytest.mark.parametrize(
    ("device", "platform", "index"), [("cpu", "cpu", 0), ("cuda", "cuda", 0), ("cuda:3", "cuda", 3)]
)
def test_a_device_has_a_platform_and_a_number(device: str, platform: str, index: int) -> None:
    placement = Placement(device)
    assert (placement.platform, placement.index) == (platform, index)


# -- the environment of a worker -------------------------------------------------------------------------------------


def test_what_leads_to_the_packages_of_this_python_is_not_given_to_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/packages")
    assert variables_of(profile_named("numpy", DEFAULT))["PYTHONPATH"] == "/packages"
    assert "PYTHONPATH" not in variables_of(profile_named("numpy", DEFAULT, "/other/python"))


def test_variables_of_a_profile_take_the_place_of_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "default")
    monkeypatch.setenv("UNRELATED", "kept")
    found = variables_of(profile_named("torch", "aten-avx2"))
    assert (found["ATEN_CPU_CAPABILITY"], found["UNRELATED"]) == ("avx2", "kept")
    assert variables_of(profile_named("torch", DEFAULT))["ATEN_CPU_CAPABILITY"] == "default"


def test_flags_of_xla_are_added_to_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=true")
    found = variables_of(profile_named("jax", "xla-avx2"))["XLA_FLAGS"]
    assert found == "--xla_cpu_enable_fast_math=true --xla_cpu_max_isa=AVX2"
    monkeypatch.delenv("XLA_FLAGS")
    assert variables_of(profile_named("jax", "xla-avx2"))["XLA_FLAGS"] == "--xla_cpu_max_isa=AVX2"


def test_jax_sees_the_device_of_its_profile_and_no_other() -> None:
    assert variables_of(profile_named("jax", DEFAULT))["JAX_PLATFORMS"] == "cpu"
    assert variables_of(profile_named("jax", "cuda:1"))["JAX_PLATFORMS"] == "cuda"


# -- not available here ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("default", "name", "reason"),
    [
        (TORCH, "aten-avx512", "not available here: it is the default (cpu capability AVX512)"),
        (TORCH, "aten-avx2", None),
        (TORCH, "threads-2", None),
        (OLD_TORCH, "aten-avx2", "not available here: it is the default (cpu capability AVX2)"),
        (OLD_TORCH, "aten-avx512", "not available here: this processor has no avx512f"),
        (OLD_TORCH, "aten-default", None),
        (V4, "without-x86-v4", None),
        (V4, "without-x86-v3", None),
        (V3, "without-x86-v4", "not available here: X86_V4 is not in use"),
        (V3, "without-x86-v3", None),
        (V2, "without-x86-v3", "not available here: X86_V4 and X86_V3 are not in use"),
        (NOT_TOLD, "without-x86-v4", "not available here: X86_V4 is not in use"),
        (OLD_SCIPY, "array-api", "not available here: array API is not told by this SciPy"),
        (JAX, "xla-avx2", None),
        (replace(JAX, features=["avx2"]), "xla-avx2", "not available here: this processor has no avx512f"),
        (JAX, "one-cpu", None),
        (introduction("jax", {"CPU count": 1}), "one-cpu", "not available here: it is the default (CPU count 1)"),
        (JAX, DEFAULT, None),
    ],
)
def test_a_profile_that_would_be_a_duplicate_or_is_beyond_the_processor_is_not_available(
    default: Introduction, name: str, reason: str | None
) -> None:
    assert why_not_here(profile_named(default.framework, name), default) == reason


# -- what was selected -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("default", "name", "selected", "reason"),
    [
        (TORCH, "threads-2", {"threads": 2}, None),
        (TORCH, "threads-2", {"threads": 1}, "did not take effect: threads is 1, not 2"),
        (TORCH, "aten-avx2", {"cpu capability": "AVX2"}, None),
        (TORCH, "aten-avx2", {}, "did not take effect: cpu capability is AVX512, not AVX2"),
        (V4, "without-x86-v4", {"exp d": "baseline(X86_V2)", "exp f": "X86_V3"}, None),
        (V4, "without-x86-v4", {"exp f": "X86_V3"}, "did not take effect: exp d is still X86_V4"),
        (V4, "without-x86-v3", {"exp d": "X86_V3", "exp f": "X86_V3"}, "did not take effect: exp d is still X86_V3"),
        (JAX, "xla-no-ynn", {"XLA options": "bbb"}, None),
        (JAX, "xla-no-ynn", {}, "did not take effect: XLA options is aaa, as in the default profile"),
        (JAX, "no-x64", {"x64": True}, "did not take effect: x64 is True, not False"),
    ],
)
def test_a_profile_that_did_not_take_effect_is_distinguished_from_one_that_did(
    default: Introduction, name: str, selected: ReadBack, reason: str | None
) -> None:
    settings, facts = {**default.settings, **in_words(selected)}, {**default.facts, **facts_of(selected)}
    mine = replace(default, settings=settings, facts=facts)
    assert contradiction(profile_named(default.framework, name), default, mine) == reason


def test_a_card_that_computes_on_the_cpu_did_not_take_effect() -> None:
    card = profile_named("torch", "cuda")
    assert contradiction(card, None, TORCH) == "did not take effect: it computes on cpu, not on a card"
    assert contradiction(card, None, replace(TORCH, device="cuda", card="NVIDIA H100")) is None


def test_a_flag_that_xla_does_not_know_is_found_in_what_it_printed() -> None:
    log = "F1124 parse_flags_from_env.cc:234] Unknown flag in XLA_FLAGS: --xla_bogus=3 \nmore"
    assert refused_flag(log) == "--xla_bogus=3"
    assert refused_flag("Segmentation fault") is None


# -- started ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def no_worker_left() -> Iterator[None]:
    yield
    stop_workers()


@pytest.mark.usefixtures("no_worker_left")
@pytest.mark.parametrize(
    ("framework", "names"),
    [
        ("numpy", ("without-x86-v4", "without-x86-v3")),
        ("torch", ("threads-2", "aten-default")),
        ("jax", ("one-cpu", "xla-no-ynn", "no-x64")),
    ],
)
def test_profiles_take_effect_here_or_say_why_they_can_not(framework: str, names: tuple[str, ...]) -> None:
    if why_not_measured(framework):
        pytest.skip(f"{framework} is not installed")
    profiles = [profile_named(framework, name) for name in (DEFAULT, *names)]
    with WorkerPool() as pool:
        availability = availability_of(profiles, pool)
    assert availability.failed == {}
    assert availability.present.keys() | availability.refused.keys() == set(profiles)
    assert profiles[0] in availability.present
    for profile, found in availability.present.items():
        assert contradiction(profile, availability.present[profiles[0]], found) is None
    for reason in availability.refused.values():
        assert reason.startswith("not available here: ")
    if framework == "jax":
        assert availability.present[profile_named("jax", "no-x64")].settings["x64"] == "False"
        if processors() > 1:
            assert availability.present[profile_named("jax", "one-cpu")].settings["CPU count"] == "1"
    if framework == "torch":
        assert availability.present[profile_named("torch", "threads-2")].settings["threads"] == "2"
        assert availability.present[profile_named("torch", "aten-default")].settings["cpu capability"] == "DEFAULT"


def test_a_profile_that_is_asked_for_and_silently_ignored_fails(no_worker_left: None) -> None:
    ignored = replace(NUMPY, name="ignored", environment=(("NPY_DISABLE_CPU_FEATURE", "X86_V4"),), changes=("exp f",))
    with pytest.raises(WorkerDied, match="did not take effect: exp f is .*, as in the default profile"):
        admitted(ignored)
    with WorkerPool(2) as pool:
        availability = availability_of([NUMPY, ignored], pool)
    assert list(availability.present) == [NUMPY]
    assert availability.failed[ignored].reason.startswith("did not take effect")


def test_a_card_that_is_not_there_refuses_with_the_reason(no_worker_left: None) -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a card")
    with pytest.raises(Unavailable, match=r"torch .* (is a build without CUDA|sees no CUDA cards)"):
        admitted(profile_named("torch", "cuda"))


def test_a_framework_that_is_not_installed_starts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name, package=None: None)
    with WorkerPool(1) as pool:
        availability = availability_of(cpu_profiles("jax"), pool)
    assert set(availability.refused.values()) == {"jax is not installed"}
    with pytest.raises(Unavailable, match="jax is not installed"):
        admitted(cpu_profiles("jax")[0])


def test_a_framework_whose_worker_dies_at_its_start_fails_in_every_profile(tmp_path: Path) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\nkill -SEGV $$\n", encoding="utf-8")
    broken.chmod(0o755)
    with WorkerPool(1) as pool:
        availability = availability_of(cpu_profiles("numpy", str(broken)), pool)
    assert not availability.present
    assert not availability.refused
    assert {loss.signal for loss in availability.failed.values()} == {"SIGSEGV"}
    assert len(availability.failed) == len(cpu_profiles("numpy"))


def test_a_flag_that_this_release_does_not_know_makes_a_profile_unavailable(tmp_path: Path) -> None:
    broken = tmp_path / "python"
    text = "Unknown flag in XLA_FLAGS: --xla_cpu_experimental_ynn_fusion_type="
    broken.write_text(f"#!/bin/sh\necho '{text}' >&2\nkill -ABRT $$\n", encoding="utf-8")
    broken.chmod(0o755)
    profile = profile_named("jax", "xla-no-ynn", str(broken))
    with pytest.raises(Unavailable, match="not available here: this jax knows no flag --xla_cpu_experimental_ynn_fusi"):
        admitted(profile, JAX)
