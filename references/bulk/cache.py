"""References kept between runs by content: the same bits, asked the same question, are answered once.

The environment variable SOFTMAX_ACCURACY_CACHE names the directory, or is ``off``; without it the entries are in the
user's cache directory.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import fields
from functools import lru_cache
from pathlib import Path

import mpmath
import numpy as np

from references.bulk.array_store import Store
from references.bulk.cache_entry import Entry
from references.bulk.escalation import first_tier
from references.bulk.exact_pairs import BINARY64, LOWEST_EXPONENT, TIERS, TOLERANCE, Reference
from references.formats import Floats, Format
from references.functions import Function
from references.ieee.float_state import require_sound_arithmetic
from references.vocabulary import OPERATIONS

VARIABLE = "SOFTMAX_ACCURACY_CACHE"

# What reading an entry costs (to open it, and to copy and check each byte; an element has 33 of them), and how many
# times that a computation has to take to be worth its place on the disk.
_READ_SECONDS = 1e-4
_READ_SECONDS_PER_BYTE = 1e-9
_WORTH = 4.0
_WORTH_SECONDS = 2e-3

# The fields of a reference, as they are kept.
_TYPES = {"hi": np.float64, "lo": np.float64, "exponent": np.int64, "error": np.float64, "tier": np.uint8}

# More than a product of three vectors can have, summed over a row.
_HIGHEST_EXPONENT = 4000

_REMEDY = f"{VARIABLE} names another directory, and {VARIABLE}=off keeps none"


def cached(
    function: Function,
    logits: Floats,
    format: Format,
    *,
    cotangent: Floats | None = None,
    tangent: Floats | None = None,
    compute: Callable[[], Reference],
    check: Callable[[Reference], None] = lambda found: None,
) -> Reference:
    """What ``compute`` gives, or gave before for the same question; rows [rows, n].

    ``check`` raises where a reference contradicts the oracle.  It sees every reference before it is kept or returned;
    one that was read and fails is removed and computed again.  Raises UnsoundArithmetic, and keeps nothing, where this
    thread doesn't compute as IEEE 754 says.
    """
    store = _store(os.environ.get(VARIABLE, ""))
    if store is None or not keeping_pays(function.quantity, format):
        return _checked(_soundly(compute), check)
    key = key_of(function, logits, format, cotangent=cotangent, tangent=tangent)
    found = _looked_up(store, key, logits.shape, format)
    if found is not None:
        try:
            return _checked(found, check)
        except ArithmeticError:
            store.reject(key, "the oracle contradicts it")
    start = time.thread_time()
    made = _soundly(compute)
    seconds = time.thread_time() - start
    _checked(made, check)
    entry = {field.name: getattr(made, field.name) for field in fields(made)}
    if _pays(seconds, sum(v.nbytes for v in entry.values() if isinstance(v, np.ndarray))):
        store.write(key, entry)
    return made


def key_of(
    function: Function,
    logits: Floats,
    format: Format,
    *,
    cotangent: Floats | None = None,
    tangent: Floats | None = None,
) -> str:
    """sha256 of the bits of every vector in its role, their shape, the question, and the code that answers it."""
    question = [_FINGERPRINT, *function, format.name, str(logits.shape)]
    digest = hashlib.sha256("\n".join(question).encode())
    for role, values in (("logits", logits), ("cotangent", cotangent), ("tangent", tangent)):
        if values is not None:
            digest.update(f"\n{role} {values.shape}\n".encode())
            digest.update(np.ascontiguousarray(values, "<f8").data)
    return digest.hexdigest()


def fingerprint(folder: Path) -> str:
    """sha256 of the source files below a folder and of the versions that they compute with; tests don't count."""
    digest = hashlib.sha256(f"numpy {np.__version__}, mpmath {mpmath.__version__}".encode())
    for name in sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*.py")):
        if name.startswith("tests/"):
            continue
        content = (folder / name).read_bytes()
        digest.update(f"\n{name} {len(content)}\n".encode() + content)
    return digest.hexdigest()


# Taken while the reference's modules are being imported: a file that is edited later belongs to the next process.
_FINGERPRINT = fingerprint(Path(__file__).parents[1])


@lru_cache(maxsize=8)
def _store(place: str) -> Store | None:
    if place.lower() == "off":
        return None
    return Store(_directory(place).absolute(), remedy=_REMEDY)


def _directory(place: str) -> Path:
    """Where references are kept; ``~somebody`` that is nobody is a name like any other."""
    if place:
        try:
            return Path(place).expanduser()
        except RuntimeError:
            return Path(place)
    from platformdirs import user_cache_path

    return user_cache_path("softmax-accuracy", appauthor=False) / "references"


def keeping_pays(quantity: str, format: Format) -> bool:
    """Whether an entry can be worth its place: plain binary64 evaluates faster than an entry is read."""
    return any(first_tier(Function(operation, quantity), format) != BINARY64 for operation in OPERATIONS)


def _pays(seconds: float, size: int) -> bool:
    """Whether what took so long is worth ``size`` bytes."""
    return seconds > max(_WORTH_SECONDS, _WORTH * (_READ_SECONDS + _READ_SECONDS_PER_BYTE * size))


def _soundly(compute: Callable[[], Reference]) -> Reference:
    """Looked at afterwards: what sets the arithmetic otherwise in the midst of it is noticed, too."""
    made = compute()
    require_sound_arithmetic()
    return made


def _checked(found: Reference, check: Callable[[Reference], None]) -> Reference:
    check(found)
    return found


def _looked_up(store: Store, key: str, shape: tuple[int, ...], format: Format) -> Reference | None:
    """The reference that is kept under a key, if it can be one of rows of that shape."""
    entry = store.read(key)
    if entry is None:
        return None
    found = _reference_of(entry, shape)
    if found is None or not is_possible(found, format):
        store.reject(key, "it is no reference of these rows")
        return None
    return found


def _reference_of(entry: Entry, shape: tuple[int, ...]) -> Reference | None:
    """The reference in an entry, if it has the fields of one and each is an array of its type and that shape."""
    if set(entry) != set(_TYPES):
        return None
    for name, value in entry.items():
        if isinstance(value, str) or value.dtype != _TYPES[name] or value.shape != shape:
            return None
    return Reference(**entry)  # type: ignore[arg-type]


def is_possible(found: Reference, format: Format) -> bool:
    """Whether a reference keeps what every one promises: rounded pairs, errors within TOLERANCE, known tiers."""
    if not found.hi.size:
        return True
    with np.errstate(all="ignore"):
        # An extreme is NaN where there is a NaN, and no comparison holds for that.
        return bool(
            (found.tier.max() < len(TIERS))
            and (found.exponent.min() >= LOWEST_EXPONENT)
            and (found.exponent.max() <= _HIGHEST_EXPONENT)
            and (found.error.min() >= 0)
            and (found.error.max() < np.inf)
            and _are_rounded_pairs(found)
            and _is_within_tolerance(found, format)
        )


def _are_rounded_pairs(found: Reference) -> bool:
    """Whether ``lo`` is what is left of a number that is rounded to ``hi``, and 0 beside NaN and -inf."""
    same = found.hi + found.lo == found.hi
    if same.all() and found.hi.min() > -np.inf:
        return bool(found.hi.max() < np.inf)
    contract = np.isnan(found.hi) | (found.hi == -np.inf)
    return bool(np.where(np.isfinite(found.hi), same, contract & (found.lo == 0)).all())


def _is_within_tolerance(found: Reference, format: Format) -> bool:
    # A number has at most 2**precision of its ulps; beyond the format's range there are no others.
    relative = found.error <= np.abs(found.hi) * (TOLERANCE / 2 * 2.0**-format.precision)
    return bool(relative.all() or (relative | (found.error_ulps(format) <= TOLERANCE)).all())
