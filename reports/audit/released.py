"""The released versions of a package that have a wheel for a Python, as pip knows them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from packaging.version import InvalidVersion, Version

from reports.audit.interpreters import clean_environment


class NotListed(Exception):
    """pip can't list the versions of a package; the message is its reason, in one line."""


def released(package: str, interpreter: str, log: Path) -> tuple[str, ...]:
    """The released versions, oldest first, without pre-releases; those with no wheel for that Python are left out.

    ``log`` gets what pip prints.  Raises NotListed.
    """
    options = ("--only-binary", ":all:")
    text = _listed(package, [interpreter, *_PIP], options, log)
    if text is None:  # an environment of uv's has no pip
        target = ("--python-version", _version_of(interpreter), *options)
        text = _listed(package, [sys.executable, *_PIP], target, log)
    match = re.search(r"^Available versions: (.+)$", text or "", re.MULTILINE)
    if not match:
        raise NotListed(f"pip lists no versions of {package}; {log} has what it said")
    return ordered(match.group(1).split(", "))


_PIP = ("-I", "-m", "pip", "--disable-pip-version-check", "--no-input", "index", "versions")


def _listed(package: str, command: list[str], options: tuple[str, ...], log: Path) -> str | None:
    """What pip prints, or None where it fails."""
    line = [*command, package, *options]
    ran = subprocess.run(line, capture_output=True, text=True, errors="replace", env=clean_environment(), check=False)
    with log.open("a", encoding="utf-8") as file:
        file.write(f"$ {' '.join(line)}\n{ran.stdout}{ran.stderr}")
    return None if ran.returncode else ran.stdout


def _version_of(interpreter: str) -> str:
    question = "import sys; print('%d.%d' % sys.version_info[:2])"
    ran = subprocess.run([interpreter, "-I", "-c", question], capture_output=True, text=True, check=True)
    return ran.stdout.strip()


def ordered(versions: list[str]) -> tuple[str, ...]:
    """Versions from the oldest to the newest; pre-releases and what is no version are left out."""
    found = {}
    for text in versions:
        try:
            version = Version(text)
        except InvalidVersion:
            continue
        if not version.is_prerelease:
            found[version] = text
    return tuple(found[version] for version in sorted(found))
