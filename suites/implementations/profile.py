"""A profile: an environment of an evaluation that can change its bits, and what is to be read back of it."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

from suites.implementations.read_back import Fact

DEFAULT = "default"

# The variable that says how many seconds a call may take, the first one included.
CALL_SECONDS = "SOFTMAX_ACCURACY_CALL_SECONDS"


# In what a profile can differ from the default one.
THREADS = "the number of threads"
PROCESSORS = "the number of processors"
INSTRUCTIONS = "the instruction set"
X64 = "JAX's x64 flag"
FLAGS = "the compiler's flags"


class UnknownProfile(ValueError):
    """A profile that no framework has, or limits that none can keep; the message names it and says what there is."""


@dataclass(frozen=True)
class Limits:
    """What a worker may take before it is ended: seconds without an answer, and bytes beyond what it starts with.

    The first call of an implementation may compile for long, and imports a user's file.  ``memory`` None means half of
    what the machine has: one that runs away is stopped before it pushes others out.
    """

    start: float = 300.0
    first_call: float = 300.0
    call: float = 120.0
    memory: int | None = None

    @classmethod
    def usual(cls) -> Limits:
        """Those of a profile that is given none; a variable may set the seconds of a call.  Raises UnknownProfile."""
        text = os.environ.get(CALL_SECONDS)
        if not text:
            return cls()
        try:
            seconds = float(text)
        except ValueError:
            seconds = math.nan
        if not (math.isfinite(seconds) and seconds > 0):
            raise UnknownProfile(f"{CALL_SECONDS}={text} is no number of seconds; give one above 0, or unset it")
        return cls(first_call=seconds, call=seconds)


@dataclass(frozen=True)
class Profile:
    """One framework under one interpreter, environment, number of threads and device.

    ``needs`` are the features that the processor must have.  The rest is held against what was read back: ``expects``
    are settings with their values, ``avoids`` are values that no setting may have, ``changes`` are settings that must
    differ from those of the default profile.  ``varies`` says in what it differs from the default profile, for
    observations of bits; empty for those that are measured for their own sake.  ``kernels``: it has other kernels in
    each format, which an instruction set has, and threads or compiler flags have not.
    """

    name: str
    framework: str
    interpreter: str = sys.executable
    environment: tuple[tuple[str, str], ...] = ()
    threads: int = 1
    device: str = "cpu"
    cpus: int | None = None
    x64: bool = True
    needs: tuple[str, ...] = ()
    expects: tuple[tuple[str, Fact], ...] = ()
    avoids: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()  # empty: all
    varies: str = ""
    kernels: bool = False
    limits: Limits = field(default_factory=Limits.usual)

    @property
    def is_main(self) -> bool:
        """Whether it is measured for its own sake: the default one, a card's, and one that some calls need."""
        return not self.varies

    def serves(self, environment: Mapping[str, str]) -> bool:
        """Whether calls that need these variables are measured in it, or, without any, calls that need none."""
        special = bool(self.environment) and self.is_main
        return special == bool(environment) and environment.items() <= dict(self.environment).items()

    def asked(self) -> dict[str, str]:
        """In what it differs from the default profile."""
        found = dict(self.environment)
        if self.threads != 1:
            found["threads"] = str(self.threads)
        if self.cpus is not None:
            found["processors"] = str(self.cpus)
        if not self.x64:
            found["x64"] = "False"
        return found
