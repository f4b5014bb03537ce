"""Where the program begins: whatever happens below ends in a code of the contract, and never in Python's own 1.

The standard library alone is imported here, so that even a clone without its dependencies says what is missing.
"""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from typing import NoReturn

from reports.exits import FAULT, INCOMPLETE, USAGE
from reports.lines import LONGEST, speak_any_encoding
from suites.printable import printable

PROGRAM = "softmax-accuracy"

_OURS = ("references", "suites", "reports")

# The extra that brings a package; every other one comes with the program itself.
_EXTRAS = {"jinja2": "report", "torch": "torch", "jax": "jax", "jaxlib": "jax", "scipy": "scipy", "gmpy2": "fast"}


def main() -> NoReturn:
    """The console script, and ``python -m reports``: leaves with the exit code."""
    sys.exit(_code())


def _code() -> int:
    try:
        speak_any_encoding()
        from reports.cli import run

        code = run()
        sys.stdout.flush()  # what is still held back would fail after the last word on the exit code
        return code
    except KeyboardInterrupt:
        return complain("interrupted", INCOMPLETE)
    except BrokenPipeError:
        return _closed()
    except OSError as error:
        what = f"{error.filename}: " if error.filename else ""
        return complain(f"{what}{error.strerror or error}; free space, or choose another place", USAGE)
    except BaseException as error:
        if isinstance(error, SystemExit) and isinstance(error.__context__, BrokenPipeError):
            return _closed()  # click and rich leave with 1 there
        package = _package_missing(error)
        return complain(_remedy(package, error), USAGE) if package else _fault(error)


def complain(message: str, code: int) -> int:
    """Say one line on stderr and give the code back; where nobody can hear it, the code alone tells."""
    with contextlib.suppress(OSError, ValueError):
        if sys.stderr is not None:
            print(printable(f"{PROGRAM}: {message}", LONGEST), file=sys.stderr, flush=True)
    return code


def _closed() -> int:
    with contextlib.suppress(OSError, ValueError):
        # Python writes what is left once more when it ends; there nobody may be listening.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return complain("standard output was closed before everything was written", USAGE)


def _fault(error: BaseException) -> int:
    """The traceback, and below it what to do with it."""
    with contextlib.suppress(Exception):
        if sys.stderr is not None:
            traceback.print_exception(error, file=sys.stderr)
    first = next(iter(str(error).splitlines()), "")
    what = f"{type(error).__name__}: {first}" if first else type(error).__name__
    return complain(
        f"this is a fault of the program, not of your command ({what}); please report it, with the lines above", FAULT
    )


def _package_missing(error: BaseException | None) -> str | None:
    """The package of somebody else that an exception, or what it came from, could not import."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, ImportError) and error.name:
            package = error.name.partition(".")[0]
            return None if package in _OURS or package in sys.stdlib_module_names else package
        error = error.__cause__ or error.__context__
    return None


def _remedy(package: str, error: BaseException) -> str:
    extra = _EXTRAS.get(package)
    wanted = f"'softmax-accuracy[{extra}]'" if extra else "softmax-accuracy"
    reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return f"{package} can't be imported ({reason}); pip install {wanted} brings it (in a clone, pip install -e .)"
