"""Emulated machines beside the arithmetic whose bound each must keep, and the largest ratios that they reach."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial

from references.bounds.error_model import Arithmetic, compute_arithmetic, narrow_arithmetic, storage_arithmetic
from references.bounds.summation_depth import gamma
from references.formats import BFLOAT16, BINARY16, BINARY32, BINARY64, FLOAT8_E5M2, Format, compute_format
from references.tests.algorithms import ALGORITHMS
from references.tests.batches import rows_of
from references.tests.emulated import Machine

# Orders of summation, and by how many ulps exp and log are pushed.
TRIED = (("recursive", 0.0), ("recursive", 2.0), ("pairwise", 2.0), ("lanes", 0.0))

# The running sum of one pass has its own order.
_IN_SEQUENCE = "online"


def own_arithmetic(format: Format, n: int, depth: int | None = None) -> Arithmetic:
    """The compute arithmetic of a wide format, and what it would be if a narrow one were wide enough to be one."""
    if compute_format(format) is format:
        return compute_arithmetic(format, n, depth=depth)
    u, quantum = format.unit_roundoff, format.smallest_subnormal
    wide = compute_arithmetic(BINARY64, n, depth=depth)
    return replace(
        wide,
        grid=format,
        unit=u,
        sum_unit=u,
        sum=gamma(wide.depth, u),
        exp=6 * u,
        log=6 * u,
        lost=quantum / 2,
        exp_lost=3 * quantum,
        log_lost=3 * quantum,
    )


@dataclass(frozen=True)
class Setting:
    """A machine beside the arithmetic whose bound it must keep, and the row lengths that it is tried at."""

    machine: Machine
    arithmetic: Callable[[Format, int], Arithmetic]
    lengths: tuple[int, ...]

    def worst(self, name: str, scale: float = 1.0) -> float:
        """The largest ratio of an algorithm over all rows, orders of summation, and errors of exp and log."""
        algorithm, format, largest = ALGORITHMS[name], self.machine.output, 0.0
        for n in self.lengths:
            rows = rows_of(format, n, scale)
            limit, judged = rows.bound_of(algorithm, self.arithmetic(format, n))
            for order, push in TRIED[:2] if name == _IN_SEQUENCE else TRIED:
                machine = replace(self.machine, order=order, push=push)
                computed = algorithm.formula(machine, rows.logits, *rows.vectors(algorithm.function).values())
                ratios = rows.ratios(machine.stored(computed), algorithm.function, limit, judged)
                largest = max(largest, float(ratios.max()))
        return largest


def own(format: Format, *lengths: int) -> Setting:
    return Setting(Machine(format, format, format, format), own_arithmetic, lengths)


def wide(format: Format, *lengths: int) -> Setting:
    return Setting(Machine(format, BINARY32, BINARY32, BINARY32), compute_arithmetic, lengths)


def storage(format: Format, *lengths: int) -> Setting:
    return Setting(Machine(format, format, BINARY32, BINARY32), storage_arithmetic, lengths)


def narrow(format: Format, *lengths: int) -> Setting:
    return Setting(Machine(format, format, format, BINARY32), narrow_arithmetic, lengths)


SETTINGS = {
    "binary64": own(BINARY64, 1, 2, 3, 33, 400),
    "binary32": own(BINARY32, 1, 2, 3, 33, 400),
    "binary16 throughout": own(BINARY16, 1, 2, 3, 33, 100),
    "bfloat16 throughout": own(BFLOAT16, 1, 2, 3, 33, 60),
    "binary16, computed in binary32": wide(BINARY16, 1, 2, 3, 33, 400),
    "bfloat16, computed in binary32": wide(BFLOAT16, 1, 2, 3, 33, 400),
    "float8_e5m2, computed in binary32": wide(FLOAT8_E5M2, 2, 33),
    "binary16, with binary32 sums": storage(BINARY16, 1, 2, 3, 33, 400),
    "bfloat16, with binary32 sums": storage(BFLOAT16, 1, 2, 3, 33, 400),
    "float8_e5m2, with binary32 sums": storage(FLOAT8_E5M2, 2, 33),
    "binary16, with sums of its own": narrow(BINARY16, 1, 2, 3, 33, 100),
    "bfloat16, with sums of its own": narrow(BFLOAT16, 1, 2, 3, 33, 60),
}
THROUGHOUT = ("binary64", "binary32", "binary16 throughout", "bfloat16 throughout")


@cache
def worst_of(setting: str, name: str) -> float:
    return SETTINGS[setting].worst(name)


def flushing(setting: Setting, arithmetic: Callable[..., Arithmetic]) -> Setting:
    return Setting(replace(setting.machine, flushes=True), partial(arithmetic, flushes=True), setting.lengths)


FLUSHING = {
    "binary32": flushing(wide(BINARY32, 2, 3, 33), compute_arithmetic),
    "bfloat16, computed in binary32": flushing(wide(BFLOAT16, 2, 3, 33), compute_arithmetic),
    "bfloat16, with binary32 sums": flushing(storage(BFLOAT16, 2, 3, 33), storage_arithmetic),
}
