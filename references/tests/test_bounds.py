"""The a-priori bounds, held against algorithms whose every operation is rounded exactly: never exceeded, never idle."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, cached_property

import numpy as np
import pytest

from references import doubledouble as dd
from references.bounds import Arithmetic, Shifted, bound, compute_arithmetic, says_nothing, storage_arithmetic
from references.bulk import Reference, reference
from references.elementary import exp, log1p
from references.errors import errors_of
from references.formats import BFLOAT16, BINARY16, BINARY32, BINARY64, Floats, Format

# -- arithmetic whose every operation is rounded exactly ---------------------------------------------------------------


@dataclass(frozen=True)
class Machine:
    """Elementwise results in ``elementwise``, sums in ``sums``, exp and log in ``elementary``, results in ``output``.

    A sum, product or quotient of numbers of 24 bits or fewer, taken in binary64 and rounded once more, is rounded
    correctly (53 >= 2 * 24 + 2).  ``push`` moves exp and log by that many ulps before they are rounded; with 2, they are
    within 3.  ``flushes`` takes subnormal numbers for zero, as operands and as results.
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
            self._exact[key] = reference(*key, self.logits, self.format, **self.vectors(quantity))
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
    """What the compute arithmetic would be if the format, however narrow, were wide enough to be one."""
    u, quantum = format.unit_roundoff, format.smallest_subnormal
    return replace(
        compute_arithmetic(BINARY64, n),
        unit=u,
        sum_unit=u,
        elementary=6 * u,
        lost=max(quantum / 2, 5e-324),
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


@cache
def worst_of(setting: str, name: str) -> float:
    return SETTINGS[setting].worst(name)


@pytest.mark.parametrize(("setting", "name"), TRIED)
def test_a_sound_algorithm_stays_within_its_bound(setting: str, name: str) -> None:
    assert worst_of(setting, name) <= 1


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize("kind", ["binary64", "computed in binary32", "binary32 sums"])
def test_no_bound_is_twice_as_wide_as_it_must_be(name: str, kind: str) -> None:
    alike = [setting for setting in SETTINGS if setting.endswith(kind) and (setting, name) in _tried()]
    assert not alike or max(worst_of(setting, name) for setting in alike) >= 0.5


def _tried() -> set[tuple[object, ...]]:
    return {tuple(case.values) for case in TRIED}


@pytest.mark.parametrize("name", [name for name, (_, quantity, _) in ALGORITHMS.items() if quantity != "forward"])
@pytest.mark.parametrize("setting", SETTINGS)
def test_a_gradient_of_a_few_quanta_stays_within_its_bound(setting: str, name: str) -> None:
    format = SETTINGS[setting].machine.output
    assert SETTINGS[setting].worst(name, scale=12 * format.smallest_subnormal) <= 1


def _flushing(format: Format) -> Setting:
    machine = Machine(format, BINARY32, BINARY32, BINARY32, flushes=True)
    return Setting(machine, lambda format, n: compute_arithmetic(format, n, flushes=True), (1, 2, 3, 33))


def _flushing_storage() -> Setting:
    machine = Machine(BFLOAT16, BFLOAT16, BINARY32, BINARY32, flushes=True)
    return Setting(machine, lambda format, n: storage_arithmetic(format, n, flushes=True), (1, 2, 3, 33))


FLUSHING = {
    "binary32": _flushing(BINARY32),
    "bfloat16, computed in binary32": _flushing(BFLOAT16),
    "bfloat16, with binary32 sums": _flushing_storage(),
}


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize("scale", [1.0, 3 * 2.0**-126], ids=["vectors near 1", "vectors near the smallest normal"])
@pytest.mark.parametrize("setting", FLUSHING)
def test_a_platform_that_flushes_stays_within_the_bound_for_it(setting: str, scale: float, name: str) -> None:
    assert FLUSHING[setting].worst(name, scale) <= 1
