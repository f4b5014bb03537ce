"""What travels to a worker and back: a task is some evaluations of one profile on one input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from references.formats import Bits
from suites.inputs.batch import Batch
from suites.profiles import Profile


@dataclass(frozen=True)
class Request:
    """One evaluation; ``own`` is module, file and function of a user's implementation.

    ``vectors`` are the roles that the quantity takes, with the names of the task's arrays that are in them.  With an
    ``axis`` the arrays of the task have any shape, and are handed over as they are to be reduced along it.
    """

    implementation: str
    operation: str
    quantity: str
    layout: str
    vectors: tuple[tuple[str, str], ...] = ()
    own: tuple[str, str, str] | None = None
    axis: int | None = None


@dataclass(frozen=True, eq=False)
class Task:
    """Requests on one input: logits [rows, n] and vectors of that shape by name, as bits of ``format``."""

    profile: Profile
    format: str
    logits: Bits
    vectors: Mapping[str, Bits]
    requests: tuple[Request, ...]


@dataclass(frozen=True)
class Loss:
    """Why an evaluation has no result: the ``signal`` that ended the worker, the end of what it had printed.

    ``unsupported``: nothing failed, but this version of the framework has no such function, format or argument.
    ``refused``: the implementation raised an exception of a kind by which a call says that it doesn't take an array.
    """

    reason: str
    signal: str | None = None
    log: str = ""
    unsupported: bool = False
    refused: bool = False


@dataclass(frozen=True, eq=False)
class Answer:
    """The output [rows, n] of one request, of any shape if it had an axis, and the seconds that it took; or the loss.

    ``touched`` elements of memory were changed that are not the output's.
    """

    bits: Bits | None
    seconds: float = 0.0
    loss: Loss | None = None
    touched: int = 0


def task_of(profile: Profile, batch: Batch, requests: tuple[Request, ...]) -> Task:
    """Requests on the input of a batch."""
    names = {name for request in requests for _, name in request.vectors}
    return Task(
        profile, batch.format.name, batch.logits, {name: getattr(batch, name) for name in sorted(names)}, requests
    )
