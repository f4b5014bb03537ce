"""The conditioning scales: what small relative changes of the shifted logits and the vectors do to each element.

The formulas are in docs/theory.md.  Arrays are [rows, n], in binary64.
"""

from __future__ import annotations

import math

import numpy as np

from references.bounds.exact_rows import ExactRows
from references.bounds.forward_quantities import Shifted, mean, product, ulp_exponents
from references.formats import Floats, compute_format
from references.functions import Function


def conditioning_limit(function: Function, rows: ExactRows, *, flushes: bool) -> Floats:
    """The error that a conditioning ratio of 1 stands for.

    ulp/2 + (ceil(log2 n) + 4) u K + lambda (1 + max |g|)(1 + max |t|), u and lambda of the compute format (flushing:
    the smallest normal number).  The result is kept with the rows, and read-only.  Raises ValueError for a vector that
    the rows don't have.
    """
    wide = compute_format(rows.format)
    quantum = wide.smallest_normal if flushes else wide.smallest_subnormal
    depth = math.ceil(math.log2(rows.n)) + 4

    def make() -> Floats:
        with np.errstate(over="ignore", invalid="ignore"):
            near_zero = np.full((1, 1), quantum)
            for vector in rows.vectors(function).values():
                near_zero = near_zero * (1 + np.abs(vector).max(axis=-1, keepdims=True))
            half_ulp = np.ldexp(0.5, ulp_exponents(np.abs(rows.exact(function)), rows.format))
            scale = conditioning_scale(function, rows)
            return np.asarray(half_ulp + depth * wide.unit_roundoff * scale + near_zero)

    return rows.kept(("conditioning", function, flushes), make)


def conditioning_scale(function: Function, rows: ExactRows) -> Floats:
    """K: what relative errors of one unit in d, in the cotangent and in the tangent do to each element, and its size.

    O(n) upper bounds by the triangle inequality; the name of D is mean_distance.  Raises ValueError for a vector that
    the rows don't have.
    """
    (operation, quantity), exact, vectors = function, rows.exact(function), tuple(rows.vectors(function).values())
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        if quantity == "forward":
            return _forward(operation, rows.shifted)
        if quantity == "hvp":
            hvp = _softmax_hvp if operation == "softmax" else _log_softmax_hvp
            return np.abs(exact) + hvp(rows.shifted, exact, *vectors)
        (vector,) = vectors
        if operation == "softmax":
            return np.abs(exact) + _softmax_product(rows.shifted, vector)
        product_with = _log_softmax_vjp if quantity == "vjp" else _log_softmax_jvp
        return product_with(rows.shifted, exact, vector)


def _forward(operation: str, rows: Shifted) -> Floats:
    if operation == "softmax":
        return rows.s + _moved(rows)
    return np.asarray(np.abs(rows.l) + rows.distance + rows.mean_distance)


def _log_softmax_vjp(rows: Shifted, exact: Floats, g: Floats) -> Floats:
    size, total = np.abs(g), np.abs(g.sum(axis=-1, keepdims=True))
    return np.asarray(np.abs(exact) + total * _moved(rows) + size + rows.s * size.sum(axis=-1, keepdims=True))


def _log_softmax_jvp(rows: Shifted, exact: Floats, t: Floats) -> Floats:
    size = np.abs(t)
    of_mean = _centred_moved(rows, _centred(rows, t)) + mean(rows.s, size)
    return np.asarray(np.abs(exact) + size + of_mean)


def _moved(rows: Shifted) -> Floats:
    """s (|d| + D): what the shifted logits do to a softmax."""
    return product(rows.s, rows.distance + rows.mean_distance)


def _centred(rows: Shifted, vector: Floats) -> Floats:
    """|v - <v, s>|."""
    return np.asarray(np.abs(vector - mean(rows.s, vector)))


def _centred_moved(rows: Shifted, centred: Floats) -> Floats:
    """<|v - <v, s>| |d|, s>: what they do to a mean, [rows, 1]."""
    return mean(product(rows.s, centred), rows.distance)


def _softmax_product(rows: Shifted, vector: Floats) -> Floats:
    size, centred = np.abs(vector), _centred(rows, vector)
    by_logits = product(centred, _moved(rows)) + rows.s * _centred_moved(rows, centred)
    return np.asarray(by_logits + rows.s * (size + mean(rows.s, size)))


def _softmax_hvp(rows: Shifted, exact: Floats, g: Floats, t: Floats) -> Floats:
    a, c = _centred(rows, t), _centred(rows, g)
    of_product = product(np.abs(exact), rows.distance).sum(axis=-1, keepdims=True)
    of_means = product(c, _centred_moved(rows, a)) + product(a, _centred_moved(rows, c))
    by_logits = product(np.abs(exact), rows.distance + rows.mean_distance) + product(rows.s, of_means + of_product)
    # |a| <= |t| + <|t|, s>, and so for c: where g and t are constant both vanish, and no rounded difference does.
    size_g, size_t = np.abs(g), np.abs(t)
    sizes = product(size_t, size_g) + product(size_t, mean(rows.s, size_g)) + product(size_g, mean(rows.s, size_t))
    return np.asarray(by_logits + 2 * product(rows.s, sizes + mean(rows.s, sizes)))


def _log_softmax_hvp(rows: Shifted, exact: Floats, g: Floats, t: Floats) -> Floats:
    total, size = np.abs(g.sum(axis=-1, keepdims=True)), np.abs(t)
    by_logits = product(np.abs(exact), rows.distance + rows.mean_distance)
    by_logits = by_logits + product(total * rows.s, _centred_moved(rows, _centred(rows, t)))
    by_vectors = product(rows.s, size + mean(rows.s, size)) * (total + np.abs(g).sum(axis=-1, keepdims=True))
    return np.asarray(by_logits + by_vectors)
