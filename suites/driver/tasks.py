"""What travels to a worker and back: a task is some evaluations of one profile on one input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from references.formats import Bits
from suites.driver.profiles import Profile
from suites.inputs.batch import Batch


@dataclass(frozen=True)
class Request:
    """One evaluation; ``own`` is module, file and function of a user's implementation.

    ``content`` is what a worker declared that this consists of; one that finds another content evaluates nothing.
    ``vectors`` are the roles that the quantity takes, with the names of the task's arrays that are in them.  With an
    ``axis`` the arrays of the task have any shape, and are handed over as they are to be reduced along it.
    """

    implementation: str
    operation: str
    quantity: str
    layout: str
    vectors: tuple[tuple[str, str], ...] = ()
    own: tuple[str, str, str] | None = None
    content: tuple[tuple[str, str], ...] | None = None
    axis: int | None = None


# Whose functions a worker runs: those of a user's file with one content, or the frameworks' own.
Owner = tuple[str, tuple[tuple[str, str], ...] | None] | None


def owner_of(request: Request) -> Owner:
    """Whose function a request calls."""
    return None if request.own is None else (request.own[1], request.content)


@dataclass(frozen=True)
class Declaration:
    """What a worker says of a user's file that it has imported.

    ``content`` has the sha256 of the file, by its name, and of all modules and libraries that came along with it.
    ``state`` says what importing it has changed of the thread's arithmetic; empty for nothing.
    """

    content: dict[str, str]
    state: str = ""


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

    ``touched`` elements of memory were changed that are not the output's.  ``read`` has the content of what a user's
    function read from its folder for the first time.
    """

    bits: Bits | None
    seconds: float = 0.0
    loss: Loss | None = None
    touched: int = 0
    read: Mapping[str, str] = field(default_factory=dict)

    def of_own(self) -> Answer:
        """The same of a user's function: what it raises has failed, whatever it says."""
        return self if self.loss is None else replace(self, loss=replace(self.loss, unsupported=False))


def task_of(profile: Profile, batch: Batch, requests: tuple[Request, ...]) -> Task:
    """Requests on the input of a batch."""
    names = {name for request in requests for _, name in request.vectors}
    return Task(
        profile, batch.format.name, batch.logits, {name: getattr(batch, name) for name in sorted(names)}, requests
    )
