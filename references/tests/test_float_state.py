"""The probe of a thread's arithmetic, on arithmetic that is set otherwise in processes of their own."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from references.ieee.float_state import flushes_subnormals, require_sound_arithmetic, what_is_off

ROOT = Path(__file__).parents[2]

# fesetround's constants: upward, downward, toward zero.
_ROUNDINGS = {"x86_64": (0x800, 0x400, 0xC00), "aarch64": (0x400000, 0x800000, 0xC00000)}


def told(setting: str, program: str = "print(what_is_off())") -> str:
    """What a program prints that has set its arithmetic."""
    head = "import ctypes\nfrom references.ieee.float_state import *\n"
    done = subprocess.run(
        [sys.executable, "-c", f"{head}{setting}\n{program}\n"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_this_thread_computes_as_it_should() -> None:
    assert what_is_off() == ""
    assert not flushes_subnormals()
    require_sound_arithmetic()


@pytest.mark.parametrize(
    ("number", "words"), enumerate(["it rounds upward", "it rounds downward", "it rounds toward zero"])
)
def test_another_rounding_is_reported(number: int, words: str) -> None:
    if os.uname().machine not in _ROUNDINGS:
        pytest.skip("the constants of fesetround are not known")
    assert told(f"ctypes.CDLL(None).fesetround({_ROUNDINGS[os.uname().machine][number]})") == words


@pytest.mark.parametrize(
    ("bits", "words"),
    [
        (0x8000, "subnormal results are flushed to zero"),
        (0x0040, "subnormal operands are flushed to zero"),
        (0x8040, "subnormal results are flushed to zero; subnormal operands are flushed to zero"),
    ],
)
def test_flushing_of_results_and_of_operands_are_distinguished(bits: int, words: str) -> None:
    """FTZ and DAZ of an x86 processor, in the 28th byte of glibc's fenv_t."""
    if os.uname().machine != "x86_64" or sys.platform != "linux":
        pytest.skip("the place of the control word is not known")
    setting = (
        "state = (ctypes.c_uint32 * 8)()\n"
        "library = ctypes.CDLL('libm.so.6')\n"
        "library.fegetenv(state)\n"
        f"state[7] |= {bits}\n"
        "library.fesetenv(state)"
    )
    assert told(setting) == words


def test_a_framework_that_flushes_is_reported() -> None:
    if importlib.util.find_spec("torch") is None:
        pytest.skip("torch is not installed")
    words = "subnormal results are flushed to zero; subnormal operands are flushed to zero"
    assert told("import torch\ntorch.set_flush_denormal(True)") == words


@pytest.mark.skipif(os.uname().machine not in _ROUNDINGS, reason="the constants of fesetround are not known")
def test_nothing_is_judged_or_kept_by_a_thread_that_rounds_otherwise(tmp_path: Path) -> None:
    """References that are made in its midst are thrown away, and what was found before is not believed."""
    upward = _ROUNDINGS[os.uname().machine][0]
    program = f"""
import os
os.environ["SOFTMAX_ACCURACY_CACHE"] = {str(tmp_path)!r}
import references.bulk.batches
from references.bulk import cache
from references.functions import Function
from suites.scoring import certified_batch as exact, output as judging
from suites.inputs.batch import batch_of

def fails(call):
    try:
        call()
    except UnsoundArithmetic as error:
        return "rounds upward" in str(error)
    return False

# Whether an entry is worth its place is a matter of measured time, and none of this test.
cache._pays = lambda seconds, size: True
FORWARD = Function("softmax", "forward")
round = ctypes.CDLL(None).fesetround
batch = batch_of("gauss1", "binary64", 18, 1000)
make = exact.reference
def spoilt(*a, **k):
    found = make(*a, **k)
    round({upward})
    return found
exact.reference = spoilt
one = exact.Exact(batch)
print(fails(lambda: one.reference(FORWARD)), one._references, os.listdir({str(tmp_path)!r}))
print(fails(lambda: judging.judge_output(batch, FORWARD, batch.logits, framework="numpy", flushes=False)))
round(0)
exact.reference = make
one.reference(FORWARD)
print(len(one._references), len(os.listdir({str(tmp_path)!r})))
narrow = exact.Exact(batch_of("gauss1", "binary16", 18, 9))
round({upward})
print(fails(lambda: narrow.reference(FORWARD)), narrow._references)
"""
    lines = told("", program).splitlines()
    assert lines == ["True {} []", "True", "1 1", "True {}"]
