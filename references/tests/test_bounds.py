"""The a-priori bounds, held against algorithms whose every operation is rounded exactly: never exceeded, never idle."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial

import mpmath
import numpy as np
import pytest

from references import doubledouble as dd
from references.bounds import (
    Arithmetic,
    Shifted,
    any_order_depth,
    bound,
    compounded,
    compute_arithmetic,
    conditioning_limit,
    conditioning_scale,
    gamma,
    says_nothing,
    storage_arithmetic,
)
from references.bulk import reference
from references.elementary import exp, log1p
from references.errors import errors_of
from references.formats import (
    BFLOAT16,
    BINARY16,
    BINARY32,
    BINARY64,
    FLOAT8_E4M3FN,
    Floats,
    Format,
    Mask,
    compute_format,
)
from references.problem import OPERATIONS
from references.reference import Reference

# -- arithmetic whose every operation is rounded exactly ---------------------------------------------------------------


@dataclass(frozen=True)
class Machine:
    """Elementwise results in ``elementwise``, sums in ``sums``, exp and log in ``elementary``, results in ``output``.

    A sum, product or quotient of numbers of 24 bits or fewer, taken in binary64 and rounded once more, is rounded
    correctly (53 >= 2 * 24 + 2).  ``push`` moves exp and log by that many ulps before they are rounded; with 2, they
    are within 3.  ``flushes`` takes subnormal numbers for zero, as operands and as results.
    """

    output: Format
    elementwise: Format
    sums: Format
    elementary: Format
    order: str = "recursive"
    push: float = 0.0
    flushes: bool = False

    def rounded(self, values: Floats, format: Format | None = None) -> Floats:
        format = format or self.elementwise
        if format is not BINARY64:
            native = values.astype(np.float32) if format is BINARY32 else format.decode(format.round_floats(values))
            values = np.asarray(native, np.float64)
        return self.flushed(values)

    def flushed(self, values: Floats) -> Floats:
        if not self.flushes:
            return values
        return np.where(np.abs(values) < self.sums.smallest_normal, 0.0, values)

    def subtract(self, a: Floats, b: Floats) -> Floats:
        return self.rounded(np.asarray(self.flushed(a) - self.flushed(b)))

    def multiply(self, a: Floats, b: Floats) -> Floats:
        return self.rounded(np.asarray(self.flushed(a) * self.flushed(b)))

    def divide(self, a: Floats, b: Floats) -> Floats:
        return self.rounded(np.asarray(self.flushed(a) / self.flushed(b)))

    def exp(self, d: Floats) -> Floats:
        """exp d for d <= 0, pushed up in one half of the row and down in the other."""
        away = np.where(np.arange(d.shape[-1]) < d.shape[-1] // 2, 1.0, -1.0)
        d = self.flushed(d)
        (high, low), power = exp((np.where(np.isinf(d), 0.0, d), np.zeros_like(d)))
        result = self._pushed(high, low, power, np.where(d == 0, 0.0, away))
        return self.rounded(np.where(np.isinf(d), 0.0, np.maximum(result, 0.0)))

    def log(self, s: Floats) -> Floats:
        """log s for s >= 1, pushed up and down in turn."""
        t = dd.two_sum(s, -1.0)
        (high, low), power = log1p(t, np.zeros(s.shape, np.int64))
        away = np.where(np.arange(s.shape[0]) % 2, 1.0, -1.0)[:, None]
        return self.rounded(self._pushed(high, low, power, np.where(s == 1, 0.0, away)))

    def _pushed(self, high: Floats, low: Floats, power: np.typing.NDArray[np.int64], away: Floats) -> Floats:
        format = self.elementary
        quantum = format.ulp_exponents(high, low, power)
        shift = np.ldexp(self.push * away, np.clip(quantum - power, -4000, 1000).astype(np.int32))
        high, error = dd.two_sum(high, shift)
        return self.flushed(format.decode(format.round_pairs(high, error + low, power)[0]))

    def sum(self, a: Floats) -> Floats:
        """The sum over a row, [rows, 1], stored as an elementwise result is."""
        return self.rounded(_ORDERS[self.order](self, self.flushed(a)))

    def add(self, a: Floats, b: Floats) -> Floats:
        return self.rounded(a + b, self.sums)


def _recursive(machine: Machine, a: Floats) -> Floats:
    if machine.sums in _NATIVE and not machine.flushes:
        total = np.add.accumulate(a.astype(_NATIVE[machine.sums]), axis=-1)[:, -1:]
        return np.asarray(total, np.float64)
    total = a[:, :1]
    for column in range(1, a.shape[-1]):
        total = machine.add(total, a[:, column : column + 1])
    return total


def _pairwise(machine: Machine, a: Floats) -> Floats:
    while (n := a.shape[-1]) > 1:
        paired = machine.add(a[:, 0 : n - 1 : 2], a[:, 1:n:2])
        a = np.concatenate([paired, a[:, -1:]], axis=-1) if n % 2 else paired
    return a


def _lanes(machine: Machine, a: Floats) -> Floats:
    """Eight partial sums, as a vector register keeps them, and then their pairwise sum."""
    rows, n = a.shape
    padded = np.zeros((rows, -(-n // 8) * 8))
    padded[:, :n] = a
    steps = padded.reshape(rows, -1, 8)
    total = steps[:, 0]
    for step in range(1, steps.shape[1]):
        total = machine.add(total, steps[:, step])
    return _pairwise(machine, total)


_NATIVE: dict[Format, type[np.floating]] = {BINARY32: np.float32, BINARY64: np.float64}
_ORDERS: dict[str, Callable[[Machine, Floats], Floats]] = {
    "recursive": _recursive,
    "pairwise": _pairwise,
    "lanes": _lanes,
}


# -- the algorithms ----------------------------------------------------------------------------------------------------


def _difference(machine: Machine, x: Floats) -> Floats:
    return machine.subtract(x, x.max(axis=-1, keepdims=True))


def softmax(machine: Machine, x: Floats) -> Floats:
    e = machine.exp(_difference(machine, x))
    return machine.divide(e, machine.sum(e))


def softmax_by_reciprocal(machine: Machine, x: Floats) -> Floats:
    e = machine.exp(_difference(machine, x))
    total = machine.sum(e)
    return machine.multiply(e, machine.divide(np.ones_like(total), total))


def log_softmax(machine: Machine, x: Floats) -> Floats:
    d = _difference(machine, x)
    return machine.subtract(d, machine.log(machine.sum(machine.exp(d))))


def softmax_product(machine: Machine, x: Floats, v: Floats) -> Floats:
    s = machine.rounded(softmax(machine, x), machine.output)
    return machine.multiply(s, machine.subtract(v, machine.sum(machine.multiply(s, v))))


def softmax_product_of_products(machine: Machine, x: Floats, v: Floats) -> Floats:
    s = machine.rounded(softmax(machine, x), machine.output)
    product = machine.multiply(s, v)
    return machine.subtract(product, machine.multiply(s, machine.sum(product)))


def log_softmax_vjp(machine: Machine, x: Floats, g: Floats) -> Floats:
    saved = machine.rounded(log_softmax(machine, x), machine.output)
    return machine.subtract(g, machine.multiply(machine.exp(saved), machine.sum(g)))


def log_softmax_jvp(machine: Machine, x: Floats, t: Floats) -> Floats:
    s = machine.rounded(softmax(machine, x), machine.output)
    return machine.subtract(t, machine.sum(machine.multiply(s, t)))


def log_softmax_jvp_from_log(machine: Machine, x: Floats, t: Floats) -> Floats:
    saved = machine.rounded(log_softmax(machine, x), machine.output)
    return machine.subtract(t, machine.sum(machine.multiply(machine.exp(saved), t)))


# name -> operation, quantity, formula
Formula = Callable[..., Floats]
ALGORITHMS: dict[str, tuple[str, str, Formula]] = {
    "B1, a quotient": ("softmax", "forward", softmax),
    "B1, by the reciprocal": ("softmax", "forward", softmax_by_reciprocal),
    "B2": ("log_softmax", "forward", log_softmax),
    "B9 + B10, s (g - <g, s>)": ("softmax", "vjp", softmax_product),
    "B9 + B10, s g - s <g, s>": ("softmax", "vjp", softmax_product_of_products),
    "B9 + B10, a tangent": ("softmax", "jvp", softmax_product),
    "B11 + B12": ("log_softmax", "vjp", log_softmax_vjp),
    "B14": ("log_softmax", "jvp", log_softmax_jvp),
    "B14, s from the logarithm": ("log_softmax", "jvp", log_softmax_jvp_from_log),
}


# -- the rows ----------------------------------------------------------------------------------------------------------

Generator = np.random.Generator
ROWS = 12


def _gauss(r: Generator, n: int, format: Format) -> Floats:
    return np.asarray(r.standard_normal((ROWS, n)) * np.array([1.0, 10.0])[np.arange(ROWS) % 2][:, None])


def _offset(r: Generator, n: int, format: Format) -> Floats:
    """Differences that the subtraction has to round: logits near zero are on a finer grid than the shifted ones."""
    shift = np.array([1.0, -1.0, 10.0, -30.0, 100.0])[np.arange(ROWS) % 5][:, None]
    return np.asarray(shift + 3 * r.standard_normal((ROWS, n)))


def _equal(r: Generator, n: int, format: Format) -> Floats:
    return np.repeat(r.standard_normal((ROWS, 1)), n, axis=1)


def _equal_but_one(r: Generator, n: int, format: Format) -> Floats:
    """Every addition to the dominant one is rounded alike: the sum drifts by nearly n u."""
    logits = np.repeat(-r.uniform(0, 12, (ROWS, 1)), n, axis=1)
    logits[:, 0] = 0.0
    return logits


def _geometric(r: Generator, n: int, format: Format) -> Floats:
    """A softmax that runs through the subnormal numbers to zero."""
    depth = -1.1 * math.log(2) * format.quantum
    return np.asarray(-depth * (np.arange(n) + r.random((ROWS, n))) / n)


def _dominant(r: Generator, n: int, format: Format) -> Floats:
    depth = -1.1 * math.log(2) * format.quantum
    logits = -(depth ** r.uniform(0, 1, (ROWS, n)))
    logits[np.arange(ROWS), r.integers(0, n, ROWS)] = r.random(ROWS)
    return np.asarray(logits)


def _masked(r: Generator, n: int, format: Format) -> Floats:
    logits = 3 * r.standard_normal((ROWS, n))
    logits[:, 1:][r.random((ROWS, n - 1)) < 0.4] = -np.inf
    return np.asarray(logits)


FAMILIES = (_gauss, _offset, _equal, _equal_but_one, _geometric, _dominant, _masked)


def _vectors(r: Generator, n: int) -> Floats:
    """Cotangents in turn: random, one-hot, constant, of sum zero, of one sign, the first against the rest."""
    v = r.standard_normal((ROWS, n))
    v[1::6] = np.eye(n)[np.arange(v[1::6].shape[0]) % n]
    v[2::6] = 0.75
    v[3::6] -= v[3::6].mean(axis=-1, keepdims=True)
    v[4::6] = np.abs(v[4::6]) + 1
    v[5::6] = np.where(np.arange(n), -1.0, 1.0)
    return np.asarray(v)


class Rows:
    """Rows of numbers of a format with a vector each, their exact results, and the bounds on them."""

    def __init__(self, format: Format, logits: Floats, vector: Floats) -> None:
        self.format, self.n = format, logits.shape[-1]
        self.logits, self.vector = (format.decode(format.round_floats(a)) for a in (logits, vector))
        self._exact: dict[tuple[str, str], Reference] = {}
        self._bounds: dict[tuple[str, str, Arithmetic], tuple[Floats, Mask]] = {}

    def vectors(self, quantity: str) -> dict[str, Floats]:
        return {"vjp": {"cotangent": self.vector}, "jvp": {"tangent": self.vector}}.get(quantity, {})

    def exact(self, operation: str, quantity: str) -> Reference:
        key = operation, quantity
        if key not in self._exact:
            self._exact[key] = reference(operation, quantity, self.logits, self.format, **self.vectors(quantity))
        return self._exact[key]

    @cached_property
    def shifted(self) -> Shifted:
        return Shifted(self.logits, self.exact("softmax", "forward"), self.exact("log_softmax", "forward"))

    def bound(self, operation: str, quantity: str, arithmetic: Arithmetic) -> tuple[Floats, Mask]:
        """The bound [rows, n], and the rows [rows] for which it says something."""
        key = operation, quantity, arithmetic
        if key not in self._bounds:
            exact = self.exact(operation, quantity).values()
            vectors = self.vectors(quantity)
            limit = bound(operation, quantity, self.shifted, exact, self.format, arithmetic, **vectors)
            self._bounds[key] = limit, ~says_nothing(operation, quantity, self.shifted, limit)
        return self._bounds[key]

    def ratios(self, computed: Floats, operation: str, quantity: str, arithmetic: Arithmetic) -> Floats:
        """error / bound [rows, n]; zero in rows whose bound says nothing."""
        bits, exact = self.format.encode(computed), self.exact(operation, quantity)
        never = np.zeros(computed.shape, bool)
        errors = errors_of(bits, exact, self.format, operation=operation, quantity=quantity, zero_by_rule=never)
        limit, judged = self.bound(operation, quantity, arithmetic)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            scaled = np.ldexp(limit, -errors.quantum.astype(np.int32))
            plain = np.isinf(scaled) | np.isinf(errors.ulps)
            ratio = np.where(plain, errors.absolute / limit, errors.ulps / scaled)
        return np.where((errors.ulps == 0) | ~judged[:, None], 0.0, ratio)


@cache
def rows_of(format: Format, n: int, scale: float = 1.0) -> Rows:
    """ROWS rows of every family in turn; ``scale`` multiplies the cotangents."""
    r = np.random.default_rng([n, format.precision])
    logits = np.concatenate([family(r, n, format) for family in FAMILIES])
    vector = np.concatenate([_vectors(r, n) for _ in FAMILIES])
    return Rows(format, logits, scale * vector)


# -- within the bounds, and not far within -----------------------------------------------------------------------------


def own_arithmetic(format: Format, n: int) -> Arithmetic:
    """The compute arithmetic of a wide format, and what it would be if a narrow one were wide enough to be one."""
    if compute_format(format) is format:
        return compute_arithmetic(format, n)
    u, quantum = format.unit_roundoff, format.smallest_subnormal
    return replace(
        compute_arithmetic(BINARY64, n),
        unit=u,
        sum_unit=u,
        elementary=6 * u,
        lost=quantum / 2,
        exp_underflow=3 * quantum,
        grid=format,
    )


@dataclass(frozen=True)
class Setting:
    """A machine beside the arithmetic whose bound it must keep, and the row lengths that it is tried at."""

    machine: Machine
    arithmetic: Callable[[Format, int], Arithmetic]
    lengths: tuple[int, ...]

    def worst(self, name: str, scale: float = 1.0) -> float:
        """The largest ratio of an algorithm over all rows, orders of summation, and errors of exp and log."""
        operation, quantity, formula = ALGORITHMS[name]
        format, largest = self.machine.output, 0.0
        for n in self.lengths:
            rows = rows_of(format, n, scale)
            for order, push in (("recursive", 0.0), ("recursive", 2.0), ("pairwise", 2.0), ("lanes", 0.0)):
                machine = replace(self.machine, order=order, push=push)
                computed = formula(machine, rows.logits, *rows.vectors(quantity).values())
                stored = machine.rounded(computed, format)
                ratios = rows.ratios(stored, operation, quantity, self.arithmetic(format, n))
                largest = max(largest, float(ratios.max()))
        return largest


def _own(format: Format, *lengths: int) -> Setting:
    return Setting(Machine(format, format, format, format), own_arithmetic, lengths)


def _wide(format: Format) -> Setting:
    return Setting(Machine(format, BINARY32, BINARY32, BINARY32), compute_arithmetic, (1, 2, 3, 33, 400))


def _storage(format: Format) -> Setting:
    return Setting(Machine(format, format, BINARY32, BINARY32), storage_arithmetic, (1, 2, 3, 33, 400))


SETTINGS = {
    "binary64": _own(BINARY64, 1, 2, 3, 33, 400),
    "binary32": _own(BINARY32, 1, 2, 3, 33, 400),
    "binary16 throughout": _own(BINARY16, 1, 2, 3, 33, 100),
    "bfloat16 throughout": _own(BFLOAT16, 1, 2, 3, 33, 60),
    "binary16, computed in binary32": _wide(BINARY16),
    "bfloat16, computed in binary32": _wide(BFLOAT16),
    "binary16, with binary32 sums": _storage(BINARY16),
    "bfloat16, with binary32 sums": _storage(BFLOAT16),
}

# A reciprocal that is itself stored would be one narrow rounding more than the storage bound has.
TRIED = [
    pytest.param(setting, name, id=f"{setting} {name}")
    for setting in SETTINGS
    for name in ALGORITHMS
    if not (setting.endswith("binary32 sums") and name.endswith("reciprocal"))
]


GRADIENTS = [name for name, (_, quantity, _) in ALGORITHMS.items() if quantity != "forward"]


@cache
def worst_of(setting: str, name: str) -> float:
    return SETTINGS[setting].worst(name)


@pytest.mark.parametrize(("setting", "name"), TRIED)
def test_a_sound_algorithm_stays_within_its_bound(setting: str, name: str) -> None:
    assert worst_of(setting, name) <= 1


@pytest.mark.parametrize("kind", ["binary64", "computed in binary32", "binary32 sums"])
@pytest.mark.parametrize("name", ALGORITHMS)
def test_no_bound_is_twice_as_wide_as_it_has_to_be(name: str, kind: str) -> None:
    tried = [case.values for case in TRIED]
    reached = [worst_of(setting, name) for setting in SETTINGS if setting.endswith(kind) and (setting, name) in tried]
    assert not reached or max(reached) >= 0.5


@pytest.mark.parametrize("name", GRADIENTS)
@pytest.mark.parametrize("setting", SETTINGS)
def test_a_gradient_of_a_few_quanta_stays_within_its_bound(setting: str, name: str) -> None:
    quantum = SETTINGS[setting].machine.output.smallest_subnormal
    assert replace(SETTINGS[setting], lengths=(2, 33)).worst(name, scale=12 * quantum) <= 1


# -- platforms that flush subnormal numbers ----------------------------------------------------------------------------


def _flushing(setting: Setting, arithmetic: Callable[..., Arithmetic]) -> Setting:
    return Setting(replace(setting.machine, flushes=True), partial(arithmetic, flushes=True), (2, 3, 33))


FLUSHING = {
    "binary32": _flushing(_wide(BINARY32), compute_arithmetic),
    "bfloat16, computed in binary32": _flushing(_wide(BFLOAT16), compute_arithmetic),
    "bfloat16, with binary32 sums": _flushing(_storage(BFLOAT16), storage_arithmetic),
}
SMALLEST_NORMAL = BINARY32.smallest_normal


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize("setting", FLUSHING)
def test_a_platform_that_flushes_stays_within_the_bound_for_it(setting: str, name: str) -> None:
    assert FLUSHING[setting].worst(name) <= 1


@pytest.mark.parametrize("name", GRADIENTS)
@pytest.mark.parametrize("setting", FLUSHING)
def test_flushing_the_terms_of_a_gradient_stays_within_the_bound_for_it(setting: str, name: str) -> None:
    assert FLUSHING[setting].worst(name, scale=3 * SMALLEST_NORMAL) <= 1


def test_a_sum_that_is_flushed_at_every_other_step_stays_within_the_bound_for_it() -> None:
    """1.5 - 1 is half the smallest normal number, and gone: the sum of 257 such cotangents is lost altogether."""
    logits = np.where(np.arange(257), -100.0, 0.0)[None, :]
    rows = Rows(BINARY32, logits, np.where(np.arange(257) % 2, -1.0, 1.5)[None, :] * SMALLEST_NORMAL)
    computed = log_softmax_vjp(FLUSHING["binary32"].machine, rows.logits, rows.vector)
    lost = abs(computed[0, 0] - rows.exact("log_softmax", "vjp").values()[0, 0])
    assert lost > 60 * SMALLEST_NORMAL
    assert rows.ratios(computed, "log_softmax", "vjp", compute_arithmetic(BINARY32, 257, flushes=True)).max() <= 1


def test_a_flush_exceeds_the_bound_of_a_platform_that_does_not() -> None:
    honest = Setting(FLUSHING["binary32"].machine, compute_arithmetic, (33,))
    assert honest.worst("B1, a quotient") > 1000


# -- unsound algorithms exceed the bounds ------------------------------------------------------------------------------


def x_minus_log_sum_exp(machine: Machine, x: Floats) -> Floats:
    """x - (max + log S): the sum of max and log S is rounded to the grid of the maximum."""
    total = machine.sum(machine.exp(_difference(machine, x)))
    return machine.subtract(x, machine.rounded(x.max(axis=-1, keepdims=True) + machine.log(total)))


def log_of_softmax(machine: Machine, x: Floats) -> Floats:
    s = softmax(machine, x)
    one, zero = np.ones_like(s), np.zeros_like(s)
    inverse = dd.divide((one, zero), (np.where(s == 0, 1.0, s), zero))
    (high, low), power = log1p(dd.add(inverse, (-one, zero)), np.zeros(s.shape, np.int64))
    logarithm = machine.output.decode(machine.output.round_pairs(high, low, power)[0])
    return np.where(s == 0, -np.inf, -logarithm)


def unshifted(machine: Machine, x: Floats) -> Floats:
    """exp x / sum exp x for x >= 0."""
    (high, low), power = exp((-x, np.zeros_like(x)))
    high, low = dd.divide((np.ones_like(x), np.zeros_like(x)), (high, low))
    e = machine.output.decode(machine.output.round_pairs(high, low, -power)[0])
    with np.errstate(invalid="ignore"):
        return machine.divide(e, machine.sum(e))


def exp_of_log_softmax(machine: Machine, x: Floats) -> Floats:
    return machine.exp(log_softmax(machine, x))


def _excess(formula: Formula, operation: str, logits: list[float], setting: str) -> float:
    """The largest ratio of a formula on one row."""
    machine, format = SETTINGS[setting].machine, SETTINGS[setting].machine.output
    rows = Rows(format, np.array([logits]), np.zeros((1, len(logits))))
    computed = machine.rounded(formula(machine, rows.logits), format)
    return float(rows.ratios(computed, operation, "forward", SETTINGS[setting].arithmetic(format, rows.n)).max())


throughout = pytest.mark.parametrize("setting", list(SETTINGS)[:4])


@throughout
def test_subtracting_the_log_sum_exp_fails_under_an_offset(setting: str) -> None:
    format = SETTINGS[setting].machine.output
    offset = 2.0 ** (format.precision - 2)
    row = [offset, offset - 1, offset - 2]
    assert _excess(x_minus_log_sum_exp, "log_softmax", row, setting) > 0.005 / format.unit_roundoff
    assert _excess(log_softmax, "log_softmax", row, setting) <= 1


@throughout
def test_the_logarithm_of_softmax_fails_beside_a_dominant_logit(setting: str) -> None:
    format = SETTINGS[setting].machine.output
    row = [0.0, math.floor(1.5 * math.log(2) * format.quantum)]
    assert _excess(log_of_softmax, "log_softmax", row, setting) > 1000
    assert _excess(log_softmax, "log_softmax", row, setting) <= 1


@throughout
def test_the_unshifted_softmax_fails_on_large_logits_and_not_on_small_ones(setting: str) -> None:
    format = SETTINGS[setting].machine.output
    large = math.ceil(math.log(2) * (format.emax + 1)) + 1.0
    assert _excess(unshifted, "softmax", [large, large - 1, large - 2], setting) == math.inf
    assert _excess(softmax, "softmax", [large, large - 1, large - 2], setting) <= 1
    assert _excess(unshifted, "softmax", [3.0, 2.0, 1.0], setting) <= 1


@pytest.mark.parametrize(
    ("setting", "gap", "offset"), [("binary64", 600, -1.0), ("binary32", 80, -0.25), ("bfloat16 throughout", 80, -1.0)]
)
def test_exp_of_log_softmax_fails_where_the_logarithm_is_large(setting: str, gap: int, offset: float) -> None:
    """It brings an error of u |l|, which a quotient is free of where the difference is exact."""
    row = [0.0, offset, float(-gap)]
    assert _excess(exp_of_log_softmax, "softmax", row, setting) > 2.5
    assert _excess(softmax, "softmax", row, setting) <= 1


@pytest.mark.parametrize(("format", "n"), [(BINARY16, 4096), (BFLOAT16, 1000)], ids=["binary16", "bfloat16"])
def test_a_sum_in_the_narrow_format_fails_the_compute_bound_and_the_storage_bound(format: Format, n: int) -> None:
    """It stops at 2**p: one more is rounded away."""
    rows = Rows(format, np.zeros((1, n)), np.zeros((1, n)))
    computed = softmax(Machine(format, format, format, format), rows.logits)
    assert computed[0, 0] == 2.0**-format.precision
    for arithmetic in (compute_arithmetic(format, n), storage_arithmetic(format, n)):
        assert rows.ratios(computed, "softmax", "forward", arithmetic).min() > 10


@pytest.mark.parametrize("name", ["B1, a quotient", "B2", "B9 + B10, s (g - <g, s>)", "B11 + B12", "B14"])
@pytest.mark.parametrize("format", [BINARY16, BFLOAT16], ids=["binary16", "bfloat16"])
def test_narrow_intermediate_results_fail_the_compute_bound(format: Format, name: str) -> None:
    stored = Machine(format, format, BINARY32, BINARY32)
    assert Setting(stored, compute_arithmetic, (33,)).worst(name) > 1.5


# -- the formulas, by hand ---------------------------------------------------------------------------------------------


def _bound_of(
    operation: str, quantity: str, logits: list[float], format: Format, arithmetic: Arithmetic, vector: list[float]
) -> Floats:
    rows = Rows(format, np.array([logits]), np.array([vector]))
    return np.asarray(rows.bound(operation, quantity, arithmetic)[0][0])


U = BINARY32.unit_roundoff
S1, S2 = 1 / (1 + math.exp(-1)), 1 / (1 + math.exp(1))  # the softmax of 0 and -1
L1, L2 = -math.log(S1), -math.log(S2)


def test_the_bounds_of_two_logits_agree_with_the_formulas_to_first_order() -> None:
    """The depth is 2 + 3; the difference is exact; exp -1 is off by 6u, exp 0 by nothing; the vector is (1, 0)."""
    total = 5 * U + 6 * U * S2
    s1, s2 = S1 * (U + total), S2 * (6 * U + U + total)
    l1, l2 = total + 6 * U * L1 + U * L1, total + 6 * U * L1 + U * L2
    by_softmax = S1 * (2 * U + 8 * U * S1) + s1 * S2 + S1 * s1, S2 * 8 * U * S1 + s2 * S1 + S2 * s1
    saved = max(s1, S1 * (l1 + 6 * U))
    expected = {
        ("softmax", "forward"): (s1, s2),
        ("softmax", "vjp"): by_softmax,
        ("softmax", "jvp"): by_softmax,
        ("log_softmax", "forward"): (l1, l2),
        ("log_softmax", "vjp"): (S1 * (7 * U + 5 * U + l1) + U * S2, S2 * (7 * U + 5 * U + l2) + U * S2),
        ("log_softmax", "jvp"): (8 * U * S1 + saved + U * S2, 8 * U * S1 + saved + U * S1),
    }
    for (operation, quantity), bounds in expected.items():
        arithmetic = compute_arithmetic(BINARY32, 2)
        found = _bound_of(operation, quantity, [0.0, -1.0], BINARY32, arithmetic, [1.0, 0.0])
        assert found == pytest.approx(bounds, rel=2e-6), (operation, quantity)


def test_the_storage_bound_of_two_logits_counts_each_narrow_rounding_once() -> None:
    """exp, the stored sum, the quotient; exp, the stored sum, the logarithm, the difference."""
    u = BFLOAT16.unit_roundoff
    total = u + u * S2
    arithmetic = storage_arithmetic(BFLOAT16, 2)
    softmax_bounds, log_softmax_bounds = (
        _bound_of(operation, "forward", [0.0, -1.0], BFLOAT16, arithmetic, [0.0, 0.0]) for operation in OPERATIONS
    )
    assert softmax_bounds == pytest.approx((S1 * (u + total), S2 * (2 * u + total)), rel=0.02)
    assert log_softmax_bounds == pytest.approx((total + u * L1 + u * L1, total + u * L1 + u * L2), rel=0.02)


def test_the_compute_bound_of_a_narrow_format_is_half_an_ulp_and_a_little() -> None:
    bounds = _bound_of("softmax", "forward", [0.0, -1.0], BFLOAT16, compute_arithmetic(BFLOAT16, 2), [0.0, 0.0])
    half_ulps = np.array([2.0**-9, 2.0**-10])  # of 0.73 and 0.27
    assert (bounds > half_ulps).all()
    assert bounds == pytest.approx(half_ulps, rel=1e-3)


@pytest.mark.parametrize("format", [BINARY32, BINARY64], ids=["binary32", "binary64"])
def test_a_vanished_element_is_granted_three_ulps_of_exp_and_half_of_a_quotient(format: Format) -> None:
    """Where subnormal numbers are flushed: four smallest normal numbers of exp and one of the quotient."""
    plain, flushing = (
        _bound_of(
            "softmax", "forward", [0.0, -800.0], format, compute_arithmetic(format, 2, flushes=flushes), [0.0] * 2
        )
        for flushes in (False, True)
    )
    half = 0.5 if format is BINARY32 else 1.0  # of the smallest binary64 number, a half is rounded up
    assert plain[1] == pytest.approx((3 + half) * format.smallest_subnormal, rel=1e-5)
    assert flushing[1] == pytest.approx(5 * format.smallest_normal, rel=1e-5)


def test_a_subtraction_is_charged_half_an_ulp_only_where_it_is_inexact() -> None:
    rows = Rows(BINARY32, np.array([[3.0, 1.0, -(2.0**-30), -np.inf]]), np.zeros((1, 4)))
    arithmetic = compute_arithmetic(BINARY32, 4)
    assert rows.shifted.subtraction(arithmetic)[0].tolist() == [0.0, 0.0, 2.0**-23, 0.0]


def test_a_common_shift_that_is_exact_changes_no_bound() -> None:
    r = np.random.default_rng(5)
    logits, vector = r.integers(-20, 20, (6, 9)).astype(float), r.standard_normal((6, 9))
    for operation, quantity, _ in ALGORITHMS.values():
        here, there = (
            Rows(BINARY32, x, vector).bound(operation, quantity, compute_arithmetic(BINARY32, 9))[0]
            for x in (logits, logits + 2.0**20)
        )
        assert np.array_equal(here, there)


def test_errors_compound_without_forming_one_plus_u() -> None:
    """In binary64 1 + 2**-53 is 1, and a bound made of it zero."""
    assert float(compounded(2.0**-53, 2.0**-53)) == pytest.approx(2.0**-52, rel=1e-15)
    assert float(compounded(0.5, 0.5, 1.0)) == 3.5
    assert gamma(2, 0.125) == pytest.approx(1 / 3)
    assert gamma(8, 0.125) == math.inf


# -- where there is no bound -------------------------------------------------------------------------------------------


def test_the_depth_of_any_order_gives_way_to_that_of_a_pairwise_sum_where_it_says_nothing() -> None:
    assert any_order_depth(1, U) == (4, False)
    assert any_order_depth(2**24 - 4, U) == (2**24 - 1, False)
    assert any_order_depth(2**24 - 3, U) == (28, True)


def test_a_bound_with_a_relative_sum_error_of_one_or_more_is_no_number_and_says_nothing() -> None:
    rows = Rows(BINARY32, np.zeros((1, 5)), np.ones((1, 5)))
    coarse = replace(compute_arithmetic(BINARY32, 5), sum_unit=0.07)  # 8 * 0.07 is beyond a half
    for operation, quantity, _ in ALGORITHMS.values():
        limit, judged = rows.bound(operation, quantity, coarse)
        assert np.isnan(limit).all()
        assert not judged.any()


def test_a_bound_that_zeros_would_pass_says_nothing_about_that_row_alone() -> None:
    """1/2048 is half the half of the smallest number of the format: zero is that row, correctly rounded."""
    n = 2048
    logits = np.stack([np.zeros(n), np.where(np.arange(n), -14.0, 0.0)])
    rows = Rows(FLOAT8_E4M3FN, logits, np.zeros((2, n)))
    limit, judged = rows.bound("softmax", "forward", compute_arithmetic(FLOAT8_E4M3FN, n))
    assert (limit[1, 1:] >= rows.shifted.s[1, 1:]).all()
    assert judged.tolist() == [False, True]


def test_an_overflowing_bound_says_nothing() -> None:
    rows = Rows(BINARY64, np.zeros((2, 3)), np.array([[1e308] * 3, [1.0] * 3]))
    limit, judged = rows.bound("log_softmax", "vjp", compute_arithmetic(BINARY64, 3))
    assert np.isinf(limit[0]).all()
    assert judged.tolist() == [False, True]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_double_backward_has_no_bound(operation: str) -> None:
    rows = Rows(BINARY32, np.zeros((1, 3)), np.ones((1, 3)))
    with pytest.raises(KeyError, match="hvp"):
        bound(operation, "hvp", rows.shifted, np.zeros((1, 3)), BINARY32, compute_arithmetic(BINARY32, 3))


# -- the conditioning scale --------------------------------------------------------------------------------------------


def _value(operation: str, quantity: str, d: list[mpmath.mpf], v: list[mpmath.mpf]) -> list[mpmath.mpf]:
    e = [mpmath.exp(x) for x in d]
    s = [x / sum(e) for x in e]
    mean = sum(a * b for a, b in zip(v, s, strict=True))
    if quantity == "forward":
        return s if operation == "softmax" else [mpmath.log(x) for x in s]
    if operation == "softmax":
        return [a * (b - mean) for a, b in zip(s, v, strict=True)]
    return [b - a * sum(v) for a, b in zip(s, v, strict=True)] if quantity == "vjp" else [b - mean for b in v]


def _relative_changes(operation: str, quantity: str, d: list[float], v: list[float], i: int) -> mpmath.mpf:
    """|y_i| + sum_j |dy_i/dd_j| |d_j| + sum_j |dy_i/dv_j| |v_j|, by differences in 80 digits."""
    step = mpmath.mpf(10) ** -30

    def moved(index: int, sign: int) -> mpmath.mpf:
        arguments = [mpmath.mpf(a) for a in (*d, *v)]
        arguments[index] += sign * step
        return _value(operation, quantity, arguments[: len(d)], arguments[len(d) :])[i]

    slopes = (abs(moved(j, 1) - moved(j, -1)) / (2 * step) * abs(a) for j, a in enumerate((*d, *v)))
    return abs(_value(operation, quantity, [mpmath.mpf(x) for x in d], [mpmath.mpf(x) for x in v])[i]) + sum(slopes)


@pytest.mark.parametrize(
    ("operation", "quantity"), sorted({(operation, quantity) for operation, quantity, _ in ALGORITHMS.values()})
)
def test_the_conditioning_scale_bounds_what_relative_errors_do_and_is_near_it_where_no_logit_dominates(
    operation: str, quantity: str
) -> None:
    r = np.random.default_rng(11)
    d = -np.abs(r.standard_normal((5, 4))) * np.array([0.1, 1.0, 3.0, 10.0, 30.0])[:, None]
    d[:, 0] = 0.0
    v = r.standard_normal((5, 4)) + np.array([0.0, 0.0, 10.0, 0.0, -3.0])[:, None]
    rows = Rows(BINARY64, d, v)
    exact = rows.exact(operation, quantity).values()
    vector = None if quantity == "forward" else rows.vector
    scale = conditioning_scale(operation, quantity, rows.shifted, exact, vector)
    with mpmath.workdps(80):
        pairs = zip(rows.logits.tolist(), rows.vector.tolist(), strict=True)
        changes = np.array(
            [[float(_relative_changes(operation, quantity, d, v, i)) for i in range(4)] for d, v in pairs]
        )
    assert (scale >= changes * (1 - 1e-12)).all()
    assert (scale <= 2 * changes)[rows.shifted.s <= 0.5].all()


def test_a_masked_element_adds_nothing_to_the_conditioning_of_the_others() -> None:
    here = Rows(BINARY32, np.array([[0.0, -1.0]]), np.array([[1.0, 2.0]]))
    there = Rows(BINARY32, np.array([[0.0, -1.0, -np.inf]]), np.array([[1.0, 2.0, 0.0]]))
    for operation, quantity, _ in ALGORITHMS.values():
        scales = [
            conditioning_scale(operation, quantity, rows.shifted, rows.exact(operation, quantity).values(), rows.vector)
            for rows in (here, there)
        ]
        assert scales[1][0, :2] == pytest.approx(scales[0][0], rel=1e-15)


def test_the_conditioning_limit_of_two_equal_logits_is_three_units() -> None:
    """K = 1/2 and ulp(1/2) = u: (1 + 4) u / 2 + u / 2."""
    rows = Rows(BINARY32, np.zeros((1, 2)), np.array([[3.0, -8.0]]))
    s = rows.exact("softmax", "forward").values()
    limit = conditioning_limit("softmax", "forward", rows.shifted, s, BINARY32, flushes=False)
    assert limit[0] == pytest.approx([3 * U] * 2, rel=1e-12)


def test_near_zero_the_conditioning_limit_counts_smallest_numbers_and_the_size_of_the_cotangent() -> None:
    """Half an ulp, and 1 + max |g| = 9 of them: subnormal ones, or normal ones where they are flushed."""
    rows, zeros = Rows(BINARY32, np.array([[0.0, -200.0]]), np.array([[0.0, 8.0]])), np.zeros((1, 2))
    for flushes, least in ((False, BINARY32.smallest_subnormal), (True, BINARY32.smallest_normal)):
        limit = conditioning_limit("softmax", "vjp", rows.shifted, zeros, BINARY32, flushes=flushes, vector=rows.vector)
        assert limit[0, 1] == pytest.approx(BINARY32.smallest_subnormal / 2 + 9 * least, rel=1e-9)
