"""Functions for a worker to die of, and tasks that have them evaluated."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from suites.driver.profiles import Limits, Profile
from suites.driver.tasks import Request, Task

KERNELS = """
import ctypes, os, signal, sys, time
import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))


def sound(x, axis):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def aborts(x, axis):
    print("the last words")
    sys.stdout.flush()
    os.abort()


def reads_address_zero(x, axis):
    ctypes.string_at(0)


def kills_itself(x, axis):
    os.kill(os.getpid(), signal.SIGKILL)


def exits(x, axis):
    os._exit(7)


def sleeps(x, axis):
    with open(os.path.join(HERE, "pid"), "w") as file:
        file.write(str(os.getpid()))
    os.rename(os.path.join(HERE, "pid"), os.path.join(HERE, "asleep"))
    time.sleep(1000)


def allocates(x, axis):
    return np.concatenate([np.ones(1 << 22) for _ in range(100)])


def raises(x, axis):
    raise ValueError("no answer\\nfrom here")


def leaves(x, axis):
    raise SystemExit("as a script does")


def of_another_shape(x, axis):
    return x[:1]


def kills_itself_once(x, axis):
    flag = os.path.join(HERE, "killed once")
    if not os.path.exists(flag):
        open(flag, "w").close()
        kills_itself(x, axis)
    return sound(x, axis)


def talks(x, axis):
    os.write(1, b'@softmax-accuracy {"done": true}' + bytes([10]) + b"half a line")
    print("@softmax-accuracy nothing of the kind")
    os.system("echo a child talks")
    assert sys.stdin.read() == ""
    return sound(x, axis)
"""

BITS = np.array([[0.0, 1.0, 2.0], [3.0, 1.0, 3.0]], np.float32).view(np.uint32)

# Short enough for a test, long enough for a busy machine to answer an ordinary request.
QUICK = Limits(first_call=60.0, call=60.0, memory=1 << 28)
NUMPY = Profile("default", "numpy", limits=QUICK)


def written(folder: Path) -> Path:
    """The functions in a file."""
    file = folder / "kernels.py"
    file.write_text(KERNELS, encoding="utf-8")
    return file


def task_of(file: Path, *functions: str, profile: Profile = NUMPY) -> Task:
    """A task that has the functions of a file evaluated in turn."""
    requests = tuple(
        Request(f"kernels/{name}", "softmax", "forward", "last", (), ("numpy.recipes", str(file), name))
        for name in functions
    )
    return Task(profile, "binary32", BITS, {}, requests)
