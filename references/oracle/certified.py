"""The oracle: softmax, log_softmax and their derivatives for one row, in mpmath, with an enclosure of each element.

The functions are the textbook's, in mpmath numbers, each beside the bound of its rounding errors at the working
precision w (error constants: docs/theory.md, "Oracle").  They assume that mpmath's exp and log are within 1 ulp at w;
a test holds them against Arb.  ``certified`` raises w (Ziv's strategy) until every enclosure proves what was asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import mpmath

from references.formats import Format
from references.functions import Function, Problem
from references.oracle.comparisons import around, side
from references.oracle.exact_cases import exact_elements
from references.oracle.sums import Mean, exact_sum, exponentials, mean_of

# Ziv's loop ends long before: every element that is left is transcendental, so no tie or zero exists.
MAX_PRECISION = 1 << 15

# What ``accurate`` works with beyond the bits that it is asked for.
GUARD_BITS = 16

# Elements undecided this many bits below an ulp are compared with the midpoint itself, which costs up to (groups of
# logits)**3; beyond this precision what cancels exactly is left out of a softmax hvp, which costs (groups)**2.
_SUSPICIOUS = 1 << 10

# What is below 2**_VANISHED is zero in every format, and may be the rest of a cancellation down to exp(-1e308).
_VANISHED = -5000

# A positive number below 2**_NEGLIGIBLE acts on a sum of binary64 numbers by its sign alone (their bits end at
# 2**-1074).  It is only known to lie in this interval: an exact sum with exp(-1e308) would need 1e308 bits.
_NEGLIGIBLE = -20000
_TINY = mpmath.mpf(0), mpmath.ldexp(1, _NEGLIGIBLE)


class OracleError(ArithmeticError):
    """The asked-for accuracy was not proved at MAX_PRECISION bits."""


@dataclass(frozen=True)
class Enclosure:
    """A proof that the exact value lies between lower and upper.

    It is neither of them, as they are rational and what is left to an enclosure is transcendental (or zero, in the
    midst of one about zero): each end is rounded as what lies beside it, inside.  Only an hvp whose terms are all zero
    has one number at both ends.
    """

    lower: mpmath.mpf
    upper: mpmath.mpf


@dataclass(frozen=True)
class Certified:
    """An element of the exact result: ``value`` is exact (a Fraction), an Enclosure, or a float nan or -inf by rule.

    ``precision`` is the working precision in bits at which the proof was found; 0 where no arithmetic was needed.
    """

    value: Fraction | Enclosure | float
    precision: int

    def decimal(self, digits: int) -> str:
        """The value to ``digits`` significant digits, as far as the enclosure was asked to prove them."""
        if isinstance(self.value, float):
            return str(self.value)
        with mpmath.workprec(400):
            if isinstance(self.value, Enclosure):
                return str(mpmath.nstr((self.value.lower + self.value.upper) / 2, digits))
            return str(mpmath.nstr(mpmath.mpf(self.value.numerator) / self.value.denominator, digits))


Decision = Callable[[int, Enclosure], bool]


def certified(
    problem: Problem, decided: Decision, start: int, elements: Sequence[int] | None = None
) -> list[Certified]:
    """The elements (all, or those asked for) of a row, each enclosed tightly enough that ``decided`` is satisfied.

    ``start`` is the first working precision in bits; it is doubled until every element is decided.  Raises OracleError
    at MAX_PRECISION.
    """
    wanted = list(range(len(problem.logits))) if elements is None else list(elements)
    if problem.is_special():
        return [Certified(float("nan"), 0) for _ in wanted]
    found: dict[int, Certified] = {i: Certified(v, 0) for i, v in exact_elements(problem, wanted).items()}
    precision = start
    while missing := [i for i in wanted if i not in found]:
        if precision > MAX_PRECISION:
            raise OracleError(f"element {missing[0]} of {problem} is undecided at {MAX_PRECISION} bits")
        for i, enclosure in zip(missing, enclose(problem, precision, missing), strict=True):
            if decided(i, enclosure):
                found[i] = Certified(enclosure, precision)
        precision *= 2
        if problem.function == ("softmax", "hvp") and precision > _SUSPICIOUS:
            found |= _uncancelled(problem, decided, precision, [i for i in missing if i not in found])
    return [found[i] for i in wanted]


def _uncancelled(problem: Problem, decided: Decision, precision: int, elements: Sequence[int]) -> dict[int, Certified]:
    """Those of the elements that are zero by a coincidence, or decided once what cancels exactly is left out."""
    found = {}
    for i in elements:
        centre, radius = around(problem, i, precision)
        if not centre and not radius:
            found[i] = Certified(Fraction(0), 0)
            continue
        with mpmath.workprec(precision):
            enclosure = _around(centre, radius)
        if decided(i, enclosure):
            found[i] = Certified(enclosure, precision)
    return found


class Rounding:
    """A decision for ``certified``: whether a whole enclosure rounds to one number of a format, element by element.

    Elements that are 2**-1024 ulps or less from a midpoint are compared with it exactly instead (``sides.side``).
    """

    def __init__(self, problem: Problem, format: Format) -> None:
        self.problem, self.format = problem, format
        self._decided: dict[int, int] = {}

    @property
    def start(self) -> int:
        """The working precision in bits that decides nearly every element."""
        return self.format.precision + (32 if self.problem.quantity == "forward" else 40)

    def __call__(self, i: int, enclosure: Enclosure) -> bool:
        low, high = rounded_ends(enclosure, self.format)
        if low != high and self._is_stubborn(enclosure, low):
            boundary = (_value_or_successor(low, self.format) + _value_or_successor(high, self.format)) / 2
            at = self.format.round_rational(boundary)
            low = high = {-1: low, 0: at, 1: high}[side(self.problem, i, boundary)]
        self._decided[i] = low
        return low == high

    def _is_stubborn(self, enclosure: Enclosure, bits: int) -> bool:
        """Whether an enclosure far narrower than an ulp still holds a midpoint of the format, or zero."""
        ulp = self.format.ulp(_value_or_successor(bits, self.format))
        width = mpmath.ldexp(enclosure.upper - enclosure.lower, _SUSPICIOUS)
        return bool(width < mpmath.mpf(ulp.numerator) / ulp.denominator)

    def bits(self, i: int, found: Certified) -> int:
        """Element i, as ``certified`` found it, correctly rounded (NaN: the canonical quiet one).

        -inf, and what overflows, is the format's infinity; NaN with the sign kept in a format that has none.
        """
        if isinstance(found.value, Enclosure):
            return self._decided[i]
        if isinstance(found.value, Fraction):
            return self.format.round_rational(found.value)
        not_a_number = found.value != found.value
        return self.format.nan_bits if not_a_number else self.format.sign_bit | self.format.infinity_bits


@dataclass(frozen=True)
class Rounded:
    """An element correctly rounded, as bits, and the working precision that proved it (as in ``Certified``)."""

    bits: int
    precision: int


def rounded(
    problem: Problem, format: Format, elements: Sequence[int] | None = None, start: int | None = None
) -> list[Rounded]:
    """Each element correctly rounded to ``format``, with the precision at which that was proved.

    ``start`` is the first working precision in bits, by default one that decides nearly every element; one that the row
    has been evaluated at before costs no pass over it.
    """
    rounding = Rounding(problem, format)
    wanted = range(len(problem.logits)) if elements is None else elements
    found = certified(problem, rounding, start or rounding.start, wanted)
    return [Rounded(rounding.bits(i, c), c.precision) for i, c in zip(wanted, found, strict=True)]


def correctly_rounded(
    problem: Problem, format: Format, elements: Sequence[int] | None = None, start: int | None = None
) -> list[int]:
    """The bits of each element correctly rounded to ``format`` (NaN: the canonical quiet one)."""
    return [element.bits for element in rounded(problem, format, elements, start)]


def _value_or_successor(bits: int, format: Format) -> Fraction:
    """The value of a pattern; for an overflow, what would come after the largest number."""
    magnitude = min(bits & (format.sign_bit - 1), format.largest_bits + 1)
    value = format.value(min(magnitude, format.largest_bits))
    assert isinstance(value, Fraction)
    value += format.ulp(value) if magnitude > format.largest_bits else 0
    return -value if bits & format.sign_bit else value


def accurate(problem: Problem, bits: int, elements: Sequence[int] | None = None) -> list[Certified]:
    """Each element enclosed to a relative width of 2**-bits, or among the numbers below 2**_VANISHED."""

    def narrow(i: int, enclosure: Enclosure) -> bool:
        least, most = sorted((abs(enclosure.lower), abs(enclosure.upper)))
        one_sign = enclosure.lower * enclosure.upper > 0
        relative = one_sign and mpmath.ldexp(enclosure.upper - enclosure.lower, bits) <= least
        return bool(relative or mpmath.mag(most) < _VANISHED)

    return certified(problem, narrow, bits + GUARD_BITS, elements)


def rounded_ends(enclosure: Enclosure, format: Format) -> tuple[int, int]:
    """The bits of the smallest and of the largest number that the enclosure leaves possible, correctly rounded."""
    inside = 1 if enclosure.lower < enclosure.upper else 0
    return round_number(enclosure.lower, format, inside), round_number(enclosure.upper, format, -inside)


def round_number(number: mpmath.mpf, format: Format, beside: int = 0) -> int:
    """The bits of a finite mpmath number correctly rounded; from its integers, not through a float.

    With ``beside`` -1 or 1, of what lies next to it, below or above: then a midpoint is no tie.
    """
    sign, mantissa, exponent, length = number._mpf_
    if mantissa == 0:
        return format.sign_bit if beside < 0 else 0
    if exponent + length < format.quantum - 1:
        return format.sign_bit if sign else 0
    if exponent + length > format.emax + 2:
        return (format.sign_bit if sign else 0) | format.infinity_bits
    # No midpoint lies between a number and one of its own last places beside it, nor half a quantum beside it.
    finer = abs(beside) * max(1, exponent - format.quantum + 2)
    return format.round_dyadic(((-int(mantissa) if sign else int(mantissa)) << finer) + beside, exponent - finer)


# -- the functions, at one working precision -------------------------------------------------------------------------


def enclose(problem: Problem, precision: int, elements: Sequence[int]) -> list[Enclosure]:
    """Enclosures of the elements at one working precision; the row is ordinary (see ``Problem.is_special``).

    Fewer than 53 bits are taken as 53, because mpmath rounds the numbers of the problem as well.
    """
    precision = max(precision, 53)
    with mpmath.workprec(precision):
        return _FUNCTIONS[problem.function](_Row(problem, precision), elements)


class _Row:
    """A problem with the sums over its row; ``count`` is N, how often the maximum occurs."""

    def __init__(self, problem: Problem, precision: int) -> None:
        self.problem, self.precision = problem, precision
        self.unit = mpmath.ldexp(1, -precision)
        self.exponentials = exponentials(tuple(problem.logits), precision)
        self.count, self.others, self.total = (getattr(self.exponentials, n) for n in ("count", "others", "total"))

    def d(self, i: int) -> mpmath.mpf:
        """x_i - max x, exactly."""
        return mpmath.fsub(self.problem.logits[i], self.exponentials.maximum, exact=True)

    def softmax(self, i: int) -> mpmath.mpf:
        """s_i, relative error <= 8 * 2**-w."""
        return self.exponentials.of(self.problem.logits[i]) / self.total

    def centred(self, v: Sequence[float] | None, elements: Sequence[int]) -> list[tuple[mpmath.mpf, mpmath.mpf]]:
        """v_i - <v, s> = (w_i - <w, s>) / N, w = N v - V the shifted vector, and a bound on its error."""
        assert v is not None
        mean = mean_of(tuple(self.problem.logits), tuple(v), None, self.precision)
        return [self.difference(mean.shifted(mpmath.mpf(v[i])), mean) for i in elements]

    def difference(self, w: mpmath.mpf, mean: Mean) -> tuple[mpmath.mpf, mpmath.mpf]:
        """(w_i - <w, s>) / N, and a bound on its error."""
        difference = w - mean.value
        error = 32 * self.unit * (mean.size + abs(difference))
        return difference / self.count, error / self.count


def _around(centre: mpmath.mpf, radius: mpmath.mpf) -> Enclosure:
    """[centre - radius, centre + radius], rounded outwards: the radius may be 2**1e308 times the centre."""
    return Enclosure(mpmath.fsub(centre, radius, rounding="f"), mpmath.fadd(centre, radius, rounding="c"))


def _softmax(row: _Row, elements: Sequence[int]) -> list[Enclosure]:
    eps = 8 * row.unit
    return [_around(s, eps * s) for s in map(row.softmax, elements)]


def _log_softmax(row: _Row, elements: Sequence[int]) -> list[Enclosure]:
    """d_i - L with d exact and L = log1p(T) enclosed to 16 * 2**-w: both have one sign, so nothing cancels.

    The subtraction is exact: d may be a midpoint of the format and L as small as 2**-1000.
    """
    log_total = _log1p(mpmath.fadd(row.count - 1, row.others, exact=mpmath.mag(row.others) > _NEGLIGIBLE))
    radius = 16 * row.unit * log_total
    bounds = log_total - radius, log_total + radius
    tiny = _TINY if mpmath.mag(log_total) < _NEGLIGIBLE else bounds
    results = []
    for d in map(row.d, elements):
        lower, upper = tiny if d else bounds
        results.append(Enclosure(mpmath.fsub(d, upper, exact=True), mpmath.fsub(d, lower, exact=True)))
    return results


def _log1p(t: mpmath.mpf) -> mpmath.mpf:
    """log(1 + t), relative error <= 3 * 2**-w: 1 + t is exact, or t so small that t itself is near enough."""
    if not t or mpmath.mag(t) < -mpmath.mp.prec - 2:
        return t
    return mpmath.log(mpmath.fadd(1, t, exact=True))


def _softmax_product(row: _Row, vector: Sequence[float] | None, elements: Sequence[int]) -> list[Enclosure]:
    """s_i (v_i - <v, s>): the Jacobian is symmetric, so vjp and jvp are one map."""
    centred = row.centred(vector, elements)
    return [_around(s * c, 2 * s * error) for s, (c, error) in zip(map(row.softmax, elements), centred, strict=True)]


def _log_softmax_vjp(row: _Row, elements: Sequence[int]) -> list[Enclosure]:
    """g_i - s_i G with G exact; 32 * 2**-w |s_i G| for the product, and the subtraction exact.

    At the maximum (N of them), (N g_i - G + g_i T) / S with N g_i - G exact: 1 - s_i is never formed.
    """
    given = row.problem.cotangent
    assert given is not None
    total = exact_sum(tuple(given))
    results = []
    for i in elements:
        g = mpmath.mpf(given[i])
        if not row.d(i):
            kept = mpmath.fsub(mpmath.fmul(row.count, g, exact=True), total, exact=True)
            gained = g * row.others
            h = (kept + gained) / row.total
            results.append(_around(h, 32 * row.unit * (abs(h) + abs(gained) / row.total)))
            continue
        product = row.softmax(i) * total
        if g and mpmath.mag(product) < _NEGLIGIBLE:
            lower, upper = _TINY if product > 0 else (-_TINY[1], _TINY[0])
        else:
            radius = 32 * row.unit * abs(product)
            lower, upper = product - radius, product + radius
        results.append(Enclosure(mpmath.fsub(g, upper, exact=True), mpmath.fsub(g, lower, exact=True)))
    return results


def _log_softmax_jvp(row: _Row, elements: Sequence[int]) -> list[Enclosure]:
    """t_i - <t, s>."""
    return [_around(c, error) for c, error in row.centred(row.problem.tangent, elements)]


def _softmax_hvp(row: _Row, elements: Sequence[int]) -> list[Enclosure]:
    """s_i (a_i c_i - <a c, s>), a and c the centred tangent and cotangent.

    With w and u the shifted vectors, W = <w, s> and U = <u, s>, the bracket is
    (p_i - <p, s> - w_i U - W u_i + 2 W U) / N**2, p = w u exactly: each term is as accurate as itself.
    """
    g, t = row.problem.cotangent, row.problem.tangent
    assert g is not None
    assert t is not None
    logits, vectors = tuple(row.problem.logits), (tuple(t), tuple(g))
    w_mean, u_mean = (mean_of(logits, v, None, row.precision) for v in vectors)
    p_mean = mean_of(logits, *vectors, row.precision)
    scale = row.count**2
    results = []
    for i in elements:
        s, w, u = row.softmax(i), w_mean.shifted(mpmath.mpf(t[i])), u_mean.shifted(mpmath.mpf(g[i]))
        centred, error = row.difference(p_mean.shifted(mpmath.fmul(w, u, exact=True)), p_mean)
        bracket = (centred - w * u_mean.value - w_mean.value * u + 2 * w_mean.value * u_mean.value) / scale
        size = abs(w) * u_mean.size + w_mean.size * abs(u) + 2 * w_mean.size * u_mean.size + abs(centred)
        results.append(_around(s * bracket, 2 * s * (error + 64 * row.unit * size) / scale))
    return results


def _log_softmax_hvp(row: _Row, elements: Sequence[int]) -> list[Enclosure]:
    """-G s_i a_i with G exact."""
    given = row.problem.cotangent
    assert given is not None
    total = exact_sum(tuple(given))
    centred = row.centred(row.problem.tangent, elements)
    return [
        _around(-total * s * a, 2 * abs(total) * s * error)
        for s, (a, error) in zip(map(row.softmax, elements), centred, strict=True)
    ]


_FUNCTIONS: dict[Function, Callable[[_Row, Sequence[int]], list[Enclosure]]] = {
    Function("softmax", "forward"): _softmax,
    Function("softmax", "vjp"): lambda row, elements: _softmax_product(row, row.problem.cotangent, elements),
    Function("softmax", "jvp"): lambda row, elements: _softmax_product(row, row.problem.tangent, elements),
    Function("softmax", "hvp"): _softmax_hvp,
    Function("log_softmax", "forward"): _log_softmax,
    Function("log_softmax", "vjp"): _log_softmax_vjp,
    Function("log_softmax", "jvp"): _log_softmax_jvp,
    Function("log_softmax", "hvp"): _log_softmax_hvp,
}
