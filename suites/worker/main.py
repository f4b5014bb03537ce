"""Evaluates cells in a process of its own: bits in, bits out.  Needs Python 3.9, NumPy and the framework, nothing else.

Started by path, ``PYTHON suites/worker/main.py``, from any checkout.  Requests are JSON objects, one a line, on what
was standard input; answers go to what was standard output, each on a line that begins with MARK and the token.  Arrays
travel as .npy files of unsigned integers.  First comes the configuration: ``token``, ``framework``, ``device``,
``threads``, ``x64``, ``cpus`` and ``memory`` (null: no limit), ``guard`` (seconds), ``scratch`` (a folder).  It is
answered by {"here": true}, and then {"introduction": ...} or {"unavailable": reason}.  Then

    {"id", "declare": {"own"}}
        -> {"content", "state"}, or {"refused": reason}
    {"id", "evaluate": {"format", "logits", "vectors": {name: file}, "content", "calls": [{"implementation",
                        "operation", "quantity", "layout", "vectors": {role: name}, "output", "own", "axis"}]}}
        -> for each call {"call", "seconds", "resident", "state"} and one of {"touched"}, {"raised", "unsupported",
           "refused"}, {"memory"}, {"scratch", "errno"}, the last three with a reason; "read" has the content of files
           of its folder that a user's function has read for the first time
    {"id", "time": [files]}
        -> {"timings": [...]}
    {"id", "content": {"packages": [names], "memory": folder or null}}
        -> {"content": {name: sha256}}

``state`` is what a function has changed of the thread's arithmetic, in words.  The end of the input ends the process,
whatever it is doing.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import sys
import time
import traceback
from dataclasses import asdict
from typing import Any

# What Python has run by itself, before any of this was asked for, is among these.
_AT_START = frozenset(sys.modules)

_CHECKOUT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# How they say that they have no such function, format or argument, besides NotImplementedError and its like.
_NOT_THERE = ("not implemented for", "not supported on Python", "got an unexpected keyword argument")

# By which exceptions a call says that it doesn't take an array: of such a shape, or along such an axis.
_REFUSALS = (ValueError, TypeError, IndexError, RuntimeError)

# How the frameworks say that they got no memory, besides MemoryError.
_NO_MEMORY = ("out of memory", "can't allocate memory", "Unable to allocate", "RESOURCE_EXHAUSTED", "std::bad_alloc")


def _settle(config: dict[str, Any]) -> None:
    """What has to be settled before the framework is imported."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's; it ends its workers
    faulthandler.enable(all_threads=False)
    if config["cpus"] is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: config["cpus"]])
    # Where memory runs out, the kernel should take this process and not the driver.
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write("500")


def _limit_memory(limit: int | None) -> None:
    """Bound what may be allocated beyond what the framework has reserved by now."""
    if limit is None:
        return
    import resource

    with contextlib.suppress(OSError, ValueError):
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (_pages(0) + limit, hard))


def _pages(column: int) -> int:
    """Bytes of this process: 0 those of its addresses, 1 those in memory.  Raises OSError where the system has none."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[column]) * os.sysconf("SC_PAGE_SIZE")


def _resident() -> int:
    try:
        return _pages(1)
    except (OSError, ValueError, IndexError):
        return 0


class Evaluators:
    """The evaluators of one framework, made when they are first asked for.

    What is needed after a function has run is taken hold of before: a function may put anything in the place of what
    it finds in modules.
    """

    def __init__(self, link: Any, guard: float) -> None:
        import numpy as np

        from references.ieee.float_state import what_is_off
        from suites.implementations.call import Call
        from suites.implementations.user_files import described
        from suites.worker.evaluation import evaluate_array, evaluate_rows
        from suites.worker.link import moved

        self._link, self._guard = link, guard
        self._evaluators: dict[str, Any] = {}
        # Of users' functions: what they consist of here, and what they have to.
        self._contents: dict[str, dict[str, str]] = {}
        self._declared: dict[str, str] | None = None
        self._reading: Any = None
        self._checkout = _CHECKOUT
        self._save, self._load, self._copied, self._clock = np.save, np.load, np.array, time.perf_counter
        self._what_is_off, self._evaluate_rows, self._described = what_is_off, evaluate_rows, described
        self._evaluate_array, self._call = evaluate_array, Call
        self._log = moved(2)

    def declare(self, to: int, own: list[str]) -> None:
        """Import a user's file, and report what it consists of and what importing it has changed."""
        from suites.implementations.catalogue import UnknownName
        from suites.worker.own_content import ContentChanged

        before = self._what_is_off()
        with self._watched():
            try:
                self._own_evaluator(own)
            except (UnknownName, ContentChanged) as error:
                self._link.reply(to, refused=str(error))
                return
        self._link.reply(to, content=self._contents[own[1]], state=self._changed(before))

    def _evaluator(self, call: dict[str, Any]) -> Any:
        from suites.implementations.catalogue import CATALOGUE

        name, own = call["implementation"], call["own"]
        if name not in self._evaluators:
            made = self._own_evaluator(own) if own else CATALOGUE[name].evaluator()
            self._evaluators[name] = made
        return self._evaluators[name]

    def _own_evaluator(self, own: list[str]) -> Any:
        """Raises ContentChanged where the file is not what was declared, and UnknownName."""
        from suites.implementations.catalogue import own_evaluator
        from suites.worker.files_read import Reading
        from suites.worker.own_content import check_unchanged, loading

        module, file, function = own
        if self._reading is None:  # a worker runs the functions of one file
            self._reading = Reading(os.path.dirname(file), but=(self._link.scratch, self._checkout))
        evaluator, content = loading(file, lambda: own_evaluator(module, file, function), self._reading)
        content = self._contents.setdefault(file, content)
        if self._declared is not None:
            check_unchanged(file, self._declared, content)
        return evaluator

    def answer(self, to: int, request: dict[str, Any]) -> None:
        """Evaluate all calls on one input, and reply after each."""
        try:
            logits = self._load(request["logits"], allow_pickle=False)
            vectors = {name: self._load(file, allow_pickle=False) for name, file in request["vectors"].items()}
        except OSError as error:
            self._link.reply(to, call=0, **_scratch(error), seconds=0.0, resident=0, state="")
            return
        if request["content"] is not None:  # comes with the first request to one owner's worker
            self._declared = request["content"]
        for number, call in enumerate(request["calls"]):
            with self._watched():
                reply = self._evaluated(call, request, logits, vectors)
                self._link.reply(to, call=number, resident=_resident(), **reply)

    @contextlib.contextmanager
    def _watched(self) -> Any:
        """Should the driver be gone while a kernel hangs and holds the interpreter, this ends the process."""
        faulthandler.dump_traceback_later(self._guard, exit=True, file=self._log)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()

    def _evaluated(
        self, call: dict[str, Any], request: dict[str, Any], logits: Any, vectors: dict[str, Any]
    ) -> dict[str, Any]:
        from suites.inputs.layouts import TouchedMemory

        before, start, touched, bits = self._what_is_off(), self._clock(), 0, None
        reply: dict[str, Any] = {}
        try:
            taken = {role: vectors[name] for role, name in call["vectors"].items()}
            what = call["operation"], call["quantity"], request["format"]
            evaluator = self._evaluator(call)
            before = self._what_is_off()
            if call["axis"] is None:
                bits = self._evaluate_rows(evaluator, *what, call["layout"], logits, taken)
            else:
                bits = self._evaluate_array(evaluator, self._call(*what, call["axis"], logits, **taken))
        except TouchedMemory as found:
            bits, touched = found.computed, found.count
        except BaseException as error:  # whatever a framework or a user's function raises
            reply = self._failure(call, error)
        self._link.leave_if_copied()
        reply.update(seconds=self._clock() - start, state=self._changed(before))
        if self._reading is not None:
            reply.update(read=self._reading.news())
        if bits is not None:
            try:
                # A copy in plain memory first: what a function hands back may lead anywhere.
                self._save(call["output"], self._copied(bits))
                reply.update(touched=touched)
            except OSError as error:
                reply.update(_scratch(error))
        return reply

    def _failure(self, call: dict[str, Any], error: BaseException) -> dict[str, Any]:
        from suites.implementations.catalogue import UnknownName
        from suites.worker.own_content import ContentChanged

        ours = isinstance(error, (ContentChanged, UnknownName))
        text = str(error) if ours else self._described(error)
        if isinstance(error, MemoryError) or any(words in text for words in _NO_MEMORY):
            return {"memory": text}
        unsupported = not call["own"] and is_unsupported(error)
        return {"raised": text, "unsupported": unsupported, "refused": is_refusal(error)}

    def _changed(self, before: str) -> str:
        after = self._what_is_off()
        return "" if after == before else after or "it is as IEEE 754 says again"


def is_unsupported(error: BaseException) -> bool:
    """Whether an exception says that this version of a framework has no such thing, rather than that it failed."""
    return isinstance(error, (NotImplementedError, ImportError, AttributeError)) or any(
        text in str(error) for text in _NOT_THERE
    )


def is_refusal(error: BaseException) -> bool:
    """Whether an exception says that a call doesn't take such an array; running out of stack is no such answer."""
    return isinstance(error, _REFUSALS) and not isinstance(error, RecursionError)


def _scratch(error: OSError) -> dict[str, Any]:
    return {"scratch": error.strerror or str(error), "errno": error.errno}


def _timings(framework: str, files: list[str]) -> list[dict[str, Any]]:
    import numpy as np

    from suites.worker.timing import time_ratios

    return [asdict(ratio) for ratio in time_ratios(framework, [np.load(file) for file in files])]


def _content(packages: list[str], memory: str | None) -> dict[str, str]:
    from pathlib import Path

    from suites.implementations.frameworks import frameworks
    from suites.worker.installed import of_packages

    beside = {name: framework.beside for name, framework in frameworks().items()}
    return of_packages(packages, Path(memory) if memory else None, _AT_START, beside)


def _serve() -> None:
    """Introduce this process, then answer until the driver closes the pipe."""
    from suites.worker.link import Link

    link = Link()
    config = link.config()
    link.reply(0, here=True)
    _settle(config)
    from suites.implementations.placement import HERE
    from suites.worker.self_report import Unavailable, introduce

    HERE.device, HERE.threads, HERE.x64 = config["device"], config["threads"], config["x64"]
    try:
        introduction = introduce(config["framework"])
    except Unavailable as reason:
        link.reply(0, unavailable=str(reason))
        return
    _limit_memory(config["memory"])
    link.reply(0, introduction=asdict(introduction))
    evaluations = Evaluators(link, config["guard"])
    while True:
        request = link.next()
        if "evaluate" in request:
            evaluations.answer(request["id"], request["evaluate"])
        elif "declare" in request:
            evaluations.declare(request["id"], request["declare"]["own"])
        elif "content" in request:
            link.reply(request["id"], content=_content(**request["content"]))
        else:
            link.reply(request["id"], timings=_timings(config["framework"], request["time"]))


def main() -> None:
    """Serve in a child of this process, which stands between it and the driver."""
    # This file's folder was put there by the interpreter; its modules must not hide others of the same name.
    sys.path[0] = _CHECKOUT
    from suites.worker.supervisor import stand_between

    stand_between()
    status = 0
    try:
        _serve()
    except BaseException:
        status = 1
        with contextlib.suppress(BaseException):  # a function may have closed what it would be printed to
            traceback.print_exc()
    os._exit(status)  # what a function has registered to run at the end, or left running, is not waited for


if __name__ == "__main__":
    main()
