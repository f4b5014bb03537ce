"""The five formulas that people write with NumPy, each with its hand-written derivative."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from suites.implementations.call import AnyBits, Call, Evaluator

Array = npt.NDArray[np.floating[Any]]
Forward = Callable[[Array, int], Array]
Product = Callable[[Array, Array, int], Array]

_DTYPES = {"binary64": np.float64, "binary32": np.float32, "binary16": np.float16}


def _sum(values: Array, axis: int) -> Array:
    total: Array = values.sum(axis=axis, keepdims=True)
    return total


def _max(values: Array, axis: int) -> Array:
    maximum: Array = values.max(axis=axis, keepdims=True)
    return maximum


# exp(x) / sum(exp(x))


def naive(x: Array, axis: int) -> Array:
    e = np.exp(x)
    return e / _sum(e, axis)


def naive_product(x: Array, v: Array, axis: int) -> Array:
    y = naive(x, axis)
    return y * (v - _sum(v * y, axis))


# log(exp(x) / sum(exp(x)))


def log_of_softmax(x: Array, axis: int) -> Array:
    return np.log(naive(x, axis))


def log_of_softmax_vjp(x: Array, g: Array, axis: int) -> Array:
    return naive_product(x, g / naive(x, axis), axis)


def log_of_softmax_jvp(x: Array, t: Array, axis: int) -> Array:
    return naive_product(x, t, axis) / naive(x, axis)


# x - log(sum(exp(x)))


def x_minus_log_sum_exp(x: Array, axis: int) -> Array:
    return x - np.log(_sum(np.exp(x), axis))


def x_minus_log_sum_exp_vjp(x: Array, g: Array, axis: int) -> Array:
    return g - naive(x, axis) * _sum(g, axis)


def x_minus_log_sum_exp_jvp(x: Array, t: Array, axis: int) -> Array:
    return t - _sum(naive(x, axis) * t, axis)


# d = x - max(x):  exp(d) / sum(exp(d))  and  d - log(sum(exp(d)))


def shifted(x: Array, axis: int) -> Array:
    e = np.exp(x - _max(x, axis))
    return e / _sum(e, axis)


def shifted_product(x: Array, v: Array, axis: int) -> Array:
    y = shifted(x, axis)
    return y * (v - _sum(v * y, axis))


def shifted_log(x: Array, axis: int) -> Array:
    d = x - _max(x, axis)
    return d - np.log(_sum(np.exp(d), axis))


def shifted_log_vjp(x: Array, g: Array, axis: int) -> Array:
    return g - np.exp(shifted_log(x, axis)) * _sum(g, axis)


def shifted_log_jvp(x: Array, t: Array, axis: int) -> Array:
    return t - _sum(np.exp(shifted_log(x, axis)) * t, axis)


# x - logsumexp(x), logsumexp(x) = max(x) + log(sum(exp(x - max(x))))


def x_minus_logsumexp(x: Array, axis: int) -> Array:
    m = _max(x, axis)
    return x - (m + np.log(_sum(np.exp(x - m), axis)))


def x_minus_logsumexp_vjp(x: Array, g: Array, axis: int) -> Array:
    return g - np.exp(x_minus_logsumexp(x, axis)) * _sum(g, axis)


def x_minus_logsumexp_jvp(x: Array, t: Array, axis: int) -> Array:
    return t - _sum(np.exp(x_minus_logsumexp(x, axis)) * t, axis)


RECIPES: dict[tuple[str, str], tuple[Forward, Product, Product]] = {
    ("naive", "softmax"): (naive, naive_product, naive_product),
    ("log-of-softmax", "log_softmax"): (log_of_softmax, log_of_softmax_vjp, log_of_softmax_jvp),
    ("x-minus-log-sum-exp", "log_softmax"): (x_minus_log_sum_exp, x_minus_log_sum_exp_vjp, x_minus_log_sum_exp_jvp),
    ("shifted", "softmax"): (shifted, shifted_product, shifted_product),
    ("shifted", "log_softmax"): (shifted_log, shifted_log_vjp, shifted_log_jvp),
    ("x-minus-logsumexp", "log_softmax"): (x_minus_logsumexp, x_minus_logsumexp_vjp, x_minus_logsumexp_jvp),
}


def evaluate(recipe: tuple[Forward, Product, Product], call: Call) -> AnyBits:
    """One call of a recipe, in the call's format throughout."""
    forward, vjp, jvp = recipe
    dtype = _DTYPES[call.format]
    x = call.logits.view(dtype)
    with np.errstate(all="ignore"):
        if call.cotangent is not None:
            result = vjp(x, call.cotangent.view(dtype), call.axis)
        elif call.tangent is not None:
            result = jvp(x, call.tangent.view(dtype), call.axis)
        else:
            result = forward(x, call.axis)
    if result.dtype != dtype:
        raise TypeError(f"the result is {result.dtype}, not {np.dtype(dtype)}")
    return np.ascontiguousarray(result).view(call.logits.dtype)


def evaluator(name: str) -> Evaluator:
    """The evaluator of ``numpy/NAME``."""
    return lambda call: evaluate(RECIPES[name, call.operation], call)


def from_callable(function: Forward) -> Evaluator:
    """A user's own forward function of NumPy arrays."""

    def no_derivative(x: Array, v: Array, axis: int) -> Array:
        raise TypeError("NumPy has no automatic differentiation")

    return lambda call: evaluate((function, no_derivative, no_derivative), call)
