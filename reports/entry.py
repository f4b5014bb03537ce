"""Where the program begins: whatever happens below ends in a code of the contract, and never in Python's own 1.

The standard library alone is imported here, so that even a clone without its dependencies says what is missing.
"""

from __future__ import annotations

import contextlib
import sys
import traceback
from typing import NoReturn

from reports.console.exits import FAULT, INCOMPLETE, USAGE
from reports.console.lines import complain
from reports.console.streams import READER_GONE, OutputFailed, ReaderGone, flush_output, guard_streams

_OURS = ("references", "suites", "reports")

# The extra that brings a package which is no framework's; every other one comes with the program itself.
_EXTRAS = {"jinja2": "report", "gmpy2": "fast"}


def main() -> NoReturn:
    """The console script, and ``python -m reports``: leaves with the exit code."""
    sys.exit(_code())


def _code() -> int:
    try:
        guard_streams()
        from reports.cli import run

        code = run()
        flush_output()
        return code
    except KeyboardInterrupt:
        return complain("interrupted", INCOMPLETE)
    except OutputFailed as error:
        return complain(str(error), USAGE)
    except ReaderGone:
        return READER_GONE
    except OSError as error:
        what = f"{error.filename}: " if error.filename else ""
        return complain(f"{what}{error.strerror or error}; free space, or choose another place", USAGE)
    except BaseException as error:
        if _is_unknown_framework(error):
            return complain(str(error), USAGE)
        package = _package_missing(error)
        return complain(_remedy(package, error), USAGE) if package else _fault(error)


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
    extra = {**_extras_of_frameworks(), **_EXTRAS}.get(package)
    wanted = f"'softmax-accuracy[{extra}]'" if extra else "softmax-accuracy"
    reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return f"{package} can't be imported ({reason}); pip install {wanted} brings it (in a clone, pip install -e .)"


def _is_unknown_framework(error: BaseException) -> bool:
    """Whether frameworks could not be read as a variable asks: that is noticed before any verb runs."""
    module = sys.modules.get("suites.implementations.user_files")
    return module is not None and isinstance(error, module.UnknownName)


def _extras_of_frameworks() -> dict[str, str]:
    """The extra that brings each framework's packages, named as the framework; none where the suite can't be read."""
    try:
        from suites.implementations.frameworks import frameworks

        brought = {f.name: f.distributions for f in frameworks().values() if not f.written_out}
    except Exception:  # whatever is missing, the line about it is said
        return {}
    return {package: name for name, packages in brought.items() for package in packages}
