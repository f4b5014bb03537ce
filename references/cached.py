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

from references.float_state import require_sound_arithmetic
from references.formats import Floats, Format
from references.problem import OPERATIONS
from references.reference import BINARY64, Reference
from references.store import Entry, Store
from references.tiers import first_tier

VARIABLE = "SOFTMAX_ACCURACY_CACHE"

# What reading an entry costs (to open it, and to copy and check each byte; an element has 33 of them), and how many
# times that a computation has to take to be worth its place on the disk.
_READ_SECONDS = 1e-4
_READ_SECONDS_PER_BYTE = 1e-9
_WORTH = 4.0
_WORTH_SECONDS = 2e-3


def cached(
    operation: str,
    quantity: str,
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
    if store is None or not keeping_pays(quantity, format):
        return _checked(_soundly(compute), check)
    key = key_of(operation, quantity, logits, format, cotangent=cotangent, tangent=tangent)
    found = _reference_of(store.read(key), logits.shape)
    if found is not None:
        try:
            return _checked(found, check)
        except ArithmeticError:
            store.remove(key)
    start = time.thread_time()
    made = _soundly(compute)
    seconds = time.thread_time() - start
    _checked(made, check)
    entry = {field.name: getattr(made, field.name) for field in fields(made)}
    if _pays(seconds, sum(v.nbytes for v in entry.values() if isinstance(v, np.ndarray))):
        store.write(key, entry)
    return made


def key_of(
    operation: str,
    quantity: str,
    logits: Floats,
    format: Format,
    *,
    cotangent: Floats | None = None,
    tangent: Floats | None = None,
) -> str:
    """sha256 of the bits of every vector in its role, their shape, the question, and the code that answers it."""
    question = [_FINGERPRINT, operation, quantity, format.name, str(logits.shape)]
    digest = hashlib.sha256("\n".join(question).encode())
    for role, values in (("logits", logits), ("cotangent", cotangent), ("tangent", tangent)):
        if values is not None:
            digest.update(f"\n{role} {values.shape}\n".encode())
            digest.update(np.ascontiguousarray(values, "<f8").data)
    return digest.hexdigest()


def fingerprint(folder: Path) -> str:
    """sha256 of the source files of a folder and of the versions that they compute with; tests don't count."""
    digest = hashlib.sha256(f"numpy {np.__version__}, mpmath {mpmath.__version__}".encode())
    for file in sorted(folder.glob("*.py")):
        content = file.read_bytes()
        digest.update(f"\n{file.name} {len(content)}\n".encode() + content)
    return digest.hexdigest()


# Taken while the reference's modules are being imported: a file that is edited later belongs to the next process.
_FINGERPRINT = fingerprint(Path(__file__).parent)


@lru_cache(maxsize=8)
def _store(place: str) -> Store | None:
    if place.lower() == "off":
        return None
    if place:
        return Store(Path(place).expanduser())
    from platformdirs import user_cache_path

    return Store(user_cache_path("softmax-accuracy", appauthor=False) / "references")


def keeping_pays(quantity: str, format: Format) -> bool:
    """Whether an entry can be worth its place: plain binary64 evaluates faster than an entry is read."""
    return any(first_tier((operation, quantity), format) != BINARY64 for operation in OPERATIONS)


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


def _reference_of(entry: Entry | None, shape: tuple[int, ...]) -> Reference | None:
    """The reference in an entry, if it has the fields of one and arrays for rows of that shape."""
    if entry is None or set(entry) != {field.name for field in fields(Reference)}:
        return None
    if any(isinstance(value, np.ndarray) and value.shape != shape[: value.ndim] for value in entry.values()):
        return None
    return Reference(**entry)  # type: ignore[arg-type]
