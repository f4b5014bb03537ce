"""Exact comparisons of an element with a number, and what they cost."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
import pytest

from references.functions import Problem, roles_of
from references.oracle import exponential_sums
from references.oracle.certified import accurate
from references.oracle.comparisons import around, side
from references.oracle.exact_cases import exact_elements
from references.oracle.exponential_sums import Expression, Sum, times
from references.vocabulary import OPERATIONS, QUANTITIES

every_function = pytest.mark.parametrize(
    ("operation", "quantity"), [(operation, quantity) for operation in OPERATIONS for quantity in QUANTITIES]
)

ONE = Fraction(1)


def random_sum(r: np.random.Generator, gap: float) -> Sum:
    """Few terms on a grid of gaps, so that products meet each other and cancel."""
    found: Sum = {}
    for k in range(4):
        if r.random() < 0.7:
            found[Fraction(-k * gap)] = Fraction(int(r.choice([-2, -1, 1, 2])))
    return found


# -- sums of products --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gap", [1.0, 700.0, 2.0**20, 2.0**900])
def test_a_sum_of_products_has_the_sign_of_what_it_is_multiplied_out(gap: float) -> None:
    r = np.random.default_rng(int(np.log2(gap)))
    signs = []
    for _ in range(60):
        a, b, c, d = (random_sum(r, gap) for _ in range(4))
        products = [(ONE, [a, b]), (Fraction(int(r.integers(-2, 3))), [c, d, a]), (Fraction(-1), [b, c])]
        if r.random() < 0.1:  # the same twice, as sums that are not known to be the same
            products = [(ONE, [a, b]), (-ONE, [dict(b), dict(a)])]
        expression = Expression(products)
        whole = expression.multiplied_out()
        signs.append(expression.sign())
        if not whole:
            assert signs[-1] == 0
            continue
        top = max(whole)
        with mpmath.workprec(400):
            total = mpmath.fsum(
                mpmath.exp(mpmath.mpf((x - top).numerator) / (x - top).denominator) * int(w) for x, w in whole.items()
            )
        assert signs[-1] == mpmath.sign(total)
    assert {-1, 0, 1} <= set(signs)


def test_products_that_are_one_number_by_coincidence_cancel() -> None:
    """(1 + 2x + x**2) - (1 + x)(1 + x), x = exp(-1000): nothing but multiplying out shows it."""
    x = Fraction(-1000)
    square: Sum = {Fraction(0): ONE, x: Fraction(2), 2 * x: ONE}
    root: Sum = {Fraction(0): ONE, x: ONE, 3 * x: ONE}
    rest = times(root, root)
    difference = Expression([(ONE, [root, root]), (-ONE, [rest])])
    assert difference.kept
    assert difference.sign() == 0
    assert Expression([(ONE, [root, root]), (-ONE, [square])]).sign() == 1


def test_a_value_is_off_by_no_more_than_its_error() -> None:
    r = np.random.default_rng(3)
    for _ in range(100):
        a, b = ({Fraction(-float(x)): Fraction(float(c)) for x, c in r.standard_normal((6, 2)) ** 2} for _ in range(2))
        a[Fraction(0)] = Fraction(-3)
        expression = Expression([(Fraction(1, 3), [a, b]), (-ONE, [b, b, a])])
        (value, size), (fine, _) = expression.value(60), expression.value(300)
        with mpmath.workprec(300):
            assert abs(value - fine) <= mpmath.ldexp(exponential_sums.ERROR * size, -60) / 2


# -- elements ----------------------------------------------------------------------------------------------------------


@every_function
def test_an_element_is_on_the_side_of_a_number_that_its_value_is_on(operation: str, quantity: str) -> None:
    r = np.random.default_rng(OPERATIONS.index(operation) + 10 * QUANTITIES.index(quantity))
    for _ in range(25):
        n = int(r.integers(2, 6))
        logits = (r.integers(-3, 1, n) * r.choice([1.0, 50.0])).tolist()
        vectors = {role: r.integers(-2, 3, n).astype(float).tolist() for role in roles_of(quantity)}
        problem = Problem(operation, quantity, logits, **vectors)
        for i, found in enumerate(accurate(problem, 60)):
            if isinstance(found.value, Fraction):
                assert side(problem, i, found.value) == 0
                assert side(problem, i, found.value - Fraction(1, 2**200)) == 1
                continue
            assert not isinstance(found.value, float)
            if found.value.lower == found.value.upper:  # an hvp all of whose terms are zero
                assert found.value.lower == side(problem, i, Fraction(0)) == 0
                continue
            for end, sign in ((found.value.lower, 1), (found.value.upper, -1)):
                numerator, denominator = (int(v) for v in mpmath.libmp.to_rational(end._mpf_))
                assert side(problem, i, Fraction(numerator, denominator)) == sign


def far_row(operation: str, quantity: str, n: int) -> Problem:
    """Two logits at the top and others, all different, from where exp underflows on."""
    r = np.random.default_rng(n)
    logits = [0.0, 0.0, *(-800 - 100 * r.random(n - 2)).tolist()]
    vectors = {role: [1.0, -(2.0**-53), *r.standard_normal(n - 2).tolist()] for role in roles_of(quantity)}
    return Problem(operation, quantity, logits, **vectors)


def limit(problem: Problem) -> Fraction:
    """What the first element would be without the far logits; zero where that is no rational number."""
    if (problem.operation, problem.quantity) == ("log_softmax", "forward"):
        return Fraction(0)
    g = [Fraction(v) for v in problem.cotangent or ()]
    if (problem.operation, problem.quantity) == ("log_softmax", "vjp"):
        return g[0] - sum(g, Fraction(0)) / 2
    vectors = {role: getattr(problem, role)[:2] for role in roles_of(problem.quantity)}
    near = Problem(problem.operation, problem.quantity, [0.0, 0.0], **vectors)
    value = Fraction(exact_elements(near, [0])[0])
    if (problem.operation, problem.quantity) == ("log_softmax", "hvp"):  # G is of the whole row
        return value * sum(g, Fraction(0)) / (g[0] + g[1])
    return value


@every_function
def test_ties_that_far_logits_break_cost_steps_in_proportion_to_the_logits(
    operation: str, quantity: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Terms are counted as they are evaluated; a product of two sums multiplied out would have n**2."""
    counted = []
    terms = exponential_sums._terms

    def counting(those: Sum) -> list[mpmath.mpf]:
        counted.append(len(those))
        return terms(those)

    monkeypatch.setattr(exponential_sums, "_terms", counting)
    monkeypatch.setattr(Expression, "multiplied_out", lambda self: pytest.fail("multiplied out"))
    for n in (50, 400):
        problem = far_row(operation, quantity, n)
        counted.clear()
        assert side(problem, 0, limit(problem)) in (-1, 1)
        if (operation, quantity) != ("log_softmax", "forward"):
            around(problem, 0, 2048)
        assert sum(counted) <= 20 * n


def test_a_tie_among_many_far_logits_is_broken_as_among_few() -> None:
    """The nearest of the far logits decides by its own term, whichever others lie far below it."""
    few = Problem("softmax", "vjp", [0.0, 0.0, -800.0], [1.0, -(2.0**-53), 1.0])
    many = Problem(
        "softmax", "vjp", [*few.logits, *(-900.0 - k for k in range(300))], [*(few.cotangent or ()), *([-1.0] * 300)]
    )
    middle = (1 + Fraction(1, 2**53)) / 4
    assert side(few, 0, middle) == side(many, 0, middle) == -1
