"""What PyTorch's CPU kernels do with arrays that tell, held against what the registry says of them.

Each observation returns a sentence for every contradiction.  ``python -m suites.tests.observed_torch`` prints those of
its process, whose instruction set the environment chooses.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from suites.implementations.catalogue import settings_of
from suites.paths import summation
from suites.paths.places import Place
from suites.paths.taken import path_of, quantities_of

Array = npt.NDArray[Any]

_DTYPES = {
    "binary64": torch.float64,
    "binary32": torch.float32,
    "binary16": torch.float16,
    "bfloat16": torch.bfloat16,
}
# A number that absorbs units, and the unit, exact in the format and in a sum of a few hundred (summation.probe).
_LARGE = {
    "binary64": (2.0**300, 1.0),
    "binary32": (2.0**60, 1.0),
    "binary16": (2.0**15, 2.0**-24),
    "bfloat16": (2.0**60, 1.0),
}


def quantities(format: str, array: Place | None = None) -> dict[str, Any]:
    """Lanes, and so on, of this process."""
    return dict(quantities_of("torch", format, array or Place.contiguous((1, 1), 1), settings_of("torch")))


@contextmanager
def threads(count: int) -> Iterator[None]:
    """So many threads for the calls inside."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def random(format: str, *shape: int, scale: float = 3.0, seed: int = 1) -> torch.Tensor:
    made = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * scale
    return made.to(_DTYPES[format])


def rounded(values: Array, format: str) -> Array:
    """Numbers of a 16-bit format nearest to binary32 ones, as binary32."""
    result: Array = torch.from_numpy(np.ascontiguousarray(values)).to(_DTYPES[format]).float().numpy()
    return result


def softmax_backward(g: torch.Tensor, y: torch.Tensor, axis: int) -> torch.Tensor:
    return torch.ops.aten._softmax_backward_data(g, y, axis, y.dtype)


def log_softmax_backward(g: torch.Tensor, y: torch.Tensor, axis: int) -> torch.Tensor:
    return torch.ops.aten._log_softmax_backward_data(g, y, axis, y.dtype)


# -- the exponentials that kernels use: g - exp(y) sum g is -exp(y) where g is zero and sum g is one -------------------


def vector_exp(values: Array) -> Array:
    """exp as the vector loops compute it, element by element."""
    y = torch.from_numpy(values.reshape(-1, values.shape[-1]))
    y = torch.cat([y, torch.full_like(y[:, :1], -torch.inf)], 1)
    g = torch.zeros_like(y)
    g[:, -1] = 1
    with threads(1):
        result: Array = -log_softmax_backward(g, y, 1)[:, :-1].numpy().reshape(values.shape)
    return result


def scalar_exp(values: Array) -> Array:
    """exp as the scalar loops compute it: an array (n, 1) that is reduced along its first axis has no full register."""
    y = torch.from_numpy(np.append(values.ravel(), values.dtype.type(-np.inf)))[:, None]
    g = torch.zeros_like(y)
    g[-1] = 1
    result: Array = -log_softmax_backward(g, y, 0)[:-1, 0].numpy().reshape(values.shape)
    return result


def libm_exp(values: Array) -> Array:
    """exp of the C library, element by element."""
    library = ctypes.CDLL(ctypes.util.find_library("m"))
    function = library.expf if values.dtype == np.float32 else library.exp
    kind = ctypes.c_float if values.dtype == np.float32 else ctypes.c_double
    function.restype, function.argtypes = kind, [kind]
    return np.array([function(v) for v in values.ravel().tolist()], values.dtype).reshape(values.shape)


# -- sums of gradients -------------------------------------------------------------------------------------------------


def _order_last(format: str) -> Callable[[Array], Array]:
    known = quantities(format)
    registers = 2 if known["size"] == 2 else 1
    lanes = known["float_lanes"] if known["size"] == 2 else known["lanes"]
    return lambda v: summation.in_lanes(v, lanes, tree=known["tree"], registers=registers)


def _meetings(format: str, operation: str, n: int, axis: int) -> tuple[Array, summation.Probe]:
    """Where the terms of a gradient's sum meet, read where exp(y) = 1 in g - exp(y) sum g, y = 1 in (g - sum g y) y."""
    large, unit = _LARGE[format]
    probe = summation.probe(n, large=large, unit=unit)
    rows = np.arange(len(probe.pairs))
    read = np.array([next(r for r in range(n) if r not in pair) for pair in probe.pairs])
    g = torch.from_numpy(probe.terms).to(_DTYPES[format])
    y = torch.ones_like(g) if operation == "softmax" else torch.full_like(g, -torch.inf)
    y[rows, read] = 1.0 if operation == "softmax" else 0.0
    backward = softmax_backward if operation == "softmax" else log_softmax_backward
    result = backward(g.T.contiguous(), y.T.contiguous(), 0).T if axis == 0 else backward(g, y, 1)
    sums = (g.double()[rows, read] - result.double()[rows, read]).numpy()
    return probe.meetings(sums), probe


def _expected(probe: summation.Probe, format: str, order: Callable[[Array], Array]) -> Array:
    return probe.meetings(order(probe.terms.astype(np.float64 if format == "binary64" else np.float32)))


def gradients_along_the_last_axis() -> list[str]:
    found = []
    for format in _DTYPES:
        lanes = quantities(format)["lanes"]
        for n in (3, lanes - 1, lanes, lanes + 1, 2 * lanes, 2 * lanes + 5):
            for operation in ("softmax", "log_softmax"):
                seen, probe = _meetings(format, operation, n, 1)
                if not np.array_equal(seen, _expected(probe, format, _order_last(format))):
                    found.append(f"{operation} {format} n = {n}: not in lanes")
                if n == 2 * lanes and np.array_equal(seen, _expected(probe, format, summation.sequential)):
                    found.append(f"{operation} {format} n = {n}: in sequence")
    return found


def gradients_along_another_axis() -> list[str]:
    found = []
    for format in _DTYPES:
        for n in (3, 40):
            for operation in ("softmax", "log_softmax"):
                seen, probe = _meetings(format, operation, n, 0)
                if not np.array_equal(seen, _expected(probe, format, summation.sequential)):
                    found.append(f"{operation} {format} n = {n}: not in sequence")
    return found


# -- values ------------------------------------------------------------------------------------------------------------


def softmax_along_the_last_axis() -> list[str]:
    """Every bit of exp(x - m) * (1 / s), with the vector loops' exp and the sum in lanes."""
    found = []
    for format in ("binary32", "binary64"):
        lanes = quantities(format)["lanes"]
        for n in (3, lanes - 1, lanes, lanes + 1, 2 * lanes + 1, 100):
            x = random(format, 64, n)
            d = (x - x.max(1, keepdim=True).values).numpy()
            e = vector_exp(d)
            s = _order_last(format)(e)[:, None]
            seen = torch.softmax(x, 1).numpy()
            if not np.array_equal(seen, e * (s.dtype.type(1) / s)):
                found.append(f"softmax {format} n = {n}: other bits")
            if n == 100 and (np.array_equal(seen, e / s) or np.array_equal(seen, e / summation.sequential(e)[:, None])):
                found.append(f"softmax {format} n = {n}: a division, or a sum in sequence, would do")
    return found


def softmax_of_16_bits_along_the_last_axis() -> list[str]:
    """The body of a row has the vector exp, its tail libm's; no other assignment gives these bits."""
    found, format = [], "binary16"
    lanes, tree = quantities(format)["float_lanes"], quantities(format)["tree"]
    x = random(format, 60_000, lanes + lanes // 2)
    d = (x.float() - x.float().max(1, keepdim=True).values).numpy()
    vector, scalar = vector_exp(d), scalar_exp(d)
    seen = torch.softmax(x, 1).float().numpy()
    mixed = np.concatenate([vector[:, :lanes], scalar[:, lanes:]], 1)
    for name, e in (("the registry's", mixed), ("the vector", vector), ("libm's", scalar)):
        s = summation.lanes_then_rest(e, lanes, tree=tree)[:, None]
        same = np.array_equal(seen, rounded(e * (np.float32(1) / s), format))
        if same != (name == "the registry's" or quantities(format)["capability"] == "DEFAULT"):
            found.append(f"softmax {format}: {name} exp {'does' if same else 'does not do'}")
    return found


def _sums_of(outputs: Array, x: Array, axis: int) -> Array:
    """The sums under log_softmax: -y is log s at the maximum, and where s < 2 it tells every bit of s."""
    logarithm = -outputs.max(axis)
    d = x - x.max(axis, keepdims=True)
    assert np.array_equal(outputs, d - np.expand_dims(logarithm, axis)), "log_softmax is (x - m) - log s"
    found: Array = np.exp(logarithm.astype(np.longdouble)).astype(x.dtype)
    return found


def log_softmax_reveals_its_sum() -> list[str]:
    """Rows of one 0 and small terms, so that s < 2: its bits are those of the registry's order and exponential."""
    found = []
    wide = np.finfo(np.longdouble).nmant > np.finfo(np.float64).nmant  # else binary64 can't be read back exactly
    for format in ("binary32", "binary64") if wide else ("binary32",):
        lanes = quantities(format)["lanes"]
        for n in (3, lanes + 1, 2 * lanes + 1, 60):
            x = (random(format, 40, n, scale=0.5) - 6).numpy()
            x[:, n // 2] = 0
            seen = _sums_of(torch.log_softmax(torch.from_numpy(x), 1).numpy(), x, 1)
            if not np.array_equal(seen, _order_last(format)(vector_exp(x))):
                found.append(f"log_softmax {format} n = {n}: another sum along the last axis")
            if n == 60 and np.array_equal(seen, summation.sequential(vector_exp(x))):
                found.append(f"log_softmax {format} n = {n}: a sum in sequence would do")
        inner = 2 * lanes + 3
        x = (random(format, 50, 4, inner, scale=0.1) - 1.6).numpy()
        x[:, 1] = 0
        body = inner - inner % lanes
        sums = [summation.sequential(np.moveaxis(e(x), 1, 2)) for e in (vector_exp, scalar_exp)]
        for count in (1, 2):
            with threads(count):
                seen = _sums_of(torch.log_softmax(torch.from_numpy(x), 1).numpy(), x, 1)
            if not np.array_equal(seen, np.append(sums[0][:, :body], sums[1][:, body:], 1)):
                found.append(f"log_softmax {format} inner = {inner}: another sum along the middle axis")
            if quantities(format)["capability"] != "DEFAULT" and any(np.array_equal(seen, s) for s in sums):
                found.append(f"log_softmax {format} inner = {inner}: one exponential for all rows would do")
    return found


def log_softmax_of_16_bits_along_the_last_axis() -> list[str]:
    """The sum is rounded to 16 bits, and so is its logarithm."""
    found = []
    for format in ("binary16", "bfloat16"):
        lanes = quantities(format)["float_lanes"]
        for n in (3, lanes + 3, 2 * lanes + 3, 200):
            x = random(format, 200, n)
            d = (x.float() - x.float().max(1, keepdim=True).values).numpy()
            s = _order_last(format)(vector_exp(d))[:, None]
            seen = torch.log_softmax(x, 1).float().numpy()
            narrow = rounded(np.log(rounded(s, format).astype(np.float64)).astype(np.float32), format)
            if not np.array_equal(seen, rounded(d - narrow, format)):
                found.append(f"log_softmax {format} n = {n}: other bits")
            if np.array_equal(seen, rounded(d - np.log(s.astype(np.float64)).astype(np.float32), format)):
                found.append(f"log_softmax {format} n = {n}: a sum in binary32 would do")
    return found


def log_softmax_of_16_bits_along_another_axis() -> list[str]:
    """The sum stays in binary32, in rows that fill a register and in the others."""
    found = []
    for format in ("binary16", "bfloat16"):
        lanes = quantities(format)["lanes"]
        x = random(format, 200, lanes + 3)
        d = (x.float() - x.float().max(0, keepdim=True).values).numpy()
        body = np.arange(lanes + 3) < lanes
        s = np.where(body, summation.sequential(vector_exp(d).T), summation.sequential(scalar_exp(d).T))
        seen = torch.log_softmax(x, 0).float().numpy()
        once = rounded(d - np.log(s.astype(np.float64)).astype(np.float32), format)
        narrow = rounded(np.log(rounded(s, format).astype(np.float64)).astype(np.float32), format)
        for part, columns in (("vector", body), ("scalar", ~body)):
            if not np.array_equal(seen[:, columns], once[:, columns]):
                found.append(f"log_softmax {format}, {part} loop: other bits")
            if np.array_equal(seen[:, columns], rounded(d - narrow, format)[:, columns]):
                found.append(f"log_softmax {format}, {part} loop: a sum in 16 bits would do")
    return found


def _taken_by(format: str, shape: tuple[int, int], id: str) -> str:
    """The words of the registry for the rows that take a path, under the settings of this moment."""
    steps = path_of("torch/eager", "softmax", "forward", format, Place.contiguous(shape, 0), settings_now())
    return next((step.where for step in steps if step.path.id == id), "")


def settings_now() -> dict[str, str]:
    """The settings without the one thread that torch_eager insists on."""
    return {"cpu capability": torch.backends.cpu.get_cpu_capability(), "threads": str(torch.get_num_threads())}


def rows_of_softmax_along_another_axis() -> list[str]:
    """Row by row, whether the vector or the scalar loop made it, for one thread and for two."""
    found, n = [], 200
    for format in ("binary32", "binary64"):
        lanes = quantities(format)["lanes"]
        for inner in (1, lanes - 1, lanes, lanes + 1, 2 * lanes + 3):
            x = random(format, n, inner)
            d = (x - x.max(0, keepdim=True).values).numpy()
            made = {}
            for loop, exp in (("vector", vector_exp), ("scalar", scalar_exp)):
                e = exp(d)
                made[loop] = e / summation.sequential(e.T)
            for count in (1, 2):
                with threads(count):
                    seen = torch.softmax(x, 0).numpy()
                    words = {k: _taken_by(format, (n, inner), f"torch-softmax-inner-{k}") for k in made}
                same = {loop: (seen == y).all(0) for loop, y in made.items()}
                if quantities(format)["capability"] == "DEFAULT":
                    continue
                for loop, rows in words.items():
                    if not np.array_equal(same[loop], _mask(rows, inner)):
                        found.append(f"softmax {format} inner = {inner}, {count} threads: {loop} loop not in {rows!r}")
    return found


def _mask(words: str, count: int) -> Array:
    """The rows that the registry's words name."""
    if words.startswith(("all", "the row")):
        return np.ones(count, bool)
    mask = np.zeros(count, bool)
    for piece in (
        words.removeprefix("rows ").removeprefix("row ").partition(" of ")[0].replace(" and ", ", ").split(", ")
    ):
        if piece:
            first, _, last = piece.partition("-")
            mask[int(first) : int(last or first) + 1] = True
    return mask


def softmax_of_16_bit_rows_one_by_one() -> list[str]:
    """The exponentials are stored in 16 bits before they are divided; in rows that fill a register they are not."""
    found = []
    for format in ("binary16", "bfloat16"):
        lanes = quantities(format)["lanes"]
        x = random(format, 200, lanes + 3)
        d = (x.float() - x.float().max(0, keepdim=True).values).numpy()
        scalar, vector = scalar_exp(d), vector_exp(d)
        twice = rounded(rounded(scalar, format) / summation.sequential(scalar.T), format)
        once = rounded(vector / summation.sequential(vector.T), format)
        seen = torch.softmax(x, 0).float().numpy()
        if not np.array_equal(seen[:, lanes:], twice[:, lanes:]) or not np.array_equal(
            seen[:, :lanes], once[:, :lanes]
        ):
            found.append(f"softmax {format}: other bits")
        if np.array_equal(once[:, lanes:], twice[:, lanes:]):
            found.append(f"softmax {format}: one rounding would do")
    return found


# -- gradients, every bit in binary32 ----------------------------------------------------------------------------------


def fused(a: Array, b: Array, c: Array) -> Array:
    """a b + c rounded once: the product of two binary32 numbers is exact in binary64."""
    result: Array = (a.astype(np.float64) * b.astype(np.float64) + c.astype(np.float64)).astype(np.float32)
    return result


def the_last_products_of_softmax_backward() -> list[str]:
    """One thread: the products after the last whole register are fused into the sum; two threads: they are not."""
    found, format = [], "binary32"
    known = quantities(format)
    lanes, fuses = known["lanes"], known["capability"] != "DEFAULT"
    for n in (lanes - 1, 3 * lanes, 3 * lanes + 5):
        g, y = random(format, 64, n, scale=1), torch.softmax(random(format, 64, n, seed=2), 1)
        products = (g * y).numpy()
        plain = summation.in_lanes(products, lanes, tree=known["tree"])
        whole = n - n % lanes
        totals = summation.stepped(products[:, :whole] if whole else products, lanes)
        rest = n - whole if whole else 0
        if rest:
            tail = slice(whole, n)
            totals[:, :rest] = fused(g.numpy()[:, tail], y.numpy()[:, tail], totals[:, :rest])
        add = summation.halved if known["tree"] else summation.sequential
        in_tail = add(totals) if whole else plain
        for count, sums in ((1, in_tail if fuses else plain), (2, plain)):
            with threads(count):
                seen = softmax_backward(g, y, 1).numpy()
            if not np.array_equal(seen, (g.numpy() - sums[:, None]) * y.numpy()):
                found.append(f"n = {n}, {count} threads: other bits")
        if fuses and rest and np.array_equal(plain, in_tail):
            found.append(f"n = {n}: fused or not, the sums are the same")
    return found


def exponentials_of_log_softmax_backward() -> list[str]:
    """g - exp(y) s, fused, with the vector exp but for the rest of the rows along another axis; libm's exp there."""
    found, format = [], "binary32"
    known = quantities(format)
    lanes, fuses = known["lanes"], known["capability"] != "DEFAULT"

    def gradient(g: Array, e: Array, s: Array) -> Array:
        total = np.broadcast_to(s, g.shape)
        return fused(-e, total, g) if fuses else g - e * total

    g, y = random(format, 64, 3 * lanes + 5, scale=1), torch.log_softmax(random(format, 64, 3 * lanes + 5, seed=2), 1)
    s = summation.in_lanes(g.numpy(), lanes, tree=known["tree"])[:, None]
    if not np.array_equal(log_softmax_backward(g, y, 1).numpy(), gradient(g.numpy(), vector_exp(y.numpy()), s)):
        found.append("along the last axis: other bits")
    inner = lanes + 3
    g, y = random(format, 200, inner, scale=1), torch.log_softmax(random(format, 200, inner, seed=2), 0)
    seen, s = log_softmax_backward(g, y, 0).numpy(), summation.sequential(g.numpy().T)
    made = [gradient(g.numpy(), exp(y.numpy()), s) for exp in (vector_exp, scalar_exp)]
    if not np.array_equal(seen, np.concatenate([made[0][:, :lanes], made[1][:, lanes:]], 1)):
        found.append("along the first axis: other bits")
    if fuses and any(np.array_equal(seen, one) for one in made):
        found.append("along the first axis: one exponential for all rows would do")
    values = y.numpy()[:, 0]
    if not np.array_equal(scalar_exp(values), libm_exp(values)):
        found.append("the scalar loop's exp is not libm's")
    if np.array_equal(vector_exp(y.numpy()), scalar_exp(y.numpy())) == fuses:
        found.append("the vector loop's exp is libm's, or is not where it should be")
    return found


def products_of_softmax_backward_along_another_axis() -> list[str]:
    """y (g - s), and s by fused multiply-add, in rows that fill a register and in the others."""
    found, format = [], "binary32"
    fuses = quantities(format)["capability"] != "DEFAULT"
    inner = quantities(format)["lanes"] + 3
    g, y = random(format, 60, inner, scale=1).numpy(), torch.softmax(random(format, 60, inner, seed=2), 0).numpy()
    plain, one_rounding = np.zeros(inner, np.float32), np.zeros(inner, np.float32)
    for row in range(60):
        plain, one_rounding = plain + g[row] * y[row], fused(g[row], y[row], one_rounding)
    for count in (1, 2):
        with threads(count):
            seen = softmax_backward(torch.from_numpy(g), torch.from_numpy(y), 0).numpy()
        if not np.array_equal(seen, y * (g - (one_rounding if fuses else plain))):
            found.append(f"{count} threads: other bits")
    if np.array_equal(plain, one_rounding):
        found.append("fused or not, the sums are the same")
    return found


OBSERVATIONS: dict[str, Callable[[], list[str]]] = {
    function.__name__: function
    for function in (
        gradients_along_the_last_axis,
        gradients_along_another_axis,
        softmax_along_the_last_axis,
        softmax_of_16_bits_along_the_last_axis,
        log_softmax_reveals_its_sum,
        log_softmax_of_16_bits_along_the_last_axis,
        log_softmax_of_16_bits_along_another_axis,
        rows_of_softmax_along_another_axis,
        softmax_of_16_bit_rows_one_by_one,
        the_last_products_of_softmax_backward,
        exponentials_of_log_softmax_backward,
        products_of_softmax_backward_along_another_axis,
    )
}


def main() -> None:
    """Print the instruction set of this process and every contradiction, as JSON."""
    contradictions = {name: found for name, observe in OBSERVATIONS.items() if (found := observe())}
    print(json.dumps({"capability": torch.backends.cpu.get_cpu_capability(), "contradictions": contradictions}))


if __name__ == "__main__":
    main()
