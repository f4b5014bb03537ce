"""The two sides of an audit: requirements, for which an environment is had, or a Python that is there already."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from reports.audit.environments import EnvironmentFailed, environment_of, installed_in
from reports.audit.interpreters import Interpreter, interpreter_at
from reports.audit.requirements import Requirements, requirements_of
from reports.console.usage import UsageError
from reports.measure.messages import Say
from suites.driver.pool import introduction_of, stop_workers
from suites.driver.profiles import DEFAULT, profile_named
from suites.driver.worker_process import WorkerDied
from suites.implementations.catalogue import FRAMEWORKS
from suites.worker.self_report import Introduction, Unavailable


@dataclass(frozen=True)
class AuditSide:
    """One side: what it was ``asked`` for by, the Python that is measured, its packages, what is audited of them."""

    name: str
    asked: str
    interpreter: str
    packages: dict[str, str]
    frameworks: tuple[str, ...]


@dataclass(frozen=True)
class _Given:
    """A Python that was named; ``frameworks`` are those that are installed beside it."""

    text: str
    interpreter: Interpreter
    packages: dict[str, str]
    frameworks: tuple[str, ...]


def sides_of(
    requirements: tuple[str, ...],
    pythons: tuple[str | None, str | None],
    frameworks: tuple[str, ...],
    *,
    python: str,
    installer: str,
    logs: Path,
    say: Say,
) -> tuple[AuditSide, AuditSide]:
    """The old side and the new one, their environments at hand.

    ``requirements`` are those of the sides for which ``pythons`` has none, in order; ``frameworks`` what is audited of
    the ones that both have, everything if empty.  Raises UsageError for words, EnvironmentFailed for environments.
    """
    missing = pythons.count(None)
    if len(requirements) != missing:
        raise UsageError(
            f"audit takes {missing} REQ here, one for each side without a Python, not {len(requirements)}"
            " (quote the requirements of one side: 'numpy==2.4.6 scipy==1.17.1')"
        )
    waiting = iter(requirements)
    asked = [
        requirements_of(next(waiting)) if path is None else _given(path, f"--{name}-python")
        for name, path in zip(("old", "new"), pythons, strict=True)
    ]
    audited = _common(asked[0], asked[1], frameworks)
    old, new = (
        _side(name, side, audited, python, installer, logs / f"{name}-{installer}.log", say)
        for name, side in zip(("old", "new"), asked, strict=True)
    )
    return old, new


def _given(path: str, option: str) -> _Given:
    interpreter = interpreter_at(path, option)
    packages = installed_in(interpreter.path)
    return _Given(str(interpreter.path), interpreter, packages, tuple(f for f in FRAMEWORKS if f in packages))


def _common(old: Requirements | _Given, new: Requirements | _Given, wanted: tuple[str, ...]) -> tuple[str, ...]:
    common = tuple(f for f in old.frameworks if f in new.frameworks)
    for framework in wanted:
        for side in (old, new):
            if framework not in side.frameworks:
                raise UsageError(f"--framework {framework}: {side.text!r} has none; name it there, or another one here")
    if not common:
        raise UsageError(
            f"{old.text!r} has {_listed(old)} and {new.text!r} {_listed(new)}: there is no framework in both to compare"
        )
    return tuple(f for f in common if not wanted or f in wanted)


def _listed(side: Requirements | _Given) -> str:
    return ", ".join(side.frameworks) or "none"


def _side(
    name: str,
    asked: Requirements | _Given,
    audited: tuple[str, ...],
    python: str,
    installer: str,
    log: Path,
    say: Say,
) -> AuditSide:
    if isinstance(asked, _Given):
        return AuditSide(name, asked.text, asked.text, asked.packages, audited)
    made = environment_of(asked, python=python, installer=installer, log=log, say=say)
    return AuditSide(name, asked.text, str(made.interpreter), made.packages, audited)


def _why(failure: Unavailable | WorkerDied) -> str:
    """The reason, with the last thing that a worker said before it died: most often what a wheel misses."""
    printed = failure.loss.log.splitlines() if isinstance(failure, WorkerDied) else []
    return f"{failure}: {printed[-1]}" if printed else str(failure)


def introduced(side: AuditSide, device: str) -> list[Introduction]:
    """What the workers of a side say of themselves, one for each framework on a device.

    Raises EnvironmentFailed for a framework that is not there or can't be imported, and a device that is missing.
    """
    name = DEFAULT if device in ("cpu", "all") else device
    try:
        return [introduction_of(profile_named(framework, name, side.interpreter)) for framework in side.frameworks]
    except (Unavailable, WorkerDied) as failure:
        remedy = "choose other versions, another --python, or a Python of your own by --old-python and --new-python"
        raise EnvironmentFailed(f"{side.asked!r} can't be measured: {_why(failure)}; {remedy}") from None
    finally:
        stop_workers()
