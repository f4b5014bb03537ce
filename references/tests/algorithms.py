"""The algorithms that have a bound, and those that have none, written once for any emulated machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from references.bounds.error_model import Arithmetic
from references.bounds.forward_quantities import Shifted
from references.formats import Floats
from references.functions import Function
from references.tests import other_bounds
from references.tests.emulated import Machine

# -- forward -----------------------------------------------------------------------------------------------------------


def _difference(machine: Machine, x: Floats) -> Floats:
    return machine.shift(x, x.max(axis=-1, keepdims=True))


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


def x_minus_log_sum_exp(machine: Machine, x: Floats) -> Floats:
    """x - (max + log S): the sum of max and log S is rounded to the grid of the maximum."""
    total = machine.sum(machine.exp(_difference(machine, x)))
    return machine.subtract(x, machine.add(x.max(axis=-1, keepdims=True), machine.log(total)))


def log_softmax_by_log1p(machine: Machine, x: Floats) -> Floats:
    """(x - max) - log1p(the sum without one maximum)."""
    d = _difference(machine, x)
    others = machine.exp(d)
    np.put_along_axis(others, x.argmax(axis=-1)[:, None], 0.0, axis=-1)
    return machine.subtract(d, machine.log1p(machine.sum(others)))


def exp_of_log_softmax(machine: Machine, x: Floats) -> Floats:
    return machine.exp(log_softmax(machine, x))


def log_of_softmax(machine: Machine, x: Floats) -> Floats:
    return machine.log(softmax(machine, x))


def unshifted(machine: Machine, x: Floats) -> Floats:
    """exp x / sum exp x."""
    e = machine.exp(x)
    with np.errstate(invalid="ignore", divide="ignore"):
        return machine.divide(e, machine.sum(e))


def online_softmax(machine: Machine, x: Floats) -> Floats:
    """One pass with a running maximum, the sum rescaled at each of its changes."""
    maximum, total = x[:, :1], np.ones((x.shape[0], 1))
    for column in range(1, x.shape[-1]):
        entry = x[:, column : column + 1]
        larger = np.maximum(maximum, entry)
        rescaled = machine.multiply(total, machine.exp(machine.shift(maximum, larger)))
        total = machine.accumulate(
            np.where(larger > maximum, rescaled, total), machine.exp(machine.shift(entry, larger))
        )
        maximum = larger
    return machine.divide(machine.exp(machine.shift(x, maximum)), machine.rounded(total))


def maximum_changes(x: Floats) -> Floats:
    """How often the running maximum of a row changes, [rows, 1]."""
    return np.asarray((np.diff(np.maximum.accumulate(x, axis=-1), axis=-1) > 0).sum(axis=-1, keepdims=True), np.float64)


# -- derivatives -------------------------------------------------------------------------------------------------------


def softmax_product(machine: Machine, x: Floats, v: Floats) -> Floats:
    s, m = machine.saved(softmax(machine, x)), machine.kernel
    return m.multiply(s, m.subtract(v, m.sum(m.multiply(s, v))))


def softmax_product_of_products(machine: Machine, x: Floats, v: Floats) -> Floats:
    s, m = machine.saved(softmax(machine, x)), machine.kernel
    product = m.multiply(s, v)
    return m.subtract(product, m.multiply(s, m.sum(product)))


def log_softmax_vjp(machine: Machine, x: Floats, g: Floats) -> Floats:
    saved, m = machine.saved(log_softmax(machine, x)), machine.kernel
    return m.subtract(g, m.multiply(m.exp(saved), m.sum(g)))


def log_softmax_jvp(machine: Machine, x: Floats, t: Floats) -> Floats:
    s, m = machine.saved(softmax(machine, x)), machine.kernel
    return m.subtract(t, m.sum(m.multiply(s, t)))


def log_softmax_jvp_from_log(machine: Machine, x: Floats, t: Floats) -> Floats:
    saved, m = machine.saved(log_softmax(machine, x)), machine.kernel
    return m.subtract(t, m.sum(m.multiply(m.exp(saved), t)))


def softmax_hvp(machine: Machine, x: Floats, g: Floats, t: Floats) -> Floats:
    """s (a c - <a c, s>), a = t - <t, s>, c = g - <g, s>."""
    s, m = machine.saved(softmax(machine, x)), machine.kernel
    a, c = (m.subtract(v, m.sum(m.multiply(s, v))) for v in (t, g))
    product = m.multiply(a, c)
    return m.multiply(s, m.subtract(product, m.sum(m.multiply(s, product))))


def softmax_hvp_of_products(machine: Machine, x: Floats, g: Floats, t: Floats) -> Floats:
    """s (q - <q, s>), q = t g - <g, s> t - <t, s> g: the vjp of s, with the derivative of the vjp by s as cotangent."""
    s, m = machine.saved(softmax(machine, x)), machine.kernel
    mean_g, mean_t = (m.sum(m.multiply(s, v)) for v in (g, t))
    q = m.subtract(m.subtract(m.multiply(g, t), m.multiply(mean_g, t)), m.multiply(g, mean_t))
    return m.multiply(s, m.subtract(q, m.sum(m.multiply(s, q))))


def softmax_hvp_of_a_product(machine: Machine, x: Floats, g: Floats, t: Floats) -> Floats:
    """ds c - s <ds, g>, ds = s (t - <t, s>): the product rule for s (g - <g, s>)."""
    s, m = machine.saved(softmax(machine, x)), machine.kernel
    a, c = (m.subtract(v, m.sum(m.multiply(s, v))) for v in (t, g))
    moved = m.multiply(s, a)
    return m.subtract(m.multiply(moved, c), m.multiply(s, m.sum(m.multiply(moved, g))))


def log_softmax_hvp(machine: Machine, x: Floats, g: Floats, t: Floats) -> Floats:
    """z - s sum z, z = -G s t, with s the exp of the saved log_softmax."""
    saved, m = machine.saved(log_softmax(machine, x)), machine.kernel
    s = m.exp(saved)
    z = m.multiply(m.multiply(-m.sum(g), s), t)
    return m.subtract(z, m.multiply(s, m.sum(z)))


def log_softmax_hvp_of_a_product(machine: Machine, x: Floats, g: Floats, t: Floats) -> Floats:
    """-G (s (t - <t, s>)), with a saved softmax."""
    s, m = machine.saved(softmax(machine, x)), machine.kernel
    return m.multiply(-m.sum(g), m.multiply(s, m.subtract(t, m.sum(m.multiply(s, t)))))


# -- their bounds ------------------------------------------------------------------------------------------------------

Formula = Callable[..., Floats]
Limit = Callable[[Shifted, Floats, Arithmetic], Floats]


@dataclass(frozen=True)
class Algorithm:
    """A formula for an operation and a quantity, and the name of its bound.

    ``limit``, of exact rows, logits and an arithmetic, is the bound of a forward algorithm that no verdict uses;
    without one, it is the bound of the operation and quantity.
    """

    bound: str
    operation: str
    quantity: str
    formula: Formula
    limit: Limit | None = None

    @property
    def function(self) -> Function:
        return Function(self.operation, self.quantity)


def _forward(bound: Callable[[Shifted, Arithmetic], Floats]) -> Limit:
    return lambda rows, x, arithmetic: bound(rows, arithmetic)


def _online(rows: Shifted, x: Floats, arithmetic: Arithmetic) -> Floats:
    return other_bounds.online_softmax_bound(rows, arithmetic, maximum_changes(x))


_B3 = _forward(other_bounds.x_minus_log_sum_exp_bound)
_B4 = _forward(other_bounds.log1p_bound)
_B5 = _forward(other_bounds.exp_of_log_softmax_bound)
_B6 = _forward(other_bounds.log_of_softmax_bound)
_B7 = _forward(other_bounds.unshifted_bound)

ALGORITHMS: dict[str, Algorithm] = {
    "a quotient": Algorithm("B1", "softmax", "forward", softmax),
    "by the reciprocal": Algorithm("B1", "softmax", "forward", softmax_by_reciprocal),
    "(x - max) - log S": Algorithm("B2", "log_softmax", "forward", log_softmax),
    "x - (max + log S)": Algorithm("B3", "log_softmax", "forward", x_minus_log_sum_exp, _B3),
    "(x - max) - log1p T": Algorithm("B4", "log_softmax", "forward", log_softmax_by_log1p, _B4),
    "exp of log_softmax": Algorithm("B5", "softmax", "forward", exp_of_log_softmax, _B5),
    "log of softmax": Algorithm("B6", "log_softmax", "forward", log_of_softmax, _B6),
    "unshifted": Algorithm("B7", "softmax", "forward", unshifted, _B7),
    "online": Algorithm("B8", "softmax", "forward", online_softmax, _online),
    "s (g - <g, s>)": Algorithm("B9 + B10", "softmax", "vjp", softmax_product),
    "s g - s <g, s>": Algorithm("B9 + B10", "softmax", "vjp", softmax_product_of_products),
    "s (t - <t, s>)": Algorithm("B9 + B10", "softmax", "jvp", softmax_product),
    "g - s G": Algorithm("B11 + B12", "log_softmax", "vjp", log_softmax_vjp),
    "s (a c - <a c, s>)": Algorithm("B13 of softmax", "softmax", "hvp", softmax_hvp),
    "s (q - <q, s>)": Algorithm("B13 of softmax", "softmax", "hvp", softmax_hvp_of_products),
    "s a c - s <s a, g>": Algorithm("B13 of softmax", "softmax", "hvp", softmax_hvp_of_a_product),
    "z - s sum z": Algorithm("B13 of log_softmax", "log_softmax", "hvp", log_softmax_hvp),
    "-G s a": Algorithm("B13 of log_softmax", "log_softmax", "hvp", log_softmax_hvp_of_a_product),
    "t - <t, s>": Algorithm("B14", "log_softmax", "jvp", log_softmax_jvp),
    "t - <t, exp l>": Algorithm("B14", "log_softmax", "jvp", log_softmax_jvp_from_log),
}
BOUNDS = list(dict.fromkeys(algorithm.bound for algorithm in ALGORITHMS.values()))
GRADIENTS = [name for name, algorithm in ALGORITHMS.items() if algorithm.quantity != "forward"]
