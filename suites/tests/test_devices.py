"""The code for cards, as far as it goes without one: bits through a device, and what a card reports of itself."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from suites.implementations import nvidia
from suites.implementations.placement import HERE
from suites.plan.cell import Selection
from suites.plan.cells import cells, rows_of
from suites.vocabulary import is_card
from suites.worker.evaluation import evaluate_rows

BITS = np.array([[0.0, 1.0, 2.0], [3.0, 1.0, 3.0]], np.float32).view(np.uint32)


@pytest.fixture
def on_card_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HERE, "device", "cuda:1")


@pytest.fixture
def torch() -> Any:
    return pytest.importorskip("torch")


@pytest.fixture
def jax() -> Any:
    return pytest.importorskip("jax")


# -- PyTorch ---------------------------------------------------------------------------------------------------------


def test_tensors_are_made_on_the_device_of_the_process(torch: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from suites.implementations.torch import eager

    monkeypatch.setattr(HERE, "device", "meta")  # a device without memory, which every build has
    assert eager.to_tensor(BITS, "binary32").device.type == "meta"


@pytest.mark.parametrize("quantity", ["forward", "vjp", "jvp"])
def test_bits_come_back_from_the_device_that_is_named(
    torch: Any, quantity: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from suites.implementations.torch import eager

    roles = {"vjp": "cotangent", "jvp": "tangent"}
    vectors = {roles[quantity]: BITS} if quantity in roles else {}
    outputs = []
    for device in ("cpu", "cpu:0"):
        monkeypatch.setattr(HERE, "device", device)
        evaluator = eager.evaluator("eager")
        outputs.append(evaluate_rows(evaluator, "softmax", quantity, "binary32", "inner", BITS, vectors))
    assert np.array_equal(outputs[0], outputs[1])
    assert outputs[0].dtype == BITS.dtype


@pytest.mark.usefixtures("on_card_one")
@pytest.mark.parametrize(
    ("built", "cards", "reason"),
    [
        (None, 0, "torch 2.99 is a build without CUDA"),
        ("12.8", 0, "torch 2.99 sees no CUDA cards"),
        ("12.8", 1, "torch 2.99 sees 1 CUDA card"),
        ("12.8", 2, None),
    ],
)
def test_torch_says_why_there_is_no_card(
    torch: Any, monkeypatch: pytest.MonkeyPatch, built: str | None, cards: int, reason: str | None
) -> None:
    from suites.implementations.torch import settings

    monkeypatch.setattr(torch, "__version__", "2.99")
    monkeypatch.setattr(torch.version, "cuda", built)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cards)
    assert settings.no_device() == reason


@pytest.mark.usefixtures("on_card_one")
def test_torch_names_the_card_its_driver_and_its_capability(torch: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from suites.implementations.torch import settings

    names, capabilities = ("the other", "NVIDIA H100"), ((7, 5), (9, 0))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: names[index])
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda index: capabilities[index])
    monkeypatch.setattr(settings, "driver_version", lambda: "550.54.15")
    assert settings.card() == "NVIDIA H100, driver 550.54.15, compute capability 9.0"


def test_on_the_cpu_there_is_no_card_to_name(torch: Any) -> None:
    from suites.implementations.torch import settings

    assert settings.card() is None
    assert settings.no_device() is None
    assert settings.details() == {"device": "cpu", "flushes subnormals": False}


# -- JAX -------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("on_card_one")
@pytest.mark.parametrize(("cards", "reason"), [(1, "sees 1 CUDA card"), (2, None)])
def test_jax_says_why_there_is_no_card(
    jax: Any, monkeypatch: pytest.MonkeyPatch, cards: int, reason: str | None
) -> None:
    from suites.implementations.jax import settings

    monkeypatch.setattr(jax, "devices", lambda platform: [platform] * cards)
    assert settings.no_device() == (reason and f"jax {jax.__version__} {reason}")


@pytest.mark.usefixtures("on_card_one")
@pytest.mark.parametrize("error", [RuntimeError("Unknown backend cuda\nmore"), AssertionError()])
def test_jax_without_a_backend_for_cards_says_so(jax: Any, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    from suites.implementations.jax import settings

    def fail(platform: str) -> None:
        raise error

    monkeypatch.setattr(jax, "devices", fail)
    reason = settings.no_device()
    assert reason is not None
    assert reason.startswith(f"jax {jax.__version__} has no CUDA device")
    assert "more" not in reason


@pytest.mark.usefixtures("on_card_one")
def test_jax_names_the_card_its_driver_and_its_capability(jax: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from suites.implementations.jax import settings

    card = SimpleNamespace(device_kind="NVIDIA H100", compute_capability="9.0")
    monkeypatch.setattr(jax, "devices", lambda platform: [None, card])
    monkeypatch.setattr(settings, "driver_version", lambda: "550.54.15")
    assert settings.card() == "NVIDIA H100, driver 550.54.15, compute capability 9.0"


def test_a_process_computes_on_the_device_that_its_placement_names(jax: Any) -> None:
    from suites.implementations.jax import nn

    nn.configure()
    assert jax.config.jax_default_device == jax.devices("cpu")[0]
    assert jax.numpy.zeros(1).devices() == {jax.devices("cpu")[0]}


# -- the driver's version --------------------------------------------------------------------------------------------


def test_the_drivers_version_is_read_where_the_kernel_keeps_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "version"
    file.write_text("550.54.15\n", encoding="ascii")
    monkeypatch.setattr(nvidia, "_MODULE", file)
    assert nvidia.driver_version() == "550.54.15"


@pytest.mark.parametrize(("told", "version"), [("570.86\n570.86\n", "570.86"), ("", "unknown"), (None, "unknown")])
def test_the_drivers_version_is_asked_of_nvidia_smi_elsewhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, told: str | None, version: str
) -> None:
    def run(*arguments: Any, **named: Any) -> Any:
        if told is None:
            raise FileNotFoundError("nvidia-smi")
        return subprocess.CompletedProcess(arguments, 0, stdout=told)

    monkeypatch.setattr(nvidia, "_MODULE", tmp_path / "nothing")
    monkeypatch.setattr("subprocess.run", run)
    assert nvidia.driver_version() == version


# -- the plan --------------------------------------------------------------------------------------------------------


def card_cells(tier: str, name: str) -> list[Any]:
    from suites.implementations.catalogue import CATALOGUE

    return cells([CATALOGUE[name]], Selection(tier, devices=("cuda",)))


def test_a_cards_cells_lie_on_both_sides_of_each_kernels_bounds() -> None:
    last = {c.row_length for c in card_cells("standard", "torch/eager") if (c.layout, c.family) == ("last", "gauss1")}
    # A warp up to 1024 (gradients, binary64) and 2048; registers up to 9216; shared memory for multiples of 4 and 8.
    for low, high in (
        (1024, 1025),
        (2048, 2049),
        (3072, 3073),
        (9216, 9217),
        (9220, 9217),
        (12252, 12256),
        (24504, 24512),
    ):
        assert {low, high} <= last
    for power in (32, 64, 128, 256, 512):
        assert {power, power + 1} <= last


def test_a_cards_spatial_kernels_meet_narrow_and_wide_rows_on_both_sides_of_64_numbers() -> None:
    inner = {
        (rows_of(c.family, c.row_length), c.row_length)
        for c in card_cells("standard", "torch/eager")
        if c.layout == "inner"
    }
    assert {(33, 63), (33, 64), (65, 63), (65, 64), (1025, 63), (1025, 64)} <= inner


@pytest.mark.parametrize("tier", ["smoke", "standard"])
@pytest.mark.parametrize("name", ["torch/eager", "jax/jit"])
def test_a_card_has_cells_of_every_quantity_and_format_in_a_profile_of_its_own(tier: str, name: str) -> None:
    found = card_cells(tier, name)
    assert {c.quantity for c in found} == {"forward", "vjp", "jvp", *(["hvp"] if tier == "standard" else [])}
    assert {c.format for c in found} == {"binary64", "binary32", "binary16", "bfloat16"}
    assert all(is_card(c.profile) for c in found)


def test_all_devices_have_the_cells_of_each() -> None:
    from suites.implementations.catalogue import CATALOGUE

    def chosen(*devices: str) -> set[Any]:
        return set(cells(CATALOGUE.values(), Selection("smoke", devices=devices)))

    assert chosen("cpu", "cuda") == chosen("cpu") | chosen("cuda")
    assert chosen("cpu") == chosen()
