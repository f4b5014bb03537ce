"""pip and uv, as an audit needs them: make an environment, resolve requirements to a lock, install the lock."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from reports.audit.interpreters import Interpreter, clean_environment
from reports.console.usage import UsageError

# Only wheels: where there is none for a Python, that is the answer, and not an hour of compiling.
_WHEELS = ("--only-binary", ":all:")

# What pip says of a package that it has found nothing of at all.
_NOTHING_FOUND = "(from versions: none)"


class Failed(Exception):
    """A command of the installer failed; the message is its own reason, in one line."""


class Installer(Protocol):
    """What makes environments.  Each step writes what it prints to the end of ``log`` and raises Failed."""

    @property
    def name(self) -> str:
        """What --installer calls it."""

    def make(self, place: Path, interpreter: Interpreter, log: Path) -> None:
        """An empty environment."""

    def resolve(self, place: Path, lines: Sequence[str], log: Path) -> str:
        """The lock: a requirements file with one version of each package, and hashes where the index has them."""

    def install(self, place: Path, lock: Path, log: Path) -> None:
        """Install what a lock names, and nothing else."""


def python_in(place: Path) -> Path:
    """The interpreter of an environment."""
    return place / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


@dataclass(frozen=True)
class Pip:
    """venv, and the pip that comes with it (22.2 or newer)."""

    name: str = "pip"

    def make(self, place: Path, interpreter: Interpreter, log: Path) -> None:
        _ran([interpreter.executable, "-I", "-m", "venv", str(place)], log)

    def resolve(self, place: Path, lines: Sequence[str], log: Path) -> str:
        report = place / "report.json"
        self._pip(place, log, "install", "--dry-run", "--ignore-installed", "--report", str(report), *_WHEELS, *lines)
        found = json.loads(report.read_text(encoding="utf-8"))["install"]
        hashed = all(_hash(item) for item in found)
        return "".join(sorted(_locked(item, hashed) for item in found))

    def install(self, place: Path, lock: Path, log: Path) -> None:
        self._pip(place, log, "install", "--no-deps", *_WHEELS, "--requirement", str(lock))

    def _pip(self, place: Path, log: Path, *arguments: str) -> None:
        pip = [str(python_in(place)), "-I", "-m", "pip", "--disable-pip-version-check", "--no-input"]
        _ran([*pip, *arguments], log)


def _locked(item: dict[str, Any], hashed: bool) -> str:
    name, version = item["metadata"]["name"], item["metadata"]["version"]
    what = f"{name} @ {item['download_info']['url']}" if item["is_direct"] else f"{name}=={version}"
    return f"{what} --hash={_hash(item)}\n" if hashed else f"{what}\n"


def _hash(item: dict[str, Any]) -> str | None:
    """``sha256:...``, by either of the names that pip has had for it."""
    info = item["download_info"].get("archive_info", {})
    if "sha256" in info.get("hashes", {}):
        return f"sha256:{info['hashes']['sha256']}"
    old = info.get("hash")
    return old.replace("=", ":", 1) if old else None


@dataclass(frozen=True)
class Uv:
    """uv, which has to be on the PATH."""

    name: str = "uv"

    def make(self, place: Path, interpreter: Interpreter, log: Path) -> None:
        _ran(["uv", "venv", "--no-project", "--python", interpreter.executable, str(place)], log)

    def resolve(self, place: Path, lines: Sequence[str], log: Path) -> str:
        asked = place / "asked.txt"
        asked.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        options = ("--no-header", "--no-annotate", "--generate-hashes", *_WHEELS)
        return _ran(["uv", "pip", "compile", *options, "--python", str(python_in(place)), str(asked)], log)

    def install(self, place: Path, lock: Path, log: Path) -> None:
        into = ("--python", str(python_in(place)))
        _ran(["uv", "pip", "install", "--no-deps", *_WHEELS, *into, "--requirement", str(lock)], log)


INSTALLERS: dict[str, Installer] = {"pip": Pip(), "uv": Uv()}


def installer_named(name: str) -> Installer:
    """Raises UsageError for a name that is not known, and for uv where it is not there."""
    if name not in INSTALLERS:
        raise UsageError(f"unknown installer {name!r}; known are {', '.join(INSTALLERS)}")
    if name == "uv" and shutil.which("uv") is None:
        raise UsageError("--installer uv: uv is not found; pip install uv adds it, or leave the option out")
    return INSTALLERS[name]


def _ran(command: list[str], log: Path) -> str:
    """Run a command and return its standard output; all that it prints goes to the end of the log.  Raises Failed."""
    with log.open("a", encoding="utf-8") as file:
        file.write(f"$ {' '.join(command)}\n")
        file.flush()
        try:
            ran = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                env=clean_environment(),
            )
        except OSError as error:
            raise Failed(f"{command[0]} can't be started: {error.strerror or error}") from None
        file.write(ran.stdout + ran.stderr)
    if ran.returncode:
        raise Failed(reason_in(ran.stderr) or reason_in(ran.stdout) or f"it exited with {ran.returncode}")
    return ran.stdout


def reason_in(text: str) -> str:
    """What an installer's output says went wrong: uv's explanation, pip's ERROR that names the packages, or the end."""
    explained = re.search(r"Because .*?(?=\n\s*\n|\n\s*hint:|\Z)", text, re.DOTALL)
    if explained:
        return " ".join(explained[0].split())
    lines = [line.strip(" ×╰─▶│") for line in text.splitlines() if line.strip(" ×╰─▶│")]
    errors = [re.sub(r"^(ERROR|error):\s*", "", line) for line in lines if re.match(r"ERROR:|error:", line)]
    telling = [line for line in errors if "ResolutionImpossible" not in line] or errors
    conflicts = [line for line in telling if line.startswith("Cannot install")]
    reason = ([*lines[-1:], *telling, *conflicts] or [""])[-1]
    return f"{reason} (the index has no wheel of it, or can't be reached)" if _NOTHING_FOUND in text else reason
