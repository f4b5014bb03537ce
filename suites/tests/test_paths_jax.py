"""JAX's paths on the CPU, by observation: XLA's optimised programs, what is compiled, and orders of summation."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

jax = pytest.importorskip("jax")

import jax.numpy as jnp  # noqa: E402  (after the skip: these need jax)

from suites.implementations.catalogue import settings_of  # noqa: E402
from suites.implementations.jax.nn import configure  # noqa: E402
from suites.paths import summation  # noqa: E402
from suites.paths.places import Place  # noqa: E402
from suites.paths.taken import path_of  # noqa: E402

ROOT = Path(__file__).parents[2]
Array = npt.NDArray[Any]

configure()

pytestmark = pytest.mark.skipif(
    jax.__version_info__ < (0, 10),
    reason="the registry was read and observed in JAX 0.10; older ones compile otherwise",
)


def _program(function: Callable[..., Any], *arguments: Any) -> str:
    """The optimised program of a function, as XLA writes it."""
    text: str = jax.jit(function).lower(*arguments).compile().as_text()
    return text


def _function(operation: str, axis: int) -> Callable[[Any], Any]:
    return lambda x: getattr(jax.nn, operation)(x, axis=axis)


def _vjp(operation: str, axis: int = 1) -> Callable[[Any, Any], Any]:
    return lambda x, g: jax.vjp(_function(operation, axis), x)[1](g)[0]


def _jvp(operation: str, axis: int = 1) -> Callable[[Any, Any], Any]:
    return lambda x, t: jax.jvp(_function(operation, axis), (x,), (t,))[1]


def _ids(operation: str, quantity: str, format: str, shape: tuple[int, ...], axis: int, name: str = "jit") -> set[str]:
    steps = path_of(f"jax/{name}", operation, quantity, format, Place.contiguous(shape, axis), settings_of("jax"))
    return {step.path.id for step in steps}


# -- XLA's reductions --------------------------------------------------------------------------------------------------

# What betrays each path in the program of a forward function, which has two reductions: maximum and sum.
_SIGNS: dict[str, Callable[[str], bool]] = {
    "xla-cpu-no-reduction": lambda text: not re.search(r"\breduce(-window)?\(", text),
    "xla-cpu-loop": lambda text: "reduce-window(" not in text and "__ynn_fusion" not in text and " reduce(" in text,
    "xla-cpu-tree": lambda text: text.count("reduce-window(") in (2, 4) and "__ynn_fusion" not in text,
    "xla-cpu-ynnpack": lambda text: text.count('"__ynn_fusion"') == 2,
    "xla-cpu-ynnpack-inner": lambda text: text.count('"__ynn_fusion"') == 2,
}
_SHAPES = [
    ("softmax", "binary32", (5, 1), 1),
    ("softmax", "binary32", (127, 32), 1),
    ("softmax", "binary32", (2, 33), 1),
    ("log_softmax", "binary32", (63, 65), 1),
    ("log_softmax", "binary32", (64, 64), 1),
    ("softmax", "binary32", (1, 4095), 1),
    ("softmax", "binary32", (1, 4096), 1),
    ("softmax", "binary64", (64, 64), 1),
    ("log_softmax", "binary16", (64, 64), 1),
    ("softmax", "bfloat16", (63, 65), 1),
    ("softmax", "binary32", (2047, 2), 0),
    ("softmax", "binary32", (2048, 2), 0),
    ("log_softmax", "binary32", (32, 3), 0),
    ("softmax", "binary32", (4, 1024, 1), 1),
]


@pytest.mark.parametrize(("operation", "format", "shape", "axis"), _SHAPES)
def test_the_reduction_in_the_compiled_program_is_that_of_the_registry(
    operation: str, format: str, shape: tuple[int, ...], axis: int
) -> None:
    kinds = {"binary64": jnp.float64, "binary32": jnp.float32, "binary16": jnp.float16, "bfloat16": jnp.bfloat16}
    text = _program(_function(operation, axis), jnp.zeros(shape, kinds[format]))
    (expected,) = _ids(operation, "forward", format, shape, axis) & set(_SIGNS)
    seen = {name for name, sign in _SIGNS.items() if sign(text)}
    assert expected in seen
    assert seen - {expected} <= {"xla-cpu-ynnpack", "xla-cpu-ynnpack-inner"}


def test_a_tree_of_more_than_1024_elements_has_a_second_level() -> None:
    for n, windows in ((1024, 2), (1025, 4)):
        assert _program(_function("softmax", 1), jnp.zeros((2, n), jnp.float32)).count("reduce-window(") == windows


def test_a_gradient_has_its_third_reduction_in_the_same_way() -> None:
    for shape, sign in (((2, 33), "reduce-window("), ((64, 64), '"__ynn_fusion"')):
        zeros = jnp.zeros(shape, jnp.float32)
        for function in (_vjp("softmax"), _jvp("softmax"), _vjp("log_softmax"), _jvp("log_softmax")):
            assert _program(function, zeros, zeros).count(sign) == 3


def _meetings(n: int, kind: type[np.floating[Any]], rows: int, axis: int = 1) -> tuple[Array, summation.Probe]:
    """Where the terms of sum(-g) meet: log_softmax has the gradient g + e sum(-g) / s, with e = s = 1 at one logit."""
    large = 2.0**300 if kind is np.float64 else 2.0**60
    probe = summation.probe(n, large=large, unit=1.0)
    read = np.array([next(r for r in range(n) if r not in pair) for pair in probe.pairs])
    count = len(probe.pairs)
    g, x = probe.terms.astype(kind), np.full(probe.terms.shape, -np.inf, kind)
    x[np.arange(count), read] = 0
    gradient, seen = jax.jit(_vjp("log_softmax", axis)), np.empty_like(g)
    for start in range(0, count, rows):
        some = np.arange(start, start + rows) % count
        a, b = (x[some], g[some]) if axis == 1 else (x[some].T.copy(), g[some].T.copy())
        seen[some] = gradient(a, b) if axis == 1 else np.asarray(gradient(a, b)).T
    rows_of = np.arange(count)
    return probe.meetings(g[rows_of, read].astype(float) - seen[rows_of, read].astype(float)), probe


@pytest.mark.parametrize(("kind", "n", "axis"), [(np.float32, 32, 1), (np.float32, 70, 1), (np.float64, 40, 0)])
def test_sums_add_up_in_the_order_of_the_registry(kind: type[np.floating[Any]], n: int, axis: int) -> None:
    seen, probe = _meetings(n, kind, rows=4095 // n, axis=axis)
    order = summation.sequential if n <= 32 else summation.in_windows
    assert np.array_equal(seen, probe.meetings(order(probe.terms.astype(kind))))
    if n > 32:
        assert not np.array_equal(seen, probe.meetings(summation.sequential(probe.terms.astype(kind))))


def test_ynnpack_adds_up_in_lanes_four_registers_at_a_time() -> None:
    flags = Path("/proc/cpuinfo").read_text(encoding="utf-8") if os.path.exists("/proc/cpuinfo") else ""
    for n in (20, 100, 200):
        seen, probe = _meetings(n, np.float32, rows=max(n * (n - 1) // 2, 4096 // n + 1))
        terms = probe.terms.astype(np.float32)
        assert not np.array_equal(seen, probe.meetings(summation.sequential(terms)))
        assert not np.array_equal(seen, probe.meetings(summation.in_windows(terms))) or n <= 32
        if "avx512f" in flags:
            assert np.array_equal(seen, probe.meetings(summation.in_fours(terms, 16)))


_FINGERPRINTS = """
import hashlib, os, sys
os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[: int(sys.argv[1])]))
import jax, numpy as np
x = np.random.default_rng(0).standard_normal((1000, 64)).astype(np.float32)
for axis in (0, 1):
    y = np.asarray(jax.jit(lambda a: jax.nn.softmax(a, axis=axis))(x))
    print(hashlib.sha256(y.tobytes()).hexdigest())
"""


def test_the_number_of_processors_changes_sums_along_another_axis_alone() -> None:
    if not hasattr(os, "sched_setaffinity") or len(os.sched_getaffinity(0)) < 2:
        pytest.skip("this process has one processor")
    found = [
        subprocess.run(
            [sys.executable, "-c", _FINGERPRINTS, str(count)], capture_output=True, text=True, check=True
        ).stdout.split()
        for count in (1, 2)
    ]
    assert found[0][0] != found[1][0], "axis 0"
    assert found[0][1] == found[1][1], "axis 1"


def test_a_flag_turns_ynnpack_off_and_the_registry_knows_it() -> None:
    flag = "--xla_cpu_experimental_ynn_fusion_type="
    program = (
        "import jax, jax.numpy as jnp; f = jax.jit(lambda x: jax.nn.softmax(x, axis=1));"
        "print('__ynn_fusion' in f.lower(jnp.zeros((64, 64))).compile().as_text())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "XLA_FLAGS": flag},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "False\n"
    place, chosen = Place.contiguous((64, 64), 1), {**settings_of("jax"), "XLA_FLAGS": flag}
    ids = {s.path.id for s in path_of("jax/jit", "softmax", "forward", "binary32", place, chosen)}
    assert "xla-cpu-tree" in ids


# -- functions, rules, and what jit makes of them ----------------------------------------------------------------------


def _compiled(call: Callable[[], Any], caplog: pytest.LogCaptureFixture) -> list[str]:
    """The names of what a call has compiled."""
    caplog.clear()
    with jax.log_compiles(), caplog.at_level(logging.WARNING):
        call()
    return re.findall(r"^Compiling jit\((\w+)\)", "\n".join(r.getMessage() for r in caplog.records), re.MULTILINE)


def test_eager_softmax_runs_operator_by_operator_and_log_softmax_as_a_whole(caplog: pytest.LogCaptureFixture) -> None:
    x = jnp.zeros((3, 77), jnp.float32)  # a shape of its own, so that nothing is compiled before
    softmax = _compiled(lambda: jax.nn.softmax(x, axis=1), caplog)
    assert [name.strip("_") for name in softmax if name != "broadcast_in_dim"] == [
        "reduce_max",
        "subtract",
        "exp",
        "reduce_sum",
        "true_divide",
    ]
    assert _compiled(lambda: jax.nn.log_softmax(x, axis=1), caplog) == ["log_softmax"]
    assert "xla-eager" in _ids("softmax", "forward", "binary32", (3, 77), 1, "eager")
    assert "xla-eager" not in _ids("log_softmax", "forward", "binary32", (3, 77), 1, "eager")


def test_softmax_multiplies_by_a_reciprocal_under_jit_and_eagerly() -> None:
    x = np.random.default_rng(1).normal(scale=3, size=(40, 30)).astype(np.float32)
    e = jnp.exp(x - x.max(axis=1, keepdims=True))
    total = np.asarray(jnp.sum(e, axis=1, keepdims=True))
    expected, quotient = np.asarray(e) * (1 / total), np.asarray(e) / total
    assert not np.array_equal(expected, quotient)
    for seen in (jax.nn.softmax(x, axis=1), jax.jit(_function("softmax", 1))(x)):
        assert np.array_equal(np.asarray(seen), expected)
    for text in (_program(_function("softmax", 1), x), _program(jnp.divide, e, total)):
        assert re.search(r"f32\[40(,1)?\]\S* divide\(", text), "one division a row"
        assert re.search(r"f32\[40,30\]\S* multiply\(", text), "one product an element"


def test_values_under_jit_differ_from_eager_ones_where_ynnpack_has_the_exponential() -> None:
    for shape, same in (((63, 65), True), ((64, 64), False)):
        for kind in (np.float32, np.float64):
            x = np.random.default_rng(1).normal(scale=3, size=shape).astype(kind)
            eager, jitted = jax.nn.softmax(x, axis=1), jax.jit(_function("softmax", 1))(x)
            assert np.array_equal(eager, jitted) == same
            logarithms = jax.nn.log_softmax(x, axis=1), jax.jit(_function("log_softmax", 1))(x)
            assert np.array_equal(*logarithms)


@pytest.fixture
def rule() -> Any:
    """Sets the flag of the derivative rule, and puts it back."""
    before = jax.config.jax_softmax_custom_jvp
    yield lambda custom: jax.config.update("jax_softmax_custom_jvp", custom)
    jax.config.update("jax_softmax_custom_jvp", before)


def test_the_derivative_rule_is_read_off_the_program(rule: Callable[[bool], None]) -> None:
    x = jnp.zeros((3, 5), jnp.float32)
    rule(False)
    assert not jax.config.jax_softmax_custom_jvp
    default = str(jax.make_jaxpr(_vjp("softmax"))(x, x))
    assert "integer_pow[y=-2]" in default
    rule(True)
    custom = str(jax.make_jaxpr(_vjp("softmax"))(x, x))
    assert "integer_pow" not in custom
    assert "custom_jvp_call" in str(jax.make_jaxpr(_function("softmax", 1))(x))
    rule(False)
    assert "custom_jvp_call" not in str(jax.make_jaxpr(_function("softmax", 1))(x))
    logarithm = str(jax.make_jaxpr(_vjp("log_softmax"))(x, x))
    assert "integer_pow" not in logarithm
    assert [name for name in ("neg", "reduce_sum", "div", "add_any") if name not in logarithm] == []


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_16_bit_sums_are_converted_on_the_way_in_and_out(name: str) -> None:
    kind = getattr(jnp, name)
    for operation in ("softmax", "log_softmax"):
        text = str(jax.make_jaxpr(_function(operation, 1))(jnp.zeros((3, 5), kind)))
        short = {"float16": "f16", "bfloat16": "bf16"}[name]
        assert re.search(r"f32\[3,5\] = convert_element_type\[new_dtype=float32", text)
        assert re.search(r"f32\[3\] = reduce_sum", text)
        assert re.search(rf"{short}\[3(,1)?\] = convert_element_type\[\s*new_dtype={name}", text)
    if name == "float16":
        for n, value in ((65519, True), (65520, False)):
            logarithm = jax.nn.log_softmax(jnp.zeros((1, n), kind), axis=1)
            assert bool(jnp.isfinite(logarithm).all()) == value


def test_an_offset_is_absorbed_by_logsumexp_alone() -> None:
    x = jnp.full((1, 2), 1e8, jnp.float32)
    assert float(jax.nn.log_softmax(x, axis=1)[0, 0]) == pytest.approx(-np.log(2), rel=1e-6)
    assert float((x - jax.scipy.special.logsumexp(x, axis=1, keepdims=True))[0, 0]) == 0.0


def test_a_mask_leaves_zero_and_minus_infinity() -> None:
    x, mask = jnp.array([[1e30, 0.0, 0.0]], jnp.float32), jnp.array([[False, True, True]])
    assert jax.nn.softmax(x, axis=1, where=mask).tolist() == [[0.0, 0.5, 0.5]]
    assert jax.nn.log_softmax(x, axis=1, where=mask)[0, 0] == -np.inf


def test_scaled_logits_are_scaled_twice_in_small_arrays() -> None:
    for shape, products in (((2, 64), 2), ((64, 128), 1)):
        text = _program(lambda x: jax.nn.softmax(x / 3, axis=1), jnp.zeros(shape, jnp.float32))
        assert len(re.findall(r"constant\(0\.333333\d+\)", text)) == products
        scaled = re.findall(rf"f32\[{shape[0]},{shape[1]}\]\S* multiply\(", text)
        assert len(scaled) == products + 1, "and one by the reciprocal of the sum"
