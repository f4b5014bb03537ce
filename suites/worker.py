"""Evaluates cells in a process of its own: bits in, bits out.  Needs Python 3.9, NumPy and the framework, nothing else.

Started by path, ``PYTHON suites/worker.py CONFIG``, from any checkout.  CONFIG is a JSON object: ``framework``,
``device``, ``threads``, ``x64``, ``cpus`` and ``memory`` (null: no limit), ``guard`` (seconds), ``scratch`` (a folder).

Requests are JSON objects, one a line, on what was standard input; replies go to what was standard output, each on a
line that begins with MARK, so that a banner of the interpreter's can't be taken for one.  Arrays travel as .npy files
of unsigned integers.  First comes {"introduction": ...} or {"unavailable": reason}.  Then

    {"evaluate": {"format", "logits", "vectors": {name: file}, "calls": [{"implementation", "operation", "quantity",
                  "layout", "vectors": {role: name}, "output", "own", "axis"}]}}
        -> for each call {"seconds", "resident"} and one of {"done", "touched"}, {"raised", "unsupported", "refused"},
           {"memory"}, {"scratch"}, the last three with a reason
    {"time": [files]}
        -> {"timings": [...]}

The end of the input ends the process, whatever it is doing.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import os
import queue
import shutil
import signal
import sys
import threading
import time
from dataclasses import asdict
from typing import Any

MARK = "@softmax-accuracy "

# How they say that they have no such function, format or argument, besides NotImplementedError and its like.
_NOT_THERE = ("not implemented for", "not supported on Python", "got an unexpected keyword argument")

# By which exceptions a call says that it doesn't take an array: of such a shape, or along such an axis.
_REFUSALS = (ValueError, TypeError, IndexError, RuntimeError)

# How the frameworks say that they got no memory, besides MemoryError.
_NO_MEMORY = ("out of memory", "can't allocate memory", "Unable to allocate", "RESOURCE_EXHAUSTED", "std::bad_alloc")


class Link:
    """The two pipes to the driver, out of the way of anything that prints or reads."""

    def __init__(self, scratch: str) -> None:
        self._scratch = scratch
        requests = os.dup(0)
        self._replies = os.dup(1)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.dup2(2, 1)
        self._waiting: queue.Queue[Any] = queue.Queue()
        threading.Thread(target=self._read, args=(requests,), daemon=True).start()

    def _read(self, requests: int) -> None:
        with os.fdopen(requests, encoding="utf-8") as lines:
            for line in lines:
                self._waiting.put(json.loads(line))
        self._leave()

    def _leave(self) -> None:
        """Nobody is left to answer to: end this process and what it has started, even in the midst of a kernel."""
        shutil.rmtree(self._scratch, ignore_errors=True)
        if os.getpgrp() == os.getpid():
            os.killpg(0, signal.SIGKILL)
        os._exit(0)

    def next(self) -> Any:
        """The next request."""
        return self._waiting.get()

    def reply(self, **message: Any) -> None:
        """Send one object; the line break before it ends whatever was printed there."""
        data = ("\n" + MARK + json.dumps(message) + "\n").encode()
        while data:
            data = data[os.write(self._replies, data) :]


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
    except OSError:
        return 0


class Evaluations:
    """The evaluators of one framework, made when they are first asked for."""

    def __init__(self, link: Link, guard: float) -> None:
        self._link, self._guard = link, guard
        self._evaluators: dict[str, Any] = {}

    def _evaluator(self, call: dict[str, Any]) -> Any:
        from suites.implementations.catalogue import CATALOGUE, own_evaluator

        name, own = call["implementation"], call["own"]
        if name not in self._evaluators:
            self._evaluators[name] = own_evaluator(*own) if own else CATALOGUE[name].evaluator()
        return self._evaluators[name]

    def answer(self, request: dict[str, Any]) -> None:
        """Evaluate all calls on one input, and reply after each."""
        import numpy as np

        try:
            logits = np.load(request["logits"], allow_pickle=False)
            vectors = {name: np.load(file, allow_pickle=False) for name, file in request["vectors"].items()}
        except OSError as error:
            self._link.reply(scratch=error.strerror or str(error))
            return
        for call in request["calls"]:
            # Should the driver be gone while a kernel hangs and holds the interpreter, this ends the process.
            faulthandler.dump_traceback_later(self._guard, exit=True)
            reply = self._evaluated(call, request["format"], logits, vectors)
            self._link.reply(**reply, resident=_resident())
            faulthandler.cancel_dump_traceback_later()

    def _evaluated(self, call: dict[str, Any], format: str, logits: Any, vectors: dict[str, Any]) -> dict[str, Any]:
        import numpy as np

        from suites.evaluation import evaluate_array, evaluate_rows
        from suites.implementations.call import Call
        from suites.inputs.layouts import TouchedMemory

        start, touched = time.perf_counter(), 0
        try:
            taken = {role: vectors[name] for role, name in call["vectors"].items()}
            what = call["operation"], call["quantity"], format
            if call["axis"] is None:
                bits = evaluate_rows(self._evaluator(call), *what, call["layout"], logits, taken)
            else:
                bits = evaluate_array(self._evaluator(call), Call(*what, call["axis"], logits, **taken))
        except TouchedMemory as found:
            bits, touched = found.computed, found.count
        except (Exception, SystemExit) as error:  # whatever a framework or a user's function raises
            text = (f"{type(error).__name__}: {error}".splitlines() or [type(error).__name__])[0]
            seconds = time.perf_counter() - start
            if _is_no_memory(error):
                return {"memory": text, "seconds": seconds}
            unsupported = not call["own"] and is_unsupported(error)
            return {"raised": text, "unsupported": unsupported, "refused": is_refusal(error), "seconds": seconds}
        seconds = time.perf_counter() - start
        try:
            np.save(call["output"], bits)
        except OSError as error:
            return {"scratch": error.strerror or str(error), "seconds": seconds}
        return {"done": True, "touched": touched, "seconds": seconds}


def is_unsupported(error: BaseException) -> bool:
    """Whether an exception says that this version of a framework has no such thing, rather than that it failed."""
    return isinstance(error, (NotImplementedError, ImportError, AttributeError)) or any(
        text in str(error) for text in _NOT_THERE
    )


def is_refusal(error: BaseException) -> bool:
    """Whether an exception says that a call doesn't take such an array; running out of stack is no such answer."""
    return isinstance(error, _REFUSALS) and not isinstance(error, RecursionError)


def _is_no_memory(error: BaseException) -> bool:
    return isinstance(error, MemoryError) or any(words in str(error) for words in _NO_MEMORY)


def _timings(framework: str, files: list[str]) -> list[dict[str, Any]]:
    import numpy as np

    from suites.timing import time_ratios

    return [asdict(ratio) for ratio in time_ratios(framework, [np.load(file) for file in files])]


def main() -> None:
    """Introduce this process, then answer until the driver closes the pipe."""
    config = json.loads(sys.argv[1])
    link = Link(config["scratch"])
    _settle(config)
    # This file's folder was put there by the interpreter; its modules must not hide others of the same name.
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    from suites.implementations.placement import HERE
    from suites.introduction import Unavailable, introduce

    HERE.device, HERE.threads, HERE.x64 = config["device"], config["threads"], config["x64"]
    try:
        introduction = introduce(config["framework"])
    except Unavailable as reason:
        link.reply(unavailable=str(reason))
        return
    _limit_memory(config["memory"])
    link.reply(introduction=asdict(introduction))
    evaluations = Evaluations(link, config["guard"])
    while True:
        request = link.next()
        if "evaluate" in request:
            evaluations.answer(request["evaluate"])
        else:
            link.reply(timings=_timings(config["framework"], request["time"]))


if __name__ == "__main__":
    main()
