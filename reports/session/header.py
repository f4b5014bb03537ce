"""The header of a pytest session: versions, settings and flags that can change a result, as the workers report them."""

from __future__ import annotations

from suites.driver.profiles import DEFAULT, profile_named
from suites.driver.worker_process import WorkerDied
from suites.implementations.catalogue import versions_of
from suites.session import Session
from suites.worker import environment


def header_lines(session: Session) -> list[str]:
    """The lines; the default profiles of all frameworks are started side by side to know."""
    frameworks = list(dict.fromkeys(i.framework for i in session.implementations))
    session.introductions.gather(profile_named(framework, DEFAULT) for framework in frameworks)
    lines = [f"softmax-accuracy: tier {session.selection.tier}, {session.required} required, on {environment.cpu()}"]
    lines += [f"  {remark}" for remark in session.remarks]
    for framework in frameworks:
        try:
            lines += _of_framework(session, framework)
        except WorkerDied as death:
            lines.append(f"  {framework}: {death.loss.reason}")
    flags = " ".join(f"{name}={value}" for name, value in environment.flags().items())
    return [*lines, f"  environment: {flags or 'no flag set'}"]


def _of_framework(session: Session, framework: str) -> list[str]:
    reason = session.introductions.missing(profile_named(framework, DEFAULT))
    if reason:
        return [f"  {framework}: not measured: {reason}"]
    versions = ", ".join(f"{name} {version}" for name, version in versions_of(framework).items())
    chosen = "; ".join(f"{name} {value}" for name, value in session.settings(framework, DEFAULT).items() if value)
    skipped = {i.name: session.skipped(i) for i in session.implementations if i.framework == framework}
    return [
        f"  {versions} ({chosen})",
        *_profile_lines(session, framework),
        *(f"  {name}: not measured: {reason}" for name, reason in skipped.items() if reason),
    ]


def _profile_lines(session: Session, framework: str) -> list[str]:
    """The profiles that a framework is measured in besides the default one, and those that this machine can't offer."""
    others = [p for p in session.lanes if p.framework == framework and p.name != DEFAULT]
    reasons = {p.name: session.introductions.refused(p) for p in others}
    here = sorted(name for name, reason in reasons.items() if not reason)
    lines = [f"    also in the profiles {', '.join(here)}"] if here else []
    return lines + [f"    {name}: {reason}" for name, reason in sorted(reasons.items()) if reason]
