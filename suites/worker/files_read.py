"""What a user's function reads: the files that its process opens, with what was in them when they were opened first.

Standard library alone, and fit for Python 3.9: it runs in the worker that imports the file.
"""

from __future__ import annotations

import os
import site
import sys
from collections.abc import Iterable, Sequence
from types import FrameType
from typing import Any

from suites.worker.digests import digest_of

# In place of a content: a file that was looked for, and one that changed meanwhile, which is equal to no other.
MISSING, UNSETTLED = "is not there", "changed while it was measured"

# What says that a file is made or cut when it is opened, in place of a mode.
_MAKING = os.O_CREAT | os.O_TRUNC | os.O_APPEND

# Where a system keeps what is its own.
_OF_THE_SYSTEM = ("/bin", "/dev", "/etc", "/lib", "/lib64", "/proc", "/run", "/sbin", "/sys", "/usr", "/var")


class Reading:
    """The files that are opened to be read from now on: those below ``folder``, and while it is ``loading`` others too,
    but for those of Python, of packages, of the system, and below ``but``.

    Python reports every file that is opened by way of it: modules and data, whenever they are wanted, and libraries.
    What a library opens by itself, and another process, it doesn't report.  A file that the function makes is none that
    it rests on.
    """

    def __init__(self, folder: str, but: Iterable[str] = ()) -> None:
        self._folder = os.path.join(os.path.abspath(folder), "")
        known = (sys.prefix, sys.base_prefix, sys.exec_prefix, *site.getsitepackages(), *but)
        self._others = tuple(os.path.join(os.path.abspath(k), "") for k in known)
        self._others = tuple(k for k in self._others if not self._folder.startswith(k))
        self._hidden = self._folder == os.path.join(os.path.expanduser("~"), "")
        self._seen: dict[str, str] = {}
        self._made: set[str] = set()
        self._updated: set[str] = set()
        self._reported: set[str] = set()
        self._listening, self.loading = True, False
        sys.addaudithook(self._hear)
        sys.meta_path.append(_Missed(self))

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._listening:
            return
        self._listening = False  # what is opened here is none of the function's
        try:
            if event == "open":
                self._opened(*arguments[:3])
            elif event == "import" and isinstance(arguments[1], str):
                self.read(arguments[1])
            elif event == "ctypes.dlopen" and isinstance(arguments[0], str) and os.sep in arguments[0]:
                self.read(arguments[0])
        except Exception:  # a hook that raises would keep the function from its file
            pass
        finally:
            self._listening = True

    def _opened(self, file: object, mode: object, flags: object) -> None:
        if not isinstance(file, (str, bytes)):
            return
        path = os.path.abspath(os.fsdecode(file))
        how = str(mode or "")
        if set(how) & set("wax") or (not how and isinstance(flags, int) and flags & _MAKING):
            self._made.add(path)
        else:
            if "+" in how or (not how and isinstance(flags, int) and flags & os.O_RDWR):
                self._updated.add(path)
            self.read(path)

    def read(self, file: str) -> None:
        """Note the content of a file that counts, if it is the first time."""
        path = os.path.abspath(file)
        if path not in self._seen and self._counts(path) and not os.path.isdir(path):
            self._seen[path] = digest_of(path) or MISSING

    def _counts(self, path: str) -> bool:
        parts = path.split(os.sep)
        if "__pycache__" in parts or path.startswith(self._others):
            return False
        if path.startswith(self._folder):
            return not (self._hidden and path[len(self._folder) :].startswith("."))
        return (
            self.loading
            and not path.startswith(tuple(f"{place}/" for place in _OF_THE_SYSTEM))
            and not any(part.startswith(".") for part in parts)
        )

    def missed(self, module: str) -> None:
        """Note that the function has looked for a module and has not found it."""
        if self._is_asked_by_the_function():
            self.read(f"{self._folder}{module}.py")

    def _is_asked_by_the_function(self) -> bool:
        frame: FrameType | None = sys._getframe()
        while frame is not None and ("importlib" in frame.f_code.co_filename or frame.f_code.co_filename == __file__):
            frame = frame.f_back
        return frame is not None and os.path.abspath(frame.f_code.co_filename).startswith(self._folder)

    def at_first(self, path: str) -> str | None:
        """What was in a file when it was opened first, if it was."""
        return self._seen.get(os.path.abspath(path))

    def news(self) -> dict[str, str]:
        """The content of what was read since this was asked last: by the path from the folder on, or the whole path."""
        found = {}
        for path in [p for p in self._seen if p not in self._reported]:
            self._reported.add(path)
            now = digest_of(path) or MISSING
            if path in self._made or (path in self._updated and now != self._seen[path]):
                continue
            name = path[len(self._folder) :] if path.startswith(self._folder) else path
            found[name] = now if now == self._seen[path] else UNSETTLED
        return found

    def known(self, paths: Iterable[str]) -> None:
        """Leave out files that are reported under another name."""
        self._reported.update(os.path.abspath(path) for path in paths)


class _Missed:
    """The last one who is asked for a module, when nobody else has it."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def find_spec(self, name: str, path: Sequence[str] | None, target: object = None) -> None:
        """Has no module either."""
        if path is None:
            self._reading.missed(name)
